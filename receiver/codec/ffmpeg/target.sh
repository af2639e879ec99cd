# target.sh knows the architectures that Aerie is built for. It is sourced by
# build.sh and env.sh, which define say and die.

# native_arch prints the architecture of this machine's programs, which is not
# always its kernel's.
native_arch() {
	if command -v dpkg >/dev/null; then
		dpkg --print-architecture
		return
	fi
	case $(uname -m) in
	x86_64) echo amd64 ;;
	aarch64) echo arm64 ;;
	*) uname -m ;;
	esac
}

# select_target sets arch (Debian's name), CC, go_arch, and target_switches for
# FFmpeg's configure.
select_target() { # ARCH
	local triplet
	arch=$1 target_switches=()
	case $arch in
	amd64) triplet=x86_64-linux-gnu go_arch=amd64 target_switches=(--arch=x86_64) ;;
	arm64) triplet=aarch64-linux-gnu go_arch=arm64 target_switches=(--arch=aarch64) ;;
	# Debian's armhf promises VFPv3-D16 and no NEON; FFmpeg compiles its NEON
	# code all the same and asks the CPU before it uses it.
	armhf) triplet=arm-linux-gnueabihf go_arch=arm target_switches=(--arch=arm) ;;
	*) die "architecture $arch is not one of amd64, arm64, armhf" ;;
	esac
	# Another system's toolchain, such as Buildroot's, is named by its prefix.
	if [[ ! ${AERIE_CROSS_COMPILE:-} && $arch == "$(native_arch)" ]]; then
		CC=gcc
	else
		local prefix=${AERIE_CROSS_COMPILE:-$triplet-}
		CC=${prefix}gcc
		target_switches+=(--enable-cross-compile --target-os=linux --cross-prefix="$prefix")
	fi
	compiler_packages="gcc libc6-dev"
	[[ $CC == gcc ]] || compiler_packages="gcc-${triplet/_/-} libc6-dev-$arch-cross"
}

# need_tools names everything that is missing, with the command that installs
# it, before any work is done.
need_tools() {
	local packages=()
	need make make
	need xz xz-utils
	need pkg-config pkg-config
	need flock util-linux
	if [[ $arch == amd64 ]]; then
		need nasm nasm
	fi
	# A compiler without the C library's headers and archives is no use.
	if ! echo 'int main(void) { return 0; }' | "$CC" -x c -include stdlib.h -static -o /dev/null - 2>/dev/null; then
		packages+=($compiler_packages)
	fi
	((${#packages[@]} == 0)) || die "building FFmpeg for $arch needs tools that are missing here: sudo apt install ${packages[*]}"
}

need() { # COMMAND PACKAGE
	command -v "$1" >/dev/null || packages+=("$2")
}
