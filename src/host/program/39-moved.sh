# --- addresses that move: what a bridge has of its uplink ---------------------------------------------------------------
# Two attributes of a bridge, called by 34-held as all others.
# "carries NIC": the addresses and routes that the NIC had are the bridge's. "configured_as NIC": the host's own network configuration
# gives the bridge at boot what it gave the NIC (39-configured). What they are measured by stands in a folder moved/BRIDGE of the
# transaction, and of /var/lib/drawbridge/found from its confirmation on:
#   uplink, mac        the NIC and its address
#   addresses, routes  what was moved and is to stay: "ADDRESS WORDS…", "VERSION ROUTE"; what a lease or a router gave may change
#   files, was, made   the host's files that were changed, one path a line; what they would be without us, and what was made of them

# read_moved_folder VARIABLE BRIDGE: the folder in which it is written down, into the variable; fails when it is nowhere.
read_moved_folder() {
	local moved_folder
	for moved_folder in "${T:-$VAR/found}/moved/$2" "$VAR/found/moved/$2"; do
		[ ! -e "$moved_folder/uplink" ] || {
			give "$1" "$moved_folder"
			return 0
		}
	done
	return 1
}

# moved_open BRIDGE NIC: makes the transaction's own folder of it, T/moved/BRIDGE, which begins as what was confirmed.
moved_open() {
	local folder address
	folder=$T/moved/$1
	[ ! -e "$folder/uplink" ] || return 0
	if [ -e "$VAR/found/moved/$1/uplink" ]; then mkdir -p "$T/moved" && cp -a "$VAR/found/moved/$1" "$folder"; else
		read -r address <"/sys/class/net/$2/address" && mkdir -p "$folder" && echo "$address" >"$folder/mac" && echo "$2" >"$folder/uplink"
	fi
}

# The functions by which awk reads what ip prints in one line each (-o).
#   address_of(device)  of an address, "ADDRESS WORDS…" as `ip address add` takes it; a label's device is "@". Nothing for another device's, and for
#                       those that the kernel makes by itself: link-local and temporary ones.
#   version(), route()  of a route, 6 or 4, and the route as `ip route add` takes it; nothing for one that comes with an address
#   route_key(line)     of "VERSION ROUTE", what makes it that route: destination, next hop and metric, for another version of ip prints other words
# shellcheck disable=SC2016
ADDRESSES_AND_ROUTES='
	function address_of(device,  line, i) {
		if ($2 != device) return ""
		gsub(/\\/, " ")
		line = $4
		for (i = 5; i <= NF; i++) {
			if ($i ~ /^(host|link|temporary)$/) return ""
			if ($i ~ /^(valid_lft|preferred_lft)$/) { line = line " " $i " " ($(i + 1) ~ /^[0-9]/ ? $(i + 1) + 0 : $(i + 1)); i++ }
			else if ($i ~ /^(peer|brd|any|metric|proto)$/) { line = line " " $i " " $(i + 1); i++ }
			else if ($i ~ /^(noprefixroute|mngtmpaddr|home|nodad|autojoin)$/) line = line " " $i
			else if (index($i, device ":") == 1) line = line " label @" substr($i, length(device) + 1)
		}
		return line
	}
	function version() { return / pref / ? 6 : 4 }
	function route(  line) {
		line = $0
		if (line ~ /^(local|broadcast|anycast|multicast) / || line ~ / (proto kernel|table local)( |$)/ || line ~ /^(fe80::\/64|ff00::\/8)( |$)/) return ""
		gsub(/ (linkdown|dead|offload|trap)/, "", line)
		sub(/ error -?[0-9]+/, "", line)
		if (match(line, / expires [0-9]+sec/)) line = substr(line, 1, RSTART + RLENGTH - 4) substr(line, RSTART + RLENGTH)
		sub(/ +$/, "", line)
		return line
	}
	function route_key(line,  word, n, i, key) {
		n = split(line, word, " ")
		key = word[1]
		i = 2
		if (word[i] ~ /^(unicast|unreachable|blackhole|prohibit|throw)$/) key = key " " word[i++]
		key = key " " word[i++]
		if (word[i] == "via") key = key " via " word[i + 1]
		for (; i < n; i++) if (word[i] == "metric") key = key " metric " word[i + 1]
		return key
	}'

# read_routes_of VARIABLE DEVICE: the routes out of it, of both versions and all tables, as ip prints them.
read_routes_of() {
	give "$1" ''
	[ ! -e "/sys/class/net/$2" ] || read_of_link "$1" "$2" ip -o route show table all dev "$2"
}

# lasting FILE: of "ADDRESS WORDS…" and "VERSION ROUTE", those that nobody gives and takes away: no lease, no router.
lasting() { grep -Ev ' (valid_lft [0-9]|expires [0-9]|proto (ra|dhcp|redirect))' "$1" || [ $? -eq 1 ]; }

# read_moved VARIABLE BRIDGE: the NIC; with what is missing on the bridge, or is on the NIC (again), where something is; "none" where nothing was moved.
read_moved() {
	local moved_at moved_nic moved_addresses moved_routes moved_answer
	if ! read_moved_folder moved_at "$2" || [ -e "$moved_at/given-back" ] || [ ! -e "$moved_at/addresses" ]; then
		give "$1" none
		return 0
	fi
	read -r moved_nic <"$moved_at/uplink" && moved_addresses=$(ip -o address show) && read_routes_of moved_routes "$2" || return 1
	moved_answer=$(
		awk -v bridge="$2" -v nic="$moved_nic" "$ADDRESSES_AND_ROUTES"'
			at == "addresses" { wanted[++n] = $1; next }
			at == "routes" { wanted[++n] = route_key($0); next }
			/^[0-9]+: / {
				if ((line = address_of(bridge)) != "") { sub(/ .*/, "", line); has[line] }
				if ((line = address_of(nic)) != "") { sub(/ .*/, "", line); back = back "," line }
				next
			}
			(line = route()) != "" { has[route_key(version() " " line)] }
			END {
				for (i = 1; i <= n; i++) {
					if (wanted[i] in has) continue
					sub(/^[46] /, "", wanted[i])
					sub(/ .*/, "", wanted[i])
					lacks = lacks "," wanted[i]
				}
				print nic (back == "" ? "" : ":has:" substr(back, 2)) (lacks == "" ? "" : ":lacks:" substr(lacks, 2))
			}' at=addresses "$moved_at/addresses" at=routes "$moved_at/routes" at=now - <<-NOW
				$moved_addresses
				$moved_routes
			NOW
	) && [ -n "$moved_answer" ] || return 1
	give "$1" "$moved_answer"
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

# moved_set BRIDGE NIC|none
moved_set() {
	local folder found nic version
	folder=$T/moved/$1
	if [ "$2" = none ]; then
		read_moved_folder found "$1" && read -r nic <"$found/uplink" && moved_open "$1" "$nic" && moved_look "$T/moving" "$1" "$nic" ||
			return 1
		# A bridge that somebody has deleted has nothing any more.
		[ -e "/sys/class/net/$1" ] || moved_recall "$folder" "$T/moving/$1" || return 1
		moved_join "$T/moving" "$1" "$nic" && moved_make "$T/moving" "$1" "$1" "$nic" || return 1
		true >"$folder/given-back" || return 1
		return 0
	fi
	moved_open "$1" "$2" && rm -f "$folder/given-back" && moved_look "$T/moving" "$1" "$2" || return 1
	if [ ! -e "$folder/addresses" ]; then
		for version in 4 6; do sed "s/^/$version /" "$T/moving/$2.$version" || return 1; done >"$T/moving/routes" || return 1
		lasting "$T/moving/routes" >"$folder/routes" && lasting "$T/moving/$2.addresses" >"$folder/addresses.new" &&
			mv "$folder/addresses.new" "$folder/addresses" || return 1
		moved_sysctls "$2" "$1"
	else
		# What was lost since.
		moved_recall "$folder" "$T/moving/$2" || return 1
	fi
	moved_join "$T/moving" "$2" "$1" && moved_make "$T/moving" "$2" "$1" "$2"
}

# moved_recall FOLDER FILES: to the FILES of a look, what was moved then.
moved_recall() {
	local version
	cat "$1/addresses" >>"$2.addresses" || return 1
	for version in 4 6; do sed -n "s/^$version //p" "$1/routes" >>"$2.$version" || return 1; done
}

# moved_look FOLDER DEVICE…: what each has, in files DEVICE.addresses, DEVICE.4, DEVICE.6. Of routes, those without a next hop first, for others are
# reached by them.
moved_look() {
	local looked device addresses routes lists
	looked=$1
	shift
	mkdir -p "$looked" && addresses=$(ip -o address show) || return 1
	for device in "$@"; do
		read_routes_of routes "$device" && lists=$(
			awk -v device="$device" -v ends="$LIST_ENDS" "$ADDRESSES_AND_ROUTES"'
				/^[0-9]+: / { if ((line = address_of(device)) != "") addresses = addresses line "\n"; next }
				(line = route()) == "" { next }
				/ via / { later[version()] = later[version()] line "\n"; next }
				{ first[version()] = first[version()] line "\n" }
				END { printf "%s", addresses ends first[4] later[4] ends first[6] later[6] ends }' <<-NOW
					$addresses
					$routes
				NOW
		) && moved_write "$looked/$device" "$lists" || return 1
	done
}

# What stands behind each list of moved_write.
LIST_ENDS='list ends here'

# moved_write FILES LISTS: the three lists to FILES.addresses, FILES.4 and FILES.6. By the shell, which says so where a disk is full.
moved_write() {
	local what left
	left=$2
	for what in addresses 4 6; do
		# Half a look is none.
		case $left in *"$LIST_ENDS"*) ;; *) return 1 ;; esac
		printf '%s' "${left%%"$LIST_ENDS"*}" >"$1.$what" || return 1
		left=${left#*"$LIST_ENDS"}
	done
}

# moved_join FOLDER FROM TO: what FROM has is TO's too, and FROM has nothing.
moved_join() {
	local lists none
	lists=$(awk -v ends="$LIST_ENDS" '
		!seen[at, at == "addresses" ? $1 : $0]++ { list[at] = list[at] $0 "\n" }
		END { printf "%s", list["addresses"] ends list[4] ends list[6] ends }' at=addresses "$1/$3.addresses" "$1/$2.addresses" at=4 "$1/$3.4" "$1/$2.4" at=6 "$1/$3.6" "$1/$2.6") &&
		none=$LIST_ENDS$LIST_ENDS$LIST_ENDS && moved_write "$1/$3" "$lists" && moved_write "$1/$2" "$none"
}

# moved_make FOLDER LOSING DEVICE DEVICE: both have just that; only LOSING, one of them or "both", has something taken away, for the
# other's may be what another program gives it at this moment. What comes is there before what goes, so that a connection finds its
# address at every moment; a route goes and comes within one call of ip.
moved_make() {
	local wanted pass todo batch version
	wanted=$1
	# More than once: a primary address takes the others of its network away with it.
	for pass in 1 2 3 4 5 6 7 8; do
		moved_look "$wanted/now" "$3" "$4" || return 1
		todo=
		for version in 4 6; do
			batch=$(moved_batch "$wanted" "$version" "$2" "$3" "$4") || return 1
			[ -n "$batch" ] || continue
			todo=yes
			ip "-$version" -force -batch - 2>"$wanted/batch.err" <<-BATCH || :
				$batch
			BATCH
		done
		[ -n "$todo" ] || return 0
		[ "$pass" -lt 3 ] || sleep 0.3
	done
}

# The functions by which moved_batch writes what ip is to do with one device, by what it is to have (want, wants, wanted) and what it has (stands, has, had).
# shellcheck disable=SC2016
MOVES='
	# A route is the same however long it still lives.
	function key(kind, line) {
		if (kind == "address") sub(/ .*/, "", line); else sub(/ expires [0-9]+/, "", line)
		return line
	}
	function loses(device) { return losing == "both" || losing == device }
	function come(device,  n, i, line) {
		n = wanted[device, "address"]
		for (i = 1; i <= n; i++) {
			# The kernel puts each IPv6 address before those that it has.
			line = want[device, "address", version == 4 ? i : n + 1 - i]
			if ((device, "address", key("address", line)) in has) continue
			if (version == 6 && line !~ / nodad( |$)/) line = line " nodad"
			sub(/ label @/, " label " device, line)
			print "address add " line " dev " device
		}
	}
	function routes_go(device,  i, line) {
		for (i = 1; i <= had[device, "route"]; i++) {
			line = key("route", stands[device, "route", i])
			if (!((device, "route", line) in wants)) print "route delete " line " dev " device
		}
	}
	function routes_come(device,  i, line) {
		for (i = 1; i <= wanted[device, "route"]; i++) {
			line = want[device, "route", i]
			if (!((device, "route", key("route", line)) in has)) print "route add " line " dev " device
		}
	}
	function addresses_go(device,  i, word) {
		for (i = 1; i <= had[device, "address"]; i++) {
			split(stands[device, "address", i], word, " ")
			if (!((device, "address", word[1]) in wants)) print "address delete " word[1] (word[2] == "peer" ? " peer " word[3] : "") " dev " device
		}
	}
	function settle(device,  i, line) {
		for (i = 1; i <= wanted[device, "address"]; i++) {
			line = want[device, "address", i]
			if (!((device, "address", key("address", line)) in has) && line !~ / nodad( |$)/) print "address change " line " dev " device
		}
	}'

# moved_batch FOLDER VERSION LOSING DEVICE DEVICE: what ip is to do, in this order: addresses come, routes go and come, addresses go. No address
# is looked for a second time (nodad): the link is the same one, and for that second it would not work. Those of IPv6 that were to be looked
# for are changed to that when they are there.
moved_batch() {
	local folder version losing one other device
	folder=$1 version=$2 losing=$3 one=$4 other=$5
	set --
	for device in "$one" "$other"; do
		set -- "$@" "device=$device" kind=address now=1 "$folder/now/$device.addresses" now=0 "$folder/$device.addresses" \
			kind=route now=1 "$folder/now/$device.$version" now=0 "$folder/$device.$version"
	done
	awk -v version="$version" -v losing="$losing" -v one="$one" -v other="$other" "$MOVES"'
		kind == "address" && (version == 6) != (index($1, ":") > 0) { next }
		now { has[device, kind, key(kind, $0)]; stands[device, kind, ++had[device, kind]] = $0; next }
		{ wants[device, kind, key(kind, $0)]; want[device, kind, ++wanted[device, kind]] = $0 }
		END {
			come(one)
			come(other)
			if (loses(one)) routes_go(one)
			if (loses(other)) routes_go(other)
			routes_come(one)
			routes_come(other)
			if (loses(one)) addresses_go(one)
			if (version == 6) settle(one)
			if (loses(other)) addresses_go(other)
			if (version == 6) settle(other)
		}' "$@"
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
	[ "$nic" != none ] || { read_moved_folder folder "$1" && read -r nic <"$folder/uplink"; } || return 1
	moved_look "$T/kept/$1" "$1" "$nic" && sysctls_of "$1" >"$T/kept/$1/sysctls" && echo "$nic" >"$T/kept/$1/nic"
}

# moved_undo BRIDGE: addresses and routes of both as they were; after a reboot they are what boot makes of them.
moved_undo() {
	local nic boot booted
	[ -e "$T/kept/$1/nic" ] || return 0
	read -r nic <"$T/kept/$1/nic" && read -r _ boot <"$T/until" && read -r booted </proc/sys/kernel/random/boot_id || return 1
	[ "$boot" = "$booted" ] || return 0
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
	local folder had routes
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
	routes=$(ip -o route show table all) || return 1
	awk -v nic="$2" '
		index($0 " ", " dev " nic " ") == 0 { next }
		/nexthop/ && !several++ { print "moveAddresses: a route by several next hops leads out of " nic ", which is not moved yet" }
		/ nhid / && !object++ { print "moveAddresses: a route out of " nic " is made of a nexthop object, which is not moved yet" }' <<-ROUTES || return 1
			$routes
		ROUTES
	configured_reason "$1" "$2"
}
