# --- links: the attributes of bridges, their ports, and what is set on them -----------------------------------------------
# As the kernel has them: in files below /sys and /proc where it shows them so, else by iproute2. Called by 34-held for each attribute of a
# device, hundreds of times in one look, so that what is a file is read without a process. Leaves nothing on disk. The build writes the lines in which
# each attribute has its file, and what the kernel begins with, from src/core/links/attributes.ts.

# read_link_file VARIABLE DEVICE ATTRIBUTE: the file in which the kernel shows and takes the attribute, into the variable; nothing for what only
# iproute2 knows.
read_link_file() {
	case $3 in
	# @LINK_FILES@
	*) set -- "$1" "" ;;
	esac
	give "$1" "$2"
}

# read_kernel_file VARIABLE FILE: what the kernel shows there, into the variable; "-" where it has no such file.
read_kernel_file() {
	local kernel_value
	kernel_value=-
	# A sysctl gives the first character only to a shell that reads one by one, and then its end; they have one digit.
	[ ! -e "$2" ] || read -r kernel_value <"$2" || : "${kernel_value:=-}"
	give "$1" "$kernel_value"
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

# read_link VARIABLE DEVICE ATTRIBUTE: how it stands, into the variable; "-" where there is no such thing.
read_link() {
	local link_kernel_file
	case $3 in
	carries)
		read_moved "$1" "$2"
		return
		;;
	configured_as)
		read_configured "$1" "$2"
		return
		;;
	esac
	[ -e "/sys/class/net/$2" ] || {
		give "$1" -
		return 0
	}
	read_link_file link_kernel_file "$2" "$3"
	case ${link_kernel_file:-$3} in
	/*) read_kernel_file "$1" "$link_kernel_file" ;;
	is) if [ -d "/sys/class/net/$2/bridge" ]; then give "$1" bridge; else give "$1" other; fi ;;
	up) read_link_up "$1" "$2" ;;
	address) read_kernel_file "$1" "/sys/class/net/$2/address" ;;
	address_of) read_link_address_of "$1" "$2" ;;
	master) read_link_master "$1" "$2" ;;
	addresses) read_link_addresses "$1" "$2" ;;
	gateway) read_link_gateway "$1" "$2" -4 ;;
	gateway6) read_link_gateway "$1" "$2" -6 proto static ;;
	vlans) read_link_vlans "$1" "$2" ;;
	*) give "$1" - ;;
	esac
}

# read_of_link VARIABLE DEVICE PROGRAM WORD…: what the program prints of the device, into the variable; nothing where the device goes at this moment.
# Fails where the program does: that it said nothing does not mean that there is nothing.
read_of_link() {
	local of_link_into of_link_device of_link_said
	of_link_into=$1 of_link_device=$2
	shift 2
	of_link_said=$("$@") || {
		[ ! -e "/sys/class/net/$of_link_device" ] || return 1
		of_link_said=
	}
	give "$of_link_into" "$of_link_said"
}

# read_words VARIABLE LIST: a list with commas, with blanks instead; nothing for "none".
read_words() {
	local IFS words_into
	words_into=$1
	[ "$2" != none ] || set -- "$1" ""
	IFS=,
	# shellcheck disable=SC2086
	set -- $2
	IFS=' '
	give "$words_into" "$*"
}

# link_list LIST: prints a list with commas, one a line; nothing for "none".
link_list() {
	local words
	read_words words "$1"
	# shellcheck disable=SC2086
	[ -z "$words" ] || printf '%s\n' $words
}

# read_link_up VARIABLE DEVICE: 1 or 0.
read_link_up() {
	local link_flags
	# It may go at this moment.
	if read -r link_flags <"/sys/class/net/$2/flags"; then set -- "$1" $((link_flags & 1)); else set -- "$1" -; fi
	give "$1" "$2"
}

# read_link_address_of VARIABLE DEVICE: the NIC whose address it has, by what was written down when addresses were moved; else its own address.
read_link_address_of() {
	local link_own link_folder link_nic link_theirs
	read_kernel_file link_own "/sys/class/net/$2/address"
	set -- "$1" "$2" "$link_own"
	if read_moved_folder link_folder "$2" && read -r link_nic <"$link_folder/uplink"; then
		read_kernel_file link_theirs "/sys/class/net/$link_nic/address"
		[ "$link_theirs" = - ] || [ "$link_theirs" != "$link_own" ] || set -- "$1" "$2" "$link_nic"
	fi
	give "$1" "$3"
}

# read_link_master VARIABLE DEVICE: the bridge that it is a port of, or "none".
read_link_master() {
	local master_key master_value master_name
	master_name=none
	[ ! -e "/sys/class/net/$2/master/uevent" ] || while IFS='=' read -r master_key master_value; do
		[ "$master_key" != INTERFACE ] || master_name=$master_value
	done <"/sys/class/net/$2/master/uevent"
	give "$1" "$master_name"
}

# read_link_addresses VARIABLE DEVICE: in order and with commas, less those that a lease or a router has given; "none" where there are none.
read_link_addresses() {
	local addresses_said addresses_all addresses_family addresses_one
	read_of_link addresses_said "$2" ip -o address show dev "$2" scope global -dynamic || return 1
	addresses_all=
	while read -r _ _ addresses_family addresses_one _; do
		case $addresses_family in inet*) addresses_all=$addresses_all${addresses_all:+$NEWLINE}$addresses_one ;; esac
	done <<-SAID
		$addresses_said
	SAID
	case $addresses_all in
	*"$NEWLINE"*)
		addresses_all=$(
			sort <<-ALL
				$addresses_all
			ALL
		) && [ -n "$addresses_all" ] || return 1
		;;
	esac
	# shellcheck disable=SC2086
	link_joined "$1" $addresses_all
}

# link_joined VARIABLE WORD…: the words with commas, into the variable; "none" where there are none.
link_joined() {
	local IFS joined_into
	joined_into=$1
	shift
	IFS=,
	if [ $# -eq 0 ]; then give "$joined_into" none; else give "$joined_into" "$*"; fi
}

# read_link_gateway VARIABLE DEVICE -4|-6 WORD…: the next hop of its first default route of that version, of those that the words select; or "none".
read_link_gateway() {
	local gateway_into gateway_said gateway_line gateway_hop
	gateway_into=$1 gateway_line=$2 gateway_hop=$3
	shift 3
	# Of all tables, for ip fails where it is asked for one that the kernel has not made yet. The main one has no name there.
	read_of_link gateway_said "$gateway_line" ip "$gateway_hop" -o route show table all default dev "$gateway_line" "$@" || return 1
	gateway_hop=none
	while read -r gateway_line; do
		case $gateway_line in
		'' | *' table '*) continue ;;
		*' via '*) gateway_hop=${gateway_line##*" via "} gateway_hop=${gateway_hop%% *} ;;
		esac
		break
	done <<-SAID
		$gateway_said
	SAID
	give "$gateway_into" "$gateway_hop"
}

# read_link_vlans VARIABLE DEVICE: "VID:pvid:untagged" each, with commas, or "none".
read_link_vlans() {
	local vlans_said vlans_all vlans_word vlans_begun
	read_of_link vlans_said "$2" bridge vlan show dev "$2" || return 1
	vlans_all='' vlans_begun=''
	# Behind the heading and the device stand, for each VLAN, its number and words.
	for vlans_word in $vlans_said; do
		case $vlans_begun:$vlans_word in
		":$2") vlans_begun=yes ;;
		yes:PVID) vlans_all=$vlans_all:pvid ;;
		yes:Untagged) vlans_all=$vlans_all:untagged ;;
		:* | yes:*[!0-9-]*) ;;
		*) vlans_all="$vlans_all $vlans_word" ;;
		esac
	done
	# shellcheck disable=SC2086
	link_joined "$1" $vlans_all
}

# read_link_default VARIABLE ATTRIBUTE: what the kernel begins with, into the variable, for what was not there when it was first held.
read_link_default() {
	case $2 in
	# @LINK_FIRST@
	*) set -- "$1" - ;;
	esac
	give "$1" "$2"
}

# link_set DEVICE ATTRIBUTE VALUE: complains on standard error when it cannot.
link_set() {
	local file address
	read_link_file file "$1" "$2"
	[ -z "$file" ] || {
		link_write "$file" "$3"
		return
	}
	case $2:$3 in
	is:bridge) link_add_bridge "$1" ;;
	is:*) ip link delete dev "$1" ;;
	up:1) ip link set dev "$1" up ;;
	up:0) ip link set dev "$1" down ;;
	address:-) ;;
	address:* | address_of:*:*) ip link set dev "$1" address "$3" ;;
	address_of:*) read -r address <"/sys/class/net/$3/address" && ip link set dev "$1" address "$address" ;;
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
	local has wanted address
	read_words wanted "$2"
	# Twice: a primary address takes the other addresses of its network away with it.
	for _ in 1 2; do
		read_link has "$1" addresses || return 1
		[ "$has" != "$2" ] || return 0
		for address in $wanted; do
			case ",$has," in *",$address,"*) continue ;; esac
			case $address in
			*:*) ip address add "$address" dev "$1" || return 1 ;;
			*) ip address add "$address" brd + dev "$1" || return 1 ;;
			esac
		done
		links_delete_addresses "$1" "$has" "$2"
	done
}

# links_delete_addresses DEVICE LIST BUT: those of the first list that the second one has not; one may have gone with another already.
links_delete_addresses() {
	local addresses address
	read_words addresses "$2"
	for address in $addresses; do
		case ",$3," in *",$address,"*) ;; *) ip address delete "$address" dev "$1" 2>/dev/null || : ;; esac
	done
}

# link_set_gateway VERSION DEVICE GATEWAY|none
link_set_gateway() {
	local said other
	if [ "$3" = none ]; then
		ip "-$1" route delete default dev "$2"
		return
	fi
	# `replace` asks only for the metric, and would take another interface's route away.
	said=$(ip "-$1" -o route show table all default) || return 1
	while read -r other; do
		case "$other " in ' ' | *' table '* | *" dev $2 "*) continue ;; esac
		echo "the host has another default route already: $other" >&2
		return 1
	done <<-SAID
		$said
	SAID
	ip "-$1" route replace default via "$3" dev "$2" proto static
}

# link_set_vlans DEVICE LIST
link_set_vlans() {
	local has vlans vlan
	read_link has "$1" vlans && read_words vlans "$has" || return 1
	for vlan in $vlans; do
		case ",$2," in *",$vlan,"*) ;; *) bridge vlan delete dev "$1" vid "${vlan%%:*}" || return 1 ;; esac
	done
	read_words vlans "$2"
	for vlan in $vlans; do
		case ",$has," in *",$vlan,"*) continue ;; esac
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
	local number device bridge files file from
	number=$1 device=$2 bridge=$3
	set -- "$ETC"/nft/inet-drawbridge/*.nft
	[ -e "$1" ] || return 0
	files=$(grep -l "^# attach [a-z]* $device " "$@") || [ $? -eq 1 ] || return 1
	# Paths are ours and carry no blank.
	for file in $files; do
		read_header from "$file" from
		echo "$number said the rules of ${from#* } are about $device by itself, and routed packets do not meet them any more now that it is a port of $bridge; write \`{ interface: \"$device\", bridge: \"$bridge\" }\` as their \`uplink\`, or $bridge as their \`interface\`"
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
	local file named device
	set --
	for file in /etc/network/interfaces /etc/network/interfaces.d/* /etc/systemd/network/*.network /etc/systemd/network/*.netdev; do
		if [ -f "$file" ] && ! is_ours "$file"; then set -- "$@" "$file"; fi
	done
	[ $# -gt 0 ] || return 0
	named=$(awk '
		$1 == "iface" && $2 != "" && $2 !~ /[*?]/ { print $2, FILENAME }
		/^Name=[^ \t*?]+$/ { print substr($0, 6), FILENAME }' "$@") || return 1
	while read -r device file; do
		[ -z "$device" ] || [ -e "$VAR/found/moved/$device" ] || printf 'configured %s %s\n' "$device" "$file"
	done <<-NAMED
		$named
	NAMED
}

# default_routes: "default VERSION DEVICE GATEWAY" a line.
default_routes() {
	local said route gateway version device
	have ip || return 0
	said=$(ip -o route show table all default) || return 1
	while read -r route; do
		case $route in *' table '*) continue ;; esac
		# One by several next hops has them behind each other.
		while :; do
			case $route in *' via '*' dev '*) route=${route#*" via "} ;; *) break ;; esac
			gateway=${route%% *} device=${route#* }
			case $device in 'dev '*) device=${device#dev } device=${device%% *} ;; *) continue ;; esac
			case $gateway in *:*) version=6 ;; *) version=4 ;; esac
			printf 'default %s %s %s\n' "$version" "$device" "$gateway"
		done
	done <<-SAID
		$said
	SAID
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
	links_delete_addresses "$1" "$3" "$2"
	ip address restore <"$T/addresses.$1" 2>/dev/null || :
}

# links_touched: whether the transaction's files hold links, or are of the host's network configuration. Groups and files take no routes away.
links_touched() {
	local path
	[ -s "$T/links" ] || return 1
	while read -r _ _ path; do
		case $path in "$ETC"/groups/* | "$ETC"/files/*) ;; *) return 0 ;; esac
	done <"$T/links"
	return 1
}

# routes_look before|now: the routes of all tables and of both versions, as ip prints them, to T/routes.WORD.
routes_look() {
	local said
	# By the shell, which says so where a disk is full.
	said=$(ip -o route show table all) && printf '%s\n' "$said" >"$T/routes.$1"
}

# routes_compare: "VERSION ROUTE" a line, to T/routes.lost, for those of the main table that stood before and do not stand now; less those that
# come from others by themselves. The kernel takes routes away with an address, without a word.
routes_compare() {
	awk '
		/^$/ || / table / || / proto (kernel|ra|dhcp)( |$)/ { next }
		{
			version = / pref / ? 6 : 4
			gsub(/\\/, " ")
			gsub(/ (linkdown|dead|offload|trap)/, "")
			sub(/ error -?[0-9]+/, "")
			key = $0
			# It goes down from one look to the next.
			sub(/ expires [0-9]+sec/, "", key)
		}
		FILENAME ~ /now$/ { has[version, key]; next }
		!((version, key) in has) { print version, key }' "$T/routes.now" "$T/routes.before" >"$T/routes.lost"
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
