# --- addresses that move: what a bridge has of its uplink ---------------------------------------------------------------
# Two attributes of a bridge, called by 34-held as all others.
# "carries NIC": the addresses and routes that the NIC had are the bridge's. "configured_as NIC": the host's own network configuration
# gives the bridge at boot what it gave the NIC (39-configured). What they are measured by stands in a folder moved/BRIDGE of the
# transaction, and of /var/lib/drawbridge/found from its confirmation on:
#   uplink, mac        the NIC and its address
#   addresses, routes  what was moved and is to stay: "ADDRESS WORDS…", "VERSION ROUTE"; what a lease or a router gave may change
#   files, was, made   the host's files that were changed, one path a line; what they would be without us, and what was made of them

# moved_folder BRIDGE: the folder in which it is written down; fails when it is nowhere.
moved_folder() {
	local folder
	for folder in "${T:-$VAR/found}/moved/$1" "$VAR/found/moved/$1"; do
		[ ! -e "$folder/uplink" ] || {
			echo "$folder"
			return 0
		}
	done
	return 1
}

# moved_open BRIDGE NIC: the transaction's own folder of it, which begins as what was confirmed.
moved_open() {
	local folder
	folder=$T/moved/$1
	if [ -e "$folder/uplink" ]; then :; elif [ -e "$VAR/found/moved/$1/uplink" ]; then mkdir -p "$T/moved" && cp -a "$VAR/found/moved/$1" "$folder"; else
		mkdir -p "$folder" && echo "$2" >"$folder/uplink" && cat "/sys/class/net/$2/address" >"$folder/mac"
	fi || return 1
	echo "$folder"
}

# moved_nic FOLDER: the NIC that is written down there.
moved_nic() {
	local nic
	read -r nic <"$1/uplink" && echo "$nic"
}

# addresses_of DEVICE: "ADDRESS WORDS…" a line, as `ip address add` takes them, less those that the kernel makes by itself: link-local
# and temporary ones. A label's device is "@".
addresses_of() {
	ip -o address show dev "$1" 2>/dev/null | awk -v device="$1" '
		{
			gsub(/\\/, " ")
			line = $4
			own = 0
			for (i = 5; i <= NF; i++) {
				if ($i ~ /^(host|link|temporary)$/) own = 1
				else if ($i ~ /^(valid_lft|preferred_lft)$/) { line = line " " $i " " ($(i + 1) ~ /^[0-9]/ ? $(i + 1) + 0 : $(i + 1)); i++ }
				else if ($i ~ /^(peer|brd|any|metric|proto)$/) { line = line " " $i " " $(i + 1); i++ }
				else if ($i ~ /^(noprefixroute|mngtmpaddr|home|nodad|autojoin)$/) line = line " " $i
				else if (index($i, device ":") == 1) line = line " label @" substr($i, length(device) + 1)
			}
			if (!own) print line
		}'
}

# routes_of VERSION DEVICE: a route a line, as `ip route add` takes it, less those that come with addresses. Those without a next hop
# first, for others are reached by them.
routes_of() {
	ip "-$1" -o route show table all dev "$2" 2>/dev/null | sed -E \
		-e '/^(local|broadcast|anycast|multicast) /d; / proto kernel( |$)/d; /^(fe80::\/64|ff00::\/8)( |$)/d; / table local( |$)/d' \
		-e 's/ (linkdown|dead|offload|trap)//g; s/ error -?[0-9]+//; s/ expires ([0-9]+)sec/ expires \1/; s/ +$//' |
		awk '/ via / { later[++n] = $0; next } { print } END { for (i = 1; i <= n; i++) print later[i] }'
}

# lasting: of "ADDRESS WORDS…" and "VERSION ROUTE", those that nobody gives and takes away: no lease, no router.
lasting() { grep -Ev ' (valid_lft [0-9]|expires [0-9]|proto (ra|dhcp|redirect))'; }

# moved_get BRIDGE: the NIC; with what is missing on the bridge, or is on the NIC (again), where something is; "none" where nothing was moved.
moved_get() {
	local folder nic lacks back version
	if ! folder=$(moved_folder "$1") || [ -e "$folder/given-back" ] || [ ! -e "$folder/addresses" ]; then
		echo none
		return 0
	fi
	nic=$(moved_nic "$folder") || return 1
	# Next hop, destination and metric are enough: another version of ip prints other words.
	lacks=$({
		{ sed 's/ .*//' "$folder/addresses"; route_key <"$folder/routes"; } | sed 's/^/wanted /'
		addresses_of "$1" | sed 's/ .*//'
		for version in 4 6; do routes_of "$version" "$1" | sed "s/^/$version /"; done | route_key
	} | awk 'sub(/^wanted /, "") { wanted[++n] = $0; next } { has[$0] } END { for (i = 1; i <= n; i++) if (!(wanted[i] in has)) print wanted[i] }' |
		sed 's/^[46] //; s/ .*//' | tr '\n' ,)
	back=$(addresses_of "$nic" | sed 's/ .*//' | tr '\n' ,)
	[ -z "$back" ] || back=:has:${back%,}
	[ -z "$lacks" ] || lacks=:lacks:${lacks%,}
	echo "$nic$back$lacks"
}

# moved_notes NUMBER BRIDGE ATTRIBUTE STANDS: "NUMBER said TEXT" for what is about to become the bridge's that was not moved before.
moved_notes() {
	local taken
	case $3:$4 in
	carries:*:has:*)
		taken=${4#*:has:}
		echo "$1 said ${4%%:*} had ${taken%:lacks:*} again, which is moved to $2 as the rest was"
		;;
	configured_as:*) configured_notes "$1" "$2" moved ;;
	esac
}

# moved_stands ATTRIBUTE VALUE STANDS: whether what is held stands in part.
moved_stands() { case $1:$3 in "carries:$2":* | "configured_as:$2":*) ;; *) return 1 ;; esac; }

# route_key: of "VERSION ROUTE", what makes it that route.
route_key() {
	sed -E 's/^([46] ((unicast|unreachable|blackhole|prohibit|throw) )?[^ ]+( via [^ ]+)?).*( metric [0-9]+).*/\1\5/; t
		s/^([46] ((unicast|unreachable|blackhole|prohibit|throw) )?[^ ]+( via [^ ]+)?).*/\1/'
}

# moved_set BRIDGE NIC|none
moved_set() {
	local folder nic version
	if [ "$2" = none ]; then
		folder=$(moved_folder "$1") && nic=$(moved_nic "$folder") && folder=$(moved_open "$1" "$nic") || return 1
		moved_look "$T/moving" "$1" "$nic" || return 1
		# A bridge that somebody has deleted has nothing any more.
		[ -e "/sys/class/net/$1" ] || moved_recall "$folder" "$T/moving/$1"
		moved_join "$T/moving" "$1" "$nic" && moved_make "$T/moving" "$1" "$1" "$nic"
		true >"$folder/given-back" || return 1
		return 0
	fi
	folder=$(moved_open "$1" "$2") && rm -f "$folder/given-back" && moved_look "$T/moving" "$1" "$2" || return 1
	if [ ! -e "$folder/addresses" ]; then
		lasting <"$T/moving/$2.addresses" >"$folder/addresses"
		for version in 4 6; do sed "s/^/$version /" "$T/moving/$2.$version"; done | lasting >"$folder/routes"
		moved_sysctls "$2" "$1"
	else
		# What was lost since.
		moved_recall "$folder" "$T/moving/$2"
	fi
	moved_join "$T/moving" "$2" "$1" && moved_make "$T/moving" "$2" "$1" "$2"
}

# moved_recall FOLDER FILES: to the FILES of a look, what was moved then.
moved_recall() {
	local version
	cat "$1/addresses" >>"$2.addresses"
	for version in 4 6; do sed -n "s/^$version //p" "$1/routes" >>"$2.$version"; done
}

# moved_look FOLDER DEVICE…: what each has, in files DEVICE.addresses, DEVICE.4, DEVICE.6.
moved_look() {
	local looked device
	looked=$1
	shift
	mkdir -p "$looked" || return 1
	for device in "$@"; do
		addresses_of "$device" >"$looked/$device.addresses" &&
			routes_of 4 "$device" >"$looked/$device.4" && routes_of 6 "$device" >"$looked/$device.6" || return 1
	done
}

# moved_join FOLDER FROM TO: what FROM has is TO's too, and FROM has nothing.
moved_join() {
	local what
	for what in addresses 4 6; do
		awk '!seen[$1 (FILENAME ~ /addresses$/ ? "" : $0)]++' "$1/$3.$what" "$1/$2.$what" >"$1/joined" && mv "$1/joined" "$1/$3.$what" && true >"$1/$2.$what" || return 1
	done
}

# moved_make FOLDER LOSING DEVICE DEVICE: both have just that; only LOSING, one of them or "both", has something taken away, for the
# other's may be what another program gives it at this moment. What comes is there before what goes, so that a connection finds its
# address at every moment; a route goes and comes within one call of ip.
moved_make() {
	local wanted pass todo version
	wanted=$1
	# More than once: a primary address takes the others of its network away with it.
	for pass in 1 2 3 4 5 6 7 8; do
		moved_look "$wanted/now" "$3" "$4" || return 1
		todo=
		for version in 4 6; do
			moved_batch "$wanted" "$version" "$2" "$3" "$4" >"$wanted/batch" || return 1
			[ -s "$wanted/batch" ] || continue
			todo=yes
			ip "-$version" -force -batch "$wanted/batch" 2>"$wanted/batch.err" || :
		done
		[ -n "$todo" ] || return 0
		[ "$pass" -lt 3 ] || sleep 0.3
	done
}

# moved_batch FOLDER VERSION LOSING DEVICE DEVICE: what ip is to do, in this order: addresses come, routes go and come, addresses go.
moved_batch() {
	local device
	for device in "$4" "$5"; do addresses_to_add "$1" "$2" "$device"; done
	for device in "$4" "$5"; do
		case $3 in both | "$device") routes_less "$1/now/$device.$2" "$1/$device.$2" | sed "s/^/route delete /; s/ expires [0-9]*//; s/\$/ dev $device/" ;; esac
	done
	for device in "$4" "$5"; do
		routes_less "$1/$device.$2" "$1/now/$device.$2" | sed "s/^/route add /; s/\$/ dev $device/"
	done
	for device in "$4" "$5"; do
		case $3 in both | "$device") addresses_to_delete "$1" "$2" "$device" ;; esac
		[ "$2" = 4 ] || addresses_to_settle "$1" "$device"
	done
}

# addresses_to_add FOLDER VERSION DEVICE: what it lacks. No address is looked for a second time (nodad): the link is the same one, and for that
# second it would not work.
addresses_to_add() {
	awk -v device="$3" -v version="$2" '
		(version == 6) != (index($1, ":") > 0) { next }
		FILENAME ~ /now\/[^\/]*$/ { have[$1] = 1; next }
		!($1 in have) {
			quick = version == 4 || / nodad( |$)/
			sub(/ label @/, " label " device)
			lines[++n] = "address add " $0 (quick ? "" : " nodad") " dev " device
		}
		# The kernel puts each IPv6 address before those that it has.
		END { for (i = 1; i <= n; i++) print lines[version == 4 ? i : n + 1 - i] }' "$1/now/$3.addresses" "$1/$3.addresses"
}

# addresses_to_delete FOLDER VERSION DEVICE: what it has too much.
addresses_to_delete() {
	awk -v device="$3" -v version="$2" '
		(version == 6) != (index($1, ":") > 0) { next }
		FILENAME !~ /now\/[^\/]*$/ { wanted[$1] = 1; next }
		!($1 in wanted) { print "address delete " $1 ($2 == "peer" ? " peer " $3 : "") " dev " device }' "$1/$3.addresses" "$1/now/$3.addresses"
}

# addresses_to_settle FOLDER DEVICE: those of IPv6 that were added with nodad, as they were, now that they are there.
addresses_to_settle() {
	awk -v device="$2" '
		index($1, ":") == 0 { next }
		FILENAME ~ /now\/[^\/]*$/ { have[$1] = 1; next }
		!($1 in have) && !/ nodad( |$)/ { print "address change " $0 " dev " device }' "$1/now/$2.addresses" "$1/$2.addresses"
}

# routes_less FILE OTHER: the routes of FILE that OTHER lacks, however long they still live.
routes_less() {
	awk -v file="$1" '
		{ key = $0; sub(/ expires [0-9]+/, "", key) }
		FILENAME != file { has[key] = 1; next }
		!(key in has)' "$2" "$1"
}

# sysctls_of DEVICE: "VERSION NAME:VALUE" a line.
sysctls_of() {
	local version
	for version in 4 6; do
		[ ! -d "/proc/sys/net/ipv$version/conf/$1" ] || (cd "/proc/sys/net/ipv$version/conf/$1" && grep -s . ./* | grep -Ev '^\./(mtu|stable_secret|mc_forwarding):' | sed "s/^/$version /")
	done
}

# moved_sysctls NIC BRIDGE: the bridge treats packets as the NIC did: forwarding, router advertisements, reverse paths.
moved_sysctls() {
	sysctls_of "$2" >"$T/moving/sysctls"
	sysctls_of "$1" | grep -vxF -f "$T/moving/sysctls" | sysctls_set "$2"
}

# sysctls_set DEVICE: from such lines. What the kernel does not take here, it does not need.
sysctls_set() {
	local version name value
	while IFS=' :' read -r version name value; do
		echo "$value" 2>/dev/null >"/proc/sys/net/ipv$version/conf/$1/$name" || :
	done
}

# moved_keep BRIDGE NIC: for the undo, before the first change of either.
moved_keep() {
	[ ! -e "$T/kept/$1/nic" ] || return 0
	local folder nic
	nic=$2
	[ "$nic" != none ] || { folder=$(moved_folder "$1") && nic=$(moved_nic "$folder"); } || return 1
	moved_look "$T/kept/$1" "$1" "$nic" && sysctls_of "$1" >"$T/kept/$1/sysctls" && echo "$nic" >"$T/kept/$1/nic"
}

# moved_undo BRIDGE: addresses and routes of both as they were; after a reboot they are what boot makes of them.
moved_undo() {
	local nic boot
	[ -e "$T/kept/$1/nic" ] || return 0
	read -r nic <"$T/kept/$1/nic"
	read -r _ boot <"$T/until"
	[ "$boot" = "$(cat /proc/sys/kernel/random/boot_id)" ] || return 0
	# Notes are made in memory: what the host lives by is not to wait for room on its disk.
	rm -rf "$RUN/moving"
	private_dir "$RUN" && cp -R "$T/kept/$1" "$RUN/moving" && moved_make "$RUN/moving" both "$1" "$nic" && sysctls_of "$1" >"$RUN/moving/now.sysctls" || return 1
	grep -vxF -f "$RUN/moving/now.sysctls" "$T/kept/$1/sysctls" | sysctls_set "$1"
	rm -rf "$RUN/moving"
}

# moved_confirmed TXN: safe to do again.
moved_confirmed() {
	local folder subject attribute
	for folder in "$1"/moved/*; do
		[ -d "$folder" ] || continue
		mkdir -p "$VAR/found/moved" && rm -rf "$VAR/found/moved/${folder##*/}" && cp -a "$folder" "$VAR/found/moved/${folder##*/}" || return 1
	done
	[ ! -e "$1/links.drop" ] || while read -r _ subject attribute _; do
		[ "$attribute" != carries ] || rm -rf "$VAR/found/moved/$subject"
	done <"$1/links.drop"
}

# moved_refusals: "refuse NUMBER refused TEXT" where addresses cannot move.
moved_refusals() {
	local number bridge attribute nic reason
	while read -r number bridge attribute nic; do
		[ "$attribute" = carries ] || continue
		read_first_reason reason moved_reason "$bridge" "$nic"
		[ -z "$reason" ] || echo "refuse $number refused $reason"
	done <"$T/links.put"
}

# moved_reason BRIDGE NIC: why not, a line each, by the property that is wrong.
moved_reason() {
	local folder had
	for folder in "$VAR"/found/moved/*; do
		[ -e "$folder/uplink" ] || continue
		read -r had <"$folder/uplink"
		case ${folder##*/}:$had in
		"$1:$2")
			configured_reason_again "$1" "$2"
			return
			;;
		"$1":*) echo "uplink: $1 carries the addresses of $had; take \`moveAddresses\` and \`uplink\` out first, so that $had gets them back" ;;
		*:"$2") echo "name: the addresses of $2 are on ${folder##*/}; take \`moveAddresses\` and \`uplink\` out there first, so that $2 gets them back" ;;
		esac
	done
	[ -e "/sys/class/net/$2" ] || {
		echo "uplink: there is no interface $2 on this host, whose addresses could move"
		return 0
	}
	ip -o route show table all | grep -q "nexthop.* dev $2 " && echo "moveAddresses: a route by several next hops leads out of $2, which is not moved yet"
	! ip -o route show table all dev "$2" 2>/dev/null | grep -q ' nhid ' || echo "moveAddresses: a route out of $2 is made of a nexthop object, which is not moved yet"
	configured_reason "$1" "$2"
}
