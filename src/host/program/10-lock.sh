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
		for txn in "$VAR"/txn/*; do [ ! -e "$txn/confirmed" ] || keep_confirmed "$txn"; done
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
