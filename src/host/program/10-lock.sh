# --- one writer at a time -------------------------------------------------------------------------------------------

lock() {
	exec 9>>"$LOCK" || fail not-writable "cannot open $LOCK"
	flock -w 30 9 || fail busy "another step of drawbridge-host holds $LOCK for too long"
}

unlock() { exec 9>&-; }

# pending_holder: who has applied something that is neither confirmed nor undone yet; fails when nobody has.
pending_holder() {
	for txn in "$VAR"/txn/*; do
		if [ -e "$txn/pending" ] || [ -e "$txn/reverting" ]; then
			cat "$txn/holder"
			return 0
		fi
	done
	return 1
}

# wait_until_settled [HOLDER]: returns with the lock held and nothing pending. Who says a name and has to wait gets a ticket; those
# come first, in their order.
wait_until_settled() {
	ticket=
	said=
	waited=0
	while :; do
		lock
		settle_abandoned
		if holder=$(pending_holder); then :; elif holder=$(earlier_ticket "$ticket"); then :; else
			[ -z "$ticket" ] || rm -f "$ticket"
			return 0
		fi
		unlock
		[ -z "${1:-}" ] || [ -n "$ticket" ] || ticket=$(take_ticket $$ "$1")
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
	exec 6<"$1/alive"
	flock -s 6
}

# is_held TXN: somebody is at work on it.
is_held() { [ -e "$1/alive" ] && ! flock -n -x "$1/alive" true; }

# settle_abandoned: goes on where somebody was killed. With the lock held.
settle_abandoned() {
	for txn in "$VAR"/txn/* "$VAR"/txn/.incoming.* "$VAR"/txn/.gone.*; do
		[ -d "$txn" ] || continue
		case ${txn##*/} in .gone.*) rm -rf "$txn" && continue ;; esac
		if [ -e "$txn/confirmed" ]; then
			keep_confirmed "$txn" || fail not-writable "cannot write the copies of the change before this one below $VAR: $(df -h /var/lib | tail -n 1)"
		elif is_held "$txn"; then
			:
		elif [ -e "$txn/reverting" ] || is_overdue "$txn"; then
			/bin/sh "$txn/drawbridge-host" undo "${txn##*/}" held 9>&9
		elif [ -e "$txn/alive" ] && [ ! -e "$txn/pending" ]; then
			case ${txn##*/} in
			.incoming.*) ;;
			*) finish "${txn##*/}" "failed internal" "text the process at work on the host was killed before it changed anything" ;;
			esac
			bury "$txn"
		fi
	done
	undo_rests
}

# undo_rests: what earlier undos could not put back, the newest first: what one has found may be what an earlier one had to leave. With
# the lock held.
undo_rests() {
	for rest in "$VAR"/not-undone-*; do [ -d "$rest" ] || return 0; done
	for rest in $(find "$VAR" -maxdepth 2 -path "$VAR/not-undone-*/request" -printf '%T@ %h\n' | sort -rn | cut -d' ' -f2); do
		undo_rest "$rest"
	done
}

# bury TXN: gone in one step, so that nobody takes the half of it for something at work.
bury() { mv -T "$1" "$VAR/txn/.gone.${1##*/}" && rm -rf "$VAR/txn/.gone.${1##*/}"; }

# is_overdue TXN: nobody has confirmed it, and its undo has not come either.
is_overdue() {
	[ -e "$1/pending" ] && [ -e "$1/until" ] || return 1
	read -r until boot <"$1/until"
	read -r now _ </proc/uptime
	[ "$boot" != "$(cat /proc/sys/kernel/random/boot_id)" ] || [ "${now%%.*}" -gt "$until" ]
}

# settle_if_free: the same for who does not hold the lock, where nobody else does.
settle_if_free() {
	exec 9>>"$LOCK"
	if flock -n 9; then settle_abandoned; fi
	unlock
}

# take_ticket PID HOLDER: prints the path of a place in the queue.
take_ticket() {
	lock
	[ -d "$RUN/queue" ] || mkdir -p "$RUN/queue"
	number=100000
	[ ! -s "$RUN/queue.next" ] || read -r number <"$RUN/queue.next"
	echo $((number + 1)) >"$RUN/queue.next"
	printf '%s\n%s\n' "$1" "$2" >"$RUN/queue/$number"
	unlock
	echo "$RUN/queue/$number"
}

# earlier_ticket TICKET: the holder of the first living ticket, unless that is TICKET (or there is none, or we have none).
earlier_ticket() {
	for other in "$RUN"/queue/*; do
		[ -e "$other" ] || continue
		[ "$other" != "$1" ] || return 1
		if kill -0 "$(head -n 1 "$other")" 2>/dev/null; then
			sed -n 2p "$other"
			return 0
		fi
		rm -f "$other"
	done
	return 1
}
