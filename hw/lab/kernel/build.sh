#!/bin/bash
# build.sh PACKAGE FRAGMENT OUT: build the bench's kernel from the kernel source
# package PACKAGE of this machine's Debian, configured by FRAGMENT, into OUT
# (bzImage, config, root/lib/modules). OUT appears only when it is complete.
set -euo pipefail
pkg=$1 fragment=$(realpath "$2") out=$(realpath -m "$3")
missing=
for t in gcc:gcc make:make flex:flex bison:bison bc:bc xz:xz-utils depmod:kmod perl:perl; do
  command -v "${t%%:*}" > /dev/null || missing+=" ${t##*:}"
done
for h in gelf.h:libelf-dev openssl/ssl.h:libssl-dev; do
  echo "#include <${h%%:*}>" | gcc -E - > /dev/null 2>&1 || missing+=" ${h##*:}"
done
[ -z "$missing" ] || { echo "build.sh: apt-get install$missing" >&2; exit 2; }

work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
tarball=/usr/src/$pkg.tar.xz
if [ ! -e "$tarball" ]; then
  # Downloading a package needs no privilege, installing it would.
  apt-get -q download "$pkg"
  dpkg-deb -x "$pkg"_*.deb deb
  rm "$pkg"_*.deb
  tarball=deb/usr/src/$pkg.tar.xz
fi
tar -xf "$tarball"
rm -rf deb
cd linux-source-*
KCONFIG_ALLCONFIG=$fragment make -s allnoconfig
# A dropped line means a renamed option or a missing dependency: fail early.
grep -E '^CONFIG_.*=' "$fragment" | while read -r l; do
  grep -qxF "$l" .config || { echo "build.sh: not honoured: $l" >&2; exit 1; }
done
make -s -j"$(nproc)" bzImage modules
make -s modules_install INSTALL_MOD_PATH="$work/done/root" INSTALL_MOD_STRIP=1
rm -f "$work"/done/root/lib/modules/*/{build,source}
cp arch/x86/boot/bzImage "$work/done/"
cp .config "$work/done/config"
mkdir -p "$(dirname "$out")"
rm -rf "$out" "$out.new"
cp -r "$work/done" "$out.new"
mv "$out.new" "$out"
