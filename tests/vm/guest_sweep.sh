# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Runs in the guest (busybox sh): what this kernel allows, and a sweep of a writer that fsyncs on ext4
# while a copy is written back before it.

# Small requests: the throttle counts requests, not bytes.
echo 32 >/sys/block/vda/queue/max_sectors_kb
cat /sys/block/vda/queue/rotational /sys/block/vda/queue/wbt_lat_usec >/results/queue
uname -r >/results/kernel

flatpause doctor --json >/results/doctor.json
echo 0 >/proc/sys/kernel/ftrace_enabled
flatpause doctor --json >/results/no_ftrace.json
echo 1 >/proc/sys/kernel/ftrace_enabled

cat >/tmp/branch.sh <<'BRANCH'
n=$(cat /tmp/count 2>/dev/null || echo 1)
echo $((n + 1)) >/tmp/count
dd if=/dev/zero of=/mnt/copy bs=256k count=32 2>/dev/null
dd if=/dev/zero of=/mnt/diff-$n bs=64k count=24 conv=fsync 2>/dev/null
BRANCH
flatpause sweep -n 3 --gap 500ms --no-marks --json --disk /mnt -v -o /results/upper.fpt -- sh /tmp/branch.sh \
	>/results/sweep.json 2>/results/sweep.log || exit 1
flatpause diagnose --json /results/upper.fpt >/results/diagnose.json
