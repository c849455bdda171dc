#!/bin/sh
# usage: host-init.sh ROOT FOLDER NAME SSHD_OPTIONS…   (standard input: a batch for `ip` that sets up the uplink)
# The first process of a lab host, in fresh network, mount, uts, ipc and pid namespaces: builds its file system out of a shared read-only root
# and the tmpfs FOLDER/memory, enters it, starts sshd and then only reaps orphans.
set -eu
root=$1
folder=$2
name=$3
shift 3

again=
[ ! -e "$folder/memory/upper/etc/machine-id" ] || again=yes
mkdir -p "$folder/memory/upper" "$folder/memory/work" "$folder/memory/root"
mount -t overlay -o "lowerdir=$root,upperdir=$folder/memory/upper,workdir=$folder/memory/work" overlay "$folder/memory/root"
install -m 600 "$folder/host-key" "$folder/memory/root/etc/ssh/ssh_host_ed25519_key"
install -m 644 "$folder/host-key.pub" "$folder/memory/root/etc/ssh/ssh_host_ed25519_key.pub"
cd "$folder/memory/root"

mount -t proc proc proc
mount -t sysfs sysfs sys
# These sysctls are the machine's, not the host's; net is the host's own.
for part in kernel vm fs; do
  mount --bind "proc/sys/$part" "proc/sys/$part"
  mount -o remount,bind,ro "proc/sys/$part"
done
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
mkdir -p run/sshd run/lock dev/pts dev/shm dev/net
for device in null zero full random urandom tty net/tun; do
  [ -e "/dev/$device" ] || continue
  : >"dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr

hostname "$name"
echo "$name" >etc/hostname
printf '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 %s\n' "$name" >etc/hosts
[ -n "$again" ] || tr -d - <proc/sys/kernel/random/uuid >etc/machine-id

# A new network namespace takes IPv4 settings over from the machine's.
echo 0 >proc/sys/net/ipv4/ip_forward
echo 0 >proc/sys/net/ipv4/conf/all/rp_filter
echo 2 >proc/sys/net/ipv4/conf/default/rp_filter

mkdir old
pivot_root . old
cd /
umount -l old
rmdir old

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
# After a reboot, as the units would; what fails is in the log.
if [ -x /usr/local/sbin/drawbridge-host ]; then
  drawbridge-host settle || echo "settle: $?"
  drawbridge-host load || echo "load: $?"
fi
ip -batch -
exec </dev/null
/usr/sbin/sshd -D -e -o UsePAM=no -o UseDNS=no "$@" &
# sshd writes this file when it listens.
while ! [ -s /run/sshd.pid ]; do
  kill -0 $! || exit 1
  sleep 0.01
done
echo ready
while :; do
  wait || :
  sleep 3600 || :
done
