# --- the transaction: confirmed, or undone --------------------------------------------------------------------------------
# Promises that a change is confirmed or rolled back, never both and never neither. Called by `confirm`, `undo`, the timer, and by whoever finds a
# transaction that nobody works on (10). Leaves what was confirmed in VAR/confirmed and VAR/found, and what could not be rolled back in VAR/not-undone-ID.

# lockout_evidence: what the host sees before it puts anything back, for whoever asks why there was no confirmation. "saw TEXT" a line; "rose
# FAMILY COUNTER PACKETS" for what the rules of the change have met since.
lockout_evidence() {
	local peer own device
	read_asked peer "$T/request" peer
	read_asked own "$T/request" own
	read_asked device "$T/request" device
	[ -z "$peer" ] || evidence_of_way "$peer" "$own" "$device"
	[ -e "$T/look.counters" ] || return 0
	LOOK=$RUN/undo
	nft_count
	awk '
		reading == "before" { was[$1, $2] = $3; next }
		reading == "manifest" { is_changed[$5] = 1; next }
		{
			# Of others it is not known what they were. A name begins with that of its object and a dot.
			object = $2
			while (!(object in is_changed) && sub(/\.[^.]*$/, "", object)) continue
			if ((object in is_changed) && $3 > was[$1, $2] + 0) print "rose", $1, $2, $3 - was[$1, $2]
		}' reading=before "$T/look.counters" reading=manifest "$T/manifest" reading=now "$LOOK.counters"
	rm -f "$LOOK.counters"
}

# evidence_of_way PEER OWN DEVICE: how the connection came, and what has become of its way.
evidence_of_way() {
	local now hop
	echo "saw our connection came from $1 to $2 by ${3:-no device}"
	read_way now "$1" dev
	[ "$now" = "$3" ] || echo "saw packets to $1 would leave by ${now:-no device}"
	[ -n "$(ip -o address show to "$2" 2>/dev/null)" ] || echo "saw no interface has the address $2"
	read_way hop "$1" via
	case $(ip neigh show to "${hop:-$1}" 2>/dev/null) in
	*FAILED* | *INCOMPLETE*) echo "saw nobody answers for ${hop:-$1} (ARP, neighbour discovery)" ;;
	esac
}

# confirm ID: one rename decides between us and the undo.
confirm() {
	local outcome
	step confirm
	# Asked again, since the answer was lost.
	read_line outcome "$RUN/results/$1"
	[ "$outcome" != confirmed ] || { echo confirmed; return 0; }
	[ -d "$VAR/txn/$1" ] || { echo too-late; return 0; }
	# The lock comes first: who comes between the rename and the copies would load the old ones.
	lock
	mv -T "$VAR/txn/$1/pending" "$VAR/txn/$1/confirmed" 2>/dev/null || {
		unlock
		echo "too-late"
		return 0
	}
	step confirmed
	disarm "$1"
	# What cannot be kept now is kept by whoever comes next.
	! keep_confirmed "$VAR/txn/$1" || leave_no_trace
	step kept
	unlock
	echo confirmed
}

# keep_confirmed TXN: what was confirmed becomes the copy that later loads are made of. Safe to do again after a crash; fails where
# something is missing then, and leaves the transaction as it is.
keep_confirmed() {
	remember "${1##*/}" confirmed
	finish "${1##*/}" confirmed
	[ ! -e "$1/reserve" ] || true >"$1/reserve"
	step keep-copies
	[ ! -d "$RUN/proven.${1##*/}" ] || forget_verified
	keep_copies "$1" && keep_all "$1" || return 1
	step keep-end
	# The power may fail now: either the copies are on disk, or what they were copied from.
	sync -f "$VAR"
	remove_transaction "$1"
}

# keep_all TXN: what else is kept.
keep_all() {
	step keep-links
	keep_found "$1" && held_confirmed "$1" && keep_tables "$1" && keep_from_retries "$1"
}

# keep_copies TXN: the files of the change, for later loads.
keep_copies() {
	[ -d "$1/files" ] || return 0
	[ -d "$VAR/confirmed" ] || mkdir -p "$VAR/confirmed" || return 1
	(umask 077 && cp -R "$1/files/." "$VAR/confirmed/") && return 0
	complain "cannot write below $VAR/confirmed"
	return 1
}

# keep_found TXN: how files were found that are adopted now; of those that are given up nothing is kept.
keep_found() {
	local path
	while read -r path; do rm -f "$VAR/confirmed$path" "$VAR/found/files$path" || return 1; done <"$1/drops"
	while read -r path; do
		mkdir -p "$VAR/found/files${path%/*}"
		[ -e "$VAR/found/files$path" ] || restore_file "$1/old$path" "$VAR/found/files$path" || return 1
	done <"$1/adopted"
}

# keep_tables TXN: tables that were found and adopted, and the texts that were tried, so that nobody tries them again.
keep_tables() {
	local family
	for family in $FAMILIES; do
		# What has just come need not be looked for among all others.
		if [ ! -d "$1/files$ETC/nft/$family-drawbridge" ] && nft_is_empty "$family"; then
			[ ! -e "$ETC/shut/$family.nft" ] || rm -f "$ETC/shut/$family.nft"
			[ ! -e "$VAR/found/nft/$family" ] || rm -f "$VAR/found/nft/$family"
		elif [ -e "$1/found.$family" ]; then
			mkdir -p "$VAR/found/nft"
			restore_file "$1/found.$family" "$VAR/found/nft/$family" || return 1
		fi
	done
	faults_mended "$1" && keep_verified "$1"
}

# faults_mended TXN: forgets what the last load could not do of a table that the change has put in place since.
faults_mended() {
	local family
	[ -s "$RUN/load.faults" ] || return 0
	for family in $FAMILIES; do
		[ -e "$1/fragments.new.$family" ] || continue
		grep -v "^table $family drawbridge " "$RUN/load.faults" >"$RUN/load.faults.new" || [ $? -eq 1 ] || return 1
		mv -f "$RUN/load.faults.new" "$RUN/load.faults" || return 1
	done
}

# keep_from_retries TXN: what an undo could not put back is not to come over what was confirmed since.
keep_from_retries() {
	local rest list
	for rest in "$VAR"/not-undone-*; do
		[ -d "$rest" ] || continue
		grep -vxF -f "$1/touched" "$rest/touched" >"$rest/touched.new" || [ $? -eq 1 ] || return 1
		mv -f "$rest/touched.new" "$rest/touched" || return 1
		[ ! -e "$1/links.put" ] || for list in "$rest/links.changed" "$rest/links.stuck"; do
			[ -s "$list" ] || continue
			awk 'FILENAME ~ /(put|drop)$/ { ours[$2 " " $3]; if ($3 ~ /^(owner|group|mode)$/) ours[$2 " content"]; next } !(($1 " " $2) in ours)' "$1/links.put" "$1/links.drop" "$list" >"$rest/links.new" || return 1
			mv -f "$rest/links.new" "$list" || return 1
		done
	done
}

# undo ID [held]: exactly what the transaction changed, from the transaction's own folder; reads nothing of /etc/drawbridge.
# Degrades as boot does: all tables at once, else table by table, else shut.
undo() {
	local id seen broken stays stuck
	id=$1 T=$VAR/txn/$1
	hold "$T"
	# Where not even a rename is possible, nobody can confirm either, and the kernel at least goes back.
	[ -e "$T/reverting" ] || mv -T "$T/pending" "$T/reverting" 2>/dev/null || [ -e "$T/pending" ] || return 0
	if [ "${2:-}" != held ]; then
		# Whoever holds the lock for so long hangs; being locked out is worse than two at work.
		lock_within 20 || complain "undoing without the lock"
		# Somebody else may have been faster.
		[ -e "$T/reverting" ] || [ -e "$T/pending" ] || return 0
	fi
	step undo
	seen=$(lockout_evidence)
	[ ! -e "$T/reserve" ] || true >"$T/reserve"
	[ -e "$RUN/results/.$id" ] || complain "transaction of $(cat "$T/holder") was not confirmed in time and is undone"
	remove_temporaries
	step undo-files
	ask broken undo_files || broken="${broken}files of this change "
	step undo-bridges
	held_undo_all first >/dev/null
	step undo-tables
	ask stays undo_tables || stays="tables of this change "
	broken=$broken$stays
	step undo-links
	if ! ask stuck held_undo_all ""; then
		broken="$broken$(cut -d' ' -f1 "$T/links.changed" | sort -u | tr '\n' ' ')"
		stuck=$(held_backwards)
	fi
	links_undo_routes
	step undo-end
	[ -z "$stuck" ] || broken="$broken$(printf '%s\n' "$stuck" | awk '{ printf "%s (%s) ", $1, $2 }')"
	if [ -n "$broken" ]; then
		held_stuck "$stuck"
		broken="could not put back: ${broken% }; each call tries it again, with what is kept in $VAR/not-undone-$id"
		complain "$broken"
	fi
	# Where the worker has a reason of its own, it tells it.
	[ -e "$RUN/results/.$id" ] || finish "$id" undone "$broken" "$seen"
	put_away "$id" "$broken" "${2:-}"
	step undo-sweep
	leave_no_trace
	[ "${2:-}" = held ] || unlock
}

# put_away ID BROKEN [held]: the transaction that was undone goes, or what is to be tried again of it stays.
put_away() {
	# A timer that sleeps on would keep our copy of the program on the disk. Where it is the timer that undoes, it ends by itself.
	[ "$3" != held ] || disarm "$1"
	if [ -z "$2" ]; then remove_transaction "$T"; else
		# Whoever tries it again has a program of his own, and many of these may wait on a disk that is nearly full.
		rm -rf "$T/drawbridge-host" "$T/reserve" "$T/dry" "$RUN/proven.$1" 2>/dev/null
		mv -T "$T" "$VAR/not-undone-$1"
	fi
}

# undo_tables: puts back the tables, and what fails closed in their place; prints the paths of that which could not be written, each with a blank behind it.
undo_tables() {
	local family
	set --
	for family in $FAMILIES; do
		[ ! -e "$T/fragments.undo.$family" ] || set -- "$@" "$family"
	done
	[ $# -eq 0 ] || roll_tables_back "$@" || complain "not even what fails closed in their place was loaded"
	for family in "$@"; do
		put_fail_closed "$family" "$T/fragments.undo.$family" "$T/shut.$family" || printf '%s ' "$ETC/shut/$family.nft"
	done
}

# roll_tables_back FAMILY…: a delta by its way back; where somebody has committed something since, or it was not a delta, by whole texts.
roll_tables_back() {
	if [ ! -e "$T/undo.nft" ]; then load_tables "$T/undo" "$T/shut" "$@"; elif ! nft_delta_undone; then
		nft_rollback_made "$@" || complain "the texts of the tables as they were could not be made"
		load_tables "$RUN/undo" "$T/shut" "$@"
	fi
}

# undo_files: puts back what was there; prints the paths of those that could not be, each with a blank behind it.
undo_files() {
	local path
	while read -r path; do
		if grep -qxF "$path" "$T/absent"; then rm -f "$path"; elif is_same_file "$T/old$path" "$path"; then :; else
			# Its only copy stays where it is as long as it is not back in its place.
			restore_file "$T/old$path" "$path"
		fi || printf '%s ' "$path"
	done <"$T/touched"
}

# put_fail_closed FAMILY LIST TEXT: what boot loads when the table, which the fragments in the file LIST make, does not.
put_fail_closed() {
	if [ ! -s "$2" ]; then rm -f "$ETC/shut/$1.nft" 2>/dev/null; else
		cmp -s "$3" "$ETC/shut/$1.nft" || install_file "$3" 0644 "$ETC/shut/$1.nft" 2>/dev/null
	fi
}

# retry_fail_closed: the same, made anew: of several undos that wait here each has its own text of it, and none may be what is confirmed now.
retry_fail_closed() {
	local family
	for family in $FAMILIES; do
		[ -e "$T/fragments.undo.$family" ] || continue
		nft_fragments "$family" >"$RUN/rest.list" && nft_fail_closed "$family" "$RUN/rest.shut" "$RUN/rest.list" &&
			put_fail_closed "$family" "$RUN/rest.list" "$RUN/rest.shut" || return 1
	done
}

# is_same_file A B: a full disk cannot hold what need not be written.
is_same_file() {
	[ ! -L "$1" ] && [ ! -L "$2" ] && cmp -s "$1" "$2" && [ "$(stat -c '%a %u %g' "$1")" = "$(stat -c '%a %u %g' "$2")" ]
}

# retry_rollback DIR: what an undo could not put back, as soon as it can be: where a file, or a thing, still stands as that transaction has
# put it. The rest stays, as the only copy of what was there.
retry_rollback() {
	local path at_work
	true >"$1/left" || return 0
	while read -r path; do
		if grep -qxF "$path" "$1/absent"; then
			# Of this there is no copy to keep; what is another's now is left to him.
			if ! cmp -s "$1/files$path" "$path" || rm -f "$path" 2>/dev/null; then continue; fi
		elif is_same_file "$1/old$path" "$path"; then
			continue
		elif [ -e "$1/files$path" ]; then
			if cmp -s "$1/files$path" "$path" && restore_file "$1/old$path" "$path" 2>/dev/null; then continue; fi
		elif [ ! -e "$path" ]; then
			if restore_file "$1/old$path" "$path" 2>/dev/null; then continue; fi
		fi
		echo "$path" >>"$1/left" || return 0
	done <"$1/touched"
	mv -f "$1/left" "$1/touched" || return 0
	at_work=$T
	T=$1
	held_retry && [ ! -s "$T/touched" ] && retry_fail_closed && rm -rf "$T"
	T=$at_work
}

# load_tables TEXT SHUT FAMILY…: TEXT.FAMILY of each, in one commit; where that fails, one by one; where one fails, its second try without what only
# opens (TEXT.second.FAMILY), then SHUT.FAMILY, which fails closed. Fails where not even that loads. A device that is absent is left out, whatever
# the text says: older kernels refuse it.
load_tables() {
	local text shut guarded family
	text=$1 shut=$2 guarded=yes
	shift 2
	private_dir "$RUN"
	devices_present "$RUN/present"
	# Half a text is no text: these words no nft takes.
	for family in "$@"; do nft_here "$RUN/present" <"$text.$family" || echo "cut off"; done >"$RUN/load.all" && nft_load "$RUN/load.all" 2>/dev/null && return 0
	for family in "$@"; do
		load_table "$text.$family" && continue
		complain "table $family drawbridge did not load: $(tr '\n' ' ' <"$RUN/load.err")"
		if [ -s "$text.second.$family.left-out" ] && load_table "$text.second.$family"; then
			complain "table $family drawbridge stands without what only opens: $(tr '\n' ' ' <"$text.second.$family.left-out")"
			continue
		fi
		load_fail_closed "$shut.$family" "$family" || guarded=
	done
	[ -n "$guarded" ]
}

# load_table TEXT: one table; why it does not load goes to RUN/load.err.
load_table() { { nft_here "$RUN/present" <"$1" || echo "cut off"; } | nft -f - 2>"$RUN/load.err"; }

# load_fail_closed TEXT FAMILY: what fails closed in the table's place; where that is not there either, nothing is forwarded, and it fails.
load_fail_closed() {
	nft -f "$1" || complain "and neither did what fails closed in its place; forwarding is switched off"
	nft list table inet "drawbridge_shut_$2" >/dev/null 2>&1 || nft list table bridge "drawbridge_shut_$2" >/dev/null 2>&1 || {
		forwarding_off
		return 1
	}
}

forwarding_off() {
	local switch
	for switch in /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding; do
		[ ! -w "$switch" ] || echo 0 >"$switch"
	done
}
