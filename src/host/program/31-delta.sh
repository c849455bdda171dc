# --- netfilter: a change costs what it changes ----------------------------------------------------------------------------
# Promises that a table is changed by less than its whole text only where it stands as it was last verified, and that what is remembered of that is
# never trusted further than it was seen. Called by the transaction (51, 52, 53). Leaves in RUN/proven, until the next boot:
#   state               the kernel's ruleset as it was then (read_nft_state), with the tables that were verified
#   present             the devices that there were when the table of family netdev, whose chains stand on devices, was last changed
#   program.FAMILY      the digest of the program that has loaded it whole: another one may make other texts of the same fragments
#   index.FAMILY        what a change needs of all fragments that the table was made of (index.awk)
#   accounts.FAMILY     the accounts that it was made with
#   shut.FAMILY         what fails closed in its place, as it was tried
#   new.FAMILY          its text, all counters at 0, as it was last loaded whole
#   canonical.FAMILY    its listing
#   patches.FAMILY.NUMBER  what each confirmed delta has made of that listing since: objects as nft lists them, and "gone OBJECT" a line; of a set, behind "part OBJECT", only some
#                       elements, as it is listed with them, and "less ELEMENT" a line
#   deltas.FAMILY       how many deltas that were; with the hundredth the table is listed again, so that neither this list nor trust grows without end

# DELTA_MAKER: the text of delta.awk.
# shellcheck disable=SC2016
DELTA_MAKER='@delta.awk@'

# INDEX_MAKER: the text of index.awk.
# shellcheck disable=SC2016
INDEX_MAKER='@index.awk@'

# LISTINGS_COMPARED: the text of listings.awk.
# shellcheck disable=SC2016
LISTINGS_COMPARED='@listings.awk@'

# read_table_of VARIABLE STATE FAMILY: "BOOT NAMESPACE GENERATION HANDLE" of one table; fails where the state has no such table.
read_table_of() {
	local of_boot of_namespace of_generation of_tables
	read -r of_boot of_namespace of_generation of_tables <<-STATE
		$2
	STATE
	of_tables=" $of_tables "
	case $of_tables in *" $3:"*) ;; *) return 1 ;; esac
	of_tables=${of_tables#*" $3:"}
	give "$1" "$of_boot $of_namespace $of_generation ${of_tables%% *}"
}

# is_same_table STATE STATE FAMILY: the table is the same one in both, and nobody has committed anything between them.
is_same_table() {
	local first second
	read_table_of first "$1" "$3" && read_table_of second "$2" "$3" && [ "$first" = "$second" ]
}

# read_next_state VARIABLE STATE: the same, one commit later; of none, none.
read_next_state() {
	local next_boot next_namespace next_generation next_tables
	give "$1" ''
	[ -n "$2" ] || return 0
	read -r next_boot next_namespace next_generation next_tables <<-STATE
		$2
	STATE
	give "$1" "$next_boot $next_namespace $((next_generation + 1)) $next_tables"
}

# state_verified STATE FAMILY…: STATE, which stands after our commit, with those tables only that are known: these, and who was known before it, where
# nobody but us has committed.
state_verified() {
	local after before next remembered known family boot namespace generation tables table
	after=$1
	shift
	known=" $* "
	read_line remembered "$RUN/proven/state" && read_line before "$T/state.before" && read_next_state next "$before"
	[ "$after" != "$next" ] || for family in $FAMILIES; do
		! is_same_table "$remembered" "$before" "$family" || known="$known$family "
	done
	read -r boot namespace generation tables <<-STATE
		$after
	STATE
	before=$tables tables=
	for table in $before; do
		case $known in *" ${table%%:*} "*) tables="$tables $table" ;; esac
	done
	echo "$boot $namespace $generation$tables"
}

# stand_as_verified FAMILY…: whether these tables stand as they were last verified. Where somebody has committed something since, they are listed once and
# compared. T/state.before has the kernel's state.
stand_as_verified() {
	local remembered before family unsure deltas
	read_line remembered "$RUN/proven/state"
	read_line before "$T/state.before"
	[ -n "$remembered" ] && [ -n "$before" ] && [ ! -e "$RUN/lifted" ] || return 1
	case "$before " in *" shut:"*) return 1 ;; esac
	unsure=
	for family in "$@"; do
		[ -s "$RUN/proven/canonical.$family" ] || return 1
		read_line deltas "$RUN/proven/deltas.$family"
		is_same_table "$remembered" "$before" "$family" && [ "${deltas:-0}" -lt 100 ] || unsure="$unsure $family"
	done
	[ -n "$unsure" ] || return 0
	# shellcheck disable=SC2086
	are_listed /nonexistent $unsure || return 1
	for family in $unsure; do
		mv -f "$T/listed.$family" "$RUN/proven/canonical.$family" && rm -f "$RUN/proven/patches.$family".* "$RUN/proven/deltas.$family" || return 1
	done
}

# are_listed FOLDER FAMILY…: whether nft lists these tables as they are remembered, with what FOLDER/patches.FAMILY.* make of them. Objects in any order, for nft
# lists them in the order in which they came.
are_listed() {
	local folder family file
	folder=$1
	shift
	nft_list "$T/list" "$@" >"$T/listed" 2>/dev/null && nft_split "$T/listed." <"$T/listed" || return 1
	for family in "$@"; do
		set -- "$RUN/proven/canonical.$family"
		for file in "$RUN/proven/patches.$family".* "$folder/patches.$family".*; do [ ! -s "$file" ] || set -- "$@" "$file"; done
		awk "$LISTINGS_COMPARED" reading=remembered "$@" reading=listed "$T/listed.$family" || return 1
	done
}

# nft_index LIST: the index of the fragments in the file LIST.
nft_index() { awk -v list="$1" "$INDEX_MAKER" reading=index /dev/null reading=fragments; }

# nft_narrow FAMILY…: of each table the text before this change and behind it, less what the fragments are made of that it does not touch, to T/narrow.before.FAMILY and
# T/narrow.after.FAMILY; with its new index, and what fails closed. Fails where it is not known what the tables were made of.
nft_narrow() {
	local family program accounts line
	[ -s "$RUN/proven/state" ] && nft_narrow_touched || return 1
	accounts=
	for family in "$@"; do
		read_line program "$RUN/proven/program.$family"
		[ "$program" = "$DIGEST" ] && [ -s "$RUN/proven/index.$family" ] && [ -s "$RUN/proven/shut.$family" ] && [ ! -e "$T/found.$family" ] && nft_narrow_index "$family" || return 1
		while IFS= read -r line; do accounts=$accounts$line$NEWLINE; done <"$T/narrow.accounts.$family" || return 1
	done
	nft_look_said "$accounts" || return 1
	for family in "$@"; do nft_narrow_texts "$family" || return 1; done
}

# nft_narrow_touched: what the change touches, each once and in the order of the names, to T/narrow.touched. Of most changes the list is so already.
nft_narrow_touched() {
	local path last list
	last='' list=
	while read -r path; do
		[ -n "$list" ] && [ ! "$last" \< "$path" ] && list='' && break
		last=$path list=$list$path$NEWLINE
	done <"$T/touched" || return 1
	if [ -n "$list" ]; then printf '%s' "$list"; else sort -u "$T/touched"; fi >"$T/narrow.touched"
}

# nft_narrow_index FAMILY: the new index; the lines of it that name accounts, what comes, and what goes or is replaced, to T/narrow.accounts.FAMILY, T/narrow.puts.FAMILY and
# T/narrow.former.FAMILY. T/fragments.undo.FAMILY and T/fragments.new.FAMILY are no lists here; they are empty where there is no table.
nft_narrow_index() {
	local path name dir puts gone former new
	new=$RUN/proven.${T##*/}/index.$1
	dir=$ETC/nft/$1-drawbridge puts='' gone='' former=
	while read -r path; do
		case $path in "$dir"/*) name=${path##*/} ;; *) continue ;; esac
		if [ ! -e "$T/files$path" ]; then gone="$gone $name"; else
			is_ours "$T/files$path" || return 1
			puts="$puts $T/files$path"
		fi
		[ ! -e "$VAR/confirmed$path" ] || former="$former $VAR/confirmed$path"
	done <"$T/narrow.touched" || return 1
	echo "$puts" >"$T/narrow.puts.$1" && echo "$former" >"$T/narrow.former.$1" && true >"$T/narrow.accounts.$1" || return 1
	# Paths of fragments are ours and carry no blank.
	# shellcheck disable=SC2086
	awk -v gone="$gone" -v accounts="$T/narrow.accounts.$1" "$INDEX_MAKER" reading=fragments $puts reading=index "$RUN/proven/index.$1" >"$new" && echo table >"$T/fragments.undo.$1" || return 1
	if [ -s "$new" ]; then echo table; fi >"$T/fragments.new.$1"
}

# nft_narrow_texts FAMILY: both texts, each as the table-maker makes it of the devices and accounts of its time.
nft_narrow_texts() {
	local new present puts former layers making made
	new=$RUN/proven.${T##*/} present=$LOOK.present
	[ "$1" != netdev ] || present=$RUN/proven/present
	read_line puts "$T/narrow.puts.$1"
	read_line former "$T/narrow.former.$1"
	read_layers layers "$1"
	if [ -s "$LOOK.accounts" ]; then cp "$LOOK.accounts" "$new/accounts.$1"; else true >"$new/accounts.$1"; fi || return 1
	# Beside each other: of very many fragments either takes its time. These paths are ours and carry no blank.
	# shellcheck disable=SC2086
	awk "$TABLE_MAKER" family="$1" purpose=table layers="$layers" reading=devices "$present" reading=accounts "$RUN/proven/accounts.$1" \
		reading=fragments "$RUN/proven/index.$1" reading=bodies $former >"$T/narrow.before.$1" &
	making=$!
	# shellcheck disable=SC2086
	awk "$TABLE_MAKER" family="$1" purpose=table layers="$layers" fail_closed="$new/shut.$1" reading=devices "$LOOK.present" reading=accounts "$LOOK.accounts" \
		reading=fragments "$new/index.$1" reading=bodies $puts >"$T/narrow.after.$1"
	made=$?
	wait "$making" && [ "$made" -eq 0 ]
}

# nft_delta FAMILY…: writes what leads from these tables as they stand to the new ones to T/new.nft, and back to T/undo.nft; and how it can be tried to T/dry. Fails
# where only the whole text can do it.
nft_delta() {
	local family before after were reason
	were=/dev/null
	stand_as_verified "$@" || return 1
	before='' after=''
	for family in "$@"; do
		[ -s "$T/fragments.new.$family" ] || return 1
		before="$before $T/narrow.before.$family" after="$after $T/narrow.after.$family"
	done
	case " $* " in *" netdev "*) were=$RUN/proven/present ;; esac
	# These paths are ours and carry no blank.
	# shellcheck disable=SC2086
	reason=$(awk -v forward="$T/new.nft" -v backward="$T/undo.nft" -v stub="$T/dry/stub.nft" -v try="$T/dry/new.nft" -v try_back="$T/dry/undo.nft" -v touched="$T/touched.objects" \
		"$DELTA_MAKER" reading=were "$were" reading=are "$LOOK.present" reading=before $before reading=after $after) && [ -z "$reason" ]
}

# nft_shut_compared FAMILY…: keeps what fails closed in place of the former tables, in T/shut.FAMILY; what is otherwise now is to be tried (T/dry/shut.FAMILY), and what stands already where
# boot looks for it need not be put there (T/shut.stands.FAMILY).
nft_shut_compared() {
	local new family said verdict
	new=$RUN/proven.${T##*/}
	for family in "$@"; do
		shift
		set -- "$@" family="$family" reading=former "$RUN/proven/shut.$family" reading=made "$new/shut.$family"
		[ ! -f "$ETC/shut/$family.nft" ] || set -- "$@" reading=stands "$ETC/shut/$family.nft"
	done
	said=$(awk -v to="$T/shut." '
		FNR == 1 { families[family] = 1 }
		reading == "former" { print >(to family) }
		{ line[reading, family, ++count[reading, family]] = $0 }
		function is_made(of, family, i) {
			if (count[of, family] != count["made", family]) return 0
			for (i = 1; i <= count[of, family]; i++) if (line[of, family, i] != line["made", family, i]) return 0
			return 1
		}
		END {
			for (family in families) {
				if (!is_made("former", family)) print "try", family
				if (is_made("stands", family)) print "stands", family
			}
			print "end", 0
		}' "$@") || return 1
	while read -r verdict family; do
		case $verdict in
		try) true >"$T/dry/shut.$family" && printf 'include "%s"\n' "$new/shut.$family" >>"$T/dry/shut.nft" || return 1 ;;
		stands) true >"$T/shut.stands.$family" || return 1 ;;
		end) return 0 ;;
		esac
	done <<-SAID
		$said
	SAID
	return 1
}

# nft_patches FAMILY…: from the listing of what the delta was tried on, what it makes of the listings of the tables, to patches.FAMILY.NUMBER beside their other texts.
nft_patches() {
	local new family deltas numbers count
	new=$RUN/proven.${T##*/} numbers='' count=$#
	for family in "$@"; do
		shift
		set -- "$@" "$T/dry/list.$family"
		read_line deltas "$RUN/proven/deltas.$family"
		deltas=$((${deltas:-0} + 1))
		# With as many digits each, so that they come in their order.
		numbers="$numbers $family $((1000 + deltas))"
		echo "$deltas" >"$new/deltas.$family" || return 1
	done
	awk -v prefix="$new/patches." -v numbers="$numbers" -v listings="$count" "$LISTING"'
		BEGIN { count = split(numbers, word, " "); for (i = 1; i < count; i += 2) file[word[i]] = prefix word[i] "." word[i + 1] }
		reading == "touched" && /^\t/ && (key in is_part) { print "less " substr($0, 2) >file[family]; next }
		reading == "touched" && /^\t/ { jumps[key] = jumps[key] "\t" $0 "\n"; next }
		reading == "touched" {
			family = $2
			object = "\t" substr($0, length($1 $2) + 3) " {"
			key = family " " object
			if ($1 == "gone") print "gone " object >file[family]
			else is_touched[key] = 1
			if ($1 == "part") { is_part[key] = 1; print "part " object >file[family] }
			next
		}
		$1 == "table" { family = $2; is_shown = 0; printf "" >file[family] }
		/^\t[^\t}]/ { key = family " " $0; is_shown = key in is_touched }
		is_shown && (key in is_part) && /^\t[^\t}]/ { print "part " $0 >file[family] }
		is_shown && (key in jumps) && /^\t\tjump / { next }
		is_shown && (key in jumps) && $0 == "\t}" { printf "%s", jumps[key] >file[family] }
		is_shown { print >file[family] }
		$0 == "\t}" { is_shown = 0 }' reading=touched "$T/touched.objects" reading=listing "$@"
}

# nft_delta_stands FAMILY…: prints what is wrong, after the commit, and fails. Where nobody but us has committed anything, the kernel has what was tried.
nft_delta_stands() {
	local before after
	read_line before "$T/state.before"
	[ ! -s "$T/new.nft" ] || read_next_state before "$before"
	read_nft_state after || :
	[ "$after" = "$before" ] || are_listed "$RUN/proven.${T##*/}" "$@" || {
		echo "what stands in the kernel is not what was asked, and somebody else has changed it meanwhile"
		return 1
	}
	[ -z "$after" ] || { state_verified "$after" "$@" >"$RUN/proven.${T##*/}/state" && echo "$after" >"$T/landed"; }
}

# nft_rollback_made FAMILY…: the whole texts for the rollback of a delta, made of the confirmed copies, which are as they were, to RUN/undo.FAMILY.
nft_rollback_made() {
	local family
	rm -f "$RUN"/undo.*
	private_dir "$RUN" && nft_facts "$RUN/undo" || return 1
	for family in "$@"; do nft_fragments "$family" >"$RUN/undo.fragments.$family" || return 1; done
	nft_look "$RUN"/undo.fragments.* && nft_count || return 1
	for family in "$@"; do
		nft_text "$family" "$RUN/undo.fragments.$family" >"$RUN/undo.uncounted" && nft_counted "$RUN/undo.uncounted" >"$RUN/undo.$family" || return 1
	done
}

# nft_delta_undone: takes back a delta that is in the kernel, where nobody has committed anything since; else fails, and the whole text does it.
nft_delta_undone() {
	local landed now
	read_line landed "$T/landed"
	[ -n "$landed" ] && read_nft_state now && [ "$now" = "$landed" ] && nft -f "$T/undo.nft" 2>/dev/null
}

# forget_verified: before anything changes that it rests on.
forget_verified() { [ ! -s "$RUN/proven/state" ] || true >"$RUN/proven/state"; }

# keep_verified TXN: what a confirmed change has verified, for the next one. Without it the next change goes the whole way. The state comes last: with it the
# rest counts.
keep_verified() {
	local new family
	new=$RUN/proven.${1##*/}
	[ -d "$new" ] && { [ -d "$RUN/proven" ] || mkdir "$RUN/proven"; } || return 0
	for family in $FAMILIES; do
		[ ! -e "$new/canonical.$family" ] || rm -f "$RUN/proven/patches.$family".* "$RUN/proven/deltas.$family"
	done
	mv -f "$new"/* "$RUN/proven/" 2>/dev/null || forget_verified
}
