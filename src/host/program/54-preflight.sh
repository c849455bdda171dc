# --- the transaction: only asked about ------------------------------------------------------------------------------------
# Promises that the host is as it was. Called by `preflight` (90). Leaves nothing.

# preflight ID: prints what would be refused of the transaction before its first change, or "passed"; nothing of it stays. In this
# process: nothing is changed that could end our session.
preflight() {
	local said holder
	T=$VAR/txn/$1
	read_asked holder "$T/request" holder
	# shellcheck disable=SC2015
	printf '%s\n' "$holder" >"$T/holder" && true >"$T/drops" || fail not-writable "cannot write below $VAR"
	wait_until_settled "$holder"
	ask said prepare || said=$(unfinished "the check of this change")
	clean_up "$T"
	printf '%s\n' "${said:-passed}"
}
