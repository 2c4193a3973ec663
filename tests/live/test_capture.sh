#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Capture with real BPF, and an ext4 on a loop device for what it says of files.
. "$(dirname "$0")/../tap.sh"

out=${FLATPAUSE_OUT:-$(dirname "$0")/../../.output}

if [ "$(id -u)" -ne 0 ]; then
	skip "capture" "not root"
	done_testing
fi
if [ ! -r /sys/kernel/btf/vmlinux ]; then
	skip "capture" "this kernel has no BTF"
	done_testing
fi

scratch=$(mktemp -d)
loop=
group=
clean_up() {
	mountpoint -q "$scratch/mnt" && umount "$scratch/mnt"
	[ -n "$loop" ] && losetup -d "$loop"
	mountpoint -q "$scratch/ram" && umount "$scratch/ram"
	[ -n "$group" ] && rmdir "$group"
	rm -rf "$scratch"
}
trap clean_up EXIT

make_ext4() {
	mkdir "$scratch/ram" "$scratch/mnt" &&
		mount -t tmpfs -o size=128M flatpause-live "$scratch/ram" &&
		truncate -s 96M "$scratch/ram/image" &&
		mkfs.ext4 -q "$scratch/ram/image" &&
		loop=$(losetup -f --show "$scratch/ram/image") &&
		mount -t ext4 "$loop" "$scratch/mnt"
}

# A CPU group that may run 5 ms in 50: by version 1, or version 2 with its cpu controller.
make_group() {
	local dir=/sys/fs/cgroup
	if [ -e "$dir/cpu/cpu.cfs_quota_us" ] || [ -e "$dir/cpu/tasks" ]; then
		mkdir "$dir/cpu/flatpause-live.$$" && group=$dir/cpu/flatpause-live.$$ &&
			echo 50000 >"$group/cpu.cfs_period_us" &&
			echo 5000 >"$group/cpu.cfs_quota_us"
	else
		echo +cpu >"$dir/cgroup.subtree_control" &&
			mkdir "$dir/flatpause-live.$$" && group=$dir/flatpause-live.$$ &&
			echo "5000 50000" >"$group/cpu.max"
	fi
}

make_group >&2 && export FLATPAUSE_GROUP=$group
make_ext4 >&2 && export FLATPAUSE_EXT4=$scratch/mnt FLATPAUSE_LOOP=$loop
status=0
for program in live_capture live_followed live_spans; do
	CMOCKA_MESSAGE_OUTPUT=TAP "$out/live/$program" || status=1
done
exit $status
