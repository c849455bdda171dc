# --- one writer at a time -------------------------------------------------------------------------------------------
# Promises that one step at a time works on this host, that changes come in the order in which they asked, and that what somebody was killed over is
# finished or rolled back by whoever comes next. Called by every command that changes or looks (50, 60, 70, 90). Leaves the lock in /run, and
# tickets in RUN/queue while somebody waits.

# Whoever can open a file can lock it, for reading too, and keeps what he has open when its mode changes. So the lock is a file that never
# anybody but root could open, and RUN and VAR, where the other locks lie, are root's alone.

lock() {
	lock_within 30
	case $? in
	0) ;;
	1) fail busy "another step of drawbridge-host holds $LOCK for too long" ;;
	*) fail not-writable "cannot open $LOCK" ;;
	esac
}

# lock_within SECONDS: takes the lock, as descriptor 9. Status 1: somebody else still had it then; 2: it cannot be opened.
lock_within() {
	local path
	while :; do
		path=$LOCK
		lock_is_private || path=$LOCK.new
		lock_open "$path" || return 2
		flock -w "$1" 9 || {
			unlock
			return 1
		}
		[ "$path" = "$LOCK" ] || lock_replace
		# While we waited, somebody may have put another file in its place.
		[ ! "$LOCK" -ef /proc/self/fd/9 ] || break
	done
	[ ! -e "$LOCK.earlier" ] || lock_earlier "$1"
}

unlock() { exec 9>&-; }

# lock_is_private: nobody but root could ever open it. Who had it open as descriptor 4 has asked about that (close_folders).
lock_is_private() { [ ! -e "$LOCK" ] || [ "$LOCK" -ef /proc/self/fd/4 ] || [ "$(stat -c %u:%a "$LOCK")" = 0:600 ]; }

# lock_open PATH: as descriptor 9; one that is made here is root's alone from the beginning.
lock_open() {
	umask 077
	command exec 9>>"$1"
	set -- $?
	umask 022
	return "$1"
}

# lock_replace: puts the file LOCK.new, which is locked as descriptor 9, in the place of a lock that others could open, as earlier
# programs made it. Only who has LOCK.new locked renames it, so that of several who come at once one does it. The former file keeps a name,
# for an earlier program may be at work under it.
lock_replace() {
	[ "$LOCK.new" -ef /proc/self/fd/9 ] || return 0
	if lock_is_private; then rm -f "$LOCK.new"; else ln -fT "$LOCK" "$LOCK.earlier" && mv -fT "$LOCK.new" "$LOCK"; fi
}

# lock_earlier SECONDS: waits until nobody has the former lock open for writing, as earlier programs do; a user could open it only for
# reading, and is not waited for. With the lock held; status 1, without it, when they take too long.
lock_earlier() {
	local left
	left=$(($1 * 10))
	while earlier_is_open; do
		[ "$left" -gt 0 ] || {
			unlock
			return 1
		}
		left=$((left - 1))
		sleep 0.1
	done
	rm -f "$LOCK.earlier"
}

# earlier_is_open: a process of root's has the former lock open for writing; the last digit of the flags tells (proc_pid_fdinfo(5)).
earlier_is_open() {
	local process fd word value
	for process in /proc/[0-9]*; do
		[ -O "$process" ] || continue
		for fd in "$process"/fd/*; do
			[ "$fd" -ef "$LOCK.earlier" ] || continue
			while read -r word value; do
				case $word:$value in
				flags:*0) ;;
				flags:*) return 0 ;;
				esac
			done <"$process/fdinfo/${fd##*/}"
		done
	done 2>/dev/null
	return 1
}

# close_folders: RUN and VAR as earlier programs made them were open to everybody. Where they are not, and the lock is root's alone, too, that lock stays open
# as descriptor 4, so that nobody asks about the same file again.
close_folders() {
	local folder wanted
	exec 4<&-
	set --
	wanted=0:600
	for folder in "$RUN" "$VAR"; do [ ! -d "$folder" ] || { set -- "$@" "$folder" && wanted=$wanted${NEWLINE}0:700; }; done
	[ ! -f "$LOCK" ] || ! command exec 4<"$LOCK" || [ "$(stat -L -c %u:%a /proc/self/fd/4 "$@" 2>/dev/null)" != "$wanted" ] || return 0
	exec 4<&-
	[ $# -eq 0 ] || chmod 700 "$@" 2>/dev/null || :
}

# read_pending VARIABLE: who has applied something that is neither confirmed nor undone yet; fails when nobody has.
read_pending() {
	local pending_txn
	for pending_txn in "$VAR"/txn/*; do
		if [ -e "$pending_txn/pending" ] || [ -e "$pending_txn/reverting" ]; then
			read_line "$1" "$pending_txn/holder"
			return 0
		fi
	done
	return 1
}

# wait_until_settled [HOLDER]: returns with the lock held and nothing pending. Who says a name and has to wait gets a ticket; those
# come first, in their order.
wait_until_settled() {
	local ticket said waited holder
	ticket=
	said=
	waited=0
	while :; do
		lock
		settle_abandoned
		if read_pending holder; then :; elif read_earlier_ticket holder "$ticket"; then :; else
			[ -z "$ticket" ] || { rm -f "$ticket" && exec 5<&-; }
			return 0
		fi
		unlock
		[ -z "${1:-}" ] || [ -n "$ticket" ] || take_ticket ticket "$1"
		if [ "$said" != "$holder" ]; then
			say "waiting for $holder"
			said=$holder
		fi
		[ "$waited" -lt 36000 ] || fail busy "waited an hour for $holder"
		waited=$((waited + 1))
		sleep 0.1
	done
}

# hold TXN: whoever works on a transaction holds it; the lock ends with the last process that has the descriptor.
hold() {
	[ -e "$1/alive" ] || return 0
	command exec 6<"$1/alive" && flock -s 6
}

# is_held TXN: somebody is at work on it.
is_held() { [ -e "$1/alive" ] && ! flock -n -x "$1/alive" true; }

# settle_abandoned: goes on where somebody was killed. With the lock held.
settle_abandoned() {
	local txn
	for txn in "$VAR"/txn/* "$VAR"/txn/.incoming.* "$VAR"/txn/.gone.*; do
		[ -d "$txn" ] || continue
		case ${txn##*/} in .gone.*) rm -rf "$txn" && continue ;; esac
		if [ -e "$txn/confirmed" ]; then
			keep_confirmed "$txn" || fail not-writable "cannot write the copies of the change before this one below $VAR: $(df -h /var/lib | tail -n 1)"
		elif [ "$txn" = "$T" ]; then
			# This very process holds it.
			:
		elif is_held "$txn"; then
			:
		elif [ -e "$txn/reverting" ] || is_overdue "$txn"; then
			/bin/sh "$txn/drawbridge-host" undo "${txn##*/}" held 9>&9
		elif [ -e "$txn/alive" ] && [ ! -e "$txn/pending" ]; then
			case ${txn##*/} in
			.incoming.*) ;;
			*) finish "${txn##*/}" "failed internal" "text the process at work on the host was killed before it changed anything" ;;
			esac
			remove_transaction "$txn"
		fi
	done
	retry_rollbacks
}

# retry_rollbacks: what earlier undos could not put back, the newest first: what one has found may be what an earlier one had to leave. With
# the lock held.
retry_rollbacks() {
	local rest
	for rest in "$VAR"/not-undone-*; do [ -d "$rest" ] || return 0; done
	for rest in $(find "$VAR" -maxdepth 2 -path "$VAR/not-undone-*/request" -printf '%T@ %h\n' | sort -rn | cut -d' ' -f2); do
		retry_rollback "$rest"
	done
}

# remove_transaction TXN: gone in one step, so that nobody takes the half of it for something at work.
remove_transaction() { mv -T "$1" "$VAR/txn/.gone.${1##*/}" && rm -rf "$VAR/txn/.gone.${1##*/}" "$RUN/proven.${1##*/}"; }

# is_overdue TXN: nobody has confirmed it, and its undo has not come either.
is_overdue() {
	local until boot now booted
	[ -e "$1/pending" ] && [ -e "$1/until" ] || return 1
	read -r until boot <"$1/until"
	read -r now _ </proc/uptime
	read -r booted </proc/sys/kernel/random/boot_id
	[ "$boot" != "$booted" ] || [ "${now%%.*}" -gt "$until" ]
}

# settle_if_free: the same for who does not hold the lock, where nobody else does.
settle_if_free() {
	! lock_within 0 || settle_abandoned
	unlock
}

# take_ticket VARIABLE HOLDER: a place in the queue, its path into the variable; held as a transaction is, for a number of a process may be another's by now.
take_ticket() {
	local number place
	lock
	number=100000
	[ ! -s "$RUN/queue.next" ] || read -r number <"$RUN/queue.next"
	place=$RUN/queue/$number
	# Earlier programs ask for the number of the process.
	# shellcheck disable=SC2015
	private_dir "$RUN" && mkdir -p "$RUN/queue" && echo $((number + 1)) >"$RUN/queue.next" && printf '%s\n%s\n' "$$" "$2" >"$place" &&
		command exec 5<"$place" && flock -s 5 || fail not-writable "cannot write below $RUN"
	unlock
	give "$1" "$place"
}

# read_earlier_ticket VARIABLE TICKET: the holder of the first ticket that somebody holds, unless that is TICKET; fails where there is none.
read_earlier_ticket() {
	local ticket_other
	for ticket_other in "$RUN"/queue/*; do
		[ -e "$ticket_other" ] || continue
		[ "$ticket_other" != "$2" ] || return 1
		if flock -n -x "$ticket_other" true; then rm -f "$ticket_other"; else
			# Behind the number of its process.
			{ read -r _ && read -r "$1"; } <"$ticket_other"
			return 0
		fi
	done
	return 1
}
