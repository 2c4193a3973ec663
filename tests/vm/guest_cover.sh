# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Sourced by guest_fixer.sh: a cover, what it makes of its writers, and what becomes of it when its
# server is killed.
mkdir /mnt/snap
mounts() { grep -c ' /mnt/snap fuse.flatpause ' /proc/mounts; }
durable() { flatpause-fixer status | grep -c durable; }

flatpause-fixer memfd /mnt/snap --memory 64M 2>>/results/log || exit 1
say "mounts $(mounts)"
mkdir /mnt/snap/1
(set -C && cat /tmp/a >/mnt/snap/1/memory.bin) && say "a new file with O_EXCL"
cmp /tmp/a /mnt/snap/1/memory.bin && say "is read whole"
until_is 1 durable
say "durable $(durable)"
cmp /tmp/a /mnt/snap/1/memory.bin && say "is whole on disk"
cat /tmp/a /tmp/a >/mnt/snap/1/memory.bin && say "O_TRUNC over it"
until_is 2 durable
say "durable again $(durable)"

first=$(server)
exec 9>/mnt/snap/2.bin
kill -9 "$first"
until_is 0 mounts
say "mounts behind the kill $(mounts)"
if [ "$(mounts)" = 1 ]; then
	mkdir /mnt/snap/3 && cat /tmp/a >/mnt/snap/3/memory.bin && say "another server goes on"
	[ "$(server)" != "$first" ] && say "it is another"
fi
exec 9>&-
cmp /tmp/a /tmp/a && ls /mnt/snap/1/memory.bin >/dev/null && say "the directory can be used"
cat /var/lib/flatpause/*.log >/results/guard.log 2>/dev/null
flatpause-fixer status >>/results/guard.log
flatpause-fixer revert /mnt/snap 2>>/results/log && say "reverted"
say "mounts at the end $(mounts)"
say "links at the end $(find /mnt/snap -type l | wc -l)"
say "left in memory $(ls /dev/shm | wc -l)"
