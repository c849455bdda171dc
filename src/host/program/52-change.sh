# --- the transaction: armed, and put in place -----------------------------------------------------------------------------
# Promises that the rollback is complete on the disk, and waits, before anything changes. Called by the worker (50). Leaves the files of the change in their
# places, the tables in the kernel, and a timer until somebody confirms.

# arm ID: from here on the host puts itself back unless somebody confirms. Complete on disk before anything changes.
arm() {
	local deadline now booted syncing
	# Without this list an undo would put nothing back.
	[ -e "$T/touched" ] && [ -e "$T/absent" ] || return 1
	read_asked deadline "$T/request" deadline
	# Where even the timer is killed, whoever comes next sees that it is late. A clock that is set does not move this one.
	read -r now _ </proc/uptime && read -r booted </proc/sys/kernel/random/boot_id || return 1
	# One call of sync: a wave has hundreds of files.
	{ echo "$((${now%%.*} + deadline + 2)) $booted" >"$T/until" && true >"$T/pending"; } || return 1
	sync -f "$T" &
	syncing=$!
	# shellcheck disable=SC2015
	start_timer "$1" "$deadline" && wait "$syncing" && return 0
	wait "$syncing"
	disarm "$1"
	return 1
}

# start_timer ID SECONDS: the rollback, at its time.
start_timer() {
	local timer
	if [ -d /run/systemd/system ]; then
		systemd-run --quiet --collect --unit="drawbridge-undo-$1" --on-active="${2}s" --timer-property=AccuracySec=100ms \
			--property=Restart=on-failure --property=RestartSec=1s \
			/bin/sh "$T/drawbridge-host" undo "$1" >"$T/arm.log" 2>&1 6>&- 8>&- 9>&- || return 1
		systemctl --quiet is-active "drawbridge-undo-$1.timer"
		return
	fi
	# It says its number by a pipe of which it alone has the end. Without the descriptors of lock and news: a sleeping undo that inherits them would hold them to its end.
	command exec 3<>"$T/go" && command exec 7<"$T/go" || return 1
	setsid /bin/sh "$T/drawbridge-host" undo-later "$1" "$2" </dev/null >&3 2>"$T/arm.log" 3>&- 6>&- 7<&- 8>&- 9>&- &
	exec 3>&-
	read -r timer <&7 || timer=
	exec 7<&-
	[ -n "$timer" ] && is_timer "$timer" "$1"
}

# is_timer PROCESS ID: where it was killed, its number may be somebody else's by now.
is_timer() {
	local words
	[ -r "/proc/$1/cmdline" ] || return 1
	# The words end with NUL, not with a line feed, and `read` leaves those out.
	read -r words <"/proc/$1/cmdline" 2>/dev/null || :
	case $words in *undo-later"$2"*) ;; *) return 1 ;; esac
}

disarm() {
	local timer
	if [ -d /run/systemd/system ]; then
		systemctl --quiet stop "drawbridge-undo-$1.timer" 2>/dev/null || :
	elif [ -s "$VAR/txn/$1/timer" ]; then
		read -r timer <"$VAR/txn/$1/timer"
		! is_timer "$timer" "$1" || kill -- "-$timer" 2>/dev/null || :
	fi
}

# put_in_place PROGRAM: files, then the kernel in one commit. Prints what went wrong, or fails; behind the code not-writable what a disk did not take. PROGRAM is 0 where this
# program and its units stand.
put_in_place() {
	local path status
	step program
	[ "$1" = 0 ] || units_install || { echo "not-writable cannot write below /etc"; return 0; }
	step files
	install_all "$T" || return 1
	step drops
	[ -r "$T/drops" ] || return 1
	while read -r path; do
		rm -f "$path" && { [ ! -e "$VAR/found/files$path" ] || restore_file "$VAR/found/files$path" "$path"; } && continue
		echo "not-writable cannot write below ${path%/*}"
		return 0
	done <"$T/drops"
	step bridges
	! links_touched || routes_look before || return 1
	held_made || return 1
	step tables
	tables_in_place
	status=$?
	step links
	[ "$status" -eq 0 ] || return 1
	held_set_all || return 1
	! links_touched || { routes_look now && routes_compare; } || return 1
	# Whoever confirms this confirms what is on disk.
	sync -f /etc || echo "not-writable cannot write below /etc"
}

# restore_file COPY PATH: as it was, owner and mode included; complete or not at all.
restore_file() {
	make_dir "${2%/*}" || return 1
	cp -a "$1" "${2%/*}/.drawbridge.undo" && mv -fT "${2%/*}/.drawbridge.undo" "$2" && return 0
	rm -f "${2%/*}/.drawbridge.undo"
	return 1
}

# tables_in_place: all tables that the transaction touches, in one commit. Prints what went wrong, and fails.
tables_in_place() {
	local families family listed
	read_families families || return 1
	[ -n "$families" ] || return 0
	listed='' LOOK=$T/look
	for family in $families; do [ ! -s "$T/fragments.new.$family" ] || listed="$listed $family"; done
	# shellcheck disable=SC2086
	shut_in_place $families || { echo "not-writable cannot write below $ETC"; return 1; }
	[ ! -e "$RUN/lifted" ] || rm -f "$RUN/lifted"
	if [ -e "$T/undo.nft" ]; then nft -f "$T/new.nft"; else nft_load "$T/new.nft"; fi 2>"$T/load.err" || {
		cat "$T/load.err"
		return 1
	}
	# shellcheck disable=SC2086
	if [ -e "$T/undo.nft" ]; then nft_delta_stands $listed; else nft_stands $listed; fi
}

# shut_in_place FAMILY…: what fails closed in place of each table, as it was tried, where boot looks for it.
shut_in_place() {
	local family tried shut
	make_dir "$ETC/shut" || return 1
	for family in "$@"; do
		tried=$RUN/proven.${T##*/}/shut.$family shut=$ETC/shut/$family.nft
		[ ! -e "$T/shut.stands.$family" ] || continue
		[ ! -e "$T/dry/shut.$family" ] && cmp -s "$tried" "$shut" || install_file "$tried" 0644 "$shut" || return 1
	done
}

# nft_stands FAMILY…: prints what is wrong, after whole texts were loaded, and fails.
nft_stands() {
	local state new
	new=$RUN/proven.${T##*/}
	# Before it is listed: what somebody commits meanwhile is seen by the next change.
	read_nft_state state || :
	nft_live "$@" >"$T/live" || return 1
	cmp -s "$T/live" "$T/dry/canonical" || {
		echo "what stands in the kernel is not what was asked: $(diff "$T/dry/canonical" "$T/live" | head -n 6 | tr '\n\t' '  ')"
		return 1
	}
	[ -z "$state" ] || { nft_split "$new/canonical." <"$T/live" && state_verified "$state" "$@" >"$new/state"; }
}

# forget_neighbours: in a process of its own. A cached ARP entry would hide that ARP no longer works from the connection that is to confirm.
forget_neighbours() {
	local peer hop
	read_asked peer "$T/request" peer
	[ -n "$peer" ] || return 0
	# Only a change of links makes packets go another way than when it was asked for.
	if links_touched; then read_way hop "$peer" via; else read_asked hop "$T/request" hop; fi
	exec ip neigh flush to "${hop:-$peer}" >/dev/null 2>&1
}

# read_way VARIABLE ADDRESS dev|via|src: by which device, next hop and own address packets to it leave; nothing where there is none.
read_way() {
	local way_answer
	way_answer=
	[ -z "$2" ] || way_answer=$(ip -o route get "$2" 2>/dev/null) || way_answer=
	read_way_word "$1" "$way_answer" "$3"
}

# read_way_word VARIABLE ANSWER dev|via|src: the same, of what ip has answered.
read_way_word() {
	local way_rest
	case $2 in
	*" $3 "*) way_rest=${2#*" $3 "} way_rest=${way_rest%% *} ;;
	*) way_rest= ;;
	esac
	give "$1" "$way_rest"
}
