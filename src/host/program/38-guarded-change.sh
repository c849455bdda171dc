# --- files: what changes together ---------------------------------------------------------------------------------------
# Who may read a content, or run it with more rights, is a matter of four attributes: content, owner, group and mode. Where several change in
# one transaction, there is no moment at which the file shows one as it was and another as it will be, if that lets in whom neither state does:
#   Where the content changes, a new file is made beside, with all four as they are to be, and renamed over the former one.
#   Where it does not, the mode is first narrowed to what both modes share, without setuid and setgid, and set as wanted at the end.
# Both are written down in links.changed before they are done, the first as "PATH content STATE STATE", so that the rollback goes the same way
# backwards. A STATE is OWNER:GROUP:MODE:CONTENT (read_state), or "-" where there is no file.
# The new file's name is written down first, too, in the transaction's list `temporaries`, so that the rollback removes what a killed process
# leaves in somebody's folder.

# guarded_changes: all that the transaction puts and gives up of files, file by file. Prints "refuse NUMBER rejected TEXT" and fails.
guarded_changes() {
	local changes path action rest lines
	[ -s "$T/links.paths" ] || return 0
	# The content first, for by it we know whether the file was made here.
	changes=$(awk '
		$2 !~ /^\// { next }
		!seen[$2]++ { paths[++n] = $2 }
		{ of[$2, $3] = of[$2, $3] $2 " " (FILENAME ~ /put$/ ? "put " : "drop ") $1 " " $3 " " $4 "\n" }
		END {
			last = split("content owner group mode acl override", order)
			for (i = 1; i <= n; i++) {
				for (j = 1; j <= last; j++) printf "%s", of[paths[i], order[j]]
				print paths[i] " end"
			}
		}' "$T/links.put" "$T/links.drop") || return 1
	[ -n "$changes" ] || return 0
	lines=
	while read -r path action rest; do
		if [ "$action" != end ]; then lines=$lines${lines:+"$NEWLINE"}"$action $rest"; else
			guarded_change "$path" "$lines" || return 1
			lines=
		fi
	done <<-CHANGES
		$changes
	CHANGES
}

# guarded_change PATH LINES: the four together, then what concerns nobody's access at that moment. LINES: "put|drop NUMBER ATTRIBUTE VALUE".
guarded_change() {
	local content stands made wanted said
	# Without a change of it, nobody need read what stands in the file.
	case $2 in *" content "*) content=content ;; *) content= ;; esac
	read_state stands "$1" $content || return 1
	made=
	! guarded_made "$1" "$stands" || made=made
	case $stands in
	- | *:*)
		read_wanted_state wanted "$1" "$stands" "$2" "$made" || return 1
		said=$(guarded_bring "$1" "$stands" "$wanted" "$2") || guarded_failed "$1" "$2" "$said" || return 1
		guarded_each "$1" "$2" "$made" rest
		;;
	# Where it is no file that we may touch, each attribute says so.
	*) guarded_each "$1" "$2" "$made" all ;;
	esac
}

# guarded_each PATH LINES MADE all|rest: the lines one by one, or the rest of them, which guarded_bring does not do.
guarded_each() {
	local action number attribute value stands found
	while read -r action number attribute value; do
		case $4:$attribute in all:* | rest:acl | rest:override) ;; *) continue ;; esac
		if [ "$action" = drop ]; then held_give_up "$number" "$1" "$attribute" "$value" || return 1; else
			! held_waits "$1" "$attribute" "$value" || continue
			read_guarded stands "$1" "$attribute" || return 1
			found=$stands
			# A file that was made here had nothing; what dpkg says of it is dpkg's.
			[ -z "$3" ] || [ "$attribute" = override ] || found=-
			held_found "$1" "$attribute" "$found" && held_put_over "$number" "$1" "$attribute" "$value" "$stands" || return 1
		fi
	done <<-LINES
		$2
	LINES
}

# read_wanted_state VARIABLE PATH STATE LINES MADE: the state that the transaction makes of it. Writes down how what is put was found.
read_wanted_state() {
	local own_owner own_group own_mode own_content own_former own_action own_number own_attribute own_value own_stands own_found
	IFS=: read -r own_owner own_group own_mode own_content <<-STATE
		$3
	STATE
	own_former=$own_owner:$own_content
	[ "$3" != - ] || { own_owner=root own_group=root own_mode=0600 own_content=- own_former=-:-; }
	while read -r own_action own_number own_attribute own_value; do
		case $own_attribute in
		owner) own_stands=$own_owner ;;
		group) own_stands=$own_group ;;
		mode) own_stands=$own_mode ;;
		content) own_stands=$own_content ;;
		*) continue ;;
		esac
		[ "$3" != - ] || own_stands=-
		if [ "$own_action" = put ]; then
			# A file that was made here had nothing.
			own_found=-
			[ -n "$5" ] || own_found=$own_stands
			held_found "$2" "$own_attribute" "$own_found" || return 1
		else
			# Whose file it is could have changed these himself, so that another content than he had would come back with what he likes.
			case $own_attribute:$own_former in
			mode:root:* | group:root:*) ;;
			mode:* | group:*) [ "$own_content" = "${own_former#*:}" ] || own_stands=$own_value ;;
			esac
			read_goes_back own_value "$own_number" "$2" "$own_attribute" "$own_value" "$own_stands" || return 1
			[ -n "$own_value" ] || continue
			read_known own_value "$own_number" "$2" "$own_attribute" "$own_value" || return 1
		fi
		case $own_attribute in
		owner) own_owner=$own_value ;;
		group) own_group=$own_value ;;
		mode) own_mode=$own_value ;;
		content) own_content=$own_value ;;
		esac
	done <<-LINES
		$4
	LINES
	if [ "$own_content" = - ]; then give "$1" -; else give "$1" "$own_owner:$own_group:$own_mode:$own_content"; fi
}

# read_known VARIABLE NUMBER PATH ATTRIBUTE VALUE: the value that is given back, or root where such a user or group has left the host since.
read_known() {
	local known_value
	known_value=$5
	case $4:$5 in
	owner:*[!0-9]*) getent passwd "$5" >/dev/null ;;
	group:*[!0-9]*) getent group "$5" >/dev/null ;;
	esac || {
		echo "$2 kept $3 $4: there is no $5 on this host any more, and root has it now" >>"$T/notes" || return 1
		known_value=root
	}
	give "$1" "$known_value"
}

# guarded_bring PATH STATE WANTED LINES: from one state into the other. Prints what it could not do, and fails.
guarded_bring() {
	[ "$2" != "$3" ] || return 0
	if [ "${2##*:}" = "${3##*:}" ]; then guarded_access_set "$@"; else guarded_content_set "$1" "$2" "$3"; fi
}

# guarded_content_set PATH STATE WANTED: a new file, or none, by one rename. What stood there is kept for the rollback; where its owner did
# not let us read it, what was confirmed.
guarded_content_set() {
	local before kept new said stands
	before=$2
	case $2 in *:unreadable) before=$(content_confirmed "$1") && before=${2%:*}:$before || return 1 ;; esac
	kept=$T/content/${before##*:}
	case $before in
	-) kept= ;;
	*:unreadable)
		echo "$1 content cannot be kept: its owner does not let it be read"
		return 1
		;;
	esac
	[ -z "$kept" ] || content_keep "$1" "${before##*:}" || {
		echo "$1 content: it changes while it is read, or nothing can be written below $VAR"
		return 1
	}
	# shellcheck disable=SC2015
	read_temporary new "$1" && printf '%s content %s %s\n' "$1" "$before" "$3" >>"$T/links.changed" && sync "$T/links.changed" "$T/temporaries" ${kept:+"$kept"} || {
		echo "$1 content: cannot write below $VAR"
		return 1
	}
	said=$(guarded_replace "$1" "$3" "$new" 2>&1) || {
		echo "$1 content cannot be set to ${3##*:}: ${said##*"$NEWLINE"}"
		return 1
	}
	read_state stands "$1" content || return 1
	[ "$stands" = "$3" ] || { [ "${stands%%:*}" = "${3%%:*}" ] && guarded_is_his "$1" content; } || {
		echo "$1 content was set to $3 and is $stands"
		return 1
	}
}

# content_confirmed PATH: its digest as it was confirmed before this transaction, which has the bytes; or "unreadable", where nobody knows it.
content_confirmed() {
	awk -v path="$1" '
		$2 == path && $3 == "content" { digest = $4; exit }
		END { print digest == "" ? "unreadable" : digest }' "$T/links.old"
}

# read_temporary VARIABLE PATH: the transaction's name for a new file beside it. Nobody can foresee it, for a link of that name would be followed; and it
# is written down.
read_temporary() {
	local temporary_name
	[ ! -s "$T/temporaries" ] || while read -r temporary_name; do
		[ "${temporary_name%/*}" != "${2%/*}" ] || {
			give "$1" "$temporary_name"
			return 0
		}
	done <"$T/temporaries" || return 1
	read -r temporary_name </proc/sys/kernel/random/uuid && temporary_name=${2%/*}/.drawbridge.$temporary_name &&
		echo "$temporary_name" >>"$T/temporaries" && give "$1" "$temporary_name"
}

# guarded_remove_temporaries: removes what a killed process has left under such a name; only where we can see that nobody but root may have put it
# there.
guarded_remove_temporaries() {
	local name others
	[ ! -s "$T/temporaries" ] || while read -r name; do
		[ -e "$name" ] || [ -L "$name" ] || continue
		! read_guarded_others others "${name%/*}" || [ -n "$others" ] || rm -f "$name"
	done <"$T/temporaries"
}

# guarded_replace PATH STATE TEMPORARY: complete or not at all. The new file is root's alone until it is whose it is to be, and has its mode last.
guarded_replace() {
	local others owner group mode content bytes sum
	# Asked at this moment, as guarded_set does.
	read_folder_reason others "${1%/*}" || return 1
	[ -z "$others" ] || {
		echo "${others#path: }" >&2
		return 1
	}
	[ "$2" != - ] || {
		rm -f "$1"
		return
	}
	IFS=: read -r owner group mode content <<-STATE
		$2
	STATE
	bytes=$T/content/$content
	[ -e "$bytes" ] || bytes=$VAR/found/links/$1/bytes
	if [ -e "$3" ] || [ -L "$3" ]; then rm -f "$3" || return 1; fi
	# What was kept is whole, or nothing of it is put anywhere.
	if (umask 077 && set -C && cat "$bytes" >"$3") && sum=$(sha256sum <"$3") && [ "$sum" = "$content  -" ] && chown "$owner:$group" "$3" && chmod "$mode" "$3" && sync "$3" && mv -fT "$3" "$1"; then return 0; fi
	rm -f "$3"
	return 1
}

# guarded_access_set PATH STATE WANTED LINES: owner, group and mode of the file as it stands. Prints what it could not do, and fails.
guarded_access_set() {
	local owner group mode new_owner new_group new_mode narrow failed lost said ahead
	IFS=: read -r owner group mode _ <<-STATE
		$2
	STATE
	IFS=: read -r new_owner new_group new_mode _ <<-STATE
		$3
	STATE
	failed='' lost='' narrow=$mode
	# As in guarded_own; who asks for the bits in so many words gets them.
	if [ "$owner" != root ] && [ $((0$new_mode & 06000)) -ne 0 ] && ! printf '%s\n' "$4" | grep -Eq '^put [0-9]+ mode '; then
		lost="the mode 0$new_mode"
		read_mode new_mode $((0$new_mode & 01777))
	fi
	# Where more than one changes.
	case $owner:$group:$mode in
	"$owner:$new_group:$new_mode" | "$new_owner:$group:$new_mode" | "$new_owner:$new_group:$mode") ;;
	*) read_mode narrow $((0$mode & 0$new_mode & 0777)) ;;
	esac
	read_access_ahead ahead "$1" "$mode $narrow $new_mode" "$owner $new_owner" "$group $new_group"
	held_ahead "$ahead" || {
		echo "$1 mode: cannot write below $VAR"
		return 1
	}
	held_change said "$1" mode "$narrow" "$mode" "$ahead" || {
		echo "$said"
		return 1
	}
	held_change said "$1" owner "$new_owner" "$owner" "$ahead" || { failed=yes && echo "$said"; }
	if held_change said "$1" group "$new_group" "$group" "$ahead"; then
		held_change said "$1" mode "$new_mode" "" "$ahead" || { failed=yes && echo "$said"; }
	else failed=yes && echo "$said"; fi
	[ -z "$lost" ] || {
		if [ "$owner" = "$new_owner" ]; then echo "$1 mode: $(guarded_less "$owner" "$owner" "$lost")"; else
			echo "$1 owner cannot be set to $new_owner: $(guarded_less "$new_owner" "$owner" "$lost")"
		fi
		return 1
	}
	[ -z "$failed" ]
}

# read_access_ahead VARIABLE PATH "MODE NARROW MODE" "OWNER OWNER" "GROUP GROUP": the records of guarded_access_set, for held_ahead. None where the file has
# setuid or setgid bits: by the record of an owner the rollback knows whether they may come back (read_mode_before), so that one has to be made.
read_access_ahead() {
	local access_records access_mode access_rest access_step
	access_records='' access_mode=${3%% *}
	[ $((0$access_mode & 06000)) -eq 0 ] || {
		give "$1" ''
		return 0
	}
	access_rest=${3#* }
	for access_step in "mode $access_mode ${access_rest% *}" "owner $4" "group $5" "mode $access_rest"; do
		case $access_step in *" ${access_step##* } ${access_step##* }") continue ;; esac
		access_records=$access_records${access_records:+"$NEWLINE"}"$2 $access_step"
	done
	give "$1" "$access_records"
}

# guarded_failed PATH LINES SAID: of each line "PATH ATTRIBUTE TEXT" that could not be done, a refusal where it was put, or where the disk takes
# nothing now and may take it later; else a note: a user who has left since, a tool that is gone.
guarded_failed() {
	local said attribute line
	while read -r said; do
		said=${said:-"$1 could not be changed"}
		attribute=${said#"$1 "} attribute=${attribute%%[ :]*}
		line=$(printf '%s\n' "$2" | awk -v attribute="$attribute" '$3 == attribute || line == "" { line = $1 " " $2 } END { print line }') && [ -n "$line" ] || return 1
		case $line in
		drop*)
			if has_room "${1%/*}"; then
				echo "${line#* } kept $said" >>"$T/notes" || return 1
				continue
			fi
			;;
		esac
		echo "refuse ${line#* } rejected $said"
		return 1
	done <<-SAID
		$3
	SAID
}

# --- rolled back ---

# guarded_undo PATH BEFORE AFTER: such a change of a file with its content. Fails where it cannot be put back now.
guarded_undo() {
	local stands back new others
	read_state stands "$1" content || return 1
	case $stands in
	unsafe)
		read_guarded_others others "${1%/*}"
		complain "$1 content cannot be put back: $others"
		return 1
		;;
	link | other) return 0 ;;
	esac
	read_state_before back "$stands" "$2" "$3"
	case $back in
	'' | "$stands") return 0 ;;
	*:unreadable)
		complain "$1 content cannot be put back: it could not be read"
		return 0
		;;
	esac
	read_state_harmless back "$1" "$back" && read_temporary new "$1" && guarded_replace "$1" "$back" "$new" 2>/dev/null
}

# read_state_harmless VARIABLE PATH STATE: the state without setuid and setgid where somebody else than root has the file in it: its content was read at
# another moment than its mode, and he may have written it in between.
read_state_harmless() {
	local harmless_owner harmless_group harmless_mode harmless_content harmless_plain
	IFS=: read -r harmless_owner harmless_group harmless_mode harmless_content <<-STATE
		$3
	STATE
	if [ "$3" = - ] || [ "$harmless_owner" = root ] || [ $((0$harmless_mode & 06000)) -eq 0 ]; then give "$1" "$3"; else
		read_mode harmless_plain $((0$harmless_mode & 01777))
		complain "$2: $(guarded_less "$harmless_owner" "$harmless_owner" "the mode $harmless_mode")"
		give "$1" "$harmless_owner:$harmless_group:$harmless_plain:$harmless_content"
	fi
}

# read_state_before VARIABLE STATE BEFORE AFTER: what the rollback makes of it, or nothing. A content that somebody has written since stays, and so does
# any other attribute that he has changed; but not where the change made the file somebody's, who could have done that himself.
read_state_before() {
	local back_into back_stands back_before back_after back_attribute back_part back_other back_whole
	back_into=$1 back_stands=$2 back_before=$3 back_after=$4
	give "$1" ''
	# Earlier versions wrote down the content alone.
	case $back_before:$back_after in
	*:*:*) ;;
	*)
		[ "$back_stands" != - ] || back_stands=root:root:0600:-
		[ "$back_before" = - ] || back_before=${back_stands%:*}:$back_before
		back_after=${back_stands%:*}:$back_after
		;;
	esac
	case $back_after in
	- | root:*) ;;
	*)
		[ "$back_stands" = - ] || give "$back_into" "$back_before"
		return 0
		;;
	esac
	[ "${back_stands##*:}" = "${back_after##*:}" ] || return 0
	back_whole=
	case $back_before:$back_after in
	-:* | *:-) back_whole=$back_before ;;
	*)
		for back_attribute in owner group mode; do
			read_part back_part "$back_stands" "$back_attribute"
			read_part back_other "$back_after" "$back_attribute"
			[ "$back_part" != "$back_other" ] || read_part back_part "$back_before" "$back_attribute"
			back_whole=$back_whole$back_part:
		done
		back_whole=$back_whole${back_before##*:}
		;;
	esac
	give "$back_into" "$back_whole"
}

# read_mode_before VARIABLE PATH MODE: the mode that the rollback gives back. Where the change had made the file somebody's, it comes without setuid and
# setgid, as in guarded_own.
read_mode_before() {
	local before_owner before_mode
	before_mode=$3
	[ $((0$3 & 06000)) -eq 0 ] || {
		before_owner=$(awk -v path="$2" '$1 == path && $2 == "owner" && $4 != "root" { print $4; exit }' "$T/links.changed") || return 1
		if [ -n "$before_owner" ] || guarded_is_his "$2" mode; then
			complain "$2: $(guarded_less "$(stat -c %U "$2")" "${before_owner:-its owner}" "the mode $3")"
			read_mode before_mode $((0$3 & 01777))
		fi
	}
	give "$1" "$before_mode"
}
