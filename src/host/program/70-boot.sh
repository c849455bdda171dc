# --- boot, devices that appear, the console ---------------------------------------------------------------------------
# Promises that after a boot, a new device or somebody's flush what was confirmed stands, or fails closed. Called by our units, by udev and nftables.service,
# and at the console. Leaves the texts that it loads in RUN, our units below /etc/systemd and /etc/udev, and in VAR/standing what they are by digests.

# load: makes the kernel follow the files, as boot, udev and an administrator want it. Takes the step lock only. Fails when something
# of ours could not be loaded, so that its unit says so too; why not stays in RUN/load.faults until the next load, for `status`.
load() {
	local loading
	private_dir "$RUN"
	# udev must not undo what an administrator has done in need; a reboot does.
	[ ! -e "$RUN/lifted" ] || { echo "our rules are lifted; \`drawbridge-host unlift\` puts them back" >&2; return 0; }
	lock
	FAULTS=$RUN/load.faults
	# Where nothing can be written, what stands in the kernel is better than half a text.
	# shellcheck disable=SC2015
	true >"$FAULTS" && loading=$(load_texts) || {
		FAULTS=''
		guard_what_is_missing
		unlock
		return 1
	}
	# Families carry no blank.
	# shellcheck disable=SC2086
	set -- $loading
	if [ $# -gt 0 ] && ! have nft; then
		complain "nft is not installed; forwarding is switched off, and no port is put into a bridge"
		forwarding_off
	elif [ $# -eq 0 ] || load_tables "$RUN/load" "$RUN/shut" "$@"; then links_load; else
		complain "no port is put into a bridge"
	fi
	unlock
	# What is said from here on is no fault of the load.
	FAULTS=''
	[ ! -s "$RUN/load.faults" ] && tell_undeclared "$@"
}

# tell_undeclared FAMILY…: names the sets that nobody declares and that are denied by, in the texts that were loaded; once, for udev loads at each device.
tell_undeclared() {
	local family sets said
	sets=$(for family in "$@"; do
		awk '/^\tset / { set = $2 } /^\t\tcomment "nobody declares it"$/ && sub(/\.all$/, "", set) { print set }' "$RUN/load.$family"
	done | tr '\n' ' ')
	read_line said "$RUN/load.undeclared"
	[ "$sets" != "$said" ] && echo "$sets" >"$RUN/load.undeclared" || return 0
	[ -z "$sets" ] || complain "nobody declares what is denied by, so that everybody is denied but who passes where rules do not load: ${sets% }"
}

# guard_what_is_missing: where our texts cannot be made; a table that stands stays, and one that does not is guarded as boot does it.
guard_what_is_missing() {
	local family tables
	complain "our tables cannot be loaded: $RUN cannot be written, or something that makes them has failed"
	tables=$(nft list tables)
	for family in $FAMILIES; do
		[ -e "$ETC/shut/$family.nft" ] || continue
		printf '%s\n' "$tables" | grep -qx "table $family drawbridge" || nft -f "$ETC/shut/$family.nft" || forwarding_off
	done
}

# lift: takes all rules of ours out of the kernel, until the next boot, \`unlift\` or change. Bridges, sudo rights and files stay.
lift() {
	local family
	private_dir "$RUN"
	lock
	true >"$RUN/lifted" || fail not-writable "cannot write below $RUN"
	{ for family in $FAMILIES; do nft_deletion "$family" || echo "cut off"; done && nft_beside_gone; } | nft -f - || { rm -f "$RUN/lifted"; fail internal "nft did not take our tables away"; }
	complain "all rules were lifted by ${SUDO_USER:-root}, until the next boot or \`drawbridge-host unlift\`"
	unlock
}

unlift() {
	rm -f "$RUN/lifted"
	load && complain "the rules that were lifted stand again"
}

# load_flushed: behind a flush of all tables; where ours stand, there is nothing to do.
load_flushed() {
	local tables family
	tables=$(nft list tables 2>/dev/null)
	for family in $FAMILIES; do
		nft_boot_fragments "$family" | grep -q . || continue
		case $NEWLINE$tables$NEWLINE in *"${NEWLINE}table $family drawbridge$NEWLINE"*) ;; *)
			load
			return
			;;
		esac
	done
}

# load_texts: how the tables would be loaded now, to RUN/load.FAMILY, without what only opens to RUN/load.second.FAMILY, and what fails closed to
# RUN/shut.FAMILY. Prints which, a family a line.
load_texts() {
	local family
	nft_facts "$RUN/load" || return 1
	nft_count
	for family in $FAMILIES; do
		nft_boot_fragments "$family" >"$RUN/load.fragments" || return 1
		[ -s "$RUN/load.fragments" ] || [ -e "$VAR/confirmed$ETC/nft/$family-drawbridge" ] || continue
		nft_look "$RUN/load.fragments" && nft_text "$family" "$RUN/load.fragments" >"$RUN/load.uncounted" &&
			nft_counted "$RUN/load.uncounted" >"$RUN/load.$family" || return 1
		nft_second_try "$family" "$RUN/load.second.$family" "$RUN/load.fragments" || return 1
		cp "$ETC/shut/$family.nft" "$RUN/shut.$family" 2>/dev/null || nft_fail_closed "$family" "$RUN/shut.$family" "$RUN/load.fragments" || return 1
		echo "$family" || return 1
	done
}

# around NFT WORD…: has nft do what another unit wants of it, a flush of all tables perhaps, so that no packet meets a host without ours: those that stand stay, else
# they come in the same commit. What fails so is done alone; the unit loads ours behind it.
around() {
	local others status
	case "$#:$2:$3" in
	3:-f:*) others="include \"$3\"" ;;
	3:flush:ruleset) others='flush ruleset' ;;
	*) exec "$@" ;;
	esac
	private_dir "$RUN"
	lock
	# shellcheck disable=SC2015
	{ around_standing "$3" >"$RUN/around" || around_loading "$others" >"$RUN/around"; } 2>/dev/null && "$1" -f "$RUN/around" 2>/dev/null || "$@"
	status=$?
	unlock
	return "$status"
}

# around_standing ruleset|FILE: prints what the unit wants, where it flushes all tables a deletion of those that are not ours. Fails where one of ours does not stand, or what the
# file flushes cannot be told.
around_standing() {
	local tables family
	tables=$(nft list tables) || return 1
	for family in $FAMILIES; do
		nft_is_empty "$family" || case $NEWLINE$tables$NEWLINE in *"${NEWLINE}table $family drawbridge$NEWLINE"*) ;; *) return 1 ;; esac
	done
	tables=$(printf '%s\n' "$tables" | sed -e '/ drawbridge[a-z_]*$/d' -e 's/^table/delete table/')
	if [ "$1" = ruleset ]; then printf '%s\n' "$tables"; else
		printf '%s\n' "$tables" | awk '
			reading == "deletions" { deletions = deletions $0 "\n"; next }
			/^[ \t]*flush ruleset[ \t;]*$/ { printf "%s", deletions; next }
			!/^[ \t]*#/ && /flush|include/ { exit 1 }
			{ print }' reading=deletions - reading=text "$1"
	fi
}

# around_loading OTHERS: prints OTHERS, and behind it our tables.
around_loading() {
	local loading family
	loading=$(load_texts) || return 1
	printf '%s\n' "$1"
	# Half a text is no text: these words no nft takes.
	for family in $loading; do cat "$RUN/load.$family" || echo "cut off"; done
}

# nft_boot_fragments FAMILY: what stands in /etc is what boot loads. Files without our header are named and left out.
nft_boot_fragments() {
	local file
	for file in "$ETC/nft/$1-drawbridge"/*.nft; do
		if is_ours "$file"; then echo "$file" || return 1; elif [ -e "$file" ]; then complain "$file is not loaded: it lacks the line \"# drawbridge $LAYOUT\""; fi
	done
}

# settle_after_crash: a transaction that a reboot met is finished the way it stood: confirmed stays, all else goes back; so does what an
# earlier undo had to leave.
settle_after_crash() {
	local txn
	private_dir "$RUN"
	for txn in "$VAR"/txn/* "$VAR"/txn/.incoming.* "$VAR"/txn/.gone.*; do
		[ -d "$txn" ] || continue
		case ${txn##*/} in .gone.*) rm -rf "$txn" && continue ;; esac
		# Run by hand, it leaves alone what is at work.
		! is_held "$txn" || continue
		if [ -e "$txn/confirmed" ]; then
			lock
			keep_confirmed "$txn"
			unlock
		elif [ -e "$txn/pending" ] || [ -e "$txn/reverting" ]; then
			/bin/sh "$txn/drawbridge-host" undo "${txn##*/}"
		else
			rm -rf "$txn"
		fi
	done
	lock
	retry_rollbacks
	leave_no_trace
	unlock
}

# units: "PATH TEXT" a line: what makes boot, udev and those who flush all tables call us, where this host has them; TEXT prints it.
units() {
	local list
	read_units list
	printf '%s\n' "$list"
}

# read_units VARIABLE: such lines, into the variable.
read_units() {
	local units_list units_nftables
	units_list=
	if [ -d /usr/lib/systemd/system ] || [ -d /lib/systemd/system ]; then
		units_list="/etc/systemd/system/drawbridge-undo.service unit_undo$NEWLINE/etc/systemd/system/drawbridge.service unit_load$NEWLINE"
		read_nftables_unit units_nftables
		[ -z "$units_nftables" ] || units_list="$units_list/etc/systemd/system/nftables.service.d/50-drawbridge.conf unit_nftables$NEWLINE"
	fi
	[ ! -d /usr/lib/udev/rules.d ] && [ ! -d /lib/udev/rules.d ] || units_list="$units_list/etc/udev/rules.d/90-drawbridge.rules udev_rule$NEWLINE"
	give "$1" "$units_list$MAN_PAGE man_page"
}

# units_wanted: "LINK UNIT" a line.
units_wanted() {
	local path
	units | while read -r path _; do
		case $path in */drawbridge*.service) echo "/etc/systemd/system/sysinit.target.wants/${path##*/} $path" ;; esac
	done
}

# units_install: written by the first transaction, gone with the last.
units_install() { install_self && units_write && standing_keep; }

# program_stands: whether program and units stand, by what they are made of.
program_stands() { cmp -s "$PROGRAM" "$SELF" && units_stand; }

# standing_keep: keeps in VAR/standing what stands, by digests, so that one process can tell each change behind this one that there is nothing for units_install to do.
# Without it they go the long way.
standing_keep() {
	local standing
	read_standing standing
	# Asked behind the digests: what somebody changed meanwhile is in none of them.
	# shellcheck disable=SC2015,SC2086
	{ printf '# %s\n' "$standing" && sha256sum ${standing#* }; } >"$VAR/standing.new" && program_stands && mv -fT "$VAR/standing.new" "$VAR/standing" || rm -f "$VAR/standing.new"
}

# read_standing VARIABLE: what the digests rest on, the program's own first, and of what files they are: the program, its units, and the one of another that one of them is made of.
read_standing() {
	local standing_units standing_files standing_path
	read_units standing_units
	standing_files=$SELF
	while read -r standing_path _; do standing_files="$standing_files $standing_path"; done <<-UNITS
		$standing_units
	UNITS
	read_nftables_unit standing_path
	give "$1" "$DIGEST $standing_files${standing_path:+ $standing_path}"
}

# is_standing_kept: the digests are of this program, and of the files that this host is to have by now.
is_standing_kept() {
	local kept standing file
	read_line kept "$VAR/standing"
	read_standing standing
	[ "$kept" = "# $standing" ] || return 1
	for file in $standing; do
		case $file in */drawbridge*.service) [ -L "/etc/systemd/system/sysinit.target.wants/${file##*/}" ] || return 1 ;; esac
	done
}

units_write() {
	local path text wanted unit
	! units_stand || return 0
	units | while read -r path text; do
		"$text" | install_text "$path" || exit 1
	done || return 1
	units_wanted | while read -r wanted unit; do
		# shellcheck disable=SC2015
		make_dir "${wanted%/*}" && ln -sfT "$unit" "$wanted" || exit 1
	done || return 1
	units_changed
}

# units_remove: fails where one of them stays.
units_remove() {
	local there stays path
	there='' stays=''
	for path in /etc/systemd/system/sysinit.target.wants/drawbridge.service /etc/systemd/system/sysinit.target.wants/drawbridge-undo.service \
		/etc/systemd/system/drawbridge.service /etc/systemd/system/drawbridge-undo.service \
		/etc/systemd/system/nftables.service.d/50-drawbridge.conf /etc/udev/rules.d/90-drawbridge.rules \
		"$MAN_PAGE"; do
		[ -e "$path" ] || [ -L "$path" ] || continue
		there=yes
		rm -f "$path" || stays=yes
	done
	[ -z "$there" ] || units_changed
	[ -z "$stays" ]
}

# units_changed: systemd reads its units when it is told to; udev sees by itself.
units_changed() { [ ! -d /run/systemd/system ] || systemctl daemon-reload || :; }

# units_stand: whether all are as we wrote them. All at once: one after the other takes a hundred times as long as to read them.
units_stand() {
	local list files texts text mark wanted there
	mark=${T:-$S}/mark
	read_units list
	echo "here it ends" >"$mark" || return 1
	files='' texts=''
	# Paths of ours and names of functions carry no blank.
	# shellcheck disable=SC2086
	set -- $list
	while [ $# -gt 1 ]; do
		case $1 in */drawbridge*.service) [ -L "/etc/systemd/system/sysinit.target.wants/${1##*/}" ] || return 1 ;; esac
		files="$files $1 $mark" texts="$texts $2"
		shift 2
	done
	wanted=$(for text in $texts; do "$text" && echo "here it ends" || exit 1; done) || return 1
	# shellcheck disable=SC2086
	there=$(cat $files 2>/dev/null) && [ "$there" = "$wanted" ]
}

# units_damaged: which of them is not as we wrote it; one path a line.
units_damaged() {
	local path text wanted
	! units_stand || return 0
	units | while read -r path text; do "$text" | cmp -s - "$path" || echo "$path"; done
	units_wanted | while read -r wanted _; do [ -L "$wanted" ] || echo "$wanted"; done
}

# units_tampered: the same, less a manual page that another version's program has written: the next change brings ours.
units_tampered() {
	local path damaged
	damaged=$(units_damaged) || return 1
	[ -n "$damaged" ] || return 0
	printf '%s\n' "$damaged" | while read -r path; do
		[ "$path" = "$MAN_PAGE" ] && [ -e "$path" ] && ! head -n 1 "$path" | grep -qF "$DIGEST" || echo "$path"
	done
}

# boot_differs: "PATH TEXT" for files of which boot would make something else than stands now.
boot_differs() {
	local family file
	for family in $FAMILIES; do
		[ -d "$VAR/confirmed$ETC/nft/$family-drawbridge" ] || continue
		for file in "$ETC/nft/$family-drawbridge"/*.nft; do
			[ -e "$VAR/confirmed$file" ] || ! is_ours "$file" || echo "$file boot would load it, and no resource has it; delete it"
		done
	done
	for file in /etc/network/interfaces.d/drawbridge-*; do
		! is_ours "$file" || interfaces_sourced || echo "$file boot would not read it: /etc/network/interfaces has no line for interfaces.d any more"
	done
	for file in /etc/systemd/network/05-drawbridge-*; do
		! is_ours "$file" || [ "$(network_configuration)" = systemd-networkd ] || echo "$file boot would not read it: systemd-networkd is not enabled any more"
	done
}

# units_follow: a program that comes in the place of another one brings the texts of its own, or the next look would take those of the other for
# tampered ones. Only where there are some. What cannot be written is seen by that look.
units_follow() {
	[ -e "$MAN_PAGE" ] && private_dir "$RUN" && T=$(mktemp -d "$RUN/upgrade.XXXXXXXXXX") || return 0
	units_write || :
	rm -rf "$T"
}

# install_text PATH: from stdin, unless it stands there already.
install_text() {
	cat >"$T/unit" || return 1
	cmp -s "$T/unit" "$1" || install_file "$T/unit" 0644 "$1"
}

install_self() {
	cmp -s "$PROGRAM" "$SELF" && return 0
	[ -e "$SELF" ] || true >"$VAR/installed" || return 1
	install_file "$PROGRAM" 0755 "$SELF"
}

udev_rule() { printf 'SUBSYSTEM=="net", ACTION=="add|move", RUN+="%s load"\n' "$SELF"; }

# read_nftables_unit VARIABLE: the path of nftables.service, which begins and ends with a flush of all tables; nothing where there is none.
read_nftables_unit() {
	local nftables_place
	give "$1" ''
	for nftables_place in /etc/systemd/system /run/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
		[ ! -f "$nftables_place/nftables.service" ] || {
			give "$1" "$nftables_place/nftables.service"
			return 0
		}
	done
}

# unit_nftables: its own commands, each in one commit with our tables; and behind them ours once more, in case somebody has given it
# others. Without our program they run as they are.
unit_nftables() {
	local word nftables
	read_nftables_unit nftables
	printf '# Whoever flushes all tables takes those of Drawbridge with them: here they come in the same commit.\n[Service]\n'
	awk -v self="$SELF" '
		/^Exec(Start|Reload|Stop)=./ {
			word = $0
			sub(/=.*/, "", word)
			own = substr($0, length(word) + 2)
			if (!seen[word]++) print word "="
			if (own ~ /^\/usr\/sbin\/nft /)
				own = "/bin/sh -c \047if [ -x " self " ]; then exec " self " around \"$$@\"; else exec \"$$@\"; fi\047 sh " own
			print word "=" own
		}' "$nftables"
	for word in ExecStartPost ExecReload ExecStopPost; do echo "$word=-$SELF load flushed"; done
}

unit_undo() {
	printf '%s\n' "[Unit]
Description=Undo a change by Drawbridge that a reboot met unconfirmed
DefaultDependencies=no
RequiresMountsFor=/var/lib /etc
After=local-fs.target
Before=systemd-sysctl.service systemd-modules-load.service nftables.service network-pre.target sysinit.target
ConditionDirectoryNotEmpty=$VAR/txn

[Service]
Type=oneshot
ExecStart=$SELF settle"
}

unit_load() {
	printf '%s\n' "[Unit]
Description=Load the rules of Drawbridge
DefaultDependencies=no
RequiresMountsFor=/var/lib /etc
After=local-fs.target drawbridge-undo.service systemd-modules-load.service systemd-sysctl.service nftables.service netfilter-persistent.service
Before=network-pre.target sysinit.target shutdown.target
Wants=network-pre.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=$SELF load
ExecReload=$SELF load"
}

# status: for the console.
status() {
	local holder rest waits file
	printf 'drawbridge-host %s, layout %s\n' "$VERSION" "$LAYOUT"
	[ ! -e "$RUN/lifted" ] || echo "lifted: no rule of Drawbridge is in the kernel, until \`drawbridge-host unlift\`"
	[ ! -s "$RUN/load.faults" ] || { echo 'not done by the last load, which "drawbridge-host load" does anew:' && sed 's/^/  /' "$RUN/load.faults"; }
	if read_pending holder; then printf 'pending: %s\n' "$holder"; else echo 'pending: nothing'; fi
	for rest in "$VAR"/not-undone-*; do
		[ ! -d "$rest" ] || printf 'not rolled back completely yet: %s; each call tries it again, and so does "drawbridge-host settle"\n' "$(cat "$rest/holder")"
	done
	[ ! -s "$RUN/history" ] || { echo 'last changes:'; cat "$RUN/history.before" "$RUN/history" 2>/dev/null | tail -n 50 | sed 's/^/  /'; }
	waits=$(waiting) || echo 'what is waited for could not be listed'
	echo 'held:'
	find "$VAR/confirmed" -type f 2>/dev/null | sort | while read -r file; do
		printf '  %s  (%s)\n' "${file#"$VAR/confirmed"}" "$(header "$file" from)"
		[ -z "$waits" ] || printf '%s\n' "$waits" | sed -n "s/^$(header "$file" object) /    waits for the /p"
	done
}
