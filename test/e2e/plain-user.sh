#!/bin/sh
# usage: unshare --mount --propagation private sh plain-user.sh FOLDER REPOSITORY LAB_ROOT PULUMI_FOLDER NODE_FOLDER SCRIPT
# Runs SCRIPT in a copy of the checkout as a user who has sudo without a password, and a cache of his own that lacks the lab's
# unpacked root. User, sudo and copy stand in overlays of this mount namespace only and vanish with it.
set -eu
folder=$1 repository=$2 root=$3 pulumi=$4 node=$5 script=$6
layers=0

# layer LOWER TARGET: what is written to TARGET goes to memory.
layer() {
	layers=$((layers + 1))
	mkdir -p "$folder/$layers/upper" "$folder/$layers/work"
	mount -t overlay -o "lowerdir=$1,upperdir=$folder/$layers/upper,workdir=$folder/$layers/work" overlay "$2"
}

mount -t tmpfs -o mode=755 tmpfs "$folder"
mkdir -p "$folder/home/checkout" "$folder/home/pulumi" "$folder/home/cache/lab"
layer "$repository" "$folder/home/checkout"
layer /etc /etc
# sudo keeps its own things there.
mount -t tmpfs -o mode=755 tmpfs /run
if ! command -v sudo >/dev/null; then
	for place in /usr/bin /usr/libexec; do layer "$place" "$place"; done
	cp -a "$root/usr/bin/sudo" /usr/bin/
	cp -a "$root/usr/libexec/sudo" /usr/libexec/
	cp -a "$root/etc/pam.d/sudo" /etc/pam.d/
	cp -a "$root/etc/sudoers" /etc/
fi
mkdir -p /etc/sudoers.d
echo 'plain ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/plain
chmod 440 /etc/sudoers.d/plain
echo "plain:x:4242:4242::$folder/home:/bin/sh" >>/etc/passwd
echo 'plain:x:4242:' >>/etc/group
echo 'plain:*:19000:0:99999:7:::' >>/etc/shadow

mount --bind "$pulumi" "$folder/home/pulumi"
cp -a "${root%/*}/keys" "$folder/home/cache/lab/"
for archive in "${root%/*}"/bookworm-*.tar; do
	: >"$folder/home/cache/lab/${archive##*/}"
	mount --bind "$archive" "$folder/home/cache/lab/${archive##*/}"
done
chown plain: "$folder/home" "$folder/home/cache" "$folder/home/cache/lab" "$folder/home/checkout"
chown -R plain: "$folder/home/cache/lab/keys" "$folder/home/checkout/dist"
cd "$folder/home/checkout"
# The path of a plain user has no sbin.
exec setpriv --reuid plain --regid plain --init-groups env -i HOME="$folder/home" DRAWBRIDGE_CACHE="$folder/home/cache" \
	NO_COLOR=1 PATH="$folder/home/pulumi:$node:/usr/local/bin:/usr/bin:/bin" sh -c "$script"
