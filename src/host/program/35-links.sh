# --- links: the words of bridges, their ports, and what is set on them ------------------------------------------------

# link_place DEVICE WORD: where the kernel shows it as a file, into $place; fails for what only iproute2 knows.
link_place() {
	place=
	case $2 in
	stp_state | forward_delay | hello_time | max_age | ageing_time | priority | vlan_filtering) place=/sys/class/net/$1/bridge/$2 ;;
	isolated | learning | unicast_flood | hairpin_mode | bpdu_guard | path_cost) place=/sys/class/net/$1/brport/$2 ;;
	port_priority) place=/sys/class/net/$1/brport/priority ;;
	arp_ignore) place=/proc/sys/net/ipv4/conf/$1/arp_ignore ;;
	disable_ipv6) place=/proc/sys/net/ipv6/conf/$1/disable_ipv6 ;;
	*) return 1 ;;
	esac
}

# link_get DEVICE WORD: how it stands, into $got; "-" where there is no such thing.
link_get() {
	got=-
	case $2 in
	carries) moved_get "$1" && return ;;
	configured_as) configured_get "$1" && return ;;
	esac
	sys=/sys/class/net/$1
	[ -e "$sys" ] || return 0
	if link_place "$1" "$2"; then
		# A sysctl gives the first character only to a shell that reads one by one, and then its end; they have one digit.
		[ ! -e "$place" ] || read -r got <"$place" || : "${got:=-}"
		return 0
	fi
	case $2 in
	is) if [ -d "$sys/bridge" ]; then got=bridge; else got=other; fi ;;
	up) read -r got <"$sys/flags" && got=$((got & 1)) ;;
	address) read -r got <"$sys/address" ;;
	address_of)
		read -r got <"$sys/address"
		moved_folder "$1" && read -r nic <"$moved/uplink" && grep -qsx "$got" "/sys/class/net/$nic/address" && got=$nic
		;;
	master)
		got=none
		[ ! -e "$sys/master/uevent" ] || while IFS='=' read -r fact content; do
			[ "$fact" != INTERFACE ] || got=$content
		done <"$sys/master/uevent"
		;;
	addresses) got=$(ip -o address show dev "$1" scope global -dynamic | awk '$3 ~ /^inet/ { print $4 }' | sort | tr '\n' ,) ;;
	gateway) got=$(ip -4 route show default dev "$1" | sed -n 's/.* via \([^ ]*\).*/\1/p;q') ;;
	gateway6) got=$(ip -6 route show default dev "$1" proto static | sed -n 's/.* via \([^ ]*\).*/\1/p;q') ;;
	vlans)
		got=$(bridge vlan show dev "$1" 2>/dev/null | awk '
			NR > 1 {
				if ($1 !~ /^[0-9]+(-[0-9]+)?$/) $1 = ""
				$0 = $0; $1 = $1
				if ($1 != "") print $1 (/PVID/ ? ":pvid" : "") (/Untagged/ ? ":untagged" : "")
			}' | tr '\n' ,)
		;;
	esac
	got=${got%,}
	: "${got:=none}"
}

# link_default WORD: what the kernel begins with, into $got; for what was not there when it was first held.
link_default() {
	case $1 in
	is) got=- ;;
	master | addresses | gateway | gateway6 | carries | configured_as) got=none ;;
	stp_state | vlan_filtering | arp_ignore | disable_ipv6 | isolated | hairpin_mode | bpdu_guard) got=0 ;;
	learning | unicast_flood) got=1 ;;
	forward_delay) got=1500 ;;
	hello_time) got=200 ;;
	max_age) got=2000 ;;
	ageing_time) got=30000 ;;
	priority) got=32768 ;;
	port_priority) got=32 ;;
	path_cost) got=100 ;;
	vlans) got=1:pvid:untagged ;;
	*) got=- ;;
	esac
}

# link_set DEVICE WORD VALUE: complains on standard error when it cannot.
link_set() {
	if link_place "$1" "$2"; then
		[ -e "$place" ] || {
			echo "this kernel has no $2 for $1" >&2
			return 1
		}
		# The shell's own complaint about a value that the kernel refuses.
		printf '%s\n' "$3" >"$place"
		return
	fi
	case $2 in
	is) if [ "$3" = bridge ]; then link_add_bridge "$1"; else ip link delete dev "$1"; fi ;;
	up) if [ "$3" = 1 ]; then ip link set dev "$1" up; elif [ "$3" = 0 ]; then ip link set dev "$1" down; fi ;;
	address) [ "$3" = - ] || ip link set dev "$1" address "$3" ;;
	address_of) case $3 in *:*) ip link set dev "$1" address "$3" ;; *) ip link set dev "$1" address "$(cat "/sys/class/net/$3/address")" ;; esac ;;
	carries) moved_set "$1" "$3" ;;
	configured_as) configured_set "$1" "$3" ;;
	master) if [ "$3" = none ]; then ip link set dev "$1" nomaster; else ip link set dev "$1" master "$3"; fi ;;
	addresses) link_set_addresses "$1" "$3" ;;
	gateway) link_set_gateway 4 "$1" "$3" ;;
	gateway6) link_set_gateway 6 "$1" "$3" ;;
	vlans) link_set_vlans "$1" "$3" ;;
	esac
}

# link_add_bridge BRIDGE: with the address that it had of its uplink, which at boot may come later: the kernel makes the bridge's link-local
# address of it.
link_add_bridge() {
	address=
	[ ! -e "$VAR/found/moved/$1/mac" ] || read -r address <"$VAR/found/moved/$1/mac"
	ip link add name "$1" ${address:+address "$address"} type bridge
}

# link_list LIST: a list with commas, one a line; nothing for "none".
link_list() { [ "$1" = none ] || printf '%s\n' "$1" | tr , '\n'; }

link_set_addresses() {
	# Twice: a primary address takes the other addresses of its network away with it.
	for _ in 1 2; do
		link_get "$1" addresses
		for address in $(link_list "$2"); do
			case ",$got," in *",$address,"*) continue ;; esac
			case $address in
			*:*) ip address add "$address" dev "$1" || return 1 ;;
			*) ip address add "$address" brd + dev "$1" || return 1 ;;
			esac
		done
		for address in $(link_list "$got"); do
			case ",$2," in *",$address,"*) ;; *) ip address delete "$address" dev "$1" 2>/dev/null || : ;; esac
		done
	done
}

link_set_gateway() {
	if [ "$3" = none ]; then
		ip "-$1" route delete default dev "$2"
		return
	fi
	# `replace` asks only for the metric, and would take another interface's route away.
	other=$(ip "-$1" route show default | grep -v " dev $2 " | head -n 1)
	[ -z "$other" ] || {
		echo "the host has another default route already: $other" >&2
		return 1
	}
	ip "-$1" route replace default via "$3" dev "$2" proto static
}

link_set_vlans() {
	link_get "$1" vlans
	for vlan in $(link_list "$got"); do
		case ",$2," in *",$vlan,"*) ;; *) bridge vlan delete dev "$1" vid "${vlan%%:*}" || return 1 ;; esac
	done
	for vlan in $(link_list "$2"); do
		case ",$got," in *",$vlan,"*) continue ;; esac
		# A vid and iproute2's own words behind it: ":pvid:untagged".
		# shellcheck disable=SC2046
		bridge vlan add dev "$1" vid $(printf '%s' "$vlan" | tr : ' ') || return 1
	done
}

# link_waits DEVICE WORD VALUE: what it needs is not there yet: its device, its bridge, its place in a bridge. Or there is nothing
# to switch off: a host without IPv6, a kernel without VLANs.
link_waits() {
	case $2 in
	is | configured_as) return 1 ;;
	address_of | carries) [ ! -e "/sys/class/net/$3" ] ;;
	master) [ ! -e "/sys/class/net/$1" ] || [ ! -d "/sys/class/net/$3/bridge" ] ;;
	isolated | learning | unicast_flood | hairpin_mode | bpdu_guard | path_cost | port_priority | vlans)
		[ ! -d "/sys/class/net/$1/brport" ] && [ ! -d "/sys/class/net/$1/bridge" ]
		;;
	disable_ipv6) [ ! -d "/sys/class/net/$1" ] || { [ "$3" = 1 ] && [ ! -e "/proc/sys/net/ipv6/conf/$1/disable_ipv6" ]; } ;;
	vlan_filtering) [ ! -d "/sys/class/net/$1" ] || { [ "$3" = 0 ] && [ ! -e "/sys/class/net/$1/bridge/vlan_filtering" ]; } ;;
	*) [ ! -e "/sys/class/net/$1" ] ;;
	esac
}

# port_notes NUMBER DEVICE BRIDGE: "NUMBER said TEXT" for each rule of ours that judges what the host routes out of or in by the device, which will
# be the bridge's. Not a refusal: whoever wants both has to begin with the bridge.
port_notes() {
	for file in "$ETC"/nft/inet-drawbridge/*.nft; do
		[ -e "$file" ] || continue
		grep -q "^# attach [a-z]* $2 " "$file" || continue
		header_of "$file" from
		echo "$1 said the rules of ${found#* } are about $2 by itself, and routed packets do not meet them any more now that it is a port of $3; write \`{ interface: \"$2\", bridge: \"$3\" }\` as their \`uplink\`, or $3 as their \`interface\`"
	done
}

# bridge_free NUMBER BRIDGE: a bridge that is to go loses the ports that are held by ours; fails, and says so, when there are others.
bridge_free() {
	foreign=
	for port in /sys/class/net/"$2"/brif/*; do
		[ -e "$port" ] || continue
		port=${port##*/}
		grep -q "^$port master $2\$" "$T/links.others" || grep -q "^[0-9]* $port master $2\$" "$T/links.put" "$T/links.drop" || foreign="$foreign $port"
	done
	if [ -n "$foreign" ]; then
		echo "$1 kept the bridge $2: it has ports that are not ours:$foreign" >>"$T/notes"
		return 1
	fi
	for port in /sys/class/net/"$2"/brif/*; do
		[ ! -e "$port" ] || held_change "${port##*/}" master none >/dev/null
	done
}

# --- what the host says of its own network ---

# configured_devices: "configured DEVICE FILE" for what the host's own network configuration names, less what is ours.
configured_devices() {
	for file in /etc/network/interfaces /etc/network/interfaces.d/* /etc/systemd/network/*.network /etc/systemd/network/*.netdev; do
		[ -f "$file" ] || continue
		! is_ours "$file" || continue
		sed -n -e 's/^[[:space:]]*iface[[:space:]]\{1,\}\([^[:space:]*?]*\)[[:space:]].*/\1/p' -e 's/^Name=\([^[:space:]*?]*\)$/\1/p' "$file" |
			while read -r device; do [ -e "$VAR/found/moved/$device" ] || printf 'configured %s %s\n' "$device" "$file"; done
	done
}

# default_routes: "default VERSION DEVICE GATEWAY" a line.
default_routes() {
	for version in 4 6; do
		ip "-$version" route show default 2>/dev/null | sed -n "s/.* via \\([^ ]*\\) dev \\([^ ]*\\) .*/default $version \\2 \\1/p"
	done
}

# interfaces_sourced: whether ifupdown reads interfaces.d.
interfaces_sourced() { grep -Eqs '^[[:space:]]*source(-directory)?[[:space:]]+(/etc/network/)?interfaces\.d' /etc/network/interfaces; }

# network_configuration: who configures the host's addresses.
network_configuration() {
	if [ -L /etc/systemd/system/multi-user.target.wants/systemd-networkd.service ]; then
		echo systemd-networkd
	elif [ -L /etc/systemd/system/multi-user.target.wants/NetworkManager.service ]; then
		echo NetworkManager
	elif have ifup && interfaces_sourced; then
		echo ifupdown
	else
		echo unknown
	fi
}

# links_undo_addresses DEVICE BEFORE AFTER: with all that an address carries beside its prefix. The new ones go first, since a primary
# address takes the others of its network away.
links_undo_addresses() {
	[ -e "$T/addresses.$1" ] || return 0
	for address in $(link_list "$3"); do
		case ",$2," in *",$address,"*) ;; *) ip address delete "$address" dev "$1" 2>/dev/null || : ;; esac
	done
	ip address restore <"$T/addresses.$1" 2>/dev/null || :
}

# routes: "VERSION ROUTE" a line, less those that come from others by themselves.
routes() {
	for version in 4 6; do ip "-$version" route show 2>/dev/null | grep -Ev ' proto (kernel|ra|dhcp) ' | sed "s/ linkdown//; s/^/$version /"; done
}

# links_undo_routes: those that went with what the transaction changed.
links_undo_routes() {
	[ -s "$T/routes.lost" ] || return 0
	while read -r version route; do
		# What the kernel prints as words, it takes as words.
		# shellcheck disable=SC2086
		ip "-$version" route add $route 2>/dev/null || :
	done <"$T/routes.lost"
}
