# debian.sh makes Debian's part of the image: base/root.tar, base/vmlinuz and
# base/initrd. It is sourced by image.sh, which knows arch, base and the rest.

release=trixie

# What a Raspberry Pi's image has too, and Debian's way of having it.
packages=systemd-sysv,udev,dbus,kmod,e2fsprogs,fdisk,iproute2
# The network, and what an access point of its own is made of.
packages+=,network-manager,wpasupplicant,dnsmasq-base,iw,polkitd

# What a device has no use for, and an emulated processor no time.
unneeded="dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount
	modprobe@fuse.service modprobe@efi_pstore.service modprobe@configfs.service proc-sys-fs-binfmt_misc.automount
	systemd-ask-password-wall.path systemd-ask-password-console.path systemd-random-seed.service systemd-journal-flush.service
	systemd-pstore.service systemd-tpm2-setup.service systemd-tpm2-setup-early.service systemd-pcrmachine.service systemd-pcrphase.service
	systemd-pcrphase-initrd.service systemd-pcrphase-sysinit.service systemd-binfmt.service systemd-hibernate-clear.service systemd-creds.socket
	getty@tty1.service console-getty.service serial-getty@ttyS0.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer
	e2scrub_reap.service fstrim.timer wpa_supplicant@.service NetworkManager-wait-online.service NetworkManager-dispatcher.service systemd-networkd-wait-online.service ldconfig.service
	systemd-logind.service systemd-user-sessions.service remote-fs.target systemd-udev-load-credentials.service"

# Drivers; what they need is found out.
modules="virtio_pci virtio_blk virtio_net virtio_console virtio_rng virtio_gpu bochs vkms
	9pnet_virtio 9p squashfs ext4 vfat nls_ascii nls_cp437 nls_iso8859-1 crc32c_generic i6300esb af_packet
	snd_hda_intel snd_hda_codec_generic snd_aloop mac80211_hwsim gpio-sim vivid cec ledtrig-timer
	nf_tables nft_masq nft_chain_nat nft_ct"
first="virtio_pci virtio_blk squashfs ext4" # to get to the root

# debian makes $base: root.tar, vmlinuz and initrd.
debian() {
	local work kernel version
	work=$(mktemp -d)
	chmod 755 "$work"
	trap 'rm -rf "$work"' RETURN
	say "building the Debian part of the image for $arch, once"
	private_apt "$work/apt" deb "$release" || { say "this machine's apt knows no Debian mirror"; return 3; }
	echo "APT::Architecture \"$arch\";" >>"$work/apt/apt.conf"
	apt-get -c "$work/apt/apt.conf" -qq update >"$work/log" 2>&1 || { tail -n 5 "$work/log" >&2; return 1; }
	kernel=$(apt-cache -c "$work/apt/apt.conf" depends "linux-image-$arch" 2>>"$work/log" | sed -n 's/.*Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
	(cd "$work" && apt-get -c "$work/apt/apt.conf" -qq download "$kernel" busybox-static) >>"$work/log" 2>&1 || { tail -n 5 "$work/log" >&2; return 1; }
	mkdir "$work/kernel" "$work/busybox" "$work/done"
	dpkg-deb -x "$work"/linux-image-*.deb "$work/kernel"
	dpkg-deb -x "$work"/busybox-static_*.deb "$work/busybox"
	[[ -d $work/kernel/lib ]] && cp -a "$work/kernel/lib/." "$work/kernel/usr/lib/" && rm -rf "$work/kernel/lib"
	version=$(ls "$work/kernel/usr/lib/modules")
	cp "$work"/kernel/boot/vmlinuz-* "$work/done/vmlinuz"
	prune "$work" "$version"
	initramfs "$work" "$version" >"$work/done/initrd"

	# The image keeps no way to the mirror, no log and no manual.
	mmdebstrap --quiet --variant=essential --architectures="$arch" --include="$packages" \
		--aptopt='Apt::Install-Recommends "false"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		--customize-hook="mkdir -p \"\$1/usr/lib/sysusers.d\" && cp '$top/systemd/sysusers.conf' \"\$1/usr/lib/sysusers.d/aerie.conf\"" \
		--customize-hook='chroot "$1" systemd-sysusers && rm "$1/usr/lib/sysusers.d/aerie.conf"' \
		--customize-hook="copy-in '$work/pruned/modules' /usr/lib" \
		--customize-hook='chroot "$1" systemctl mask --quiet '"$(echo $unneeded)" \
		--customize-hook='rm -rf "$1"/etc/apt/sources.list* "$1"/var/lib/dpkg/info "$1"/var/cache/* "$1"/var/log/* "$1"/usr/share/perl* "$1"/usr/lib/*/perl* "$1"/usr/share/info "$1"/etc/fstab' \
		--customize-hook='echo aerie >"$1/etc/hostname"; : >"$1/etc/machine-id"; ln -sfn /run/NetworkManager/resolv.conf "$1/etc/resolv.conf"' \
		"$release" "$work/done/root.tar" "$work/apt/debian.sources" >>"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; return 1; }
	rm -rf "$base"
	mkdir -p "$cache"
	mv "$work/done" "$base"
}

# prune keeps of the kernel's modules those that are named, and what they need.
prune() { # WORK VERSION
	local root=$1/kernel/usr to=$1/pruned/modules/$2 file
	mkdir -p "$to" "$1/tree/lib"
	ln -s "$root/lib/modules" "$1/tree/lib/modules"
	depmod -b "$1/tree" "$2" 2>/dev/null
	for module in $modules; do
		modprobe -d "$1/tree" -S "$2" --show-depends "$module" 2>/dev/null | sed -n 's/^insmod \([^ ]*\).*/\1/p' || true
	done | sed 's#.*/lib/modules/[^/]*/##' | sort -u | while read -r file; do
		mkdir -p "$to/$(dirname "$file")"
		cp "$root/lib/modules/$2/$file" "$to/$file"
	done
	find "$to" -name '*.xz' -exec xz -d {} +
	cp "$root/lib/modules/$2"/modules.{builtin,builtin.modinfo,order} "$to/"
	mkdir -p "$1/pruned/lib"
	ln -s ../modules "$1/pruned/lib/modules"
	depmod -b "$1/pruned" "$2"
}

# initramfs prints one that goes to the root and no further.
initramfs() { # WORK VERSION
	local root=$1/initramfs module n=0 file
	mkdir -p "$root"/{bin,dev,proc,sys,root,modules}
	cp "$(find "$1/busybox" -path "*/bin/busybox" | head -n 1)" "$root/bin/busybox"
	for module in $first; do
		modprobe -d "$1/pruned" -S "$2" --show-depends "$module" 2>/dev/null | sed -n 's/^insmod \([^ ]*\).*/\1/p'
	done | awk '!seen[$0]++' | while read -r file; do
		n=$((n + 1))
		cp "$file" "$root/modules/$(printf %02d $n)-$(basename "$file")"
	done
	cat >"$root/init" <<-'END'
		#!/bin/busybox sh
		export PATH=/bin
		busybox mount -t devtmpfs dev /dev
		for m in /modules/*; do busybox insmod "$m"; done
		until [ -b /dev/vda2 ]; do busybox usleep 10000; done
		busybox mount -t squashfs -o ro /dev/vda2 /root || exec busybox sh
		init=/sbin/init
		busybox mount -t proc proc /proc
		for word in $(busybox cat /proc/cmdline); do
			case $word in init=*) init=${word#init=} ;; esac
		done
		busybox umount /proc
		busybox mount --move /dev /root/dev
		exec busybox switch_root /root "$init"
	END
	chmod +x "$root/init"
	(cd "$root" && find . | cpio --quiet -o -H newc -R 0:0)
}
