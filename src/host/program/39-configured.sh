# --- addresses that move: the host's own network configuration ----------------------------------------------------------
# The attribute "configured_as" of a bridge (39-moved), called by 34-held: who gives the uplink its addresses at boot, what of it is written anew for the
# bridge, and how the programs at work follow. On disk: the host's files, and in the transaction's folder configured/old, new and absent for the undo.
# ifupdown: in the files that name the NIC, those lines are replaced (39-interfaces). systemd-networkd: files of ours that come first.

# networkd_file NIC: the .network file and its drop-ins that systemd-networkd has applied to the NIC, one path a line. It says so in files
# of its own user's: only what may be such a file is read, lest another one be copied to where everybody can read it.
networkd_file() {
	local number state
	read -r number <"/sys/class/net/$1/ifindex" || return 1
	state=/run/systemd/netif/links/$number
	[ ! -e "$state" ] || awk '
		sub(/^NETWORK_FILE(_DROPINS)?=/, "") {
			gsub(/"/, "")
			n = split($0, file, /[: ]/)
			for (i = 1; i <= n; i++)
				if (index(file[i], "/../") == 0 && file[i] ~ /^\/(etc|run|lib|usr\/lib|usr\/local\/lib)\/systemd\/network\/[^\/]+\.network(\.d\/[^\/]+\.conf)?$/)
					print file[i]
		}' "$state"
}

# configured_by NIC: who gives the NIC its addresses at boot, in a word.
configured_by() {
	local file number managed by files
	for file in /etc/netplan/*.yaml /run/netplan/*.yaml /lib/netplan/*.yaml; do
		[ ! -e "$file" ] || {
			echo netplan
			return 0
		}
	done
	read -r number <"/sys/class/net/$1/ifindex" || return 1
	managed=/run/NetworkManager/devices/$number
	by=$(network_configuration) && read_interfaces_files files "$1" || return 1
	if grep -qs '^managed=\(true\|full\)' "$managed" || { [ "$by" = NetworkManager ] && ! grep -qs '^managed=false' "$managed"; }; then
		echo NetworkManager
	elif [ "$by" = systemd-networkd ] && [ -n "$(networkd_file "$1")" ]; then
		echo systemd-networkd
	elif [ -n "$files" ]; then
		echo ifupdown
	else
		echo nobody
	fi
}

# configured_reason BRIDGE NIC: why the configuration cannot follow.
configured_reason() {
	local by addresses
	by=$(configured_by "$2") || return 1
	case $by in
	netplan | NetworkManager)
		echo "moveAddresses: this host's $2 is configured by $by, which is not supported yet; make the bridge there, and leave \`uplink\` and \`moveAddresses\` out, with \`adopt: true\`"
		;;
	nobody)
		addresses=$(ip -o address show) && addresses=$(
			awk -v device="$2" "$ADDRESSES_AND_ROUTES"'(line = address_of(device)) != "" { print line }' <<-NOW
				$addresses
			NOW
		) || return 1
		[ -z "$addresses" ] || echo "moveAddresses: the addresses of $2 stand in no configuration that would give them to the bridge after a reboot: neither in /etc/network/interfaces and interfaces.d (ifupdown) nor in a .network file that systemd-networkd applies; write them there first"
		;;
	ifupdown)
		interfaces_reason "$1" "$2" && dhclient_reason "$2"
		;;
	systemd-networkd) networkd_reason "$2" ;;
	esac
}

# networkd_reason NIC: what systemd-networkd has applied to it that files of ours cannot replace, a line each.
networkd_reason() {
	local file line
	networkd_file "$1" | while read -r file; do
		case $file in
		*.network) [ "$(printf '%s\n' "${file##*/}" 05-drawbridge-moved | sort | head -n 1)" != "${file##*/}" ] || echo "moveAddresses: $file comes before 05-drawbridge-moved-….network, which is to replace it; give it a higher number" ;;
		esac
		line=$(grep -E '^[[:space:]]*(Bridge|Bond|VRF|BatmanAdvanced)[[:space:]]*=' "$file" | head -n 1)
		[ -z "$line" ] || echo "moveAddresses: $file says \"$line\" of $1, which does not go together with a bridge"
	done
}

# read_configured_elsewhere VARIABLE BRIDGE FILE: which other bridge it is changed for, or nothing.
read_configured_elsewhere() {
	local elsewhere_folder elsewhere_file
	give "$1" ''
	for elsewhere_folder in "$VAR"/found/moved/* "$T"/moved/*; do
		if [ "${elsewhere_folder##*/}" = "$2" ] || [ ! -e "$elsewhere_folder/files" ]; then continue; fi
		while IFS= read -r elsewhere_file; do
			[ "$elsewhere_file" = "$3" ] || continue
			give "$1" "${elsewhere_folder##*/}"
			return 0
		done <"$elsewhere_folder/files" || return 1
	done
}

# configured_reason_again BRIDGE NIC: the same for a bridge that has it already, whose NIC may be named anew.
configured_reason_again() {
	local folder
	read_moved_folder folder "$1" || return 0
	networkd_has "$folder" || interfaces_reason "$1" "$2"
}

# networkd_has FOLDER: what is written down there was made for systemd-networkd.
networkd_has() {
	local file
	[ ! -e "$1/files" ] || while read -r file; do
		case $file in /etc/systemd/network/*) return 0 ;; esac
	done <"$1/files"
	return 1
}

# read_configured VARIABLE BRIDGE: the NIC; with what is not as it was made, where something is; "none" where nothing was changed.
read_configured() {
	local configured_folder configured_nic configured_unlike configured_files
	if ! read_moved_folder configured_folder "$2" || [ ! -e "$configured_folder/files" ] || [ -e "$configured_folder/restored" ]; then
		give "$1" none
		return 0
	fi
	read -r configured_nic <"$configured_folder/uplink" && read_differences configured_unlike "$2" || return 1
	if [ -n "$configured_unlike" ]; then
		configured_files=$(
			awk '
				{ state[$1] = $2 == "gone" ? "missing" : $2 == "unmarked" && state[$1] == "" ? "unmarked" : "changed" }
				END { for (file in state) if (state[file] != "") print file ":" state[file] }' <<-UNLIKE
					$configured_unlike
				UNLIKE
		) && configured_files=$(
			sort <<-FILES
				$configured_files
			FILES
		) && [ -n "$configured_files" ] || return 1
		# Such files carry no blank.
		# shellcheck disable=SC2086
		link_joined configured_files $configured_files
		configured_nic=$configured_nic:$configured_files
	fi
	give "$1" "$configured_nic"
}

# read_differences VARIABLE BRIDGE: "PATH DIFFERENCE" a line, by the words of interfaces_blocks, or "gone".
read_differences() {
	local differ_folder differ_nic differ_files differ_file differ_how differ_all
	give "$1" ''
	read_moved_folder differ_folder "$2" && read -r differ_nic <"$differ_folder/uplink" || return 0
	if networkd_has "$differ_folder"; then differ_files=$(cat "$differ_folder/files"); else read_interfaces_files differ_files "$differ_nic" "$differ_folder/files"; fi ||
		return 1
	differ_all=''
	while IFS= read -r differ_file; do
		[ -n "$differ_file" ] || continue
		if ! cmp -s "$differ_folder/made$differ_file" "$differ_file"; then
			differ_how=$(configured_compare_file "$differ_folder" "$2" "$differ_nic" "$differ_file") || return 1
		elif [ -n "$T" ] && grep -q '^# Changed by pulumi-drawbridge: ' "$differ_file"; then differ_how=unmarked; else continue; fi
		configured_collect differ_all "$differ_all" "$differ_file" "$differ_how"
	done <<-FILES
		$differ_files
	FILES
	give "$1" "$differ_all"
}

# configured_collect VARIABLE LINES PATH DIFFERENCES: into the variable the lines, and behind them the differences of the file, each behind its path.
# Marks that are missing count for a change only, which makes them.
configured_collect() {
	local collect_all collect_line
	collect_all=$2
	while IFS= read -r collect_line; do
		case $collect_line:$T in
		:* | unmarked:) continue ;;
		esac
		collect_all="$collect_all${collect_all:+$NEWLINE}$3 $collect_line"
	done <<-DIFFERENCES
		$4
	DIFFERENCES
	give "$1" "$collect_all"
}

# configured_compare_file FOLDER BRIDGE NIC PATH: the differences of one file, which is not as it was made.
configured_compare_file() {
	if [ ! -e "$4" ]; then
		echo gone
	elif [ ! -e "$1/made$4" ]; then
		awk -v nic="$3" '$1 ~ /^(iface|auto|allow-.*)$/ { for (i = 2; i <= NF; i++) if ($i == nic || index($i, nic ":") == 1) { print "uplink " $0; next } }' "$4" || echo order
	else
		case $4 in
		/etc/network/*) interfaces_blocks compare "$2" "$4" || echo order ;;
		*)
			grep -vxF -f "$4" "$1/made$4" | sed 's/^/missing /'
			grep -vxF -f "$1/made$4" "$4" | sed 's/^/added /'
			echo order
			;;
		esac
	fi
}

# configured_differences: for a look, "BRIDGE PATH DIFFERENCE" a line.
configured_differences() {
	local folder differences
	for folder in "$VAR"/found/moved/*; do
		[ -e "$folder/files" ] || continue
		read_differences differences "${folder##*/}" || return 1
		[ -z "$differences" ] || printf '%s\n' "$differences" | tr -d '\000-\010\013-\037\177' | sed "s,^,${folder##*/} ,"
	done
}

# configured_set BRIDGE NIC|none
configured_set() {
	local folder nic file
	if [ "$2" = none ]; then
		read_moved_folder folder "$1" && read -r nic <"$folder/uplink" && moved_open "$1" "$nic" || return 1
		folder=$T/moved/$1
		while read -r file; do
			case $file in /etc/network/*) interfaces_without "$folder" "$1" "$file" || return 1 ;; esac
			configured_write "$file" "$folder/was$file" || return 1
		done <"$folder/files"
		true >"$folder/restored" || return 1
		configured_follow "$1" "$nic"
		return 0
	fi
	folder=$T/moved/$1
	moved_open "$1" "$2" && rm -f "$folder/restored" && configured_text "$folder" "$1" "$2" || return 1
	while read -r file; do
		cmp -s "$folder/made$file" "$file" || configured_write "$file" "$folder/made$file" || return 1
	done <"$folder/files"
	configured_follow "$1" "$1"
}

# configured_text FOLDER BRIDGE NIC: writes what is to stand into FOLDER/made, and what would stand without us into FOLDER/was; into
# FOLDER/files which files these are.
configured_text() {
	local mac by
	! networkd_has "$1" || return 0
	read -r mac <"/sys/class/net/$2/address" || return 1
	by=ifupdown
	[ -e "$1/files" ] || by=$(configured_by "$3") || return 1
	case $by in
	ifupdown) interfaces_make "$1" "$2" "$3" "$mac" ;;
	systemd-networkd) networkd_make "$1" "$2" "$3" "$mac" ;;
	*) true >"$1/files" || return 1 ;;
	esac
}

# networkd_make FOLDER BRIDGE NIC MAC: the same for systemd-networkd.
networkd_make() {
	local place kind file
	place=/etc/systemd/network
	true >"$1/files.new" && mkdir -p "$1/made$place" || return 1
	for kind in .netdev .network -uplink.network; do
		file=$place/05-drawbridge-moved-$2$kind
		true >"$1/made$file" && chmod 640 "$1/made$file" && networkd_text "$2" "$3" "$4" "$kind" >"$1/made$file" &&
			networkd_mode "$3" "$1/made$file" && echo "$file" >>"$1/files.new" || return 1
	done
	mv "$1/files.new" "$1/files"
}

# networkd_text BRIDGE NIC MAC KIND: the bridge's own file has all that the NIC's had, but for what is the NIC's: its name, its hardware,
# and what stands on top of it.
networkd_text() {
	local file
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
	local hidden file
	hidden=$(networkd_file "$1" | while read -r file; do find -L "$file" -prune ! -perm -004; done)
	if [ -z "$hidden" ]; then chmod 644 "$2"; else chgrp systemd-network "$2"; fi
}

# configured_write PATH FROM: as FROM is, or away where there is none; the undo gets what stood there, and what was written.
configured_write() {
	[ -e "$T/configured/old$1" ] || grep -qsxF "$1" "$T/configured/absent" || {
		mkdir -p "$T/configured/old${1%/*}" || return 1
		if [ -e "$1" ]; then cp -a "$1" "$T/configured/old$1"; else echo "$1" >>"$T/configured/absent"; fi || return 1
	}
	[ ! -e "$2" ] || { mkdir -p "$T/configured/new${1%/*}" && cp -a "$2" "$T/configured/new$1"; } || return 1
	# The power may fail before the file is written.
	sync -f "$T"
	if [ -e "$2" ]; then restore_file "$2" "$1"; else rm -f "$1"; fi
}

# configured_undo BRIDGE: every such file, and back to whom it was before.
configured_undo() {
	local left old file folder nic
	[ -d "$T/configured" ] || return 0
	left=$(
		[ ! -d "$T/configured/old" ] || find "$T/configured/old" -type f | while read -r old; do
			configured_put_back "$1" "$old" "${old#"$T/configured/old"}" || echo "${old#"$T/configured/old"}"
		done
		[ ! -e "$T/configured/absent" ] || while read -r file; do rm -f "$file" || echo "$file"; done <"$T/configured/absent"
	)
	[ -z "$left" ] || complain "could not put back: $left"
	if read_moved_folder folder "$1" && read -r nic <"$folder/uplink"; then
		if [ -e "$folder/restored" ]; then configured_follow "$1" "$1"; else configured_follow "$1" "$nic"; fi
	fi
	[ -z "$left" ]
}

# configured_put_back BRIDGE OLD PATH: as it was; lines that an administrator has written since then stay.
configured_put_back() {
	! is_same_file "$2" "$3" || return 0
	case $3 in
	/etc/network/*)
		if [ -e "$3" ] && ! cmp -s "$T/configured/new$3" "$3" && interfaces_undone "$1" "$3"; then
			restore_file "$RUN/undone" "$3"
			return
		fi
		;;
	esac
	restore_file "$2" "$3"
}

# interfaces_undone BRIDGE PATH: into $RUN/undone, a file that was edited while the change waited, less the change.
interfaces_undone() {
	local folder nic mac
	read_moved_folder folder "$1" && read -r nic <"$folder/uplink" && mkdir -p "$RUN" && cp -a "$2" "$RUN/undone" || return 1
	if [ -e "$folder/restored" ]; then
		mac=$(interfaces_mac "$folder" "$1" "$2")
		interfaces_text made "$1" "$nic" "$mac" <"$2" >"$RUN/undone"
	elif ! grep -qsxF "$2" "$VAR/found/moved/$1/files"; then
		interfaces_blocks without "$1" "$2" >"$RUN/undone"
	fi
}

# configured_notes NUMBER BRIDGE moved|given-back: "NUMBER said TEXT" for each line that somebody wrote into ours, or that becomes the bridge's.
configured_notes() {
	local differences file what text
	read_differences differences "$2" || return 1
	[ -n "$differences" ] || return 0
	printf '%s\n' "$differences" | while read -r file what text; do
		case $file:$what:$3 in
		/etc/network/*:added:*) echo "$1 said $file: \"$text\" stood among the lines of $2 that pulumi-drawbridge writes; it is a comment behind them now" ;;
		/etc/network/*:uplink:moved) echo "$1 said $file: what \"$text\" gave to the uplink is given to $2 now" ;;
		esac
	done | tr -d '\000-\010\013-\037\177'
}

# dhcp_clients NIC: "CLIENT PID FILE" for each program that holds a lease for the NIC by ifupdown. The number in a pid file may be
# another process by now, and anybody may call his own program dhclient: what counts is the very file that root would start by that
# name, run by root or by a daemon's user.
dhcp_clients() {
	local file pid client
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
	local runs program user
	case $2 in '' | *[!0-9]*) return 1 ;; esac
	runs=$(stat -Lc %d:%i "/proc/$2/exe" 2>/dev/null) && program=$(command -v "$1") && [ "$runs" = "$(stat -Lc %d:%i "$program")" ] || return 1
	case $1 in dhclient) user=0 ;; *) user='[0-9]\{1,3\}' ;; esac
	grep -qsx "Uid:\(	$user\)\{4\}" "/proc/$2/status"
}

# program_is_roots NAME: nobody else could have put another one in its place.
program_is_roots() {
	local program reason
	program=$(command -v "$1") || return 1
	read_folder_reason reason "${program%/*}" && [ -z "$reason" ] && [ -n "$(find -L "$program" -prune -uid 0 ! -perm -020 ! -perm -002)" ]
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
	local client pid unknown
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

# configured_follow BRIDGE TO: the programs at work take the new configuration over, in which TO, the bridge or its uplink, has all.
configured_follow() {
	local folder nic
	read_moved_folder folder "$1" && read -r nic <"$folder/uplink" || return 1
	if networkd_has "$folder"; then
		networkd_follow "$1" "$nic" "$2"
	elif [ "$2" = "$1" ]; then
		dhclient_follow "$1" "$nic"
	else
		dhclient_follow "$2" "$1"
	fi
}

# networkd_follow BRIDGE NIC TO
networkd_follow() {
	local pass state number ours
	[ -d /run/systemd/system ] && systemctl --quiet is-active systemd-networkd.service || return 0
	networkctl reload || return 0
	# It does so at its leisure, and says here which file a device has.
	pass=0
	while [ "$pass" -lt 20 ]; do
		read -r number <"/sys/class/net/$3/ifindex" || return 1
		state=/run/systemd/netif/links/$number
		ours=no
		! grep -qs '^NETWORK_FILE=.*/05-drawbridge-moved-' "$state" || ours=yes
		case $ours:$3 in no:"$2" | yes:"$1") ! grep -q '^ADMIN_STATE=configured' "$state" || break ;; esac
		sleep 0.5
		pass=$((pass + 1))
	done
}

# dhclient_follow TO FROM: the same client with the same lease, on the other interface. It ends without a word to the server, and the
# next one asks for the address that it had.
dhclient_follow() {
	local client pid file name leases
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
