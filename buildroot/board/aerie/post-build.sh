#!/bin/sh
# post-build.sh TARGET: what no package does, and what none may have done.
set -eu
target=$1

# NetworkManager keeps the addresses of name servers where it can write.
ln -sfn ../run/NetworkManager/resolv.conf "$target/etc/resolv.conf"

# Two responders of multicast DNS answer for each other, and a name gets a "-2".
for other in usr/sbin/avahi-daemon usr/lib/systemd/systemd-resolved usr/sbin/mdnsd; do
	if [ -e "$target/$other" ]; then
		echo "post-build: /$other would be a second responder of multicast DNS" >&2
		exit 1
	fi
done

if [ ! -f "$target/usr/lib/aerie/release.pub" ]; then
	echo "post-build: no public key of releases: this image will take no updates" >&2
fi
