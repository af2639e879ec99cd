# source.sh obtains FFmpeg's source and vouches for it. It is sourced by
# build.sh, which defines say and die; obtain_source DIR leaves the tarball in
# DIR, which belongs to this program alone.
#
# The first choice is the Debian mirror that this machine already uses (see
# apt.sh): it is near, it works behind a company's proxy, and apt checks its
# signatures. The second choice is ffmpeg.org. Either way the tarball counts
# only if it has the pinned checksum.

. "$here/../../../.ci/apt.sh"

readonly ffmpeg_version=7.1.5
readonly ffmpeg_sha256=de668509caf9e35e3cd162473441fdb29538c6d96ed080292b3cf9e6fc5d558f

obtain_source() { # DIR
	local dir=$1
	local tarball=$dir/ffmpeg-$ffmpeg_version.tar.xz
	if is_pinned "$tarball"; then
		return
	fi
	mkdir -p "$dir"
	if ! from_debian "$dir" "$tarball"; then
		say "the Debian mirror has no source of FFmpeg $ffmpeg_version; trying ffmpeg.org"
		from_upstream "$dir" "$tarball" ||
			die "no source of FFmpeg $ffmpeg_version with SHA-256 $ffmpeg_sha256 was found; put one at $tarball"
	fi
}

is_pinned() { # FILE
	[[ -f $1 ]] && [[ $(sha256sum <"$1") == "$ffmpeg_sha256  -" ]]
}

# accept moves a download to its final name if it has the pinned checksum.
accept() { # DOWNLOAD TARBALL
	if ! is_pinned "$1"; then
		say "$(basename "$1") does not have the pinned checksum; discarded"
		rm -f "$1"
		return 1
	fi
	mv "$1" "$2"
}

from_debian() { # DIR TARBALL
	local apt=$1/apt version
	command -v apt-get >/dev/null || return 1
	private_apt "$apt" deb-src trixie || return 1

	say "reading the package lists of the Debian mirror"
	# One unreachable or foreign entry fails the update as a whole; whether
	# what was read is enough shows in the next step.
	apt-get -c "$apt/apt.conf" -qq update >"$apt/log" 2>&1 || true
	version=$(apt-cache -c "$apt/apt.conf" showsrc --only-source ffmpeg 2>>"$apt/log" |
		sed -n "s/^Version: \(\([0-9]*:\)\?$ffmpeg_version-.*\)/\1/p" | head -n 1)
	if [[ -z $version ]]; then
		sed 's/^/  apt: /' "$apt/log" | tail -n 5 >&2
		rm -rf "$apt"
		return 1
	fi

	say "downloading the source of ffmpeg $version"
	(cd "$apt" && apt-get -c "$apt/apt.conf" -qq source --download-only --only-source --tar-only "ffmpeg=$version") >"$apt/log" 2>&1 &&
		accept "$apt/ffmpeg_$ffmpeg_version.orig.tar.xz" "$2" ||
		{ sed 's/^/  apt: /' "$apt/log" | tail -n 5 >&2; rm -rf "$apt"; return 1; }
	rm -rf "$apt"
}

from_upstream() { # DIR TARBALL
	local url=https://ffmpeg.org/releases/ffmpeg-$ffmpeg_version.tar.xz part=$1/download
	say "downloading $url"
	if command -v curl >/dev/null; then
		curl --fail --location --silent --show-error --retry 2 --connect-timeout 20 --output "$part" "$url"
	elif command -v wget >/dev/null; then
		wget --quiet --tries=3 --connect-timeout=20 --output-document="$part" "$url"
	else
		say "neither curl nor wget is here: sudo apt install curl"
		return 1
	fi && accept "$part" "$2"
}
