# apt.sh reads Debian's mirror as this machine's apt does, without the machine
# noticing: it is sourced by scripts that fetch a source or a package which the
# machine itself does not need to have.
#
# Only the choice of mirror is taken from the machine: it is near, it works
# behind a company's proxy, and apt checks its signatures. The package lists,
# the cache and the state are the caller's own, so nothing that the machine's
# apt knows is changed, and root is not needed. With the configuration that
# private_apt writes, apt is called as "apt-get -c DIR/apt.conf ...".

# private_apt writes an apt configuration that shares with the machine's own
# only the way to the mirror (URIs, proxies, credentials), for packages of a
# type (deb or deb-src) of one release of Debian.
private_apt() { # DIR TYPE RELEASE
	local apt=$1 type=$2 release=$3 uri suite
	rm -rf "$apt"
	mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$apt/none"
	debian_uris "$release" | sort -u | while read -r uri suite; do
		cat <<-END
			Types: $type
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
# with the suite of the release that belongs to the entry's own: the security
# archive is another archive than the main one. Entries of others are left
# out: they name another key ring, no suite of Debian's, or no component main.
debian_uris() { # RELEASE
	local wanted=$1 etc=${AERIE_APT_ETC:-/etc/apt} file
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
	'') echo "$1 $wanted" ;;
	# Backports have neither updates nor an archive for security.
	-updates | -security) [[ $wanted == *-* ]] || echo "$1 $wanted$kind" ;;
	esac
}
