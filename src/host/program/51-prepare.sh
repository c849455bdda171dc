# --- the transaction: what can be known before the first change -----------------------------------------------------------

# prepare: everything that can be known before the first change. Prints nothing when all is well, else the result.
prepare() {
	local puts here list number verb mode path object owner machine adopt previous twice
	step check
	for list in absent notes touched links adopted; do true >"$T/$list" || return 1; done
	puts=' '
	here=$(machine_id) && [ -n "$here" ] && [ -r "$T/manifest" ] && [ -r "$T/held" ] || return 1
	while read -r number verb mode path object owner machine adopt; do
		is_known_path "$path" || {
			echo "refused"
			echo "refuse $number bad-request $path is not a path that drawbridge-host writes"
			return 0
		}
		if [ "$verb" = drop ]; then
			# Another machine (a clone has our owner's id too), a later generation, or nobody: not ours to delete.
			if [ "$machine" != "$here" ] && [ "$machine" != - ]; then
				echo "$number elsewhere" >>"$T/notes" || return 1
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
		true "$mode"
		note touched || return 0
		! is_held_file "$path" || echo "$number $verb $path" >>"$T/links" || return 1
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
	awk 'NR == FNR { if ($2 == "put") put[$4] = 1; next } !($0 in put)' "$T/manifest" "$T/drops" >"$T/drops.kept" && mv "$T/drops.kept" "$T/drops" ||
		return 1

	step try
	ask refusals || return 1
	if [ -n "$said" ]; then
		printf 'refused\n%s\n' "$said"
		return 0
	fi
	ask nft_refusal || return 1
	if [ -n "$said" ]; then printf '%s\n' "$said"; else reserve || cannot_store; fi
}

# refusals: "refuse NUMBER CODE TEXT" a line, of all that is tried without the kernel's tables.
refusals() {
	sudoers_refusals "$T" >"$T/refusals" && sed 's/^refuse \([0-9]*\) /refuse \1 rejected /' "$T/refusals" && sudoers_programs "$T" && held_refusals && nft_needs && nft_adoption
}

# reserve: space that undo and confirmation free before they write, so that a disk that fills up meanwhile stops neither.
reserve() {
	local size
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
	local touched family
	touched=$(cat "$T/touched") || return 1
	for family in $FAMILIES; do
		case $touched in *"$ETC/nft/$family-drawbridge/"*) echo "$family" ;; esac
	done
}

# nft_adoption: a table of our name without anything of ours in it is somebody's, or was left by an interrupted run. Keeps its text
# in T/found.FAMILY, and prints "refuse NUMBER not-owned TEXT" for everyone who does not adopt it.
nft_adoption() {
	local families tables family number
	have nft || return 0
	families=$(families_touched) || return 1
	[ -n "$families" ] || return 0
	tables=$(nft list tables) || return 1
	for family in $families; do
		nft_is_empty "$family" || continue
		printf '%s\n' "$tables" | grep -qx "table $family drawbridge" || continue
		nft list table "$family" drawbridge >"$T/found.$family" && [ "$(tail -n 1 "$T/found.$family")" = "}" ] || return 1
		sed -n "s,^\([0-9]*\) put .* $ETC/nft/$family-drawbridge/.*,\1,p" "$T/manifest" | while read -r number; do
			adopts "$number" || echo "refuse $number not-owned the table $family drawbridge is there already and no resource's; \`adopt: true\` takes it over, and delete puts it back"
		done
	done
}

# nft_refusal: writes the new tables, the undo and "shut", and tries all three in a throw-away namespace.
nft_refusal() {
	local families family tool tried
	families=$(families_touched) || return 1
	[ -n "$families" ] || return 0
	for tool in nft:nftables ip:iproute2 unshare:util-linux; do
		have "${tool%:*}" && continue
		printf 'failed missing-tool\ntext %s is not installed on this host; install the package %s\n' "${tool%:*}" "${tool#*:}"
		return 0
	done
	nft_look "$T/look" && mkdir "$T/dry" "$T/proven" && true >"$T/dry/listed" || return 1
	for family in $families; do
		{
			nft_fragments "$family" "$T" >"$T/fragments.new.$family" &&
				nft_fragments "$family" >"$T/fragments.undo.$family" &&
				nft_table "$family" "$T/proven/new.$family" "$T/fragments.new.$family" &&
				nft_undo "$family" &&
				nft_shut "$family" "$T/shut.$family" "$T/fragments.undo.$family" &&
				nft_shut "$family" "$T/proven/shut.$family" "$T/fragments.new.$family" &&
				cat "$T/proven/new.$family" >>"$T/dry/new.nft" &&
				{ [ ! -s "$T/fragments.new.$family" ] || echo "$family" >>"$T/dry/listed"; } &&
				# What an earlier transaction of this boot has tried and was confirmed with needs no second try.
				{ cmp -s "$T/undo.$family" "$RUN/proven/new.$family" || cat "$T/undo.$family" >>"$T/dry/undo.nft"; } &&
				{ cmp -s "$T/proven/shut.$family" "$RUN/proven/shut.$family" || cat "$T/proven/shut.$family" >>"$T/dry/shut.nft"; }
		} || return 1
	done
	# Families carry no blank.
	# shellcheck disable=SC2086
	tried=$(sets_refusals $families) || return 1
	if [ -n "$tried" ]; then
		printf 'refused\n%s\n' "$tried"
		return 0
	fi
	# The kernel lists its counters meanwhile.
	nft_count &
	unshare -n /bin/sh "$0" nft-namespace "$T/dry" >"$T/dry/log" 2>&1
	tried=$?
	wait
	if [ "$tried" -eq 0 ]; then
		# The same texts, with the counters as they stand.
		for family in $families; do
			nft_table "$family" "$T/new.$family" "$T/fragments.new.$family" && nft_undo "$family" || return 1
		done
		return 0
	fi
	printf 'failed dry-run\ntext %s: %s\n' "$(cat "$T/dry/failed" 2>/dev/null)" "$(cat "$T/dry/error.txt" "$T/dry/log" 2>/dev/null | head -n 12 | tr '\n\t' '  ')"
}

# sets_refusals FAMILY…: "refuse NUMBER rejected TEXT" for every operation that takes away a set which rules of others name.
sets_refusals() {
	local family missed path text number
	for family in "$@"; do
		missed=$(nft_sets_missed "$family" "$T/fragments.undo.$family" "$T/fragments.new.$family") || return 1
		[ -n "$missed" ] || continue
		printf '%s\n' "$missed" | while read -r path text; do
			number=$(awk -v path="$path" '$4 == path { print $1; exit }' "$T/manifest") || return 1
			printf 'refuse %s rejected %s; take those away first, or in the same change\n' "$number" "$text"
		done || return 1
	done
}

# cannot_store: a result.
cannot_store() { printf 'failed not-writable\ntext cannot write below %s: %s\n' "$VAR" "$(df -h /var/lib | tail -n 1)"; }

# nft_undo FAMILY: the text that puts the table back.
nft_undo() {
	nft_table "$1" "$T/undo.$1" "$T/fragments.undo.$1" || return 1
	[ ! -e "$T/found.$1" ] || cat "$T/found.$1" >>"$T/undo.$1"
}
