#!/bin/sh
# usage: prepare-vm.sh ROOT SUITE HOST_KEY
# Makes a prepared lab root one that boots. Debian 12 has its network configured by ifupdown, Debian 13 by systemd-networkd, so that both are proven.
set -eu
root=$1
suite=$2
host_key=$3

install -m 600 "$host_key" "$root/etc/ssh/ssh_host_ed25519_key"
install -m 644 "$host_key.pub" "$root/etc/ssh/ssh_host_ed25519_key.pub"
echo lab >"$root/etc/hostname"
printf '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 lab\n' >"$root/etc/hosts"
echo '/dev/nvme0n1 / ext4 defaults 0 0' >"$root/etc/fstab"

# Each run gives the machine its addresses on the kernel's command line; a generator is what systemd runs first of all.
mkdir -p "$root/etc/systemd/system-generators"
cat >"$root/etc/systemd/system-generators/lab-addresses" <<'GENERATOR'
#!/bin/sh
for word in $(cat /proc/cmdline); do
	case $word in lab.*=*) name=${word%%=*} && export "${name#lab.}=${word#*=}" ;; esac
done
mkdir -p /run/systemd/network /run/lab
cat >/run/lab/eth0 <<END
auto eth0
iface eth0 inet static
	address $address
	gateway $gateway
iface eth0 inet6 static
	address $address6
	gateway $gateway6
	dad-attempts 0
	accept_ra 0
END
cat >/run/systemd/network/10-eth0.network <<END
[Match]
Name=eth0
[Network]
Address=$address
Gateway=$gateway
Gateway=$gateway6
IPv6AcceptRA=no
[Address]
Address=$address6
DuplicateAddressDetection=none
END
GENERATOR
chmod 755 "$root/etc/systemd/system-generators/lab-addresses"

case $suite in
bookworm) printf 'source /etc/network/interfaces.d/*\nsource /run/lab/eth0\nauto lo\niface lo inet loopback\n' >"$root/etc/network/interfaces" ;;
*)
  chroot "$root" systemctl --quiet disable networking
  chroot "$root" systemctl --quiet enable systemd-networkd
  ;;
esac
chroot "$root" systemctl --quiet enable ssh
# What a machine of minutes has no use for, and an emulated one no time.
chroot "$root" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
  fstrim.timer getty@tty1.service serial-getty@ttyS0.service systemd-logind.service modprobe@drm.service \
  modprobe@fuse.service systemd-networkd-wait-online.service systemd-pstore.service systemd-timesyncd.service systemd-update-utmp.service \
  systemd-update-utmp-runlevel.service
