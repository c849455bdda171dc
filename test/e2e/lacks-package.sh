#!/bin/sh
# usage: unshare --mount --propagation private sh lacks-package.sh FOLDER PACKAGE
# Holds a view of this machine in which the Debian package is not installed, until its standard input ends. What is written there
# goes to memory.
set -eu
folder=$1 package=$2
mount -t tmpfs -o mode=755 tmpfs "$folder"
for place in etc usr var; do
	mkdir -p "$folder/$place/upper" "$folder/$place/work"
	mount -t overlay -o "lowerdir=/$place,upperdir=$folder/$place/upper,workdir=$folder/$place/work" overlay "/$place"
done
dpkg --remove "$package" >&2
echo ready
cat >/dev/null
