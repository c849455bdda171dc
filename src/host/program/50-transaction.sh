# --- the transaction --------------------------------------------------------------------------------------------------
# $VAR/txn/ID holds: request, holder, manifest, files/ (what comes), old/ and absent (what was), undo.nft, this program.
# One of the empty files pending, confirmed, reverting says where it stands; each change of state is one rename.

# apply PEER: takes a transaction from stdin and does it in a process of its own, since the first stateful rule of a host may kill
# the very session that loads it. The outcome is read from a file, by us or by whoever asks for `result` later.
apply() {
	# Under the lock, or the last resource of somebody else might sweep the folder away between two of these.
	lock
	# shellcheck disable=SC2015
	make_dir "$VAR/txn" && { [ -d "$RUN/results" ] || mkdir -p "$RUN/results"; } && incoming=$(mktemp -d "$VAR/txn/.incoming.XXXXXX") ||
		fail not-writable "cannot write below $VAR: $(df -h /var/lib | tail -n 1)"
	unlock
	text=$(tar -xf - -C "$incoming" 2>&1) || {
		rm -rf "$incoming"
		fail not-writable "cannot store the transaction below $VAR: $text"
	}
	id=$(asked "$incoming/request" id)
	is_id "$id" || fail bad-request "the transaction has no id"
	printf 'peer %s\n' "$1" >>"$incoming/request"
	mv -T "$incoming" "$VAR/txn/$id"
	# shellcheck disable=SC2015
	cp "$0" "$VAR/txn/$id/drawbridge-host" && : >"$VAR/txn/$id/status" || fail not-writable "cannot write below $VAR"
	# The worker's news come by a pipe that it holds open for reading too, so that it never minds whether we still listen. Its end
	# is the worker's.
	mkfifo "$VAR/txn/$id/news" || fail not-writable "cannot write below $VAR"
	exec 8<>"$VAR/txn/$id/news"
	setsid -f /bin/sh "$VAR/txn/$id/drawbridge-host" work "$id" </dev/null >/dev/null 2>"$VAR/txn/$id/stderr"
	exec 7<"$VAR/txn/$id/news" 8>&-
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
	hidden=$RUN/results/.$1
	shift
	printf '%s\n' "$@" >"$hidden"
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
	echo "$$" >"$T/worker"
	exec 2>>"$T/status"
	NEWS=8
	# Whatever ends this process early, somebody waits for its result.
	trap '[ -e "$RUN/results/'"$1"'" ] || finish '"$1"' "failed internal" "text $(tail -n 4 "$T/status" | tr "\n" " ")"' EXIT
	asked "$T/request" holder >"$T/holder"
	: >"$T/drops"
	wait_until_settled "$(asked "$T/request" holder)"
	outcome=$(prepare)
	if [ -n "$outcome" ]; then
		draft "$1" "$outcome"
		clean_up "$T"
		publish "$1"
		return 0
	fi
	if ! arm "$1"; then
		draft "$1" "failed arm" "text the undo could not be armed: $(tail -n 3 "$T/arm.log" | tr '\n' ' ')"
		clean_up "$T"
		publish "$1"
		return 0
	fi
	say "applying $(grep -c . "$T/manifest") changes"
	if outcome=$(put_in_place) && [ -z "$outcome" ]; then
		finish "$1" "applied $(machine_id)" "$(sed 's/^/note /' "$T/notes")"
		forget_neighbours
		unlock
		return 0
	fi
	unlock
	case $outcome in
	# Known by number whose fault it is.
	"refuse "*) draft "$1" refused "$outcome" ;;
	*) draft "$1" "failed apply" "text $(printf '%s' "$outcome" | tr '\n' ' ')" ;;
	esac
	/bin/sh "$T/drawbridge-host" undo "$1" quietly
	publish "$1"
}

clean_up() {
	find "$VAR" -name '.drawbridge.*' -delete 2>/dev/null || :
	rm -rf "$1"
	sweep
	unlock
}

# prepare: everything that can be known before the first change. Prints nothing when all is well, else the result.
prepare() {
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
			echo "$path" >>"$T/drops"
		elif ! may_write "$path" "$object" && [ "$adopt" != adopt ]; then
			echo "refused"
			echo "refuse $number not-owned $path is there already and not ours; \`adopt: true\` takes it over, and delete puts it back"
			return 0
		else
			may_write "$path" "$object" || echo "$path" >>"$T/adopted"
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
		echo "$path" >>"$T/touched"
		! is_link_file "$path" || echo "$number $verb $path" >>"$T/links"
		if [ -e "$path" ] || [ -L "$path" ]; then
			if ! { mkdir -p "$T/old${path%/*}" && cp -a "$path" "$T/old$path"; }; then
				echo "refused"
				echo "refuse $number not-writable cannot keep a copy of $path"
				return 0
			fi
		else
			echo "$path" >>"$T/absent"
		fi
	done <"$T/manifest"
	# A file that is dropped under one name and put under it by another operation (a new generation) stays.
	awk 'NR == FNR { if ($2 == "put") put[$4] = 1; next } !($0 in put)' "$T/manifest" "$T/drops" >"$T/drops.kept" && mv "$T/drops.kept" "$T/drops"

	refusals=$(
		sudoers_refusals "$T" | sed 's/^refuse \([0-9]*\) /refuse \1 rejected /'
		links_refusals
		nft_adoption
	)
	if [ -n "$refusals" ]; then
		printf 'refused\n%s\n' "$refusals"
		return 0
	fi
	nft_refusal
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
		nft_fragments "$family" "$T" >"$T/fragments.new.$family"
		nft_fragments "$family" >"$T/fragments.undo.$family"
		nft_table "$family" "$T/proven/new.$family" "$T/fragments.new.$family"
		nft_table "$family" "$T/undo.$family" "$T/fragments.undo.$family"
		[ ! -e "$T/found.$family" ] || cat "$T/found.$family" >>"$T/undo.$family"
		nft_shut "$family" "$T/proven/shut.$family" "$T/fragments.new.$family"
		cat "$T/proven/new.$family" >>"$T/dry/new.nft"
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
			nft_table "$family" "$T/new.$family" "$T/fragments.new.$family"
			nft_table "$family" "$T/undo.$family" "$T/fragments.undo.$family"
			[ ! -e "$T/found.$family" ] || cat "$T/found.$family" >>"$T/undo.$family"
		done
		return 0
	fi
	printf 'failed dry-run\ntext %s: %s\n' "$(cat "$T/dry/failed" 2>/dev/null)" "$(cat "$T/dry/error.txt" "$T/dry/log" 2>/dev/null | head -n 12 | tr '\n\t' '  ')"
}

# arm ID: from here on the host puts itself back unless somebody confirms. Complete on disk before anything changes.
arm() {
	deadline=$(asked "$T/request" deadline)
	# One call: a wave has hundreds of files.
	{ : >"$T/pending" && sync -f "$T"; } || return 1
	if [ -d /run/systemd/system ]; then
		systemd-run --quiet --collect --unit="drawbridge-undo-$1" --on-active="${deadline}s" --timer-property=AccuracySec=100ms \
			/bin/sh "$T/drawbridge-host" undo "$1" >"$T/arm.log" 2>&1 8>&- 9>&- || return 1
		systemctl --quiet is-active "drawbridge-undo-$1.timer"
		return
	fi
	# Without the descriptors of lock and news: a sleeping undo that inherits them would hold them to its end.
	timer=$(setsid -f /bin/sh "$T/drawbridge-host" undo-later "$1" "$deadline" </dev/null 2>"$T/arm.log" 8>&- 9>&-)
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
	units_install || { echo "cannot write below /etc"; return 0; }
	said=$(install_all "$T")
	[ -z "$said" ] || {
		echo "$said: $(tail -n 1 "$T/status")"
		return 0
	}
	while read -r path; do
		rm -f "$path"
		[ ! -e "$VAR/found/files$path" ] || put_back "$VAR/found/files$path" "$path" || echo "cannot put back $path"
	done <"$T/drops"
	links_made || return 0
	said=$(tables_in_place)
	if [ -n "$said" ]; then
		echo "$said"
		return 0
	fi
	links_set
	# Whoever confirms this confirms what is on disk.
	sync -f /etc || echo "cannot write below /etc"
}

# put_back COPY PATH: as it was, owner and mode included; complete or not at all.
put_back() {
	make_dir "${2%/*}"
	cp -a "$1" "${2%/*}/.drawbridge.undo" && mv -fT "${2%/*}/.drawbridge.undo" "$2"
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

# confirm ID: one rename decides between us and the undo.
confirm() {
	[ -d "$VAR/txn/$1" ] || { echo "too-late"; return 0; }
	# The lock comes first: who comes between the rename and the copies would load the old ones.
	lock
	mv -T "$VAR/txn/$1/pending" "$VAR/txn/$1/confirmed" 2>/dev/null || {
		unlock
		echo "too-late"
		return 0
	}
	disarm "$1"
	finish "$1" confirmed
	keep_confirmed "$VAR/txn/$1"
	sweep
	unlock
	echo confirmed
}

# keep_confirmed TXN: what was confirmed becomes the copy that later loads are made of. Safe to do again after a crash.
keep_confirmed() {
	if [ -d "$1/files" ]; then
		mkdir -p "$VAR/confirmed"
		(umask 077 && cp -R "$1/files/." "$VAR/confirmed/") || complain "cannot write below $VAR/confirmed"
	fi
	while read -r path; do rm -f "$VAR/confirmed$path" "$VAR/found/files$path"; done <"$1/drops"
	while read -r path; do
		mkdir -p "$VAR/found/files${path%/*}"
		[ -e "$VAR/found/files$path" ] || cp -a "$1/old$path" "$VAR/found/files$path"
	done <"$1/adopted"
	links_confirmed "$1"
	for family in $FAMILIES; do
		if nft_is_empty "$family"; then
			[ ! -e "$ETC/shut/$family.nft" ] || rm -f "$ETC/shut/$family.nft"
			[ ! -e "$VAR/found/nft/$family" ] || rm -f "$VAR/found/nft/$family"
		elif [ -e "$1/found.$family" ]; then
			mkdir -p "$VAR/found/nft"
			cp "$1/found.$family" "$VAR/found/nft/$family"
		fi
	done
	if [ -d "$1/proven" ]; then
		[ -d "$RUN/proven" ] || mkdir -p "$RUN/proven"
		mv -f "$1"/proven/* "$RUN/proven/"
	fi
	# The power may fail now: either the copies are on disk, or what they were copied from.
	sync -f "$VAR"
	rm -rf "$1"
}

# undo ID [quietly]: exactly what the transaction changed, from the transaction's own folder; reads nothing of /etc/drawbridge.
# Degrades as boot does: all tables at once, else table by table, else shut.
undo() {
	id=$1 quietly=${2:-}
	T=$VAR/txn/$id
	[ -e "$T/reverting" ] || mv -T "$T/pending" "$T/reverting" 2>/dev/null || return 0
	# Whoever holds the lock for so long hangs; being locked out is worse than two at work.
	exec 9>>"$LOCK"
	flock -w 20 9 || complain "undoing without the lock"
	[ "$quietly" = quietly ] || complain "transaction of $(cat "$T/holder") was not confirmed in time and is undone"
	while read -r path; do
		if grep -qxF "$path" "$T/absent"; then rm -f "$path"; else
			# Its only copy stays where it is as long as it is not back in its place.
			put_back "$T/old$path" "$path" || echo "$path" >>"$T/broken"
		fi
	done <"$T/touched"
	set --
	for family in $FAMILIES; do
		[ ! -e "$T/undo.$family" ] || set -- "$@" "$family"
	done
	links_undo first
	[ $# -eq 0 ] || load_tables "$T/undo" "$T/shut" "$@"
	links_undo ""
	broken=
	if [ -e "$T/broken" ]; then
		broken="could not put back: $(tr '\n' ' ' <"$T/broken"); what they were is kept in $VAR/not-undone-$id/old"
		complain "$broken"
	fi
	mkdir -p "$RUN/results"
	# Where the worker has a reason of its own, it tells it.
	[ -e "$RUN/results/.$id" ] || finish "$id" undone "$broken"
	[ -z "$broken" ] || mv -T "$T" "$VAR/not-undone-$id"
	rm -rf "$T"
	sweep
	unlock
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
