#!/usr/bin/env bash
# build.sh builds the FFmpeg libraries that aerie/receiver/codec links: static,
# minimal, for one architecture. It prints the prefix they are installed under
# on standard output, and progress on standard error.
#
#	build.sh [--asan] [ARCH=amd64|arm64|armhf]
#
# The default is this machine's architecture; another one is cross-compiled.
# --asan builds the variant that finds memory errors in libavcodec itself: with
# AddressSanitizer and without assembly, which the sanitizer cannot see.
#
# The prefix lies in ${AERIE_CACHE:-${XDG_CACHE_HOME:-~/.cache}/aerie}. Its name
# holds the version, the architecture and a hash of everything that decides
# what is built, because Go's build cache does not notice that a library at the
# same path has changed. A prefix that exists is complete and is used as it is.
set -euo pipefail

# The machine's language and options must not decide what is built.
export LC_ALL=C
unset CFLAGS CPPFLAGS LDFLAGS MAKEFLAGS

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
say() { echo "aerie: $*" >&2; }
die() { say "$*"; exit 1; }

. "$here/source.sh"
. "$here/target.sh"

cache=${AERIE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/aerie}

# What Aerie decodes and encodes. The seven libraries stay because go-astiav
# links them all; those that Aerie does not call are empty shells.
components=(
	--disable-everything
	--enable-decoder=h264,hevc,aac,aac_latm,alac
	--enable-decoder=pcm_s16be,pcm_s16le,pcm_s24be,pcm_s24le
	--enable-encoder=aac
	--enable-parser=h264,hevc,aac,aac_latm
	--enable-bsf=h264_mp4toannexb,hevc_mp4toannexb,aac_adtstoasc,extract_extradata
)

# autodetect is off so that the libraries depend on nothing but libc and libm,
# whatever else this machine has installed.
switches=(
	--prefix=/usr
	--enable-static
	--disable-shared
	--disable-programs
	--disable-doc
	--disable-network
	--disable-autodetect
	--disable-debug
	--enable-pthreads
)

# A section for each function lets the linker leave out those that nothing
# calls; tables for unwinding are for exceptions and debuggers, which a
# stripped binary in Go has no use for. Together they save about 1 MB.
compiler_flags="-ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables -fno-unwind-tables"

main() {
	local asan= arch=
	while (($#)); do
		case $1 in
		--asan) asan=yes ;;
		-h | --help) sed -n '2,/^set/{/^#/s/^# \?//p}' "${BASH_SOURCE[0]}"; exit ;;
		ARCH=*) arch=${1#ARCH=} ;;
		amd64 | arm64 | armhf) arch=$1 ;;
		*) die "build.sh: unknown argument $1" ;;
		esac
		shift
	done
	select_target "${arch:-${ARCH:-$(native_arch)}}"
	if [[ $asan ]]; then
		switches+=(--toolchain=gcc-asan --disable-asm)
	fi
	need_tools

	local hash prefix
	hash=$({ "$CC" --version; printf '%s\n' "$ffmpeg_sha256" "${target_switches[@]}" "${switches[@]}" "${components[@]}" "$compiler_flags"; } |
		sha256sum | cut -c 1-12)
	prefix=$cache/ffmpeg-$ffmpeg_version-$arch${asan:+-asan}-$hash
	if [[ ! -d $prefix ]]; then
		build "$prefix"
	fi
	echo "$prefix"
}

# build fills a temporary directory and renames it at the end, under a lock:
# an interrupted build leaves nothing behind that looks finished, and of two
# builds at once the second waits and finds the work done.
build() { # PREFIX
	local prefix=$1
	mkdir -p "$cache"
	exec 9>"$cache/lock"
	if ! flock --nonblock 9; then
		say "waiting for another build of FFmpeg"
		flock 9
	fi
	[[ -d $prefix ]] && return

	obtain_source "$cache/source"
	# Global, for the trap that runs when this function is gone.
	work=$(mktemp -d "$cache/build.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	say "unpacking FFmpeg $ffmpeg_version"
	tar -xJf "$cache/source/ffmpeg-$ffmpeg_version.tar.xz" -C "$work" --strip-components=1
	(cd "$work" && configure_libraries && compile_libraries && install_libraries "$work/installed")
	mv -T "$work/installed/usr" "$prefix"
	rm -rf "$work"
	say "FFmpeg $ffmpeg_version for $arch is ready after $SECONDS s"
}

configure_libraries() {
	say "configuring for $arch"
	./configure "${target_switches[@]}" "${switches[@]}" "${components[@]}" --extra-cflags="$compiler_flags" >configure.log 2>&1 ||
		{ tail -n 20 configure.log >&2; die "configure failed"; }
}

# compile_libraries shows how far make has come: the number of objects is known
# from the rules that it would run.
compile_libraries() {
	local total done=0 percent shown=0
	total=$(make --dry-run --always-make 2>/dev/null | grep -c ' -c .*-o .*\.o\|nasm.*\.o ' || true)
	say "compiling about $total files with $(nproc) jobs"
	: >make.log
	make --jobs="$(nproc)" >make.log 2>&1 &
	local make=$!
	while kill -0 $make 2>/dev/null; do
		done=$(grep -cE '^(CC|AS|X86ASM)'$'\t' make.log || true)
		percent=$((total ? done * 100 / total : 0))
		if ((percent >= shown + 10)); then
			shown=$((percent / 10 * 10))
			say "compiled $shown %, $SECONDS s"
		fi
		sleep 0.5
	done
	wait $make || { grep -iE 'error|\*\*\*' make.log | tail -n 20 >&2; die "make failed"; }
}

# install_libraries makes the pkg-config files find their prefix by their own
# place. FFmpeg itself was told a constant prefix: it compiles that into the
# libraries, and a binary should not tell where it was built.
install_libraries() { # DESTDIR
	make install DESTDIR="$1" >install.log 2>&1 || { tail -n 20 install.log >&2; die "make install failed"; }
	rm -rf "$1/usr/share"
	sed -i 's|^prefix=.*|prefix=${pcfiledir}/../..|; s|=/usr/|=${prefix}/|' "$1"/usr/lib/pkgconfig/*.pc
}

main "$@"
