# --- the page that `man drawbridge-host` shows, for whoever is at the console without anything else --------------------
# Called by units (70), which put it below /usr/local/share/man.

man_page() {
	printf '.\\" of the program %s\n' "$DIGEST"
	printf '%s\n' '.TH DRAWBRIDGE-HOST 8 "" "pulumi-drawbridge" "System Administration"
.SH NAME
drawbridge-host \- what Drawbridge holds on this host, from its console
.SH SYNOPSIS
.B drawbridge-host
.I COMMAND
.SH DESCRIPTION
Somebody keeps netfilter rules, bridges, groups, files or sudo rights of this host in a Pulumi program (the npm package
pulumi-drawbridge), which puts this program here over SSH and takes it away again with its last resource.
A change that is not confirmed over a new connection within its deadline is rolled back by the host itself.
At boot, everything is loaded before the network comes up.
.PP
All commands want root. None of them needs the network.
.SH COMMANDS
.TP
.B status
What stands here and whose it is (project, stack and name of each resource), what is pending, the last changes and their outcome.
.TP
.B leaks
What the fences have counted and logged.
.TP
.BR undo " [" \fIID\fR ]
Roll back now what is pending, instead of at its deadline. A change that was confirmed is the stack'\''s to take back.
.TP
.B lift
Take all rules of Drawbridge out of the kernel until the next boot or until
.BR unlift .
For emergencies: everything that was fenced is open. It is logged, and the next pulumi refresh names it.
.TP
.B unlift
Put them back.
.TP
.B load
Make the kernel follow /etc/drawbridge, as boot does. Fails when something does not load; the rest is loaded, and what the failed
table guards is dropped (fail closed).
.TP
.B settle
After a crash: roll back what was not confirmed, complete what was, and put back what an earlier rollback could not write.
.TP
.BR version ", " help
Print the version, or the commands.
.SH FILES
.TP
.I /etc/drawbridge
What is to stand, as text; each file names its resource in its first lines. What is edited by hand is drift, which the next
pulumi refresh names and the next pulumi up mends.
.TP
.I /etc/sudoers.d/drawbridge-*
Sudo rights.
.TP
.I /etc/network/interfaces.d/drawbridge-*\fR, \fI/etc/systemd/network/05-drawbridge-*
Bridges with addresses.
.TP
.I /var/lib/drawbridge
What was confirmed, how things were found, changes under way.
.TP
.I /run/drawbridge/history
The last changes since boot.
.SH JOURNAL
One line for each change, and one for whatever did not load:
.BR "journalctl -t drawbridge _UID=0" .
Any user can write lines of that name with logger(1);
.B _UID=0
shows those of root only.
.SH EXIT STATUS
0 when all is done, 1 when something could not be done; standard error says what and why.
.SH SEE ALSO
.BR nft (8),
.BR ip (8),
.BR sudoers (5),
the unit drawbridge.service'
}
