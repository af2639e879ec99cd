#!/usr/bin/env bash
# env.sh builds the FFmpeg libraries if they are missing and prints the
# environment in which Go finds them, as shell commands:
#
#	eval "$(receiver/codec/ffmpeg/env.sh [--asan] [ARCH=amd64|arm64|armhf])"
#	go build -tags "$AERIE_TAGS" -ldflags "$AERIE_LDFLAGS" ./cmd/aerie
#
# AERIE_TAGS and AERIE_LDFLAGS make a static, stripped binary. Tests need
# neither; with --asan they are run with "go test -asan".
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
say() { echo "aerie: $*" >&2; }
die() { say "$*"; exit 1; }
. "$here/target.sh"

prefix=$("$here/build.sh" "$@")
asan=
for argument; do
	case $argument in
	--asan) asan=yes ;;
	ARCH=*) ARCH=${argument#ARCH=} ;;
	*) ARCH=$argument ;;
	esac
done
select_target "${ARCH:-$(native_arch)}"

variable() { printf 'export %s=%q\n' "$1" "$2"; }
variable CGO_ENABLED 1
variable GOOS linux
variable GOARCH "$go_arch"
variable CC "$CC"
# LIBDIR and not PATH: no library of the machine's may take the place of one
# that is missing here.
variable PKG_CONFIG_PATH ""
variable PKG_CONFIG_LIBDIR "$prefix/lib/pkgconfig"
if [[ $go_arch == arm ]]; then
	variable GOARM 7
fi
if [[ ! $asan ]]; then
	# HTTP/2 needs TLS, which the page has not; it costs 350 KB.
	variable AERIE_TAGS netgo,osusergo,nethttpomithttp2
	variable AERIE_LDFLAGS '-linkmode external -extldflags "-static -Wl,--gc-sections" -s -w'
	# The wrappers of go-astiav name every function of every library; in
	# sections of their own the unused ones do not keep them.
	variable CGO_CFLAGS '-O2 -ffunction-sections -fdata-sections'
fi
