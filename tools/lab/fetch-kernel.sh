#!/bin/sh
# usage: fetch-kernel.sh ROOT   (as a hook of mmdebstrap, whose apt knows the suite and the mirror)
# Unpacks Debian's cloud kernel into the root: no package to configure, no initial ramdisk to build. ext4 and NVMe are built into it.
set -eu
root=$1
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"

package=$(apt-cache depends --no-recommends --no-suggests linux-image-cloud-amd64 | sed -n 's/^ *Depends: //p' | head -n 1)
version=${package#linux-image-}
work=$(mktemp -d)
chmod 755 "$work"
cd "$work"
apt-get download "$package" >&2
dpkg -x ./*.deb unpacked
cp "unpacked/boot/vmlinuz-$version" "$root/boot/vmlinuz"
# Since Debian 13 the modules stand below /usr, where /lib leads to.
modules=$(find unpacked -type d -path "*/lib/modules/$version")
rm -rf "$modules/kernel/sound" "$modules/kernel/drivers/gpu" "$modules/kernel/drivers/infiniband" "$modules/kernel/drivers/media"
mkdir -p "$root/lib/modules"
cp -a "$modules" "$root/lib/modules/"
chroot "$root" depmod "$version"
cd /
rm -rf "$work"
