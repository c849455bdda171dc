# --- things held: at boot, and looked at ----------------------------------------------------------------------------------
# Called by load (links_load) and by a look (held_live), outside of any transaction: nothing is written down.

# links_load: what stands in links/, on the devices that are here; the host's own configuration sees to the rest, and groups and
# files outlive a reboot by themselves.
links_load() {
	local file subject attribute value change
	for file in "$ETC"/links/*; do
		[ -e "$file" ] || continue
		is_ours "$file" || {
			complain "$file is not loaded: it lacks the line \"# drawbridge $LAYOUT\""
			continue
		}
		held_items "$file" | while read -r subject attribute value; do
			# Addresses and what configures them are not the loader's.
			case $attribute in carries | configured_as) continue ;; esac
			held_waits "$subject" "$attribute" "$value" || held_change change "$subject" "$attribute" "$value" || complain "$change"
		done
	done
}

# held_live DIR: how everything stands that is held by a confirmed file, or by one below DIR/files. Without a process for each: there may be
# hundreds. A file is looked at once for all that is held of it.
held_live() {
	local wanted confirmed items subject attribute path state stands
	wanted=$(held_files "$1/files") && confirmed=$(held_files "$VAR/confirmed") || return 1
	# Paths are ours and carry no blank.
	# shellcheck disable=SC2086
	set -- $wanted $confirmed
	[ $# -gt 0 ] || return 0
	items=$(awk "$HELD_ITEM$HELD_ONCE" "$@") || return 1
	[ -n "$items" ] || return 0
	path='' state=''
	while read -r subject attribute _; do
		case $subject in
		"$path") ;;
		/*) path=$subject && read_state state "$path" || return 1 ;;
		esac
		read_held stands "$subject" "$attribute" "$state" && printf '%s %s %s\n' "$subject" "$attribute" "$stands" || return 1
	done <<-ITEMS
		$items
	ITEMS
}

# HELD_ONCE: for awk behind HELD_ITEM: "SUBJECT ATTRIBUTE", each once, and all of a subject together.
# shellcheck disable=SC2016
HELD_ONCE='
	(held = item()) == "" { next }
	{ split(held, part, " ") }
	(part[1], part[2]) in seen { next }
	!(part[1] in attributes) { subjects[++n] = part[1] }
	{ seen[part[1], part[2]]; attributes[part[1]] = attributes[part[1]] part[1] " " part[2] "\n" }
	END { for (i = 1; i <= n; i++) printf "%s", attributes[subjects[i]] }'
