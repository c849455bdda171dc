# --- boot, devices that appear, the console ---------------------------------------------------------------------------

# load: makes the kernel follow the files, as boot, udev and an administrator want it. Takes the step lock only.
load() {
	mkdir -p "$RUN"
	lock
	set --
	nft_look "$RUN/load"
	nft_count
	for family in $FAMILIES; do
		nft_boot_fragments "$family" >"$RUN/load.fragments"
		[ -s "$RUN/load.fragments" ] || [ -e "$VAR/confirmed$ETC/nft/$family-drawbridge" ] || continue
		nft_table "$family" "$RUN/load.$family" "$RUN/load.fragments"
		cp "$ETC/shut/$family.nft" "$RUN/shut.$family" 2>/dev/null || nft_shut "$family" "$RUN/shut.$family" "$RUN/load.fragments"
		set -- "$@" "$family"
	done
	if [ $# -gt 0 ] && ! have nft; then
		complain "nft is not installed; forwarding is switched off, and no port is put into a bridge"
		forwarding_off
	else
		[ $# -eq 0 ] || load_tables "$RUN/load" "$RUN/shut" "$@"
		links_load
	fi
	unlock
}

# nft_boot_fragments FAMILY: what stands in /etc is what boot loads. Files without our header are named and left out.
nft_boot_fragments() {
	for file in "$ETC/nft/$1-drawbridge"/*.nft; do
		if is_ours "$file"; then echo "$file"; elif [ -e "$file" ]; then complain "$file is not loaded: it lacks the line \"# drawbridge $LAYOUT\""; fi
	done
}

# settle_after_crash: a transaction that a reboot met is finished the way it stood: confirmed stays, all else goes back.
settle_after_crash() {
	mkdir -p "$RUN"
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
}

# units_install: what makes boot call us, where systemd and udev are. Written by the first transaction, gone with the last.
units_install() {
	install_self || return 1
	[ -n "$(units_damaged)" ] || return 0
	if [ -d /usr/lib/systemd/system ] || [ -d /lib/systemd/system ]; then
		unit_undo | install_text /etc/systemd/system/drawbridge-undo.service || return 1
		unit_load | install_text /etc/systemd/system/drawbridge.service || return 1
		for unit in drawbridge-undo.service drawbridge.service; do
			make_dir /etc/systemd/system/sysinit.target.wants
			ln -sfT "/etc/systemd/system/$unit" "/etc/systemd/system/sysinit.target.wants/$unit" || return 1
		done
	fi
	if [ -d /usr/lib/udev/rules.d ] || [ -d /lib/udev/rules.d ]; then
		udev_rule | install_text /etc/udev/rules.d/90-drawbridge.rules || return 1
	fi
}

units_remove() {
	rm -f /etc/systemd/system/sysinit.target.wants/drawbridge.service /etc/systemd/system/sysinit.target.wants/drawbridge-undo.service \
		/etc/systemd/system/drawbridge.service /etc/systemd/system/drawbridge-undo.service /etc/udev/rules.d/90-drawbridge.rules
}

# install_text PATH: from stdin, unless it stands there already.
install_text() {
	cat >"$T/unit"
	cmp -s "$T/unit" "$1" || install_file "$T/unit" 0644 "$1"
}

install_self() {
	cmp -s "$0" "$SELF" && return 0
	[ -e "$SELF" ] || : >"$VAR/installed"
	install_file "$0" 0755 "$SELF"
}

udev_rule() { printf 'SUBSYSTEM=="net", ACTION=="add|move", RUN+="%s load"\n' "$SELF"; }

# units_damaged: which of what boot and udev need is not as we wrote it; one path a line.
units_damaged() {
	if [ -d /usr/lib/systemd/system ] || [ -d /lib/systemd/system ]; then
		for unit in drawbridge-undo.service drawbridge.service; do
			if [ "$unit" = drawbridge.service ]; then unit_load; else unit_undo; fi | cmp -s - "/etc/systemd/system/$unit" || echo "/etc/systemd/system/$unit"
			[ -L "/etc/systemd/system/sysinit.target.wants/$unit" ] || echo "/etc/systemd/system/sysinit.target.wants/$unit"
		done
	fi
	if [ -d /usr/lib/udev/rules.d ] || [ -d /lib/udev/rules.d ]; then
		udev_rule | cmp -s - /etc/udev/rules.d/90-drawbridge.rules || echo /etc/udev/rules.d/90-drawbridge.rules
	fi
}

unit_undo() {
	cat <<-UNIT
		[Unit]
		Description=Undo a change by Drawbridge that a reboot met unconfirmed
		DefaultDependencies=no
		RequiresMountsFor=/var/lib /etc
		After=local-fs.target
		Before=systemd-sysctl.service systemd-modules-load.service network-pre.target sysinit.target
		ConditionDirectoryNotEmpty=$VAR/txn

		[Service]
		Type=oneshot
		ExecStart=$SELF settle
	UNIT
}

unit_load() {
	cat <<-UNIT
		[Unit]
		Description=Load the rules of Drawbridge
		DefaultDependencies=no
		RequiresMountsFor=/var/lib /etc
		After=local-fs.target drawbridge-undo.service systemd-modules-load.service nftables.service netfilter-persistent.service
		Before=network-pre.target sysinit.target shutdown.target
		Wants=network-pre.target

		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStart=$SELF load
		ExecReload=$SELF load
	UNIT
}

# status: for the console.
status() {
	printf 'drawbridge-host %s, layout %s\n' "$VERSION" "$LAYOUT"
	if holder=$(pending_holder); then printf 'pending: %s\n' "$holder"; else echo 'pending: nothing'; fi
	find "$VAR/confirmed" -type f 2>/dev/null | sort | while read -r file; do
		printf '%s  (%s)\n' "${file#"$VAR/confirmed"}" "$(header "$file" from)"
	done
}
