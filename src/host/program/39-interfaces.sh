# --- addresses that move: ifupdown ------------------------------------------------------------------------------------------
# The files of ifupdown are the administrator's, and stay so: each line that says something of the NIC is replaced by lines of ours between
# "# pulumi-drawbridge BRIDGE NUMBER: …" and "# pulumi-drawbridge BRIDGE NUMBER ends", a block. Everything outside of the blocks is left alone.
# In the folder moved/BRIDGE, was/PATH is the file as it would be without us, made/PATH what was made of that. Version 0.1.0 made it without
# those marks: its blocks are found by their lines, and the next change marks them. Called by 39-configured.

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
interfaces_text() {
	awk -v form="$1" -v bridge="$2" -v nic="$3" -v mac="$4" '
		function begin() {
			print "# pulumi-drawbridge " bridge " " ++blocks ": " bridge " has what " nic " had. The lines up to the end mark are written anew; write yours outside of them."
		}
		function end() { print "# pulumi-drawbridge " bridge " " blocks " ends" }
		function finish() {
			if (mine) end()
			mine = 0
			printf "%s", held
			held = ""
		}
		$1 ~ /^(auto|allow-.*|iface|mapping|source|source-directory|rename|template|no-.*)$/ { finish() }
		$1 ~ /^(auto|allow-.*)$/ {
			line = $1
			now = ""
			for (i = 2; i <= NF; i++) {
				if ($i != nic && index($i, nic ":") != 1) { line = line " " $i; continue }
				now = now " " bridge substr($i, length(nic) + 1)
			}
			if (now == "") { print; next }
			begin()
			if (form == "marked") print
			else {
				# The bridge is made by software, nobody plugs it in.
				if (line != $1) print line
				print "auto" now
			}
			end()
			next
		}
		$1 == "iface" && ($2 == nic || index($2, nic ":") == 1) {
			begin()
			mine = 1
			if (form == "marked") { print; next }
			if (!made) print "iface " nic " inet manual"
			print "iface " bridge substr($2, length(nic) + 1) " " $3 " " $4
			if (!made) {
				print "\tpre-up ip link show dev " bridge " >/dev/null 2>&1 || ip link add name " bridge " address " mac " type bridge"
				print "\tpre-up ip link set dev " nic " master " bridge " up || true"
			}
			made = 1
			next
		}
		# What stands behind the last line of a stanza is not of it.
		mine && /^[ \t]*(#|$)/ { held = held $0 "\n"; next }
		mine {
			printf "%s", held
			held = ""
		}
		# Routes lead out of the bridge; what else is said of the NIC (ethtool) is still true of it.
		mine && form == "made" && /(^|[ \t\/])(route|ip (-[46] )?(r|ro|route|rule|a|addr|address)) / {
			gsub("dev " nic "$", "dev " bridge)
			gsub("dev " nic " ", "dev " bridge " ")
		}
		{ print }
		END { finish() }'
}

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
		awk -v verb="$1" -v bridge="$2" -v nic="$nic" "$(interfaces_awk)" at=made "$blocks/made" at=marked "$blocks/marked" at=now "$3"
	status=$?
	rm -rf "$blocks"
	return "$status"
}

# interfaces_awk: the program for it.
interfaces_awk() {
	cat <<-'AWK'
		function number() { return $1 == "#" && $2 == "pulumi-drawbridge" && $3 == bridge && $4 ~ /^[0-9]+:?$/ ? $4 + 0 : 0 }
		function is_key(content) { return content ~ /^[ \t]*(auto|allow-[^ \t]*|iface|mapping|source|source-directory|rename|template|no-[^ \t]*)([ \t]|$)/ }
		function does(content) { return content !~ /^[ \t]*(#|$)/ }
		at != "now" {
			if (number()) { block = $5 == "ends" ? 0 : number(); if (block > blocks) blocks = block; next }
			if (!block) next
			text[at, block, ++lines[at, block]] = $0
			if (at == "made") { ours[block, $0]++; if (is_key($0)) key[block, $0] = 1 }
			next
		}
		index($0, "# Changed by pulumi-drawbridge: " bridge " has what " nic " had.") == 1 { next }
		{ line[++n] = $0; mark[n] = number(); ends[n] = $5 == "ends" }

		# Whose each line is: of a block between marks, a stanza of others is theirs.
		function find_marked(  i, inside, of) {
			for (i = 1; i <= n; i++) {
				if (mark[i]) {
					inside = !ends[i] && mark[i] <= blocks ? mark[i] : 0
					of = inside
					owner[i] = -1
					if (inside && !(inside in place)) place[inside] = i
					continue
				}
				if (is_key(line[i])) of = (inside, line[i]) in key ? inside : 0
				owner[i] = of
			}
		}
		# Of a block without marks, the first stanza that begins as one of its lines, and those of its own that follow.
		function find_unmarked(block,  i, last) {
			for (i = from; i <= n; i++) if (owner[i] == 0 && ((block, line[i]) in key)) break
			if (i > n) return
			place[block] = i
			unmarked = 1
			for (last = i; i <= n && owner[i] == 0 && (!is_key(line[i]) || ((block, line[i]) in key)); i++) if (does(line[i])) last = i
			for (i = place[block]; i <= last; i++) owner[i] = block
			from = last + 1
		}
		# What a block has too much, and what it lacks.
		function judge(block,  i, have, order) {
			for (i = 1; i <= n; i++) {
				if (owner[i] != block || line[i] ~ /^[ \t]*$/) continue
				if (does(line[i])) order = order line[i] "\n"
				if (++have[line[i]] > ours[block, line[i]] + 0) extra[i] = 1
			}
			for (i = 1; i <= lines["made", block]; i++) {
				if (!does(text["made", block, i])) continue
				order_made[block] = order_made[block] text["made", block, i] "\n"
				if (have[text["made", block, i]]-- <= 0) lacks[block] = lacks[block] "missing " text["made", block, i] "\n"
			}
			in_order[block] = order == order_made[block]
		}
		function compare(  block, i, differs) {
			for (block = 1; block <= blocks; block++) {
				printf "%s", lacks[block]
				differs = lacks[block] != ""
				for (i = 1; i <= n; i++) if (owner[i] == block && extra[i] && does(line[i])) { print "added " line[i]; differs = 1 }
				if (!differs && !in_order[block]) print "order"
			}
			for (i = 1; i <= n; i++) if (owner[i] == 0 && names_nic(line[i])) print "uplink " line[i]
			if (unmarked) print "unmarked"
		}
		function names_nic(content,  words, count, i) {
			if (content !~ /^[ \t]*(iface|auto|allow-[^ \t]*)[ \t]/) return 0
			count = split(content, words)
			for (i = 2; i <= count; i++) if (words[i] == nic || index(words[i], nic ":") == 1) return 1
			return 0
		}
		function put_former(block,  i) {
			for (i = 1; i <= lines["marked", block]; i++) print text["marked", block, i]
			for (i = 1; i <= n; i++) if (owner[i] == block && extra[i]) { sub(/^[ \t]+/, "", line[i]); print (does(line[i]) ? "# taken out by pulumi-drawbridge: " : "") line[i] }
		}
		function without(  block, i) {
			for (i = 1; i <= n; i++) {
				for (block = 1; block <= blocks; block++) if ((block in place) && place[block] == i) put_former(block)
				if (owner[i] == 0) print line[i]
			}
			for (block = 1; block <= blocks; block++) if (!(block in place)) put_former(block)
		}
		END {
			find_marked()
			from = 1
			for (block = 1; block <= blocks; block++) if (!(block in place)) find_unmarked(block)
			for (block = 1; block <= blocks; block++) judge(block)
			if (verb == "compare") compare(); else without()
		}
	AWK
}
