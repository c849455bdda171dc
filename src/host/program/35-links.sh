# --- links: the attributes of bridges, their ports, and what is set on them -----------------------------------------------
# As the kernel has them: in files below /sys and /proc where it shows them so, else by iproute2. Called by 34-held for each attribute of a
# device, hundreds of times in one look, so that what is a file is read without a process. Leaves nothing on disk. The build writes the lines in which
# each attribute has its file, and what the kernel begins with, from src/core/links/attributes.ts.

# link_file COMMAND DEVICE ATTRIBUTE [VALUE]: has the command done with the file in which the kernel shows the attribute, and with the value.
# Status 2, and nothing done, for what only iproute2 knows.
link_file() {
	case $3 in
	# @LINK_FILES@
	*) return 2 ;;
	esac
}

# link_read FILE: what the kernel shows there; "-" where it has no such file.
link_read() {
	local value
	value=-
	# A sysctl gives the first character only to a shell that reads one by one, and then its end; they have one digit.
	[ ! -e "$1" ] || read -r value <"$1" || : "${value:=-}"
	echo "$value"
}

# link_write FILE VALUE
link_write() {
	[ -e "$1" ] || {
		echo "this kernel has no ${1##*/} here" >&2
		return 1
	}
	# The shell's own complaint about a value that the kernel refuses.
	printf '%s\n' "$2" >"$1" || return 1
}

# link_get DEVICE ATTRIBUTE: how it stands; "-" where there is no such thing.
link_get() {
	local flags status
	case $2 in
	carries)
		moved_get "$1"
		return
		;;
	configured_as)
		configured_get "$1"
		return
		;;
	esac
	[ -e "/sys/class/net/$1" ] || {
		echo -
		return 0
	}
	link_file link_read "$1" "$2"
	status=$?
	[ "$status" -eq 2 ] || return "$status"
	case $2 in
	is) if [ -d "/sys/class/net/$1/bridge" ]; then echo bridge; else echo other; fi ;;
	# It may go at this moment.
	up) if read -r flags <"/sys/class/net/$1/flags"; then echo $((flags & 1)); else echo -; fi ;;
	address) link_read "/sys/class/net/$1/address" ;;
	address_of) link_get_address_of "$1" ;;
	master) link_get_master "$1" ;;
	addresses) link_get_addresses "$1" | link_joined ;;
	gateway) ip -4 route show default dev "$1" | sed -n 's/.* via \([^ ]*\).*/\1/p;q' | link_joined ;;
	gateway6) ip -6 route show default dev "$1" proto static | sed -n 's/.* via \([^ ]*\).*/\1/p;q' | link_joined ;;
	vlans) link_get_vlans "$1" | link_joined ;;
	*) echo - ;;
	esac
}

# link_joined: the lines from stdin with commas; "none" where there are none. By builtins: a list is short.
link_joined() {
	local line list
	list=
	while read -r line; do list=$list${list:+,}$line; done
	echo "${list:-none}"
}

# link_list LIST: a list with commas, one a line; nothing for "none".
link_list() { [ "$1" = none ] || printf '%s\n' "$1" | tr , '\n'; }

# link_get_address_of DEVICE: the NIC whose address it has, by what was written down when addresses were moved; else its own address.
link_get_address_of() {
	local address folder nic
	address=$(link_read "/sys/class/net/$1/address") || return 1
	if folder=$(moved_folder "$1") && read -r nic <"$folder/uplink" && grep -qsx "$address" "/sys/class/net/$nic/address"; then echo "$nic"; else echo "$address"; fi
}

# link_get_master DEVICE: the bridge that it is a port of, or "none".
link_get_master() {
	local key value master
	master=none
	[ ! -e "/sys/class/net/$1/master/uevent" ] || while IFS='=' read -r key value; do
		[ "$key" != INTERFACE ] || master=$value
	done <"/sys/class/net/$1/master/uevent"
	echo "$master"
}

# link_get_addresses DEVICE: one a line, less those that a lease or a router has given.
link_get_addresses() { ip -o address show dev "$1" scope global -dynamic | awk '$3 ~ /^inet/ { print $4 }' | sort; }

# link_get_vlans DEVICE: "VID:pvid:untagged" a line.
link_get_vlans() {
	bridge vlan show dev "$1" 2>/dev/null | awk '
		NR > 1 {
			if ($1 !~ /^[0-9]+(-[0-9]+)?$/) $1 = ""
			$0 = $0; $1 = $1
			if ($1 != "") print $1 (/PVID/ ? ":pvid" : "") (/Untagged/ ? ":untagged" : "")
		}'
}

# link_default ATTRIBUTE: what the kernel begins with, for what was not there when it was first held.
link_default() {
	case $1 in
	# @LINK_FIRST@
	*) echo - ;;
	esac
}

# link_set DEVICE ATTRIBUTE VALUE: complains on standard error when it cannot.
link_set() {
	local status
	link_file link_write "$@"
	status=$?
	[ "$status" -eq 2 ] || return "$status"
	case $2:$3 in
	is:bridge) link_add_bridge "$1" ;;
	is:*) ip link delete dev "$1" ;;
	up:1) ip link set dev "$1" up ;;
	up:0) ip link set dev "$1" down ;;
	address:-) ;;
	address:* | address_of:*:*) ip link set dev "$1" address "$3" ;;
	address_of:*) ip link set dev "$1" address "$(cat "/sys/class/net/$3/address")" ;;
	carries:*) moved_set "$1" "$3" ;;
	configured_as:*) configured_set "$1" "$3" ;;
	master:none) ip link set dev "$1" nomaster ;;
	master:*) ip link set dev "$1" master "$3" ;;
	addresses:*) link_set_addresses "$1" "$3" ;;
	gateway:*) link_set_gateway 4 "$1" "$3" ;;
	gateway6:*) link_set_gateway 6 "$1" "$3" ;;
	vlans:*) link_set_vlans "$1" "$3" ;;
	esac
}

# link_add_bridge BRIDGE: with the address that it had of its uplink, which at boot may come later: the kernel makes the bridge's link-local
# address of it.
link_add_bridge() {
	local address
	address=
	[ ! -e "$VAR/found/moved/$1/mac" ] || read -r address <"$VAR/found/moved/$1/mac"
	ip link add name "$1" ${address:+address "$address"} type bridge
}

# link_set_addresses DEVICE LIST
link_set_addresses() {
	local stands address
	# Twice: a primary address takes the other addresses of its network away with it.
	for _ in 1 2; do
		stands=$(link_get "$1" addresses) || return 1
		for address in $(link_list "$2"); do
			case ",$stands," in *",$address,"*) continue ;; esac
			case $address in
			*:*) ip address add "$address" dev "$1" || return 1 ;;
			*) ip address add "$address" brd + dev "$1" || return 1 ;;
			esac
		done
		for address in $(link_list "$stands"); do
			case ",$2," in *",$address,"*) ;; *) ip address delete "$address" dev "$1" 2>/dev/null || : ;; esac
		done
	done
}

# link_set_gateway VERSION DEVICE GATEWAY|none
link_set_gateway() {
	local other
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

# link_set_vlans DEVICE LIST
link_set_vlans() {
	local stands vlan
	stands=$(link_get "$1" vlans) || return 1
	for vlan in $(link_list "$stands"); do
		case ",$2," in *",$vlan,"*) ;; *) bridge vlan delete dev "$1" vid "${vlan%%:*}" || return 1 ;; esac
	done
	for vlan in $(link_list "$2"); do
		case ",$stands," in *",$vlan,"*) continue ;; esac
		# A vid and iproute2's own words behind it: ":pvid:untagged".
		# shellcheck disable=SC2046
		bridge vlan add dev "$1" vid $(printf '%s' "$vlan" | tr : ' ') || return 1
	done
}

# link_waits DEVICE ATTRIBUTE VALUE: what it needs is not there yet: its device, its bridge, its place in a bridge. Or there is nothing
# to switch off: a host without IPv6, a kernel without VLANs.
link_waits() {
	case $2 in
	is | configured_as) return 1 ;;
	address_of | carries) [ ! -e "/sys/class/net/$3" ] ;;
	master) [ ! -e "/sys/class/net/$1" ] || [ ! -d "/sys/class/net/$3/bridge" ] ;;
	disable_ipv6) [ ! -d "/sys/class/net/$1" ] || { [ "$3" = 1 ] && [ ! -e "/proc/sys/net/ipv6/conf/$1/disable_ipv6" ]; } ;;
	vlan_filtering) [ ! -d "/sys/class/net/$1" ] || { [ "$3" = 0 ] && [ ! -e "/sys/class/net/$1/bridge/vlan_filtering" ]; } ;;
	*) if is_port_attribute "$2"; then [ ! -d "/sys/class/net/$1/brport" ] && [ ! -d "/sys/class/net/$1/bridge" ]; else [ ! -e "/sys/class/net/$1" ]; fi ;;
	esac
}

# is_port_attribute ATTRIBUTE: a port loses it when it leaves its bridge.
is_port_attribute() {
	case $1 in
	# @PORT_ATTRIBUTES@
	*) return 1 ;;
	esac
}

# port_notes NUMBER DEVICE BRIDGE: "NUMBER said TEXT" for each rule of ours that judges what the host routes out of or in by the device, which will
# be the bridge's. Not a refusal: whoever wants both has to begin with the bridge.
port_notes() {
	local file from
	for file in "$ETC"/nft/inet-drawbridge/*.nft; do
		[ -e "$file" ] || continue
		grep -q "^# attach [a-z]* $2 " "$file" || continue
		from=$(header "$file" from)
		echo "$1 said the rules of ${from#* } are about $2 by itself, and routed packets do not meet them any more now that it is a port of $3; write \`{ interface: \"$2\", bridge: \"$3\" }\` as their \`uplink\`, or $3 as their \`interface\`"
	done
}

# bridge_free NUMBER BRIDGE: a bridge that is to go loses the ports that are held by ours; fails, and says so, when there are others.
bridge_free() {
	local port foreign said
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
		[ ! -e "$port" ] || held_change said "${port##*/}" master none
	done
}

# --- what the host says of its own network ---

# configured_devices: "configured DEVICE FILE" for what the host's own network configuration names, less what is ours.
configured_devices() {
	local file device
	for file in /etc/network/interfaces /etc/network/interfaces.d/* /etc/systemd/network/*.network /etc/systemd/network/*.netdev; do
		[ -f "$file" ] || continue
		! is_ours "$file" || continue
		sed -n -e 's/^[[:space:]]*iface[[:space:]]\{1,\}\([^[:space:]*?]*\)[[:space:]].*/\1/p' -e 's/^Name=\([^[:space:]*?]*\)$/\1/p' "$file" |
			while read -r device; do [ -e "$VAR/found/moved/$device" ] || printf 'configured %s %s\n' "$device" "$file"; done
	done
}

# default_routes: "default VERSION DEVICE GATEWAY" a line.
default_routes() {
	local version
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
	local address
	[ -e "$T/addresses.$1" ] || return 0
	for address in $(link_list "$3"); do
		case ",$2," in *",$address,"*) ;; *) ip address delete "$address" dev "$1" 2>/dev/null || : ;; esac
	done
	ip address restore <"$T/addresses.$1" 2>/dev/null || :
}

# routes: "VERSION ROUTE" a line, less those that come from others by themselves.
routes() {
	local version
	for version in 4 6; do ip "-$version" route show 2>/dev/null | grep -Ev ' proto (kernel|ra|dhcp) ' | sed "s/ linkdown//; s/^/$version /"; done
}

# links_undo_routes: those that went with what the transaction changed.
links_undo_routes() {
	local version route
	[ -s "$T/routes.lost" ] || return 0
	while read -r version route; do
		# What the kernel prints as words, it takes as words.
		# shellcheck disable=SC2086
		ip "-$version" route add $route 2>/dev/null || :
	done <"$T/routes.lost"
}
