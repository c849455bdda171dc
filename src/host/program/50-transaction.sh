# --- the transaction --------------------------------------------------------------------------------------------------
# $VAR/txn/ID holds: request, holder, manifest, files/ (what comes), old/ and absent (what was), undo.nft, this program.
# One of the empty files pending, confirmed, reverting says where it stands; each change of state is one rename.

# apply PEER OWN: takes a transaction from stdin and does it in a process of its own, since the first stateful rule of a host may kill
# the very session that loads it. The outcome is read from a file, by us or by whoever asks for `result` later.
apply() {
	# Under the lock, or the last resource of somebody else might sweep the folder away between two of these.
	lock
	# shellcheck disable=SC2015
	make_dir "$VAR/txn" && { [ -d "$RUN/results" ] || mkdir -p "$RUN/results"; } && incoming=$(mktemp -d "$VAR/txn/.incoming.XXXXXX") && : >"$incoming/alive" ||
		fail not-writable "cannot write below $VAR: $(df -h /var/lib | tail -n 1)"
	hold "$incoming"
	unlock
	step receive
	text=$(tar -xf - -C "$incoming" 2>&1) || {
		rm -rf "$incoming"
		fail not-writable "cannot store the transaction below $VAR: $text"
	}
	id=$(asked "$incoming/request" id)
	is_id "$id" || fail bad-request "the transaction has no id"
	printf 'user %s\npeer %s\nown %s\ndevice %s\n' "${SUDO_USER:-root}" "$1" "$2" "$(device_to "$1")" >>"$incoming/request"
	step store
	mv -T "$incoming" "$VAR/txn/$id"
	# shellcheck disable=SC2015
	cp "$0" "$VAR/txn/$id/drawbridge-host" && : >"$VAR/txn/$id/status" || fail not-writable "cannot write below $VAR"
	# The worker's news come by a pipe that it holds open for reading too, so that it never minds whether we still listen. Its end
	# is the worker's.
	mkfifo "$VAR/txn/$id/news" || fail not-writable "cannot write below $VAR"
	exec 8<>"$VAR/txn/$id/news"
	step start
	setsid -f /bin/sh "$VAR/txn/$id/drawbridge-host" work "$id" </dev/null >/dev/null 2>"$VAR/txn/$id/stderr"
	exec 7<"$VAR/txn/$id/news" 8>&- 6>&-
	cat <&7 >&2
	follow "$id"
}

# asked REQUEST WORD: what the request says behind the word.
asked() {
	while read -r word value; do
		[ "$word" != "$2" ] || printf '%s\n' "$value"
	done <"$1"
}

# follow ID: prints the result; waits for the undo where the worker ended without one.
follow() {
	while [ ! -e "$RUN/results/$1" ]; do
		[ -d "$VAR/txn/$1" ] || [ -e "$RUN/results/.$1" ] || [ -e "$RUN/results/$1" ] || fail internal "the transaction ended without a result"
		sleep 0.1
		settle_if_free
	done
	cat "$RUN/results/$1"
}

# result_of ID: what became of a transaction, for a controller that lost its session.
result_of() {
	if [ -e "$RUN/results/$1" ]; then cat "$RUN/results/$1"; elif [ -d "$VAR/txn/$1" ] || [ -e "$RUN/results/.$1" ]; then echo working; else echo unknown; fi
}

# finish ID STATE…: the result, complete or not at all.
finish() {
	draft "$@"
	publish "$1"
}

# draft ID STATE…: a result that nobody sees before the host is clean again.
draft() {
	mkdir -p "$RUN/results"
	hidden=$RUN/results/.$1
	case $2 in applied*) ;; *) remember "$1" "$2" ;; esac
	shift
	printf '%s\n' "$@" >"$hidden"
}

# remember ID STATE: one line for the journal, and for `drawbridge-host status`: what became of whose change. The state's first word.
remember() {
	T_OF=$VAR/txn/$1
	[ -e "$T_OF/request" ] || return 0
	outcome=${2%%[!a-z]*}
	first=$(sed -n 's/^[0-9]* \(put\|drop\) [^ ]* \([^ ]*\) .*/\2/p;q' "$T_OF/manifest" 2>/dev/null)
	header_of "$T_OF/files$first" from
	[ -n "$found" ] || header_of "$VAR/confirmed$first" from
	entry="$outcome: $(asked "$T_OF/request" holder), of ${found%% *}, by $(asked "$T_OF/request" user) from $(asked "$T_OF/request" peer)"
	logger -t drawbridge -p daemon.notice -- "$entry" 2>/dev/null || :
	# A day's is enough, as for results; the journal has the rest.
	{ tail -n 49 "$RUN/history"; printf '%s %s\n' "$(date +%FT%TZ)" "$entry"; } >"$RUN/history.new" 2>/dev/null
	mv -f "$RUN/history.new" "$RUN/history"
}

# publish ID: shows the draft.
publish() {
	mv -fT "$RUN/results/.$1" "$RUN/results/$1"
	# Results serve controllers that come back; a day is long enough.
	find "$RUN/results" -type f -mmin +1440 -delete 2>/dev/null || :
}

# work ID: the worker.
work() {
	T=$VAR/txn/$1
	exec 2>>"$T/status"
	NEWS=8
	# Whatever ends this process early, somebody waits for its result.
	trap '[ -e "$RUN/results/'"$1"'" ] || finish '"$1"' "failed internal" "text $(tail -n 4 "$T/status" | tr "\n" " ")"' EXIT
	asked "$T/request" holder >"$T/holder"
	: >"$T/drops"
	step wait
	wait_until_settled "$(asked "$T/request" holder)"
	outcome=$(prepare)
	if [ -n "$outcome" ]; then
		draft "$1" "$outcome"
		clean_up "$T"
		publish "$1"
		return 0
	fi
	step arm
	if ! arm "$1"; then
		draft "$1" "failed arm" "text the undo could not be armed: $(tail -n 3 "$T/arm.log" | tr '\n' ' ')"
		clean_up "$T"
		publish "$1"
		return 0
	fi
	step armed
	say "applying $(grep -c . "$T/manifest") changes"
	if outcome=$(put_in_place) && [ -z "$outcome" ]; then
		step report
		finish "$1" "applied $(machine_id)" "$(sed 's/^/note /' "$T/notes")"
		step applied
		forget_neighbours
		unlock
		return 0
	fi
	case $outcome in
	# Known by number whose fault it is.
	"refuse "*) draft "$1" refused "$outcome" ;;
	*) draft "$1" "failed apply" "text $(printf '%s' "$outcome" | tr '\n' ' ')" ;;
	esac
	/bin/sh "$T/drawbridge-host" undo "$1" held
	unlock
	publish "$1"
}

clean_up() {
	find "$VAR" -name '.drawbridge.*' -delete 2>/dev/null || :
	bury "$1"
	sweep
	unlock
}

# prepare: everything that can be known before the first change. Prints nothing when all is well, else the result.
prepare() {
	step check
	: >"$T/absent"
	: >"$T/notes"
	: >"$T/touched"
	puts=' '
	: >"$T/links"
	: >"$T/adopted"
	here=$(machine_id)
	while read -r number verb mode path object owner machine adopt; do
		is_known_path "$path" || {
			echo "refused"
			echo "refuse $number bad-request $path is not a path that drawbridge-host writes"
			return 0
		}
		if [ "$verb" = drop ]; then
			# Another machine (a clone has our owner's id too), a later generation, or nobody: not ours to delete.
			if [ "$machine" != "$here" ] && [ "$machine" != - ]; then
				echo "$number elsewhere" >>"$T/notes"
				continue
			fi
			owner_of "$path"
			[ "$found" = "$owner" ] || continue
			note drops || return 0
		elif ! may_write "$path" "$object" && [ "$adopt" != adopt ]; then
			echo "refused"
			echo "refuse $number not-owned $path is there already and not ours; \`adopt: true\` takes it over, and delete puts it back"
			return 0
		else
			may_write "$path" "$object" || note adopted || return 0
			owner_of "$path"
			previous=$found
			# An earlier generation is written over; what this very run holds under another id is declared twice.
			twice=
			case $puts in *" $path "*) twice=yes ;; esac
			if [ -n "$previous" ] && [ "$previous" != "$owner" ] && grep -qxF -- "$previous" "$T/held" || [ -n "$twice" ]; then
				echo "refused"
				echo "refuse $number not-owned $path belongs to another resource of this program; give one of them another name"
				return 0
			fi
			puts="$puts$path "
		fi
		: "$mode"
		note touched || return 0
		! is_link_file "$path" || echo "$number $verb $path" >>"$T/links"
		if [ -e "$path" ] || [ -L "$path" ]; then
			if ! { mkdir -p "$T/old${path%/*}" && cp -a "$path" "$T/old$path"; }; then
				echo "refused"
				echo "refuse $number not-writable cannot keep a copy of $path"
				return 0
			fi
		else
			note absent || return 0
		fi
	done <"$T/manifest"
	# A file that is dropped under one name and put under it by another operation (a new generation) stays.
	awk 'NR == FNR { if ($2 == "put") put[$4] = 1; next } !($0 in put)' "$T/manifest" "$T/drops" >"$T/drops.kept" && mv "$T/drops.kept" "$T/drops"

	step try
	refusals=$(
		sudoers_refusals "$T" | sed 's/^refuse \([0-9]*\) /refuse \1 rejected /'
		links_refusals
		nft_needs
		nft_adoption
	)
	if [ -n "$refusals" ]; then
		printf 'refused\n%s\n' "$refusals"
		return 0
	fi
	refusals=$(nft_refusal)
	if [ -n "$refusals" ]; then printf '%s\n' "$refusals"; else reserve || cannot_store; fi
}

# reserve: space that undo and confirmation free before they write, so that a disk that fills up meanwhile stops neither.
reserve() {
	du -sk "$T" >"$T/reserve" && read -r size _ <"$T/reserve" &&
		dd if=/dev/zero of="$T/reserve" bs=1024 count=$((size + 64)) 2>/dev/null
}

# note LIST: that $path is in it; prints the refusal of operation $number where the disk is full.
note() {
	echo "$path" >>"$T/$1" && return 0
	printf 'refused\nrefuse %s not-writable cannot write below %s: %s\n' "$number" "$VAR" "$(df -h /var/lib | tail -n 1)"
	return 1
}

# adopts NUMBER: the operation takes over what is there and not ours.
adopts() { grep -q "^$1 put .* adopt\$" "$T/manifest"; }

# owner_of PATH: whose file it is, in $found, by its confirmed copy, else by its own header.
owner_of() {
	header_of "$VAR/confirmed$1" owner
	[ -n "$found" ] || header_of "$1" owner
}

# may_write PATH OBJECT: nothing is there, or the same object of an earlier generation.
may_write() {
	header_of "$VAR/confirmed$1" object
	[ "$found" != "$2" ] || return 0
	[ ! -e "$1" ] && [ ! -L "$1" ] && return 0
	header_of "$1" object
	is_ours "$1" && [ "$found" = "$2" ]
}

# families_touched: which tables the transaction changes.
families_touched() {
	touched=$(cat "$T/touched")
	for family in $FAMILIES; do
		case $touched in *"$ETC/nft/$family-drawbridge/"*) echo "$family" ;; esac
	done
}

# nft_adoption: a table of our name without anything of ours in it is somebody's, or was left by an interrupted run. Keeps its text
# in T/found.FAMILY, and prints "refuse NUMBER not-owned TEXT" for everyone who does not adopt it.
nft_adoption() {
	have nft || return 0
	for family in $(families_touched); do
		nft_is_empty "$family" || continue
		nft list table "$family" drawbridge >"$T/found.$family" 2>/dev/null || {
			rm -f "$T/found.$family"
			continue
		}
		sed -n "s,^\([0-9]*\) put .* $ETC/nft/$family-drawbridge/.*,\1,p" "$T/manifest" | while read -r number; do
			adopts "$number" || echo "refuse $number not-owned the table $family drawbridge is there already and no resource's; \`adopt: true\` takes it over, and delete puts it back"
		done
	done
}

# nft_refusal: writes the new tables, the undo and "shut", and tries all three in a throw-away namespace.
nft_refusal() {
	families=$(families_touched)
	[ -n "$families" ] || return 0
	for tool in nft:nftables ip:iproute2 unshare:util-linux; do
		have "${tool%:*}" && continue
		printf 'failed missing-tool\ntext %s is not installed on this host; install the package %s\n' "${tool%:*}" "${tool#*:}"
		return 0
	done
	nft_look "$T/look"
	mkdir "$T/dry" "$T/proven"
	: >"$T/dry/listed"
	for family in $families; do
		{
			nft_fragments "$family" "$T" >"$T/fragments.new.$family" &&
				nft_fragments "$family" >"$T/fragments.undo.$family" &&
				nft_table "$family" "$T/proven/new.$family" "$T/fragments.new.$family" &&
				nft_undo "$family" &&
				nft_shut "$family" "$T/shut.$family" "$T/fragments.undo.$family" &&
				nft_shut "$family" "$T/proven/shut.$family" "$T/fragments.new.$family" &&
				cat "$T/proven/new.$family" >>"$T/dry/new.nft"
		} || {
			cannot_store
			return 0
		}
		[ ! -s "$T/fragments.new.$family" ] || echo "$family" >>"$T/dry/listed"
		# What an earlier transaction of this boot has tried and was confirmed with needs no second try.
		cmp -s "$T/undo.$family" "$RUN/proven/new.$family" || cat "$T/undo.$family" >>"$T/dry/undo.nft"
		cmp -s "$T/proven/shut.$family" "$RUN/proven/shut.$family" || cat "$T/proven/shut.$family" >>"$T/dry/shut.nft"
	done
	# The kernel lists its counters meanwhile.
	nft_count &
	unshare -n /bin/sh "$0" nft-namespace "$T/dry" >"$T/dry/log" 2>&1
	tried=$?
	wait
	if [ "$tried" -eq 0 ]; then
		# The same texts, with the counters as they stand.
		for family in $families; do
			nft_table "$family" "$T/new.$family" "$T/fragments.new.$family" && nft_undo "$family" && continue
			cannot_store
			break
		done
		return 0
	fi
	printf 'failed dry-run\ntext %s: %s\n' "$(cat "$T/dry/failed" 2>/dev/null)" "$(cat "$T/dry/error.txt" "$T/dry/log" 2>/dev/null | head -n 12 | tr '\n\t' '  ')"
}

# cannot_store: a result.
cannot_store() { printf 'failed prepare\ntext cannot write below %s: %s\n' "$VAR" "$(df -h /var/lib | tail -n 1)"; }

# nft_undo FAMILY: the text that puts the table back.
nft_undo() {
	nft_table "$1" "$T/undo.$1" "$T/fragments.undo.$1" || return 1
	[ ! -e "$T/found.$1" ] || cat "$T/found.$1" >>"$T/undo.$1"
}

# arm ID: from here on the host puts itself back unless somebody confirms. Complete on disk before anything changes.
arm() {
	deadline=$(asked "$T/request" deadline)
	# Where even the timer is killed, whoever comes next sees that it is late. A clock that is set does not move this one.
	read -r now _ </proc/uptime
	# One call of sync: a wave has hundreds of files.
	{ echo "$((${now%%.*} + deadline + 2)) $(cat /proc/sys/kernel/random/boot_id)" >"$T/until" && : >"$T/pending" && sync -f "$T"; } || return 1
	if [ -d /run/systemd/system ]; then
		systemd-run --quiet --collect --unit="drawbridge-undo-$1" --on-active="${deadline}s" --timer-property=AccuracySec=100ms \
			/bin/sh "$T/drawbridge-host" undo "$1" >"$T/arm.log" 2>&1 6>&- 8>&- 9>&- || return 1
		systemctl --quiet is-active "drawbridge-undo-$1.timer"
		return
	fi
	# Without the descriptors of lock and news: a sleeping undo that inherits them would hold them to its end.
	timer=$(setsid -f /bin/sh "$T/drawbridge-host" undo-later "$1" "$deadline" </dev/null 2>"$T/arm.log" 6>&- 8>&- 9>&-)
	[ -n "$timer" ] && kill -0 "$timer"
}

# undo_later ID SECONDS: says its own number when it is ready.
undo_later() {
	echo "$$" >"$VAR/txn/$1/timer.new" && mv "$VAR/txn/$1/timer.new" "$VAR/txn/$1/timer" && echo "$$"
	exec >&2
	sleep "$2"
	undo "$1"
}

disarm() {
	if [ -d /run/systemd/system ]; then
		systemctl --quiet stop "drawbridge-undo-$1.timer" 2>/dev/null || :
	elif [ -s "$VAR/txn/$1/timer" ]; then
		kill -- "-$(cat "$VAR/txn/$1/timer")" 2>/dev/null || :
	fi
}

# put_in_place: files, then the kernel in one commit. Prints what went wrong.
put_in_place() {
	step program
	units_install || { echo "cannot write below /etc"; return 0; }
	step files
	said=$(install_all "$T")
	[ -z "$said" ] || {
		echo "$said: $(tail -n 1 "$T/status")"
		return 0
	}
	step drops
	while read -r path; do
		rm -f "$path" && { [ ! -e "$VAR/found/files$path" ] || put_back "$VAR/found/files$path" "$path"; } && continue
		echo "cannot write below ${path%/*}"
		return 0
	done <"$T/drops"
	step bridges
	[ ! -s "$T/links" ] || routes >"$T/routes.before" || { echo "cannot write below $VAR"; return 0; }
	links_made || return 0
	step tables
	said=$(tables_in_place)
	step links
	if [ -n "$said" ]; then
		echo "$said"
		return 0
	fi
	links_set
	# The kernel takes routes away with an address, without a word.
	[ ! -s "$T/links" ] || routes | grep -vxF -f - "$T/routes.before" >"$T/routes.lost"
	# Whoever confirms this confirms what is on disk.
	sync -f /etc || echo "cannot write below /etc"
}

# put_back COPY PATH: as it was, owner and mode included; complete or not at all.
put_back() {
	make_dir "${2%/*}" || return 1
	cp -a "$1" "${2%/*}/.drawbridge.undo" && mv -fT "${2%/*}/.drawbridge.undo" "$2" && return 0
	rm -f "${2%/*}/.drawbridge.undo"
	return 1
}

# tables_in_place: all tables that the transaction touches, in one commit. Prints what went wrong.
tables_in_place() {
	families=$(families_touched)
	[ -n "$families" ] || return 0
	listed='' LOOK=$T/look
	for family in $families; do
		[ ! -s "$T/fragments.new.$family" ] || listed="$listed $family"
		shut=$ETC/shut/$family.nft
		cmp -s "$T/proven/shut.$family" "$shut" || install_file "$T/proven/shut.$family" 0644 "$shut" || { echo "cannot write below $ETC"; return 0; }
	done
	rm -f "$RUN/lifted"
	cat "$T"/new.* | nft -f - 2>"$T/load.err" || {
		cat "$T/load.err"
		return 0
	}
	# shellcheck disable=SC2086
	nft_live $listed >"$T/live"
	cmp -s "$T/live" "$T/dry/canonical" ||
		echo "what stands in the kernel is not what was asked: $(diff "$T/dry/canonical" "$T/live" | head -n 6 | tr '\n\t' '  ')"
}

# forget_neighbours: a cached ARP entry would hide that ARP no longer works from the connection that is to confirm.
forget_neighbours() {
	peer=$(asked "$T/request" peer)
	[ -n "$peer" ] || return 0
	hop=$(ip route get "$peer" 2>/dev/null | sed -n 's/.* via \([^ ]*\) .*/\1/p')
	ip neigh flush to "${hop:-$peer}" >/dev/null 2>&1 || :
}

# device_to ADDRESS: by which device packets to it leave.
device_to() { [ -z "$1" ] || ip -o route get "$1" 2>/dev/null | sed -n 's/.* dev \([^ ]*\).*/\1/p'; }

# testify: what the host sees before it puts anything back, for whoever asks why there was no confirmation. "saw TEXT" a line; "rose
# FAMILY COUNTER PACKETS" for what our rules have met since the change.
testify() {
	peer=$(asked "$T/request" peer)
	[ -z "$peer" ] || testify_way "$peer" "$(asked "$T/request" own)" "$(asked "$T/request" device)"
	[ -e "$T/look.counters" ] || return 0
	LOOK=$RUN/undo
	nft_count
	awk 'NR == FNR { was[$1 " " $2] = $3; next } $3 > was[$1 " " $2] + 0 { print "rose", $1, $2, $3 - was[$1 " " $2] }' \
		"$T/look.counters" "$LOOK.counters"
	rm -f "$LOOK.counters"
}

# testify_way PEER OWN DEVICE: how the connection came, and what has become of its way.
testify_way() {
	echo "saw our connection came from $1 to $2 by ${3:-no device}"
	now=$(device_to "$1")
	[ "$now" = "$3" ] || echo "saw packets to $1 would leave by ${now:-no device}"
	[ -n "$(ip -o address show to "$2" 2>/dev/null)" ] || echo "saw no interface has the address $2"
	hop=$(ip route get "$1" 2>/dev/null | sed -n 's/.* via \([^ ]*\) .*/\1/p')
	case $(ip neigh show to "${hop:-$1}" 2>/dev/null) in
	*FAILED* | *INCOMPLETE*) echo "saw nobody answers for ${hop:-$1} (ARP, neighbour discovery)" ;;
	esac
}

# confirm ID: one rename decides between us and the undo.
confirm() {
	step confirm
	# Asked again, since the answer was lost.
	! grep -qx confirmed "$RUN/results/$1" 2>/dev/null || { echo confirmed; return 0; }
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
	! keep_confirmed "$VAR/txn/$1" || sweep
	step kept
	unlock
	echo confirmed
}

# keep_confirmed TXN: what was confirmed becomes the copy that later loads are made of. Safe to do again after a crash; fails where
# something is missing then, and leaves the transaction as it is.
keep_confirmed() {
	finish "${1##*/}" confirmed
	rm -f "$1/reserve"
	step keep-copies
	if [ -d "$1/files" ]; then
		mkdir -p "$VAR/confirmed"
		(umask 077 && cp -R "$1/files/." "$VAR/confirmed/") || {
			complain "cannot write below $VAR/confirmed"
			return 1
		}
	fi
	step keep-links
	while read -r path; do rm -f "$VAR/confirmed$path" "$VAR/found/files$path"; done <"$1/drops"
	while read -r path; do
		mkdir -p "$VAR/found/files${path%/*}"
		[ -e "$VAR/found/files$path" ] || put_back "$1/old$path" "$VAR/found/files$path" || return 1
	done <"$1/adopted"
	links_confirmed "$1" || return 1
	for family in $FAMILIES; do
		if nft_is_empty "$family"; then
			[ ! -e "$ETC/shut/$family.nft" ] || rm -f "$ETC/shut/$family.nft"
			[ ! -e "$VAR/found/nft/$family" ] || rm -f "$VAR/found/nft/$family"
		elif [ -e "$1/found.$family" ]; then
			mkdir -p "$VAR/found/nft"
			put_back "$1/found.$family" "$VAR/found/nft/$family" || return 1
		fi
	done
	if [ -d "$1/proven" ]; then
		[ -d "$RUN/proven" ] || mkdir -p "$RUN/proven"
		mv -f "$1"/proven/* "$RUN/proven/"
	fi
	# What an undo could not put back is not to come over what was confirmed since.
	for rest in "$VAR"/not-undone-*; do
		[ -d "$rest" ] || continue
		grep -vxF -f "$1/touched" "$rest/touched" >"$rest/touched.new"
		mv -f "$rest/touched.new" "$rest/touched" || return 1
	done
	step keep-end
	# The power may fail now: either the copies are on disk, or what they were copied from.
	sync -f "$VAR"
	bury "$1"
}

# undo ID [held]: exactly what the transaction changed, from the transaction's own folder; reads nothing of /etc/drawbridge.
# Degrades as boot does: all tables at once, else table by table, else shut.
undo() {
	id=$1
	T=$VAR/txn/$id
	hold "$T"
	# Where not even a rename is possible, nobody can confirm either, and the kernel at least goes back.
	[ -e "$T/reverting" ] || mv -T "$T/pending" "$T/reverting" 2>/dev/null || [ -e "$T/pending" ] || return 0
	if [ "${2:-}" != held ]; then
		# Whoever holds the lock for so long hangs; being locked out is worse than two at work.
		exec 9>>"$LOCK"
		flock -w 20 9 || complain "undoing without the lock"
		# Somebody else may have been faster.
		[ -e "$T/reverting" ] || [ -e "$T/pending" ] || return 0
	fi
	step undo
	seen=$(testify)
	rm -f "$T/reserve"
	[ -e "$RUN/results/.$id" ] || complain "transaction of $(cat "$T/holder") was not confirmed in time and is undone"
	remove_temporaries
	step undo-files
	broken=
	while read -r path; do
		if grep -qxF "$path" "$T/absent"; then rm -f "$path"; elif is_same_file "$T/old$path" "$path"; then :; else
			# Its only copy stays where it is as long as it is not back in its place.
			put_back "$T/old$path" "$path"
		fi || broken="$broken$path "
	done <"$T/touched"
	set --
	for family in $FAMILIES; do
		[ ! -e "$T/undo.$family" ] || set -- "$@" "$family"
	done
	step undo-bridges
	links_undo first
	step undo-tables
	[ $# -eq 0 ] || load_tables "$T/undo" "$T/shut" "$@"
	for family in "$@"; do shut_back "$family" || complain "cannot write $ETC/shut/$family.nft"; done
	step undo-links
	links_undo ""
	links_undo_routes
	step undo-end
	if [ -n "$broken" ]; then
		broken="could not put back: $broken; what they were is kept in $VAR/not-undone-$id/old"
		complain "$broken"
	fi
	# Where the worker has a reason of its own, it tells it.
	[ -e "$RUN/results/.$id" ] || finish "$id" undone "$broken" "$seen"
	if [ -n "$broken" ]; then mv -T "$T" "$VAR/not-undone-$id"; else bury "$T"; fi
	step undo-sweep
	sweep
	[ "${2:-}" = held ] || unlock
}

# shut_back FAMILY: what boot loads when the table does not, as it was.
shut_back() {
	if [ ! -s "$T/fragments.undo.$1" ]; then rm -f "$ETC/shut/$1.nft"; else
		cmp -s "$T/shut.$1" "$ETC/shut/$1.nft" || install_file "$T/shut.$1" 0644 "$ETC/shut/$1.nft"
	fi
}

# is_same_file A B: a full disk cannot hold what need not be written.
is_same_file() {
	[ ! -L "$1" ] && [ ! -L "$2" ] && cmp -s "$1" "$2" && [ "$(stat -c '%a %u %g' "$1")" = "$(stat -c '%a %u %g' "$2")" ]
}

# undo_rest DIR: what an undo could not put back, as soon as it can be: where a file still stands as that transaction has put it. The
# rest stays, as the only copy of what was there.
undo_rest() {
	: >"$1/left" || return 0
	while read -r path; do
		if grep -qxF "$path" "$1/absent"; then
			if [ ! -e "$path" ] || { cmp -s "$1/files$path" "$path" && rm -f "$path" 2>/dev/null; }; then continue; fi
		elif is_same_file "$1/old$path" "$path"; then
			continue
		elif [ -e "$1/files$path" ]; then
			if cmp -s "$1/files$path" "$path" && put_back "$1/old$path" "$path" 2>/dev/null; then continue; fi
		elif [ ! -e "$path" ]; then
			if put_back "$1/old$path" "$path" 2>/dev/null; then continue; fi
		fi
		echo "$path" >>"$1/left" || return 0
	done <"$1/touched"
	if [ -s "$1/left" ]; then mv -f "$1/left" "$1/touched"; else rm -rf "$1"; fi
}

# load_tables TEXT SHUT FAMILY…: TEXT.FAMILY of each, in one commit; where that fails, one by one; where one fails, "shut". Fails where
# not even that loads. A device that is absent is left out, whatever the text says: older kernels refuse it.
load_tables() {
	text=$1 shut=$2 guarded=yes
	shift 2
	mkdir -p "$RUN"
	devices_present >"$RUN/present"
	for family in "$@"; do nft_here "$RUN/present" <"$text.$family"; done | nft -f - 2>/dev/null && return 0
	for family in "$@"; do
		nft_here "$RUN/present" <"$text.$family" | nft -f - 2>"$RUN/load.err" || {
			complain "table $family drawbridge did not load: $(tr '\n' ' ' <"$RUN/load.err")"
			nft -f "$shut.$family" || complain "and neither did its \"shut\"; forwarding is switched off"
			nft list table inet "drawbridge_shut_$family" >/dev/null 2>&1 || nft list table bridge "drawbridge_shut_$family" >/dev/null 2>&1 || {
				forwarding_off
				guarded=
			}
		}
	done
	[ -n "$guarded" ]
}

forwarding_off() {
	for switch in /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding; do
		[ ! -w "$switch" ] || echo 0 >"$switch"
	done
}
