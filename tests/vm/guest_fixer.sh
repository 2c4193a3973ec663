# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Runs in the guest (busybox sh): the controller, one of its ways after the other. Each line of
# /results/said is a thing that happened.
mkdir -p /dev/shm /var/lib
mount -t tmpfs -o mode=1777 shm /dev/shm
uname -r >/results/kernel
dd if=/dev/urandom of=/tmp/a bs=64k count=64 2>/dev/null

say() { echo "$*" >>/results/said; }
server() { flatpause-fixer status --json | sed -n 's/^ *"pid": \([0-9]*\).*/\1/p' | head -1; }
until_is() { # VALUE COMMAND...: polls for it
	local value=$1
	shift
	for _ in $(seq 200); do
		[ "$("$@")" = "$value" ] && return
		usleep 50000
	done
}

. ./guest_cover.sh
. ./guest_guard.sh
exit 0
