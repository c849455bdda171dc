# --- files ----------------------------------------------------------------------------------------------------------
# Promises that a file is there whole or not at all, only at paths that we know, and that with the last resource every trace goes. Called by
# all others. Leaves the list of folders that it has made in VAR/made, and the id of this machine in VAR/machine.

# header FILE WORD: what `# WORD …` says in the file's first lines.
header() {
	local answer
	read_header answer "$1" "$2"
	printf '%s\n' "$answer"
}

# read_header VARIABLE FILE WORD: the same, into the variable. By builtins, and without a process: it is asked of every file.
read_header() {
	local header_line header_left
	give "$1" ''
	[ -f "$2" ] || return 0
	header_left=8
	while [ "$header_left" -gt 0 ] && IFS= read -r header_line; do
		case $header_line in
		"# $3 "*)
			give "$1" "${header_line#"# $3 "}"
			return 0
			;;
		esac
		header_left=$((header_left - 1))
	done <"$2"
}

# is_ours FILE: carries the header that this layout writes.
is_ours() {
	local line
	[ -f "$1" ] && IFS= read -r line <"$1" && [ "$line" = "# drawbridge $LAYOUT" ]
}

# is_known_path PATH: where resources may write, and nothing that a shell, a `..` or a link could turn elsewhere.
is_known_path() {
	case $1 in
	*[!A-Za-z0-9._/-]* | *..* | *//* | */) return 1 ;;
	/etc/drawbridge/nft/inet-drawbridge/*.nft | /etc/drawbridge/nft/bridge-drawbridge/*.nft) return 0 ;;
	/etc/drawbridge/nft/netdev-drawbridge/*.nft) return 0 ;;
	/etc/drawbridge/links/*/* | /etc/drawbridge/groups/*/* | /etc/drawbridge/files/*/* | /etc/sudoers.d/*/*) ;;
	/etc/drawbridge/links/* | /etc/drawbridge/groups/* | /etc/drawbridge/files/* | /etc/sudoers.d/drawbridge-*) return 0 ;;
	/etc/network/interfaces.d/drawbridge-* | /etc/systemd/network/05-drawbridge-*) return 0 ;;
	esac
	return 1
}

# our_files: everything that may be ours and stands where the system looks, one path a line.
our_files() {
	local file
	for file in "$ETC"/nft/*/* "$ETC"/links/* "$ETC"/groups/* "$ETC"/files/* /etc/sudoers.d/drawbridge-* /etc/network/interfaces.d/drawbridge-* /etc/systemd/network/05-drawbridge-*; do
		if [ -e "$file" ] || [ -L "$file" ]; then printf '%s\n' "$file"; fi
	done
}

# private_dir PATH: RUN or VAR, which only root may enter: whoever could open a file there could read it, or lock it and keep us waiting.
private_dir() { [ -d "$1" ] || mkdir -m 700 "$1" 2>/dev/null || [ -d "$1" ]; }

# make_dir PATH: like mkdir -p, and remembers what was not there before.
make_dir() {
	[ -d "$1" ] && return 0
	if [ "$1" = "$VAR" ]; then
		private_dir "$VAR"
		return
	fi
	make_dir "${1%/*}" || return 1
	# Record the folder before it is made, and on the disk: a crash leaves a stale record, never an unrecorded folder.
	case $1 in
	"$VAR"/*) ;;
	*) private_dir "$VAR" && printf '%s\n' "$1" >>"$VAR/made" && sync "$VAR/made" "$VAR" || return 1 ;;
	esac
	mkdir "$1"
}

# has_room FOLDER: its file system can be written and is not full. Asked, not tried: the folder may be somebody else's.
has_room() { [ -w "$1" ] && [ "$(df -P "$1" | awk 'END { print $4 }')" != 0 ]; }

# install_file FROM MODE TO: complete or not at all. The temporary name has a dot: neither sudo nor our loader reads it.
install_file() {
	local temporary
	make_dir "${3%/*}" || return 1
	temporary=${3%/*}/.drawbridge.$$.${3##*/}
	if install -o 0 -g 0 -m "$2" "$1" "$temporary" && mv -fT "$temporary" "$3"; then return 0; fi
	rm -f "$temporary"
	return 1
}

# install_all TXN: every file that the transaction puts. As install_file, but where there are more than some, a folder at a time, and all folders beside each other: what starts a
# program for each file takes longer than all else. Prints what could not be written, and fails.
install_all() {
	local count
	read_line count "$1/count"
	if [ "${count:-9}" -le 4 ]; then install_each "$1"; else install_folders "$1"; fi
}

# install_each TXN: one after the other.
install_each() {
	local verb mode path
	while read -r _ verb mode path _; do
		[ "$verb" != put ] || install_file "$1/files$path" "$mode" "$path" || {
			echo "not-writable cannot write below ${path%/*}: $(tail -n 1 "$1/status")"
			return 1
		}
	done <"$1/manifest"
}

# install_folders TXN: a folder at a time.
install_folders() {
	local folders mode dir paths one failed
	folders=$(awk '$2 == "put" { dir = $4; sub("/[^/]*$", "", dir); of[$3 " " dir] = of[$3 " " dir] " ." $4 } END { for (key in of) print key of[key] }' "$1/manifest") || return 1
	[ -n "$folders" ] || return 0
	cd "$1/files" || return 1
	set --
	while read -r mode dir paths; do
		# Two at once would both make a folder above them.
		make_dir "$dir" || :
		# Known paths carry no blank.
		# shellcheck disable=SC2086
		install_below "$dir" "$mode" $paths &
		set -- "$@" "$! $dir"
	done <<-FOLDERS
		$folders
	FOLDERS
	failed=
	for one in "$@"; do
		wait "${one%% *}" || failed=${failed:-${one#* }}
		[ "$failed" != "${one#* }" ] || rm -rf "$failed/.drawbridge.$$"
	done
	cd /
	[ -z "$failed" ] || {
		echo "not-writable cannot write below $failed: $(tail -n 1 "$1/status")"
		return 1
	}
}

# install_below DIR MODE PATH…: the files, into the folder.
install_below() {
	local dir mode
	dir=$1 mode=$2
	shift 2
	[ $# -gt 1 ] || {
		install_file "$1" "$mode" "$dir/${1##*/}"
		return
	}
	make_dir "$dir" && mkdir -p "$dir/.drawbridge.$$" &&
		install -o 0 -g 0 -m "$mode" -t "$dir/.drawbridge.$$" "$@" &&
		mv -f -t "$dir" "$dir/.drawbridge.$$"/* && rmdir "$dir/.drawbridge.$$"
}

# remove_temporaries: what an installation has left that was killed. With the lock held.
remove_temporaries() {
	local dir left
	for dir in "$ETC" "$ETC"/nft "$ETC"/nft/* "$ETC"/links "$ETC"/shut /etc/sudoers.d /etc/network/interfaces.d /etc/systemd/network \
		/etc/systemd/system /etc/udev/rules.d "${SELF%/*}"; do
		for left in "$dir"/.drawbridge.*; do
			if [ -e "$left" ] || [ -L "$left" ]; then rm -rf "$left"; fi
		done
	done
}

# leave_no_trace: with nothing of ours left on the host, every trace goes. Call it with the lock held. What is not ours stays, and the
# folders that hold it.
leave_no_trace() {
	local folder file made
	# In most cases the first file tells; a folder at a time, for one may have very many.
	for folder in "$ETC"/nft/* "$ETC/links" "$ETC/groups" "$ETC/files"; do
		for file in "$folder"/*; do ! is_ours "$file" || return 0; done
	done
	for file in /etc/sudoers.d/drawbridge-*; do ! is_ours "$file" || return 0; done
	for file in $(find "$VAR/confirmed" -type f 2>/dev/null) $(our_files); do
		! is_ours "$file" || return 0
	done
	[ -z "$(find "$VAR/txn" -mindepth 1 -maxdepth 1 2>/dev/null | head -n 1)" ] || return 0
	[ -z "$(find "$RUN/queue" -type f 2>/dev/null | head -n 1)" ] || return 0
	# A file system that cannot be written keeps our traces, and so the list of them: whoever comes next sweeps.
	units_remove 2>/dev/null || return 0
	rm -rf "$ETC/shut" 2>/dev/null || return 0
	# What an administrator has put there by hand stays.
	[ ! -e "$VAR/installed" ] || rm -f "$SELF"
	[ ! -f "$VAR/made" ] || sort -r "$VAR/made" | while read -r made; do rmdir "$made" 2>/dev/null || :; done
	# Results of the last minute may still be waited for.
	find "$RUN" -type f ! -path "$RUN/snapshot.*" ! \( -path "$RUN/results/*" -mmin -1 \) -delete 2>/dev/null
	# The only copy of what an undo could not put back is not ours to lose.
	find "$VAR" -mindepth 1 -maxdepth 1 ! -name 'not-undone-*' -exec rm -rf {} + 2>/dev/null
	rmdir "$VAR" 2>/dev/null || :
	find "$RUN" -maxdepth 1 -name 'snapshot.*' -mmin +60 -exec rm -rf {} + 2>/dev/null
	rmdir "$RUN/queue" "$RUN/results" "$RUN/proven" "$RUN/looked/live" "$RUN/looked/canonical" "$RUN/looked" "$RUN" 2>/dev/null || :
}

# read_machine VARIABLE: a random id for this machine, kept beside /etc/machine-id, which a clone is given anew.
read_machine() {
	local machine_here machine_random machine_where
	machine_here='' machine_random='' machine_where=''
	[ ! -r /etc/machine-id ] || read -r machine_here </etc/machine-id || :
	[ ! -f "$VAR/machine" ] || { read -r machine_random && read -r machine_where; } <"$VAR/machine" || machine_random=''
	if [ -z "$machine_random" ] || [ "$machine_where" != "$machine_here" ]; then
		machine_random=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n') && [ ${#machine_random} -eq 32 ] && private_dir "$VAR" &&
			printf '%s\n%s\n' "$machine_random" "$machine_here" >"$VAR/machine.new" && mv -fT "$VAR/machine.new" "$VAR/machine" || return 1
	fi
	give "$1" "$machine_random"
}
