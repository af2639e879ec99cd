#!/bin/sh
# post-image.sh IMAGES: makes the card of what was built. Buildroot's variables
# BUILD_DIR and BR2_EXTERNAL_AERIE_PATH are set.
set -eu
images=$1
board=$(dirname "$0")
work=$BUILD_DIR/genimage-aerie
rm -rf "$work"
mkdir -p "$work/root"

# Every setting with its explanation, and none set: the defaults are those of an
# appliance.
sed 's/^\([a-z_]* = \)/#\1/' "$BR2_EXTERNAL_AERIE_PATH/../docs/aerie.toml" >"$images/aerie.toml"

# What the firmware reads lies in rpi-firmware, folders with all they have.
{
	for file in "$images"/rpi-firmware/* "$images"/*.dtb; do
		[ -e "$file" ] && echo "${file#"$images/"}"
	done
	echo Image
	echo aerie.toml
} | sed 's/.*/\t\t\t"&",/' >"$work/files"
sed "/@FILES@/{
r $work/files
d
}" "$board/genimage.cfg.in" >"$work/genimage.cfg"

genimage --rootpath "$work/root" --tmppath "$work/tmp" \
	--inputpath "$images" --outputpath "$images" --config "$work/genimage.cfg"
