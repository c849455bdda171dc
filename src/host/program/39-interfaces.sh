# --- addresses that move: ifupdown ------------------------------------------------------------------------------------------
# The files of ifupdown are the administrator's, and stay so: each line that says something of the NIC is replaced by lines of ours between
# "# pulumi-drawbridge BRIDGE NUMBER: …" and "# pulumi-drawbridge BRIDGE NUMBER ends", a block. Everything outside of the blocks is left alone.
# In the folder moved/BRIDGE, was/PATH is the file as it would be without us, made/PATH what was made of that. Version 0.1.0 made it without
# those marks: its blocks are found by their lines, and the next change marks them. Called by 39-configured.

# INTERFACES_MADE, INTERFACES_BLOCKS: the texts of interfaces-made.awk and interfaces-blocks.awk.
# shellcheck disable=SC2016
INTERFACES_MADE='@interfaces-made.awk@'
# shellcheck disable=SC2016
INTERFACES_BLOCKS='@interfaces-blocks.awk@'

# read_interfaces_files VARIABLE NIC [LIST]: the files of ifupdown that name the NIC, one path a line; before them those that a file LIST lists, where
# there is one: what was changed already is written down so.
read_interfaces_files() {
	local interfaces_into interfaces_nic interfaces_file interfaces_named
	interfaces_into=$1 interfaces_nic=$2 interfaces_named=''
	if [ -e "${3:-}" ]; then set -- list=1 "$3" list=0; else set --; fi
	for interfaces_file in /etc/network/interfaces /etc/network/interfaces.d/*; do
		[ ! -f "$interfaces_file" ] || set -- "$@" "$interfaces_file"
	done
	[ $# -eq 0 ] || interfaces_named=$(awk -v nic="$interfaces_nic" -v main=/etc/network/interfaces '
		list { if (!seen[$0]++) print; next }
		FILENAME == main && /^[ \t]*source(-directory)?[ \t]+(\/etc\/network\/)?interfaces\.d/ { sourced = 1 }
		$1 ~ /^(iface|auto|allow-.*)$/ && !(FILENAME in names) {
			for (i = 2; i <= NF; i++) if (($i == nic || index($i, nic ":") == 1) && !(FILENAME in names)) { names[FILENAME]; file[++n] = FILENAME }
		}
		END { for (i = 1; i <= n; i++) if ((file[i] == main || sourced) && !seen[file[i]]++) print file[i] }' "$@") || return 1
	give "$interfaces_into" "$interfaces_named"
}

# interfaces_reason BRIDGE NIC: why the files that name the NIC cannot be changed, a line each.
interfaces_reason() {
	local files file other reason
	read_interfaces_files files "$2" || return 1
	while IFS= read -r file; do
		[ -n "$file" ] || continue
		read_configured_elsewhere other "$1" "$file" || return 1
		[ -z "$other" ] || echo "moveAddresses: $file, which configures $2, is changed for $other already; put the stanza of $2 into a file of its own first"
		[ ! -L "$file" ] || echo "moveAddresses: $file is a link, which is not changed; put the stanza of $2 into a file of its own"
		read_folder_reason reason "${file%/*}" || return 1
		[ -z "$reason" ] || echo "moveAddresses: ${file%/*} can be changed by others than root, who could put another file in the place of ${file##*/}; make it root's alone first"
		awk -v nic="$2" -v file="$file" '
			$1 == "iface" { mine = $2 == nic || index($2, nic ":") == 1 }
			$1 ~ /^(auto|allow-.*|mapping|source|source-directory|rename|template)$/ { mine = 0 }
			mine && $1 == "iface" && ($4 !~ /^(static|dhcp|auto|manual)$/ || NF > 4) { print "moveAddresses: " file " configures " nic " by \"" $0 "\", which is not supported; static, dhcp, auto and manual are" }
			mine && $1 ~ /^(wpa-|wireless|bond|bridge|vlan|inherits|hwaddress)/ { print "moveAddresses: " file " says \"" $1 "\" of " nic ", which would not work on a bridge" }
			mine && /\\$/ { print "moveAddresses: " file " has a line of " nic " that goes on in the next one; write it in one line" }' "$file" || return 1
	done <<-FILES
		$files
	FILES
}

# interfaces_make FOLDER BRIDGE NIC MAC: from the files as they stand now, into FOLDER/was what they would be without us, into FOLDER/made what
# they are to be.
interfaces_make() {
	local files file other
	read_interfaces_files files "$3" "$1/files" && { [ -z "$files" ] || printf '%s\n' "$files"; } >"$1/files.new" || return 1
	while IFS= read -r file; do
		# Two that begin at once.
		read_configured_elsewhere other "$2" "$file" || return 1
		[ -z "$other" ] || { echo "$file is changed for another bridge in the same step; give each interface a file of its own" >&2 && return 1; }
		interfaces_without "$1" "$2" "$file" && mkdir -p "$1/made${file%/*}" && cp -a "$1/was$file" "$1/made$file" &&
			interfaces_text made "$2" "$3" "$4" <"$1/was$file" >"$1/made$file" || return 1
	done <"$1/files.new"
	mv "$1/files.new" "$1/files"
}

# interfaces_without FOLDER BRIDGE PATH: into FOLDER/was the file as it stands, less what is ours; a file that is gone is what it was.
interfaces_without() {
	[ -e "$3" ] || return 0
	if [ ! -e "$1/was$3" ]; then
		mkdir -p "$1/was${3%/*}" && cp -a "$3" "$1/was$3"
	elif ! cmp -s "$1/made$3" "$3"; then
		cp -a "$3" "$1/was.new" && interfaces_blocks without "$2" "$3" >"$1/was.new" && mv "$1/was.new" "$1/was$3"
	fi
}

# interfaces_text made|marked BRIDGE NIC MAC: from stdin, without blocks of ours, the file with them: "made", in which the bridge has what
# the NIC had, or "marked", the former lines between the same marks. The bridge is made where nobody has made it before, so that the
# file stands by itself.
interfaces_text() { awk -v form="$1" -v bridge="$2" -v nic="$3" -v mac="$4" "$INTERFACES_MADE"; }

# interfaces_mac FOLDER BRIDGE PATH: the address that the bridge gets there.
interfaces_mac() { sed -n "s/.* ip link add name $2 address \([0-9a-f:]*\) type bridge\$/\1/p" "$1/made$3" | head -n 1; }

# interfaces_blocks VERB BRIDGE PATH: of the file as it stands, by what is written down in was and made. VERB is
#   without   the file with the former lines in the place of the blocks, at its end where a block is gone; what somebody wrote into a
#             block becomes a comment behind it, for beside the former lines it may be what ifup refuses
#   compare   "missing LINE", "added LINE" for lines of ours, "uplink LINE" for a line outside of them that configures the NIC, "order", and
#             "unmarked" where the marks are missing; comments and empty lines do nothing and do not count
interfaces_blocks() {
	local folder nic mac blocks status
	read_moved_folder folder "$2" && read -r nic <"$folder/uplink" && mac=$(interfaces_mac "$folder" "$2" "$3") || return 1
	# shellcheck disable=SC2015
	mkdir -p "$RUN" && blocks=$(mktemp -d "$RUN/snapshot.XXXXXX") || return 1
	interfaces_text made "$2" "$nic" "$mac" <"$folder/was$3" >"$blocks/made" && interfaces_text marked "$2" "$nic" "$mac" <"$folder/was$3" >"$blocks/marked" &&
		awk -v verb="$1" -v bridge="$2" -v nic="$nic" "$INTERFACES_BLOCKS" at=made "$blocks/made" at=marked "$blocks/marked" at=now "$3"
	status=$?
	rm -rf "$blocks"
	return "$status"
}

