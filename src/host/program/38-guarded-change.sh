# --- files: what changes together ---------------------------------------------------------------------------------------
# Who may read a content, or run it with more rights, is a matter of four attributes: content, owner, group and mode. Where several change in
# one transaction, there is no moment at which the file shows one as it was and another as it will be, if that lets in whom neither state does:
#   Where the content changes, a new file is made beside, with all four as they are to be, and renamed over the former one.
#   Where it does not, the mode is first narrowed to what both modes share, without setuid and setgid, and set as wanted at the end.
# Both are written down in links.changed before they are done, the first as "PATH content STATE STATE", so that the rollback goes the same way
# backwards. A STATE is OWNER:GROUP:MODE:CONTENT (guarded_state), or "-" where there is no file.
# The new file's name is written down first, too, in the transaction's list `temporaries`, so that the rollback removes what a killed process
# leaves in somebody's folder.

# guarded_changes: all that the transaction puts and gives up of files, file by file. Prints "refuse NUMBER rejected TEXT" and fails.
guarded_changes() {
	local paths path
	paths=$(awk '$2 ~ /^\// && !seen[$2]++ { print $2 }' "$T/links.put" "$T/links.drop") || return 1
	[ -z "$paths" ] || printf '%s\n' "$paths" | while read -r path; do guarded_change "$path" || exit 1; done
}

# guarded_change PATH: the four together, then what concerns nobody's access at that moment.
guarded_change() {
	local lines stands wanted said
	lines=$(guarded_lines "$1") && stands=$(guarded_state "$1" content) || return 1
	case $stands in
	- | *:*)
		wanted=$(guarded_wanted_state "$1" "$stands" "$lines") || return 1
		said=$(guarded_bring "$1" "$stands" "$wanted" "$lines") || guarded_failed "$1" "$lines" "$said" || return 1
		lines=$(printf '%s\n' "$lines" | grep -E '^[a-z]+ [0-9]+ (acl|override) ') || return 0
		;;
	esac
	# Where it is no file that we may touch, each attribute says so.
	printf '%s\n' "$lines" | guarded_each "$1"
}

# guarded_each PATH: lines of guarded_lines from stdin, one by one.
guarded_each() {
	local action number attribute value
	while read -r action number attribute value; do
		if [ "$action" = put ]; then held_put "$number" "$1" "$attribute" "$value"; else held_give_up "$number" "$1" "$attribute" "$value"; fi || return 1
	done
}

# guarded_lines PATH: "put|drop NUMBER ATTRIBUTE VALUE" a line, the content first, for by it we know whether the file was made here.
guarded_lines() {
	awk -v path="$1" '
		$2 == path { of[$3] = of[$3] (FILENAME ~ /put$/ ? "put " : "drop ") $1 " " $3 " " $4 "\n" }
		END { n = split("content owner group mode acl override", order); for (i = 1; i <= n; i++) printf "%s", of[order[i]] }' "$T/links.put" "$T/links.drop"
}

# guarded_wanted_state PATH STATE LINES: the state that the transaction makes of it. Writes down how what is put was found.
guarded_wanted_state() {
	local owner group mode content former_owner former_content action number attribute value stands
	IFS=: read -r owner group mode content <<-STATE
		$2
	STATE
	former_owner=$owner
	[ "$2" != - ] || { owner=root group=root mode=0600 content=-; }
	former_content=$content
	while read -r action number attribute value; do
		case $attribute in
		owner) stands=$owner ;;
		group) stands=$group ;;
		mode) stands=$mode ;;
		content) stands=$content ;;
		*) continue ;;
		esac
		[ "$2" != - ] || stands=-
		if [ "$action" = put ]; then
			held_found "$1" "$attribute" "$stands" || return 1
		else
			# Whose file it is could have changed these himself, so that another content than he had would come back with what he likes.
			case $attribute:$former_owner in
			mode:root | group:root) ;;
			mode:* | group:*) [ "$content" = "$former_content" ] || stands=$value ;;
			esac
			value=$(held_goes_back "$number" "$1" "$attribute" "$value" "$stands") || return 1
			[ -n "$value" ] || continue
			value=$(guarded_known "$number" "$1" "$attribute" "$value") || return 1
		fi
		case $attribute in
		owner) owner=$value ;;
		group) group=$value ;;
		mode) mode=$value ;;
		content) content=$value ;;
		esac
	done <<-LINES
		$3
	LINES
	if [ "$content" = - ]; then echo -; else echo "$owner:$group:$mode:$content"; fi
}

# guarded_known NUMBER PATH ATTRIBUTE VALUE: the value that is given back, or root where such a user or group has left the host since.
guarded_known() {
	case $3:$4 in
	owner:*[!0-9]*) getent passwd "$4" >/dev/null ;;
	group:*[!0-9]*) getent group "$4" >/dev/null ;;
	esac || {
		echo "$1 kept $2 $3: there is no $4 on this host any more, and root has it now" >>"$T/notes" || return 1
		echo root
		return 0
	}
	echo "$4"
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
	case $2 in *:unreadable) before=${2%:*}:$(content_confirmed "$1") || return 1 ;; esac
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
	new=$(guarded_temporary "$1") && printf '%s content %s %s\n' "$1" "$before" "$3" >>"$T/links.changed" && sync "$T/links.changed" "$T/temporaries" ${kept:+"$kept"} || {
		echo "$1 content: cannot write below $VAR"
		return 1
	}
	said=$(guarded_replace "$1" "$3" "$new" 2>&1) || {
		printf '%s content cannot be set to %s: %s\n' "$1" "${3##*:}" "$(printf '%s' "$said" | tail -n 1)"
		return 1
	}
	stands=$(guarded_state "$1" content) || return 1
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

# guarded_temporary PATH: the transaction's name for a new file beside it. Nobody can foresee it, for a link of that name would be followed; and it
# is written down.
guarded_temporary() {
	local folder name
	folder=${1%/*}
	while read -r name; do
		[ "${name%/*}" != "$folder" ] || {
			echo "$name"
			return 0
		}
	done 2>/dev/null <"$T/temporaries"
	read -r name </proc/sys/kernel/random/uuid && name=$folder/.drawbridge.$name && echo "$name" >>"$T/temporaries" || return 1
	echo "$name"
}

# guarded_remove_temporaries: removes what a killed process has left under such a name; not where somebody else may have put it there.
guarded_remove_temporaries() {
	local name
	[ ! -s "$T/temporaries" ] || while read -r name; do
		[ ! -e "$name" ] || [ -n "$(guarded_others "${name%/*}")" ] || rm -f "$name"
	done <"$T/temporaries"
}

# guarded_replace PATH STATE TEMPORARY: complete or not at all. The new file is root's alone until it is whose it is to be, and has its mode last.
guarded_replace() {
	local others owner group mode content bytes
	# Asked at this moment, as guarded_set does.
	others=$(folder_reason "${1%/*}") || return 1
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
	rm -f "$3"
	# What was kept is whole, or nothing of it is put anywhere.
	if (umask 077 && set -C && cat "$bytes" >"$3") && [ "$(sha256sum <"$3")" = "$content  -" ] && chown "$owner:$group" "$3" && chmod "$mode" "$3" && sync "$3" && mv -fT "$3" "$1"; then return 0; fi
	rm -f "$3"
	return 1
}

# guarded_access_set PATH STATE WANTED LINES: owner, group and mode of the file as it stands.
guarded_access_set() {
	local owner group mode new_owner new_group new_mode changes failed lost
	IFS=: read -r owner group mode _ <<-STATE
		$2
	STATE
	IFS=: read -r new_owner new_group new_mode _ <<-STATE
		$3
	STATE
	changes=0 failed='' lost=
	# As in guarded_own; who asks for the bits in so many words gets them.
	if [ "$owner" != root ] && [ $((0$new_mode & 06000)) -ne 0 ] && ! printf '%s\n' "$4" | grep -Eq '^put [0-9]+ mode '; then
		lost="the mode 0$new_mode"
		new_mode=$(printf %04o $((0$new_mode & 01777)))
	fi
	[ "$owner" = "$new_owner" ] || changes=$((changes + 1))
	[ "$group" = "$new_group" ] || changes=$((changes + 1))
	[ "$mode" = "$new_mode" ] || changes=$((changes + 1))
	[ "$changes" -lt 2 ] || held_change "$1" mode "$(printf %04o $((0$mode & 0$new_mode & 0777)))" || return 1
	held_change "$1" owner "$new_owner" || failed=yes
	if held_change "$1" group "$new_group"; then held_change "$1" mode "$new_mode" || failed=yes; else failed=yes; fi
	[ -z "$lost" ] || {
		if [ "$owner" = "$new_owner" ]; then echo "$1 mode: $(guarded_less "$owner" "$owner" "$lost")"; else
			echo "$1 owner cannot be set to $new_owner: $(guarded_less "$new_owner" "$owner" "$lost")"
		fi
		return 1
	}
	[ -z "$failed" ]
}

# guarded_failed PATH LINES SAID: of each line "PATH ATTRIBUTE TEXT" that could not be done, a refusal where it was put, or where the disk takes
# nothing now and may take it later; else a note: a user who has left since, a tool that is gone.
guarded_failed() {
	local said attribute line
	while read -r said; do
		said=${said:-"$1 could not be changed"}
		attribute=${said#"$1 "} attribute=${attribute%%[ :]*}
		line=$(printf '%s\n' "$2" | awk -v attribute="$attribute" '$3 == attribute || line == "" { line = $1 " " $2 } END { print line }')
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
	local stands back new
	stands=$(guarded_state "$1" content) || return 1
	case $stands in
	unsafe)
		complain "$1 content cannot be put back: $(guarded_others "${1%/*}")"
		return 1
		;;
	link | other) return 0 ;;
	esac
	back=$(guarded_state_before "$stands" "$2" "$3") || return 1
	case $back in
	'' | "$stands") return 0 ;;
	*:unreadable)
		complain "$1 content cannot be put back: it could not be read"
		return 0
		;;
	esac
	back=$(guarded_state_harmless "$1" "$back") && new=$(guarded_temporary "$1") && guarded_replace "$1" "$back" "$new" 2>/dev/null
}

# guarded_state_harmless PATH STATE: the state without setuid and setgid where somebody else than root has the file in it: its content was read at
# another moment than its mode, and he may have written it in between.
guarded_state_harmless() {
	local owner group mode content
	IFS=: read -r owner group mode content <<-STATE
		$2
	STATE
	[ "$2" = - ] || [ "$owner" = root ] || [ $((0$mode & 06000)) -eq 0 ] || {
		complain "$1: $(guarded_less "$owner" "$owner" "the mode $mode")"
		mode=$(printf '%04o\n' $((0$mode & 01777)))
	}
	if [ "$2" = - ]; then echo -; else echo "$owner:$group:$mode:$content"; fi
}

# guarded_state_before STATE BEFORE AFTER: what the rollback makes of it. A content that somebody has written since stays, and so does any other
# attribute that he has changed; but not where the change made the file somebody's, who could have done that himself.
guarded_state_before() {
	local stands before after result attribute part
	stands=$1 before=$2 after=$3
	# Earlier versions wrote down the content alone.
	case $before:$after in
	*:*:*) ;;
	*)
		[ "$stands" != - ] || stands=root:root:0600:-
		[ "$before" = - ] || before=${stands%:*}:$before
		after=${stands%:*}:$after
		;;
	esac
	case $after in
	- | root:*) ;;
	*)
		[ "$stands" = - ] || echo "$before"
		return 0
		;;
	esac
	[ "${stands##*:}" = "${after##*:}" ] || return 0
	case $before:$after in
	-:* | *:-)
		echo "$before"
		return 0
		;;
	esac
	result=
	for attribute in owner group mode; do
		part=$(guarded_part "$stands" "$attribute")
		[ "$part" != "$(guarded_part "$after" "$attribute")" ] || part=$(guarded_part "$before" "$attribute")
		result=$result$part:
	done
	echo "$result${before##*:}"
}

# guarded_mode_before PATH MODE: the mode that the rollback gives back. Where the change had made the file somebody's, it comes without setuid and
# setgid, as in guarded_own.
guarded_mode_before() {
	local owner
	[ $((0$2 & 06000)) -ne 0 ] || {
		echo "$2"
		return 0
	}
	owner=$(awk -v path="$1" '$1 == path && $2 == "owner" && $4 != "root" { print $4; exit }' "$T/links.changed") || return 1
	if [ -z "$owner" ] && ! guarded_is_his "$1" mode; then echo "$2"; else
		complain "$1: $(guarded_less "$(stat -c %U "$1")" "${owner:-its owner}" "the mode $2")"
		printf '%04o\n' $((0$2 & 01777))
	fi
}
