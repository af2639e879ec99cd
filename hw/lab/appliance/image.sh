#!/usr/bin/env bash
# image.sh ARCH BINARY OUT [EXTRA]: makes of Debian what an appliance boots
# from, for QEMU: OUT/vmlinuz, OUT/initrd and OUT/disk.img, with the partitions,
# units and layout of the card (../../../systemd), and the files below EXTRA.
# Debian's part is made once and kept in the cache; root is not needed where
# user name spaces may be made.
#
#	1  FAT       the settings
#	2  squashfs  the root
#	3  ext4      data, small; it grows at the first start
#
# The exit status is 3 where Debian cannot be fetched.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin # not everybody's has them
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../../.." && pwd)
. "$top/.ci/apt.sh"
arch=$1 binary=$2 out=$3 extra=${4:-}
cache=${AERIE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/aerie}
say() { echo "appliance: $*" >&2; }

# key changes when Debian's part would.
key=$(cat "$here/debian.sh" "$top/systemd/sysusers.conf" | sha256sum | cut -c 1-12)
base=$cache/appliance-$arch-$key
. "$here/debian.sh"

# squash makes the root's file system: Debian's part, and ours.
squash() { # WORK
	local layout=$1/layout
	mkdir "$layout"
	"$top/systemd/install" "$layout" "$binary" >&2
	install -m 755 -D "$here/init" "$layout/usr/lib/aerie-lab/init"
	install -m 644 -D "$here/lab-shell.service" "$layout/usr/lib/systemd/system/lab-shell.service"
	install -m 644 -D "$here/patience.conf" "$layout/usr/lib/systemd/system/dev-aerie-display.device.d/lab.conf"
	mkdir -p "$layout/usr/lib/systemd/system/sysinit.target.wants"
	ln -s ../lab-shell.service "$layout/usr/lib/systemd/system/sysinit.target.wants/lab-shell.service"
	[[ -n $extra ]] && cp -r "$extra/." "$layout/"
	cp "$base/root.tar" "$1/root.tar"
	(cd "$layout" && find . -type f -o -type l) | tar -C "$layout" --owner=root:0 --group=root:0 -cf "$1/layout.tar" -T -
	(cd "$layout" && tar --owner=root:0 --group=root:0 -rf "$1/layout.tar" --no-recursion ./data)
	tar --concatenate -f "$1/root.tar" "$1/layout.tar"
	mksquashfs - "$1/root.squashfs" -tar -quiet -no-progress -comp zstd -Xcompression-level 2 <"$1/root.tar" 2> >(grep -v "^Empty tar filename" >&2)
}

# assemble makes the disk.
assemble() { # WORK
	local root=$1/root.squashfs boot=$1/boot.fat data=$1/data.ext4 mib=1048576 size
	size=$((($(stat -c %s "$root") + mib - 1) / mib))
	truncate -s 16M "$boot"
	mkfs.vfat -n AERIE-BOOT "$boot" >/dev/null
	mcopy -i "$boot" "$here/aerie.toml" ::aerie.toml
	truncate -s 64M "$data"
	mkfs.ext4 -q -L aerie-data -m 0 "$data"
	truncate -s $((1 + 16 + size + 64))M "$out/disk.img"
	printf 'start=1MiB, size=16MiB, type=c\nsize=%dMiB, type=83\nsize=64MiB, type=83\n' "$size" | sfdisk --quiet "$out/disk.img"
	dd if="$boot" of="$out/disk.img" bs=1M seek=1 conv=notrunc,sparse status=none
	dd if="$root" of="$out/disk.img" bs=1M seek=17 conv=notrunc,sparse status=none
	dd if="$data" of="$out/disk.img" bs=1M seek=$((17 + size)) conv=notrunc,sparse status=none
}

mkdir -p "$out"
exec 9>"$cache/appliance.lock"
flock 9
[[ -f $base/root.tar && -f $base/initrd ]] || debian
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
squash "$work"
rm -f "$out/disk.img"
assemble "$work"
ln -sf "$base/vmlinuz" "$base/initrd" "$out/"
