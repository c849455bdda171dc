# --- looking ----------------------------------------------------------------------------------------------------------
# Promises that what it could not see is a failed look, never "gone". Called by `snapshot`, `survey` and `report` (90). Leaves nothing: its folder in RUN goes
# with it.

# snapshot PEER: a tar stream of what we own and what it rests on, compressed where the host can. Waits while a transaction is pending.
#   facts/*                               this machine
#   live/FAMILY, canonical/FAMILY         the kernel's text of our table, and how it would be from the confirmed copies
#   effect/NAME                           for each sudoers file of ours, one line per `# grants`
#   foreign/NAME                          what others' sudoers files allow or ask beside it
#   facts/confirmed                       the paths of which there are confirmed copies
#   facts/unmet                           "PATH TEXT" for what a fragment needs and the host does not have (any more)
#   facts/damaged, facts/boot             what boot calls and is not as we wrote it; "PATH TEXT" for what boot would make otherwise
#   facts/configuration                   "BRIDGE PATH DIFFERENCE" for what is not as it was made of the host's own network configuration
#   facts/flows                           where the time of an allow is over: "PROTOCOL SOURCE DESTINATION PORT PORT" of connections, "more", or "unknown"
#   facts/live                            how the links, groups and files stand that our files hold
#   errors/DOMAIN                         why a look was not possible: nft, sudo, links, accounts
#   facts/as-made                         the families of which both are the same, and canonical/FAMILY is left out
#   etc/…, confirmed/etc/…                the files themselves, and of their last confirmed copies those that are not what stands in /etc/drawbridge
# A look at a host without anything of ours leaves no trace. On stdin, a tar stream of files that shall stand for confirmed copies that
# were lost: files/etc/drawbridge/nft/…
snapshot() {
	local files
	look "$1" "$2"
	[ -e "$S/out/errors/nft" ] || snapshot_nft || unseen "our tables"
	[ -e "$S/out/errors/sudo" ] || snapshot_sudo
	set -- facts/boot facts/flows
	see facts/boot boot_differs
	see facts/flows flows
	[ ! -d "$VAR/confirmed$ETC" ] || { see facts/damaged units_tampered && set -- "$@" facts/damaged; }
	seen "$@"
	# As they stand, from where they stand: under the lock.
	# shellcheck disable=SC2015
	files=$(our_files) && printf '%s\n' "$files" | sed -n 's,^/,./,p' >"$S/files" && confirmed_others >"$S/confirmed" || unseen "our files"
	pack -C / -T "$S/files" -C "$VAR" -T "$S/confirmed"
	unlock
	hand_over
	lock
	leave_no_trace
	unlock
}

# survey PEER: what a change must know beforehand: facts and errors of the above. It leaves the program and its folders, since it is
# about to be called again.
survey() {
	look "$1" "$2"
	pack
	unlock
	hand_over
}

# confirmed_others: the confirmed copies, by their paths in VAR, that are not what stands in /etc/drawbridge; of a large host most are, and need not be sent twice.
confirmed_others() {
	local differences
	[ -d "$VAR/confirmed" ] || return 0
	(cd "$VAR" && find ./confirmed -type f) >"$S/copies" || return 1
	# A difference is no failure; where they cannot be compared, all of them are sent.
	differences=$(diff -rq --no-dereference "$ETC" "$VAR/confirmed$ETC" 2>/dev/null) || [ $? -eq 1 ] || differences=all
	printf '%s\n' "$differences" | awk -v folder="./confirmed$ETC/" -v var="$VAR" '
		# "Files A and B differ", "Only in FOLDER: NAME": ours carry no blank.
		reading == "differences" && $1 == "Files" && NF == 5 { differs[$4] = 1; next }
		reading == "differences" && $1 == "Only" && NF == 4 { sub(/:$/, "", $3); differs[$3 "/" $4] = 1; next }
		reading == "differences" { if ($0 != "") all = 1; next }
		all || index($0, folder) != 1 || (var substr($0, 2)) in differs' reading=differences - reading=copies "$S/copies"
}

# pack WORD…: what was found, and what tar is told beside it. One that could not read all of it is none.
pack() { tar -cf "$S/look.tar" -C "$S/out" . "$@" || unseen "what was found"; }

hand_over() {
	squeeze <"$S/look.tar" || fail internal "the look could not be handed over"
}

# see FILE STEP…: what the step prints, to $S/out/FILE, and behind it the word that it came to its end (seen). A look that could not see, or not keep what it saw, has failed: what is
# missing in it would else be taken for gone.
see() {
	local file
	file=$1
	shift
	{ "$@" && echo "$CAME_TO_ITS_END"; } >"$S/out/$file" || unseen "$file"
}

# seen FILE…: takes that word away from what was seen, all at once; the look has failed where one of them ends with another word.
seen() {
	local file
	for file in "$@"; do
		[ -s "$S/out/$file" ] || unseen "$file"
		set -- "$@" "$S/out/$file"
		shift
	done
	sed -i -e "\$ { /^$CAME_TO_ITS_END\$/!q1; d; }" "$@" || unseen "what was found"
}

# unseen WHAT: ends the look.
unseen() {
	has_room "$RUN" || fail not-writable "cannot write below $RUN: $(df -h "$RUN" | tail -n 1)"
	has_room "$VAR" || fail not-writable "cannot write below $VAR: $(df -h "$VAR" | tail -n 1)"
	fail internal "the look at the host did not come to its end ($1)"
}

squeeze() { if have gzip; then gzip -1; else cat; fi; }

# look PEER PORT: what both begin with, in $S/out. Returns with the lock held.
look() {
	local peer port facts fact
	lock
	# shellcheck disable=SC2015
	private_dir "$RUN" && S=$(mktemp -d "$RUN/snapshot.XXXXXX") || fail not-writable "cannot write below $RUN"
	unlock
	trap 'rm -rf "$S"' EXIT
	mkdir "$S/asked" "$S/out" "$S/out/facts" "$S/out/live" "$S/out/canonical" "$S/out/effect" "$S/out/errors" "$S/dry" || unseen folders
	tar -xf - -C "$S/asked" || {
		has_room "$RUN" || unseen request
		fail bad-request "the request is not a tar stream"
	}
	true >"$S/asked/drops" || unseen request
	wait_until_settled
	step look
	# All beside each other: each of them mostly waits for what others answer.
	peer=$1 port=$2 facts="facts/host facts/links.json facts/addresses.json facts/live facts/configuration"
	{ missing_tools || unseen tools; } &
	set -- "$!"
	see facts/host facts "$peer" "$port" &
	set -- "$@" "$!"
	see facts/links.json interfaces -d link &
	set -- "$@" "$!"
	see facts/addresses.json interfaces addr &
	set -- "$@" "$!"
	see facts/live held_live "$S/asked" &
	set -- "$@" "$!"
	see facts/configuration configured_differences &
	set -- "$@" "$!"
	[ ! -d "$VAR/confirmed" ] || {
		see facts/confirmed find "$VAR/confirmed" -type f -printf '/%P\n' &
		set -- "$@" "$!"
		facts="$facts facts/confirmed"
	}
	look_complete "$@" || exit 1
	# These carry no blank.
	# shellcheck disable=SC2086
	seen $facts
	for fact in links addresses; do
		# There is always lo.
		[ -e "$S/out/errors/links" ] || [ -s "$S/out/facts/$fact.json" ] || unseen "$fact"
	done
	step looked
}

# look_complete PROCESS…: waits for those parts of the look; fails where one of them did, which has said why.
look_complete() {
	local process status
	status=0
	for process in "$@"; do wait "$process" || status=1; done
	return "$status"
}

# interfaces WORD…: as ip lists them, where there is one.
interfaces() { ! have ip || ip -j "$@" show; }

# missing_tools: each domain without its tools, and why.
missing_tools() {
	local tables state
	# Before anything is listed: what somebody commits meanwhile is seen by the next look.
	read_nft_state state || :
	echo "$state" >"$S/state" || return 1
	if ! have nft; then
		echo "nft is not installed on this host; install the package nftables" >"$S/out/errors/nft" || return 1
	elif if [ -n "$state" ]; then nft --version >/dev/null 2>"$S/nft.err" && read_tables_of tables "$state"; else tables=$(nft list tables 2>"$S/nft.err"); fi; then
		# By the shell, which says so where a disk is full; nft does not.
		printf '%s\n' "$tables" >"$S/tables" || return 1
	else
		echo "nft does not work on this host: $(head -n 2 "$S/nft.err" | tr '\n' ' ')" >"$S/out/errors/nft" || return 1
	fi
	have sudo || echo "sudo is not installed on this host; install the package sudo" >"$S/out/errors/sudo" || return 1
	have ip || echo "ip is not installed on this host; install the package iproute2" >"$S/out/errors/links" || return 1
	{ have groupadd && have gpasswd; } || echo "groupadd and gpasswd are not installed on this host; install the package passwd (shadow)" >"$S/out/errors/accounts"
}

# read_tables_of VARIABLE STATE: ours as `nft list tables` has them, which takes a third of a second where a set has very many elements.
read_tables_of() {
	local of_word of_tables
	of_tables=
	for of_word in $2; do
		case $of_word in
		shut:*) of_tables="$of_tables${of_tables:+$NEWLINE}table inet drawbridge_shut_${of_word#shut:}" ;;
		*:*) of_tables="$of_tables${of_tables:+$NEWLINE}table ${of_word%%:*} drawbridge" ;;
		esac
	done
	give "$1" "$of_tables"
}

# facts PEER PORT: one "word value…" a line.
facts() {
	local address
	[ -z "$2" ] || printf 'ssh-port %s\n' "$2" || return 1
	printf 'network ' && network_configuration
	configured_devices && default_routes || return 1
	[ -z "$1" ] || service peer "$1" || return 1
	# Of these, most hosts have some files only: sed reads those that are there.
	services resolver "$(sed -n 's/^nameserver[[:space:]]*//p' /etc/resolv.conf /run/systemd/resolve/resolv.conf 2>/dev/null)"
	services "time server" "$(time_servers)"
	services "DHCP server" "$(sed -n -e 's/.*dhcp-server-identifier \([0-9.]*\);.*/\1/p' -e 's/^SERVER_ADDRESS=//p' \
		/var/lib/dhcp/*.leases /run/systemd/netif/leases/* /var/lib/NetworkManager/internal-*.lease 2>/dev/null)"
}

# flows: the connections that this host follows, as `forward` sees them, where the time of an allow of ours is over. Most hosts have none of these.
flows() {
	local ended
	[ -d "$ETC/nft" ] || return 0
	ended=$(find "$ETC/nft" \( -name '*-allow-*.nft' -o -name '*-default-drop-*.nft' \) -exec awk -v now="$(date +%s)" '
		/ accept / && match($0, / meta time < [0-9]+ /) && substr($0, RSTART + 13, RLENGTH - 14) + 0 <= now + 0 { print FILENAME }' {} +) || return 1
	[ -n "$ended" ] || return 0
	if [ -r /proc/net/nf_conntrack ]; then
		flows_of </proc/net/nf_conntrack
	elif have conntrack; then
		{ conntrack -L -f ipv4 && conntrack -L -f ipv6; } 2>/dev/null | flows_of
	else
		echo unknown
	fi
}

# flows_of: of what both print, the side that has opened it, and who has answered. What has ended already waits there for a while.
flows_of() {
	awk '
		/ (TIME_WAIT|CLOSE) / { next }
		count == 5000 { print "more"; exit }
		{
			source = destination = ""
			source_port = destination_port = "-"
			for (i = 1; i <= NF; i++) {
				if ($i ~ /^src=/) { if (source == "") source = substr($i, 5); else if (destination == "") destination = substr($i, 5) }
				else if ($i ~ /^sport=/) { if (source_port == "-") source_port = substr($i, 7); else if (destination_port == "-") destination_port = substr($i, 7) }
			}
			if (destination == "") next
			count++
			print ($1 ~ /^ipv[46]$/ ? $3 : $1), source, destination, source_port, destination_port
		}'
}

# services WHAT ADDRESSES: of each, once and in order.
services() {
	local address addresses
	addresses=$2
	case $2 in *"$NEWLINE"*) addresses=$(printf '%s\n' "$2" | sort -u) ;; esac
	for address in $addresses; do service "$1" "$address"; done
}

# service WHAT ADDRESS: "service DEVICE SOURCE ADDRESS WHAT", by the route that packets to it take.
service() {
	local way device source
	case $2 in *[!0-9a-fA-F.:]*) return 0 ;; esac
	way=$(ip -o route get "$2" 2>/dev/null) || return 0
	read_way_word device "$way" dev
	[ -n "$device" ] || return 0
	read_way_word source "$way" src
	printf 'service %s %s %s %s\n' "$device" "${source:--}" "$2" "$1"
}

time_servers() {
	local file
	! have timedatectl || timedatectl show-timesync -p ServerAddress --value 2>/dev/null
	# By its socket only, which no user can put something else in the place of, as he could at a port of a daemon that is not there.
	! have chronyc || chronyc -h /run/chrony/chronyd.sock -n sources 2>/dev/null | awk '/^[\^=]/ { print $2 }'
	set --
	for file in /etc/systemd/timesyncd.conf /etc/systemd/timesyncd.conf.d/*.conf /etc/chrony/chrony.conf /etc/chrony/conf.d/*.conf \
		/etc/chrony/sources.d/*.sources /etc/ntpsec/ntp.conf /etc/ntp.conf; do
		[ ! -r "$file" ] || set -- "$@" "$file"
	done
	[ $# -eq 0 ] ||
		awk '$1 ~ /^(server|pool|peer)$/ { print $2 } sub(/^[ \t]*NTP[ \t]*=/, "") { for (i = 1; i <= NF; i++) print $i }' "$@"
}

# snapshot_nft: the kernel's text of our tables, and how it would be. Where nothing has changed since the last look, its answers are given again.
snapshot_nft() {
	# A host without fences has nothing to compare.
	local tables state family
	tables=$(cat "$S/tables") || return 1
	case $tables in *" drawbridge"*) ;; *)
		[ -n "$(find "$ETC/nft" "$VAR/confirmed$ETC/nft" "$S/asked" -name '*.nft' 2>/dev/null | head -n 1)" ] || return 0
		;;
	esac
	for family in $FAMILIES; do
		case $tables in *" drawbridge_shut_$family"*) echo "$family" >>"$S/out/facts/shut" || return 1 ;; esac
	done
	nft_facts "$S/look" || return 1
	read_line state "$S/state"
	if is_as_looked "$state"; then
		cp -R "$RUN/looked/live" "$RUN/looked/canonical" "$S/out" && cp "$RUN/looked/needy" "$S/needy" && nft_unmet_seen && nft_as_made
		return
	fi
	nft_looked "$tables" && nft_unmet_seen && keep_looked "$state" && nft_as_made
}

# nft_as_made: what is the same need not be sent twice.
nft_as_made() {
	local family
	for family in $FAMILIES; do
		[ ! -e "$S/out/live/$family" ] || ! cmp -s "$S/out/live/$family" "$S/out/canonical/$family" ||
			{ rm "$S/out/canonical/$family" && echo "$family" >>"$S/out/facts/as-made"; } || return 1
	done
}

# nft_looked TABLES: lists our tables, and makes and tries the text of each.
nft_looked() {
	local live family fragments
	true >"$S/dry/listed" && true >"$S/dry/devices" && true >"$S/needy" || return 1
	live=
	for family in $FAMILIES; do
		case $NEWLINE$1$NEWLINE in *"${NEWLINE}table $family drawbridge$NEWLINE"*) live="$live $family" ;; esac
		nft_fragments "$family" "$S/asked" >"$S/fragments.$family" && nft_look "$S/fragments.$family" && nft_text "$family" "$S/fragments.$family" >"$S/new.$family" || return 1
		[ ! -s "$S/fragments.$family" ] || echo "$family" >>"$S/dry/listed" || return 1
		fragments=$(cat "$S/fragments.$family") || return 1
		# Paths of fragments are ours and carry no blank.
		# shellcheck disable=SC2086
		nft_needy $fragments >>"$S/needy" || return 1
	done
	# shellcheck disable=SC2086
	nft_live $live >"$S/live" && nft_split "$S/out/live/" <"$S/live" && cat "$S"/new.* >"$S/dry/new.nft" || return 1
	nft_try "$S/dry" ||
		echo "the confirmed rules do not load on this host any more: $(cat "$S/dry/error.txt" "$S/dry/log" 2>/dev/null | head -n 8 | tr '\n\t' '  ')" >"$S/out/errors/nft" || return 1
	[ ! -e "$S/dry/canonical" ] || nft_split "$S/out/canonical/" <"$S/dry/canonical"
}

# nft_unmet_seen: "PATH TEXT" for what the fragments in the file S/needy need and the host does not have.
nft_unmet_seen() {
	local file lines
	while read -r file; do
		lines=$(grep -E "$NFT_NEEDS" "$file") && nft_unmet "/etc/${file##*/etc/}" "$lines" >>"$S/out/facts/unmet" || return 1
	done <"$S/needy"
}

# keep_looked STATE: for the next look, in RUN/looked: the answers, which fragments have needs, and all that they rest on: the kernel's state, the devices, and accounts by the lines that name them.
# Nothing where the tables do not load, elements go by themselves, or a fragment is not a confirmed copy.
keep_looked() {
	local new fragments
	new=$RUN/looked.new
	rm -rf "$RUN/looked" "$new" || return 1
	[ -n "$1" ] && [ ! -e "$S/out/errors/nft" ] && [ ! -d "$S/asked/files" ] && [ -d "$VAR/confirmed$ETC/nft" ] || return 0
	! grep -q timeout "$S/live" || return 0
	fragments=$(cat "$S"/fragments.*) || return 1
	# What cannot be kept costs the next look its time, and nothing else.
	# shellcheck disable=SC2015,SC2086
	mkdir "$new" && cp -R "$S/out/live" "$S/out/canonical" "$S/needy" "$new" && cp "$S/look.present" "$new/present" &&
		{ grep -hE '^# (attach|account) (users|groups) [A-Za-z_]' /dev/null $fragments >"$new/named" || [ $? -eq 1 ]; } && nft_accounts <"$new/named" >"$new/accounts" && echo "$DIGEST $1" >"$new/state" && mv "$new" "$RUN/looked" || rm -rf "$new"
}

# is_state_looked STATE: whether the kernel's ruleset is the one of the last look, and that was by this program: another one may make other texts.
is_state_looked() {
	local kept
	read_line kept "$RUN/looked/state"
	[ -n "$1" ] && [ "$kept" = "$DIGEST $1" ]
}

# is_as_looked STATE: whether all that the last look's answers rest on is as it was.
is_as_looked() {
	local changed left
	is_state_looked "$1" && [ ! -d "$S/asked/files" ] && cmp -s "$S/look.present" "$RUN/looked/present" || return 1
	for left in "$VAR"/not-undone-*; do [ ! -e "$left" ] || return 1; done
	changed=$(find "$VAR/confirmed$ETC/nft" -cnewer "$RUN/looked/state" -print -quit) && [ -z "$changed" ] || return 1
	[ ! -s "$RUN/looked/named" ] || nft_accounts <"$RUN/looked/named" | cmp -s - "$RUN/looked/accounts"
}

snapshot_sudo() { sudo_looks "$S" || unseen "sudo"; }

# standing: how this host stands, for `drawbridge status` of the other end, which knows these words by src/host/protocol.ts:
#   held OBJECT FROM        of each resource that was confirmed here
#   waits OBJECT TEXT       what such a resource waits for
#   pending TEXT            whose change is applied and not confirmed yet
#   unfinished TEXT         whose change could not be undone completely yet
#   lifted yes, shut FAMILY as `drawbridge-host lift` and a table that does not load have left it
#   fault TEXT              what the last load could not do
standing() {
	local held waits holder left tables
	if [ -d "$VAR/confirmed" ]; then
		held=$(find "$VAR/confirmed" -type f -exec awk '
			FNR > 8 { next }
			/^# object / { object = $3 }
			/^# from / { sub(/^# from /, ""); print "held", object, $0 }' {} +) && waits=$(waiting) || return 1
		[ -z "$held" ] || printf '%s\n' "$held" | sort -u
		[ -z "$waits" ] || printf '%s\n' "$waits" | sed 's/^/waits /'
	fi
	! read_pending holder || printf 'pending %s\n' "$holder"
	for left in "$VAR"/not-undone-*; do
		[ ! -d "$left" ] || printf 'unfinished %s\n' "$(cat "$left/holder")"
	done
	[ ! -e "$RUN/lifted" ] || echo 'lifted yes'
	[ ! -s "$RUN/load.faults" ] || sed 's/^/fault /' "$RUN/load.faults" || return 1
	[ -d "$VAR/confirmed$ETC/nft" ] && have nft || return 0
	tables=$(nft list tables) || return 1
	printf '%s\n' "$tables" | sed -n 's/.* drawbridge_shut_/shut /p' | sort -u
}

# waiting: "OBJECT interface NAME", "… bridge NAME", "… user NAME", "… group NAME" or "… set NAME" a line: what a confirmed file of ours names
# and this host does not have (of a set: what nobody declares), so that its rule, port or element comes when it appears.
waiting() {
	local wanted object kind name
	[ -d "$VAR/confirmed" ] || return 0
	wanted=$(find "$VAR/confirmed" -type f -exec awk '
		FNR == 1 { object = "" }
		/^# object / { object = $3 }
		/^# attach (prerouting|postrouting|egress) / && $4 != "*" { print object, "interface", $4 }
		/^# attach users [A-Za-z_]/ { print object, "user", $4 }
		/^# attach groups [A-Za-z_]/ { print object, "group", $4 }
		/^# (element|uses) / { print object, "set", $3 }
		/^(set|map) [^ ]+ \{$/ { print "-", "declares", $2 }
		/^# lookup / { print "-", "declares", $5 }
		{ sub(/^# link /, "link ") }
		# A bridge that the file itself makes is not waited for.
		$1 == "link" && $3 == "is" { made[object, $2] = 1 }
		$1 == "link" && !((object, $2) in made) { print object, "interface", $2 }
		$1 == "link" && $3 == "master" && !((object, $4) in made) { print object, "bridge", $4 }' {} +) || return 1
	[ -n "$wanted" ] || return 0
	printf '%s\n' "$wanted" | sort -u | awk '$1 == "-" { declared[$3] = 1; next } !($2 == "set" && ($3 in declared))' | while read -r object kind name; do
		case $kind in
		set) false ;;
		interface) [ -e "/sys/class/net/$name" ] ;;
		bridge) [ -d "/sys/class/net/$name/bridge" ] ;;
		user) getent passwd "$name" >/dev/null ;;
		group) getent group "$name" >/dev/null ;;
		esac || printf '%s %s %s\n' "$object" "$kind" "$name"
	done
}

# leaks: what the fences have counted, "counter FAMILY NAME PACKETS BYTES" a line, and the last lines that they logged, "log …".
leaks() {
	if have nft; then
		LOOK=$(mktemp "$RUN/leaks.XXXXXX") || fail not-writable "cannot write below $RUN"
		mv "$LOOK" "$LOOK.counters" && nft_count
		sed 's/^/counter /' "$LOOK.counters"
		rm -f "$LOOK.counters"
	fi
	# A host without a journal still has the kernel's ring. Only what a message begins with is ours: further back the kernel repeats words of local users.
	{ journalctl --quiet --no-pager --dmesg --output=short-iso --grep='^drawbridge [a-z]' --lines=1000 2>/dev/null || dmesg 2>/dev/null; } |
		grep -E '^([^ ]+ [^ ]+ kernel: |\[ *[0-9.]+](\[ *[A-Z][0-9]+])? )?drawbridge [a-z][A-Za-z0-9_-]*( [a-z]+)?: ' | tail -n 1000 | sed 's/^/log /'
}
