#!/bin/sh
# usage: prepare-root.sh ROOT PUBLIC_KEY
# Gives an unpacked Debian root the users and keys of a lab host.
set -eu
root=$1
public_key=$2

authorize() { # home owner
  install -d -m 700 -o "$2" -g "$2" "$root$1/.ssh"
  install -m 600 -o "$2" -g "$2" "$public_key" "$root$1/.ssh/authorized_keys"
}

authorize /root 0
chroot "$root" groupadd -g 1020 spicegrp
id=1001
for user in deploy plain asks myself mybro; do
  chroot "$root" useradd -m -u "$id" -s /bin/bash "$user"
  # sshd without PAM refuses a locked account ("!") even with a good key; "*" only rules out passwords.
  chroot "$root" usermod -p '*' "$user"
  authorize "/home/$user" "$id"
  id=$((id + 1))
done
echo 'asks:asks' | chroot "$root" chpasswd
echo 'deploy ALL=(ALL:ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/deploy"
echo 'asks ALL=(ALL:ALL) ALL' >"$root/etc/sudoers.d/asks"
chmod 440 "$root/etc/sudoers.d/deploy" "$root/etc/sudoers.d/asks"

# mmdebstrap copies the building machine's.
echo 'nameserver 198.18.0.1' >"$root/etc/resolv.conf"
: >"$root/etc/machine-id"
rm -f "$root"/etc/ssh/ssh_host_* "$root/var/lib/dbus/machine-id"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/apt "$root"/var/log/*.log
