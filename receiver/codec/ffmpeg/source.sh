# source.sh obtains FFmpeg's source and vouches for it. It is sourced by
# build.sh, which defines say and die; obtain_source DIR leaves the tarball in
# DIR, which belongs to this program alone.
#
# The first choice is the Debian mirror that this machine already uses: it is
# near, it works behind a company's proxy, and apt checks its signatures. Only
# the choice of mirror is taken from the machine. The package lists, the cache
# and the state are this program's own, so nothing that the machine's apt
# knows is changed, and root is not needed. The second choice is ffmpeg.org.
# Either way the tarball counts only if it has the pinned checksum.

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
	private_apt "$apt" || return 1

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

# private_apt writes an apt configuration that shares with the machine's own
# only the way to the mirror (URIs, proxies, credentials).
private_apt() { # DIR
	local apt=$1 uri suite
	rm -rf "$apt"
	mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$apt/none"
	debian_uris | sort -u | while read -r uri suite; do
		cat <<-END
			Types: deb-src
			URIs: $uri
			Suites: $suite
			Components: main
			Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

		END
	done >"$apt/debian.sources"
	[[ -s $apt/debian.sources ]] || return 1

	# This file is read after the machine's, so that it can clear the hooks:
	# some of them write to the machine's caches. Downloads are done by the
	# caller, as apt's own user may not be able to enter the directory.
	cat >"$apt/apt.conf" <<-END
		#clear APT::Update::Pre-Invoke;
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
		#clear DPkg::Pre-Invoke;
		#clear DPkg::Post-Invoke;
		APT::Sandbox::User "$(id -un)";
		APT::Architecture "$(dpkg --print-architecture)";
		Acquire::Languages "none";
		Dir::State "$apt/state";
		Dir::State::lists "$apt/state/lists";
		Dir::State::status "$apt/state/status";
		Dir::Cache "$apt/cache";
		Dir::Log "$apt";
		Dir::Etc::sourcelist "$apt/debian.sources";
		Dir::Etc::sourceparts "$apt/none";
		Dir::Etc::preferences "/dev/null";
		Dir::Etc::preferencesparts "$apt/none";
	END
	: >"$apt/state/status"
}

# debian_uris prints "URI SUITE" for every Debian entry of this machine's apt,
# with the suite of trixie that belongs to the entry's own: the security
# archive is another archive than the main one. Entries of others are left
# out: they name another key ring, no suite of Debian's, or no component main.
debian_uris() {
	local etc=${AERIE_APT_ETC:-/etc/apt} file
	for file in "$etc/sources.list" "$etc"/sources.list.d/*.list; do
		[[ -r $file ]] && one_line_entries <"$file"
	done
	for file in "$etc"/sources.list.d/*.sources; do
		[[ -r $file ]] && deb822_entries <"$file"
	done
	return 0
}

# one_line_entries reads the sources.list format:
# "deb [option=value ...] URI SUITE COMPONENT...".
one_line_entries() {
	local line signed
	while read -r line; do
		line=${line%%#*}
		[[ $line =~ ^deb(-src)?[[:space:]]+(\[([^]]*)\][[:space:]]+)?([^[:space:]]+)[[:space:]]+([^[:space:]]+)[[:space:]]+(.*) ]] || continue
		signed=
		[[ ${BASH_REMATCH[3]} =~ signed-by=([^[:space:]]+) ]] && signed=${BASH_REMATCH[1]}
		# The second match has overwritten the first.
		[[ $line =~ ^deb(-src)?[[:space:]]+(\[[^]]*\][[:space:]]+)?([^[:space:]]+)[[:space:]]+([^[:space:]]+)[[:space:]]+(.*) ]]
		debian_entry "${BASH_REMATCH[3]}" "${BASH_REMATCH[4]}" "${BASH_REMATCH[5]}" "$signed"
	done
}

# deb822_entries reads the format of .sources files: stanzas of "Key: value"
# with continuation lines.
deb822_entries() {
	local -A field=()
	local line key=
	while IFS= read -r line || [[ -n $line ]]; do
		case $line in
		'#'*) ;;
		'') deb822_stanza; field=() ;;
		[[:space:]]*) [[ -n $key ]] && field[$key]+=" ${line# }" ;;
		*:*) key=${line%%:*}; key=${key,,}; field[$key]=${line#*:} ;;
		esac
	done
	deb822_stanza
}

# deb822_stanza prints the entries of the stanza in the caller's field.
deb822_stanza() {
	local uri suite
	[[ ${field[enabled]:-yes} =~ no|false ]] && return
	for uri in ${field[uris]:-}; do
		for suite in ${field[suites]:-}; do
			debian_entry "$uri" "$suite" "${field[components]:-}" "${field[signed-by]:-}"
		done
	done
}

debian_entry() { # URI SUITE COMPONENTS SIGNED-BY
	local base=${2%%-*} kind=
	[[ $2 == *-* ]] && kind=-${2#*-}
	[[ $1 =~ ^(https?|mirror\+file): ]] || return 0
	[[ " $3 " =~ [[:space:]]main[[:space:]] ]] || return 0
	[[ -z ${4// /} || $4 == *debian-archive* ]] || return 0
	case $base in
	bookworm | trixie | forky | sid | oldstable | stable | testing | unstable) ;;
	*) return 0 ;;
	esac
	case $kind in
	'' | -updates | -security) echo "$1 trixie$kind" ;;
	esac
}
