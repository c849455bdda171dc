# --- links: bridges, their ports, and what is set on them -------------------------------------------------------------
# A file of ours holds things by lines "link DEVICE WORD VALUE", behind "# " where the file is one of the host's own network
# configuration. Nothing here is atomic, so each thing is looked at, set, put back and given up by itself.

# link_items FILE…: "DEVICE WORD VALUE" a line.
link_items() {
	[ $# -eq 0 ] || sed -n 's/^\(# \)\{0,1\}link \([^ ]* [^ ]* [^ ]*\)$/\2/p' "$@"
}

# is_link_file PATH: holds links.
is_link_file() {
	case $1 in
	"$ETC"/links/* | /etc/network/interfaces.d/* | /etc/systemd/network/*) return 0 ;;
	esac
	return 1
}

# link_files FOLDER: those below FOLDER, one path a line.
link_files() {
	find "$1$ETC/links" "$1/etc/network/interfaces.d" "$1/etc/systemd/network" -type f 2>/dev/null
}

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
	master | addresses | gateway | gateway6) got=none ;;
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
	is) if [ "$3" = bridge ]; then ip link add name "$1" type bridge; else ip link delete dev "$1"; fi ;;
	up) if [ "$3" = 1 ]; then ip link set dev "$1" up; elif [ "$3" = 0 ]; then ip link set dev "$1" down; fi ;;
	address) [ "$3" = - ] || ip link set dev "$1" address "$3" ;;
	master) if [ "$3" = none ]; then ip link set dev "$1" nomaster; else ip link set dev "$1" master "$3"; fi ;;
	addresses) link_set_addresses "$1" "$3" ;;
	gateway) link_set_gateway 4 "$1" "$3" ;;
	gateway6) link_set_gateway 6 "$1" "$3" ;;
	vlans) link_set_vlans "$1" "$3" ;;
	esac
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
	is) return 1 ;;
	master) [ ! -e "/sys/class/net/$1" ] || [ ! -d "/sys/class/net/$3/bridge" ] ;;
	isolated | learning | unicast_flood | hairpin_mode | bpdu_guard | path_cost | port_priority | vlans)
		[ ! -d "/sys/class/net/$1/brport" ] && [ ! -d "/sys/class/net/$1/bridge" ]
		;;
	disable_ipv6) [ ! -d "/sys/class/net/$1" ] || { [ "$3" = 1 ] && [ ! -e "/proc/sys/net/ipv6/conf/$1/disable_ipv6" ]; } ;;
	vlan_filtering) [ ! -d "/sys/class/net/$1" ] || { [ "$3" = 0 ] && [ ! -e "/sys/class/net/$1/bridge/vlan_filtering" ]; } ;;
	*) [ ! -e "/sys/class/net/$1" ] ;;
	esac
}

# link_change DEVICE WORD VALUE: sets what stands otherwise; a transaction writes down first what it was. Prints why it could not.
link_change() {
	link_get "$1" "$2"
	[ "$got" != "$3" ] || return 0
	[ -z "${T:-}" ] || printf '%s %s %s %s\n' "$1" "$2" "$got" "$3" >>"$T/links.changed" || {
		echo "$1 $2: cannot write below $VAR"
		return 1
	}
	[ -z "${T:-}" ] || [ "$2" != addresses ] || [ -e "$T/addresses.$1" ] || ip address save dev "$1" >"$T/addresses.$1" || return 1
	said=$(link_set "$1" "$2" "$3" 2>&1) || {
		printf '%s %s cannot be set to %s: %s\n' "$1" "$2" "$3" "$(printf '%s' "$said" | tail -n 1)"
		return 1
	}
	link_get "$1" "$2"
	[ "$got" = "$3" ] || {
		printf '%s %s was set to %s and is %s\n' "$1" "$2" "$3" "$got"
		return 1
	}
}

# --- in a transaction ---

# links_plan: into T/links.put and T/links.drop, "NUMBER DEVICE WORD VALUE" a line, what the transaction puts and what nobody
# holds any more after it; into T/links.others what other files hold.
links_plan() {
	: >"$T/links.old"
	: >"$T/links.put"
	: >"$T/links.touched"
	while read -r number verb path; do
		echo "$VAR/confirmed$path" >>"$T/links.touched"
		[ ! -e "$VAR/confirmed$path" ] || link_items "$VAR/confirmed$path" | sed "s/^/$number /" >>"$T/links.old"
		[ "$verb" != put ] || link_items "$T/files$path" | sed "s/^/$number /" >>"$T/links.put"
	done <"$T/links"
	# Paths are ours and carry no blank.
	# shellcheck disable=SC2046
	link_items $(link_files "$VAR/confirmed" | grep -vxF -f "$T/links.touched") >"$T/links.others"
	awk '
		FILENAME ~ /others$/ { held[$1 " " $2] = 1; next }
		FILENAME ~ /put$/ { held[$2 " " $3] = 1; next }
		!(($2 " " $3) in held) && !(($2 " " $3) in given) { given[$2 " " $3] = 1; lines[++n] = $0 }
		# What was set last is given up first.
		END { for (i = n; i > 0; i--) print lines[i] }' "$T/links.others" "$T/links.put" "$T/links.old" >"$T/links.drop"
}

# links_refusals: prints "refuse NUMBER CODE TEXT" for what is there and not ours, or held otherwise by somebody else.
links_refusals() {
	[ -s "$T/links" ] || return 0
	have ip || {
		sed -n 's/^\([0-9]*\) .*/refuse \1 missing-tool ip is not installed on this host; install the package iproute2/p' "$T/links"
		return 0
	}
	links_plan
	awk '
		FILENAME ~ /others$/ { value[$1 " " $2] = $3; next }
		{ key = $2 " " $3 }
		key in value && value[key] != $4 { print "refuse " $1 " not-owned " key " is held as " value[key] " by another resource; two cannot want different things of it"; next }
		($3 == "is" || $3 == "master") && key in put && put[key] != $1 { print "refuse " $1 " not-owned " $2 " belongs to another resource of this program; give it one owner"; next }
		{ value[key] = $4; put[key] = $1 }' "$T/links.others" "$T/links.put"
	while read -r number device word value; do
		case $word in
		is | master) link_there "$number" "$device" "$word" "$value" ;;
		vlan_filtering | vlans)
			[ "$value" = 0 ] || unshare -n ip link add name probe type bridge vlan_filtering 1 2>/dev/null ||
				echo "refuse $number rejected this kernel has no VLAN filtering for bridges (CONFIG_BRIDGE_VLAN_FILTERING)"
			;;
		esac
	done <"$T/links.put"
}

# link_there NUMBER DEVICE WORD VALUE: a bridge or a port that is there already wants `adopt`, unless it is this resource's, or
# was another one's of the same stack (a rename).
link_there() {
	link_get "$2" "$3"
	case $3:$got in
	*:- | master:none) return 0 ;;
	is:other)
		echo "refuse $1 not-owned $2 is there already and is no bridge"
		return 0
		;;
	is:bridge) what="the bridge $2 is there already" ;;
	*) what="$2 is already a port of $got" ;;
	esac
	! grep -q "^[0-9]* $2 $3 " "$T/links.old" || return 0
	# shellcheck disable=SC2046
	other=$(grep -l "^\(# \)\{0,1\}link $2 $3 " /dev/null $(link_files "$VAR/confirmed") | head -n 1)
	if [ -n "$other" ]; then
		mine=$(header "$T/files$(sed -n "s/^$1 put //p" "$T/links" | head -n 1)" from)
		their=$(header "$other" from)
		if [ "${mine%% *}" = "${their%% *}" ]; then
			! grep -qxF -- "$(header "$other" owner)" "$T/held" ||
				echo "refuse $1 not-owned $2 belongs to another resource of this program; give it one owner"
			return 0
		fi
		what="$what and belongs to $their"
	else
		what="$what and not ours"
	fi
	adopts "$1" || echo "refuse $1 not-owned $what; \`adopt: true\` takes it over, and delete puts back what was found"
}

# links_made: bridges first, so that tables find the devices. Prints "refuse NUMBER rejected TEXT" and fails.
links_made() {
	[ ! -s "$T/links.put" ] || while read -r number device word value; do
		[ "$word" != is ] || link_put "$number" "$device" "$word" "$value" || return 1
	done <"$T/links.put"
}

# links_set: all else, then what is given up; in the end all must stand at once.
links_set() {
	[ -s "$T/links" ] || return 0
	while read -r number device word value; do
		[ "$word" = is ] || link_put "$number" "$device" "$word" "$value" || return 1
	done <"$T/links.put"
	while read -r number device word value; do
		link_give_up "$number" "$device" "$word" "$value" || return 1
	done <"$T/links.drop"
	while read -r number device word value; do
		link_waits "$device" "$word" "$value" && continue
		link_get "$device" "$word"
		[ "$got" = "$value" ] && continue
		echo "refuse $number rejected $device $word was set to $value and is $got"
		return 1
	done <"$T/links.put"
}

# link_put NUMBER DEVICE WORD VALUE: the first who holds a thing writes down how it was found.
link_put() {
	link_waits "$2" "$3" "$4" && return 0
	link_get "$2" "$3"
	[ -e "$VAR/found/links/$2/$3" ] || printf '%s %s %s\n' "$2" "$3" "$got" >>"$T/links.found"
	said=$(link_change "$2" "$3" "$4") || {
		echo "refuse $1 rejected $said"
		return 1
	}
}

# link_give_up NUMBER DEVICE WORD VALUE: as it was found, where what stands is still ours.
link_give_up() {
	link_get "$2" "$3"
	[ "$got" != - ] || return 0
	if [ "$got" != "$4" ]; then
		# A bridge of ours goes as a whole.
		[ "$(cat "$VAR/found/links/$2/is" 2>/dev/null)" = - ] || echo "$1 kept $2 $3: it is $got now, not $4" >>"$T/notes"
		return 0
	fi
	got=-
	[ ! -e "$VAR/found/links/$2/$3" ] || read -r got <"$VAR/found/links/$2/$3"
	[ "$got" != - ] || link_default "$3"
	before=$got
	[ "$3:$before" != is:- ] || links_free "$1" "$2" || return 0
	[ "$before" = - ] && [ "$3" != is ] && return 0
	said=$(link_change "$2" "$3" "$before") && return 0
	# Its device may have gone with what was given up before it.
	[ -e "/sys/class/net/$2" ] || return 0
	echo "refuse $1 rejected $said"
	return 1
}

# links_free NUMBER BRIDGE: a bridge that is to go loses the ports that are held by ours; fails, and says so, when there are others.
links_free() {
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
		[ ! -e "$port" ] || link_change "${port##*/}" master none >/dev/null
	done
}

# links_undo FIRST: what the transaction changed, the last change first, where it still stands; with FIRST only the bridges that
# are to come back, for the tables want them.
links_undo() {
	[ -s "$T/links.changed" ] || return 0
	awk '{ lines[NR] = $0 } END { for (i = NR; i > 0; i--) print lines[i] }' "$T/links.changed" | while read -r device word before after; do
		[ -z "$1" ] || [ "$word $before" = 'is bridge' ] || continue
		link_get "$device" "$word"
		[ "$got" = "$after" ] || continue
		[ "$before" != - ] || [ "$word" = is ] || continue
		[ "$word" != addresses ] || links_undo_addresses "$device" "$before" "$after"
		link_set "$device" "$word" "$before" 2>/dev/null || complain "could not put back: $device $word $before"
	done
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

# links_confirmed TXN: how things were found, from now on with the host; what nobody holds is forgotten. Safe to do again.
links_confirmed() {
	[ ! -e "$1/links.found" ] || while read -r device word value; do
		mkdir -p "$VAR/found/links/$device"
		[ -s "$VAR/found/links/$device/$word" ] || echo "$value" >"$VAR/found/links/$device/$word" || return 1
	done <"$1/links.found"
	[ ! -e "$1/links.drop" ] || while read -r _ device word _; do
		rm -f "$VAR/found/links/$device/$word"
		rmdir "$VAR/found/links/$device" 2>/dev/null || :
	done <"$1/links.drop"
}

# --- boot, devices that appear ---

# links_load: what stands in links/, on the devices that are here; the host's own configuration sees to the rest.
links_load() {
	for file in "$ETC"/links/*; do
		[ -e "$file" ] || continue
		is_ours "$file" || {
			complain "$file is not loaded: it lacks the line \"# drawbridge $LAYOUT\""
			continue
		}
		link_items "$file" | while read -r device word value; do
			link_waits "$device" "$word" "$value" || said=$(link_change "$device" "$word" "$value") || complain "$said"
		done
	done
}

# links_live DIR: how everything stands that is held by a confirmed file, or by one below DIR/files.
links_live() {
	# shellcheck disable=SC2046
	link_items $(link_files "$1/files") $(link_files "$VAR/confirmed") | cut -d' ' -f1,2 | sort -u | while read -r device word; do
		link_get "$device" "$word"
		printf '%s %s %s\n' "$device" "$word" "$got"
	done
}

# configured_devices: "configured DEVICE FILE" for what the host's own network configuration names, less what is ours.
configured_devices() {
	for file in /etc/network/interfaces /etc/network/interfaces.d/* /etc/systemd/network/*.network /etc/systemd/network/*.netdev; do
		[ -f "$file" ] || continue
		! is_ours "$file" || continue
		sed -n -e 's/^[[:space:]]*iface[[:space:]]\{1,\}\([^[:space:]*?]*\)[[:space:]].*/\1/p' -e 's/^Name=\([^[:space:]*?]*\)$/\1/p' "$file" |
			while read -r device; do printf 'configured %s %s\n' "$device" "$file"; done
	done
}

# default_routes: "default VERSION DEVICE GATEWAY" a line.
default_routes() {
	for version in 4 6; do
		ip "-$version" route show default 2>/dev/null | sed -n "s/.* via \\([^ ]*\\) dev \\([^ ]*\\) .*/default $version \\2 \\1/p"
	done
}

# network_configuration: who configures the host's addresses.
network_configuration() {
	if [ -L /etc/systemd/system/multi-user.target.wants/systemd-networkd.service ]; then
		echo systemd-networkd
	elif [ -L /etc/systemd/system/multi-user.target.wants/NetworkManager.service ]; then
		echo NetworkManager
	elif have ifup && grep -Eqs '^[[:space:]]*source(-directory)?[[:space:]]+(/etc/network/)?interfaces\.d' /etc/network/interfaces; then
		echo ifupdown
	else
		echo unknown
	fi
}
