# --- addresses that move: the host's own network configuration ----------------------------------------------------------
# ifupdown: the files that name the NIC are rewritten; as they were, they are kept. systemd-networkd: files of ours that come first.

# interfaces_files NIC: the files of ifupdown that name the NIC, one path a line.
interfaces_files() {
	for file in /etc/network/interfaces /etc/network/interfaces.d/*; do
		[ -f "$file" ] || continue
		[ "$file" = /etc/network/interfaces ] || interfaces_sourced || continue
		awk -v nic="$1" '$1 ~ /^(iface|auto|allow-.*)$/ { for (i = 2; i <= NF; i++) if ($i == nic || index($i, nic ":") == 1) { found = 1; exit } } END { exit !found }' "$file" && echo "$file"
	done
}

# networkd_file NIC: the .network file and its drop-ins that systemd-networkd has applied to the NIC, one path a line. It says so in files
# of its own user's: only what may be such a file is read, lest another one be copied to where everybody can read it.
networkd_file() {
	state=/run/systemd/netif/links/$(cat "/sys/class/net/$1/ifindex")
	[ ! -e "$state" ] || sed -n 's/^NETWORK_FILE\(_DROPINS\)\{0,1\}=//p' "$state" | tr -d '"' | tr ': ' '[\n*]' | grep -v /../ |
		grep -E '^/(etc|run|lib|usr/lib|usr/local/lib)/systemd/network/[^/]+\.network(\.d/[^/]+\.conf)?$'
}

# configured_by NIC: who gives the NIC its addresses at boot, in a word.
configured_by() {
	for file in /etc/netplan/*.yaml /run/netplan/*.yaml /lib/netplan/*.yaml; do
		[ ! -e "$file" ] || {
			echo netplan
			return 0
		}
	done
	managed=/run/NetworkManager/devices/$(cat "/sys/class/net/$1/ifindex")
	if grep -qs '^managed=\(true\|full\)' "$managed" || { [ "$(network_configuration)" = NetworkManager ] && ! grep -qs '^managed=false' "$managed"; }; then
		echo NetworkManager
	elif [ "$(network_configuration)" = systemd-networkd ] && [ -n "$(networkd_file "$1")" ]; then
		echo systemd-networkd
	elif [ -n "$(interfaces_files "$1" | head -n 1)" ]; then
		echo ifupdown
	else
		echo nobody
	fi
}

# configured_reason BRIDGE NIC: why the configuration cannot follow.
configured_reason() {
	by=$(configured_by "$2")
	case $by in
	netplan | NetworkManager)
		echo "moveAddresses: this host's $2 is configured by $by, which is not supported yet; make the bridge there, and leave \`uplink\` and \`moveAddresses\` out, with \`adopt: true\`"
		;;
	nobody)
		[ -z "$(addresses_of "$2")" ] || echo "moveAddresses: the addresses of $2 stand in no configuration that would give them to the bridge after a reboot: neither in /etc/network/interfaces and interfaces.d (ifupdown) nor in a .network file that systemd-networkd applies; write them there first"
		;;
	ifupdown)
		interfaces_files "$2" | while read -r file; do
			other=$(configured_elsewhere "$1" "$file")
			[ -z "$other" ] || echo "moveAddresses: $file, which configures $2, is changed for $other already; put the stanza of $2 into a file of its own first"
			[ ! -L "$file" ] || echo "moveAddresses: $file is a link, which is not changed; put the stanza of $2 into a file of its own"
			awk -v nic="$2" -v file="$file" '
				$1 == "iface" { mine = $2 == nic || index($2, nic ":") == 1 }
				$1 ~ /^(auto|allow-.*|mapping|source|source-directory|rename|template)$/ { mine = 0 }
				mine && $1 == "iface" && ($4 !~ /^(static|dhcp|auto|manual)$/ || NF > 4) { print "moveAddresses: " file " configures " nic " by \"" $0 "\", which is not supported; static, dhcp, auto and manual are" }
				mine && $1 ~ /^(wpa-|wireless|bond|bridge|vlan|inherits|hwaddress)/ { print "moveAddresses: " file " says \"" $1 "\" of " nic ", which would not work on a bridge" }
				mine && /\\$/ { print "moveAddresses: " file " has a line of " nic " that goes on in the next one; write it in one line" }' "$file"
		done
		dhclient_reason "$2"
		;;
	systemd-networkd)
		networkd_file "$2" | while read -r file; do
			case $file in
			*.network) [ "$(printf '%s\n' "${file##*/}" 05-drawbridge-moved | sort | head -n 1)" != "${file##*/}" ] || echo "moveAddresses: $file comes before 05-drawbridge-moved-….network, which is to replace it; give it a higher number" ;;
			esac
			line=$(grep -E '^[[:space:]]*(Bridge|Bond|VRF|BatmanAdvanced)[[:space:]]*=' "$file" | head -n 1)
			[ -z "$line" ] || echo "moveAddresses: $file says \"$line\" of $2, which does not go together with a bridge"
		done
		;;
	esac
}

# configured_elsewhere BRIDGE FILE: which other bridge it is changed for, or nothing.
configured_elsewhere() {
	for folder in "$VAR"/found/moved/* "$T"/moved/*; do
		[ "${folder##*/}" = "$1" ] || ! grep -qsxF "$2" "$folder/files" || echo "${folder##*/}"
	done | head -n 1
}

# configured_get BRIDGE: the NIC, into $got; with what is not as it was made, where something is; "none" where nothing was changed.
configured_get() {
	got=none
	if ! moved_folder "$1" || [ ! -e "$moved/files" ] || [ -e "$moved/restored" ]; then return 0; fi
	read -r got <"$moved/uplink"
	changed=$(while read -r file; do
		if [ ! -e "$file" ]; then echo "$file:missing"; elif ! cmp -s "$moved/made$file" "$file"; then echo "$file:changed"; fi
	done <"$moved/files" | tr '\n' ,)
	[ -z "$changed" ] || got=$got:${changed%,}
}

# configured_set BRIDGE NIC|none
configured_set() {
	if [ "$2" = none ]; then
		moved_folder "$1" && read -r nic <"$moved/uplink" && moved_open "$1" "$nic" || return 1
		while read -r file; do
			! configured_foreign "$file" || continue
			configured_write "$file" "$moved/was$file" || return 1
		done <"$moved/files"
		: >"$moved/restored"
		configured_follow "$1" "$nic"
		return 0
	fi
	moved_open "$1" "$2" && rm -f "$moved/restored" || return 1
	[ -e "$moved/files" ] || configured_text "$1" "$2" || return 1
	while read -r file; do
		cmp -s "$moved/made$file" "$file" || configured_write "$file" "$moved/made$file" || return 1
	done <"$moved/files"
	configured_follow "$1" "$1"
}

# configured_text BRIDGE NIC: writes what is to stand into $moved/made, and what stands into $moved/was.
configured_text() {
	: >"$moved/files.new"
	mac=$(cat "/sys/class/net/$1/address")
	case $(configured_by "$2") in
	ifupdown)
		interfaces_files "$2" | while read -r file; do
			# Two that begin at once.
			[ -z "$(configured_elsewhere "$1" "$file")" ] || { echo "$file is changed for another bridge in the same step; give each interface a file of its own" >&2 && exit 1; }
			mkdir -p "$moved/made${file%/*}" "$moved/was${file%/*}" && cp -a "$file" "$moved/was$file" && cp -a "$file" "$moved/made$file" &&
				interfaces_text "$1" "$2" "$mac" <"$file" >"$moved/made$file" && echo "$file" >>"$moved/files.new" || exit 1
		done || return 1
		;;
	systemd-networkd)
		place=/etc/systemd/network
		mkdir -p "$moved/made$place" || return 1
		for kind in .netdev .network -uplink.network; do
			file=$place/05-drawbridge-moved-$1$kind
			: >"$moved/made$file" && chmod 640 "$moved/made$file" && networkd_text "$1" "$2" "$mac" "$kind" >"$moved/made$file" && networkd_mode "$2" "$moved/made$file" && echo "$file" >>"$moved/files.new" || return 1
		done
		;;
	esac
	mv "$moved/files.new" "$moved/files"
}

# interfaces_text BRIDGE NIC MAC: from stdin, interfaces(5) in which the bridge has what the NIC had. It makes the bridge where nobody has
# made it before, so that it stands by itself.
interfaces_text() {
	awk -v bridge="$1" -v nic="$2" -v mac="$3" '
		BEGIN {
			print "# Changed by pulumi-drawbridge: " bridge " has what " nic " had. Deleting the resource puts the former file back."
		}
		$1 ~ /^(auto|allow-.*|iface|mapping|source|source-directory|rename|template|no-.*)$/ { mine = 0 }
		$1 ~ /^(auto|allow-.*)$/ {
			line = $1
			now = ""
			for (i = 2; i <= NF; i++) {
				if ($i != nic && index($i, nic ":") != 1) { line = line " " $i; continue }
				now = now " " bridge substr($i, length(nic) + 1)
			}
			if (now == "") { print; next }
			# The bridge is made by software, nobody plugs it in.
			if (line != $1) print line
			print "auto" now
			next
		}
		$1 == "iface" && ($2 == nic || index($2, nic ":") == 1) {
			mine = 1
			alias = substr($2, length(nic) + 1)
			if (!made) print "iface " nic " inet manual"
			print "iface " bridge alias " " $3 " " $4
			if (!made) {
				print "\tpre-up ip link show dev " bridge " >/dev/null 2>&1 || ip link add name " bridge " address " mac " type bridge"
				print "\tpre-up ip link set dev " nic " master " bridge " up || true"
			}
			made = 1
			next
		}
		# Routes lead out of the bridge; what else is said of the NIC (ethtool) is still true of it.
		mine && /(^|[ \t\/])(route|ip (-[46] )?(r|ro|route|rule|a|addr|address)) / {
			gsub("dev " nic "$", "dev " bridge)
			gsub("dev " nic " ", "dev " bridge " ")
		}
		{ print }'
}

# networkd_text BRIDGE NIC MAC KIND: the bridge's own file has all that the NIC's had, but for what is the NIC's: its name, its hardware,
# and what stands on top of it.
networkd_text() {
	printf '# drawbridge %s\n# What %s had is given to %s. Deleting the resource takes this file away, and the former one counts again.\n' "$LAYOUT" "$2" "$1"
	case $4 in
	.netdev) printf '[NetDev]\nName=%s\nKind=bridge\nMACAddress=%s\n[Bridge]\nSTP=no\n' "$1" "$3" ;;
	.network) printf '[Match]\nName=%s\n' "$1" ;;
	*) printf '[Match]\nName=%s\n[Network]\nBridge=%s\n' "$2" "$1" ;;
	esac
	# Else the server would take the bridge for another client. (systemd 252 says "DHCP4", 257 "DHCPv4".)
	[ "$4" != .network ] || networkctl status "$2" 2>/dev/null | sed -n 's,.*DHCPv*4 Client ID: IAID:\(0x[0-9a-f]*\)/DUID.*,[DHCPv4]\nIAID=\1,p'
	[ "$4" = .netdev ] || networkd_file "$2" | while read -r file; do
		awk -v kind="$4" '
			/^[ \t]*\[/ { section = $1; shown = 0 }
			/^[ \t]*([#;]|$)/ { next }
			/^[ \t]*\[/ { next }
			section == "[Match]" { next }
			{
				of_nic = section == "[Link]" || section == "[SR-IOV]" || /^[ \t]*(VLAN|MACVLAN|MACVTAP|IPVLAN|IPVTAP|VXLAN|Tunnel|Xfrm|MACsec|LLDP|EmitLLDP)[ \t]*=/
				if (of_nic != (kind == "-uplink.network")) next
				if (!shown++) print section
				print
			}' "$file"
	done
}

# networkd_mode NIC FILE: for everybody to read, unless one of the files that it was made of is not.
networkd_mode() {
	hidden=$(networkd_file "$1" | while read -r file; do find -L "$file" -prune ! -perm -004; done)
	if [ -z "$hidden" ]; then chmod 644 "$2"; else chgrp systemd-network "$2"; fi
}

# configured_write PATH FROM: as FROM is, or away where there is none; the undo gets what stood there.
configured_write() {
	[ -e "$T/configured/old$1" ] || grep -qsxF "$1" "$T/configured/absent" || {
		mkdir -p "$T/configured/old${1%/*}" || return 1
		if [ -e "$1" ]; then cp -a "$1" "$T/configured/old$1"; else echo "$1" >>"$T/configured/absent"; fi || return 1
		# The power may fail between the two.
		sync -f "$T"
	}
	if [ -e "$2" ]; then put_back "$2" "$1"; else rm -f "$1"; fi
}

# configured_undo BRIDGE: every such file, and back to whom it was before.
configured_undo() {
	[ -d "$T/configured" ] || return 0
	left=$(
		find "$T/configured/old" -type f | while read -r file; do put_back "$file" "${file#"$T/configured/old"}" || echo "${file#"$T/configured/old"}"; done
		[ ! -e "$T/configured/absent" ] || while read -r file; do rm -f "$file" || echo "$file"; done <"$T/configured/absent"
	)
	[ -z "$left" ] || complain "could not put back: $left"
	if moved_folder "$1" && read -r nic <"$moved/uplink"; then
		if [ -e "$moved/restored" ]; then configured_follow "$1" "$1"; else configured_follow "$1" "$nic"; fi
	fi
	[ -z "$left" ]
}

# configured_foreign PATH: a file of the host's that somebody has changed since; what he wrote is not ours to lose.
configured_foreign() { case $1 in /etc/network/*) ! cmp -s "$moved/made$1" "$1" ;; *) return 1 ;; esac; }

# configured_kept NUMBER BRIDGE: "NUMBER kept TEXT" for each such file, which is left.
configured_kept() {
	if ! moved_folder "$2" || [ ! -e "$moved/files" ]; then return 0; fi
	read -r nic <"$moved/uplink"
	while read -r file; do
		! configured_foreign "$file" || echo "$1 kept $file: it was changed since, and still configures $2; give what it says to $nic by hand"
	done <"$moved/files"
}

# dhcp_clients NIC: "CLIENT PID FILE" for each program that holds a lease for the NIC by ifupdown. The number in a pid file may be
# another process by now, and anybody may call his own program dhclient: what counts is the very file that root would start by that
# name, run by root or by a daemon's user.
dhcp_clients() {
	for file in "/run/dhclient.$1.pid" "/run/dhclient6.$1.pid" "/run/dhcpcd-$1.pid" "/run/dhcpcd/$1.pid" "/run/udhcpc.$1.pid"; do
		[ -f "$file" ] || continue
		read -r pid <"$file" || continue
		client=${file#/run/}
		client=${client%%[.6/-]*}
		! dhcp_client_runs "$client" "$pid" || echo "$client $pid $file"
	done
}

# dhcp_client_runs CLIENT PID
dhcp_client_runs() {
	case $2 in '' | *[!0-9]*) return 1 ;; esac
	runs=$(stat -Lc %d:%i "/proc/$2/exe" 2>/dev/null) && program=$(command -v "$1") && [ "$runs" = "$(stat -Lc %d:%i "$program")" ] || return 1
	case $1 in dhclient) user=0 ;; *) user='[0-9]\{1,3\}' ;; esac
	grep -qsx "Uid:\(	$user\)\{4\}" "/proc/$2/status"
}

# program_is_roots NAME: nobody else could have put another one in its place.
program_is_roots() {
	program=$(command -v "$1") || return 1
	[ -z "$(folder_reason "${program%/*}")" ] && [ -n "$(find -L "$program" -prune -uid 0 ! -perm -020 ! -perm -002)" ]
}

# dhclient_words PID FROM TO: what the same client is started with on TO, one word a line, "+WORD"; "?WORD" for what ifupdown does not
# say, which is not said again: ifupdown(8), its inet.defn and inet6.defn.
dhclient_words() {
	tr '\0' '\n' <"/proc/$1/cmdline" | awk -v from="$2" -v to="$3" '
		function renamed(folder, end, kind,  name) {
			for (kind = 1; kind <= 2; kind++) {
				name = folder (kind == 1 ? "dhclient." : "dhclient6.")
				if ($0 == name from end) return name to end
			}
			return ""
		}
		NR == 1 { next }
		option != "" {
			if (option == "-pf") { path = renamed("/run/", ".pid"); if (path == "") path = renamed("/var/run/", ".pid") }
			else if (option ~ /^-[ld]f$/) path = renamed("/var/lib/dhcp/", ".leases")
			else path = option == "-cf" ? (/^\/etc\/dhcp\/[A-Za-z0-9][A-Za-z0-9._-]*$/ ? $0 : "") : (/^IF_METRIC=[0-9]+$/ ? $0 : "")
			if (path != "") { print "+" option; print "+" path } else { print "?" option; print "?" $0 }
			option = ""
			next
		}
		/^-(pf|lf|df|cf|e)$/ { option = $0; next }
		/^-([461vqiINPST]|nw)$/ { print "+" $0; next }
		$0 == from { print "+" to; next }
		{ print "?" $0 }'
}

# dhclient_reason NIC: why its DHCP client could not go on at the bridge, a line each.
dhclient_reason() {
	dhcp_clients "$1" | while read -r client pid _; do
		if [ "$client" != dhclient ]; then
			echo "moveAddresses: $1 gets its address by DHCP from $client, which is not supported yet; dhclient is"
		elif ! program_is_roots dhclient; then
			echo "moveAddresses: $1 gets its address by DHCP from $(command -v dhclient), which others than root can change; it would be started as root"
		else
			unknown=$(dhclient_words "$pid" "$1" "$1" | sed -n 's/^?//p' | tr '\n' ' ')
			[ -z "$unknown" ] || echo "moveAddresses: $1 gets its address by DHCP from a dhclient that was started with \"${unknown% }\", which the one at the bridge would not have; start it as ifupdown does"
		fi
	done
}

# configured_follow BRIDGE TO: the programs at work take the new configuration over, in which TO, the bridge or its uplink, has all;
# $moved is what was written down.
configured_follow() {
	bridge=$1
	read -r nic <"$moved/uplink"
	shift
	if grep -qs '^/etc/systemd/network/' "$moved/files"; then
		[ -d /run/systemd/system ] && systemctl --quiet is-active systemd-networkd.service || return 0
		networkctl reload || return 0
		# It does so at its leisure, and says here which file a device has.
		for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
			state=/run/systemd/netif/links/$(cat "/sys/class/net/$1/ifindex")
			ours=no
			! grep -qs '^NETWORK_FILE=.*/05-drawbridge-moved-' "$state" || ours=yes
			case $ours:$1 in no:"$nic" | yes:"$bridge") ! grep -q '^ADMIN_STATE=configured' "$state" || break ;; esac
			sleep 0.5
		done
	else
		if [ "$1" = "$bridge" ]; then dhclient_follow "$1" "$nic"; else dhclient_follow "$1" "$bridge"; fi
	fi
}

# dhclient_follow TO FROM: the same client with the same lease, on the other interface. It ends without a word to the server, and the
# next one asks for the address that it had.
dhclient_follow() {
	dhcp_clients "$2" >"$T/dhclients"
	while read -r client pid file; do
		if [ "$client" != dhclient ] || ! program_is_roots dhclient; then continue; fi
		name=${file#/run/}
		name=${name%%.*}
		dhclient_words "$pid" "$2" "$1" | sed -n 's/^+//p' | tr '\n' '\0' >"$T/dhclient"
		kill "$pid"
		rm -f "$file"
		leases=/var/lib/dhcp/$name
		[ ! -e "$leases.$2.leases" ] || sed "s/interface \"$2\"/interface \"$1\"/" "$leases.$2.leases" >"$leases.$1.leases" && rm -f "$leases.$2.leases"
		xargs -0 setsid -f "$(command -v dhclient)" <"$T/dhclient" >/dev/null 2>&1 6>&- 7>&- 8>&- 9>&- || complain "$name could not be started for $1"
	done <"$T/dhclients"
}
