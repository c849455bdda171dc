# interfaces-made.awk: a file of ifupdown in, the same file with blocks of ours out, each between two marks. interfaces_text (39-interfaces) calls it.
#
#   awk -v form=made|marked -v bridge=BRIDGE -v nic=NIC -v mac=MAC "$INTERFACES_MADE" <FILE
#
#   made     in a block the bridge has what the NIC had
#   marked   the former lines stand between the same marks

function begin() {
	print "# pulumi-drawbridge " bridge " " ++blocks ": " bridge " has what " nic " had. The lines up to the end mark are written anew; write yours outside of them."
}
function end() { print "# pulumi-drawbridge " bridge " " blocks " ends" }
function finish() {
	if (mine) end()
	mine = 0
	printf "%s", held
	held = ""
}
$1 ~ /^(auto|allow-.*|iface|mapping|source|source-directory|rename|template|no-.*)$/ { finish() }
$1 ~ /^(auto|allow-.*)$/ {
	line = $1
	now = ""
	for (i = 2; i <= NF; i++) {
		if ($i != nic && index($i, nic ":") != 1) { line = line " " $i; continue }
		now = now " " bridge substr($i, length(nic) + 1)
	}
	if (now == "") { print; next }
	begin()
	if (form == "marked") print
	else {
		# The bridge is made by software, nobody plugs it in.
		if (line != $1) print line
		print "auto" now
	}
	end()
	next
}
$1 == "iface" && ($2 == nic || index($2, nic ":") == 1) {
	begin()
	mine = 1
	if (form == "marked") { print; next }
	if (!made) print "iface " nic " inet manual"
	print "iface " bridge substr($2, length(nic) + 1) " " $3 " " $4
	if (!made) {
		print "\tpre-up ip link show dev " bridge " >/dev/null 2>&1 || ip link add name " bridge " address " mac " type bridge"
		print "\tpre-up ip link set dev " nic " master " bridge " up || true"
	}
	made = 1
	next
}
# What stands behind the last line of a stanza is not of it.
mine && /^[ \t]*(#|$)/ { held = held $0 "\n"; next }
mine {
	printf "%s", held
	held = ""
}
# Routes lead out of the bridge; what else is said of the NIC (ethtool) is still true of it.
mine && form == "made" && /(^|[ \t\/])(route|ip (-[46] )?(r|ro|route|rule|a|addr|address)) / {
	gsub("dev " nic "$", "dev " bridge)
	gsub("dev " nic " ", "dev " bridge " ")
}
{ print }
END { finish() }
