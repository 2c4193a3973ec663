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
clean_up() {
	mountpoint -q "$scratch/mnt" && umount "$scratch/mnt"
	[ -n "$loop" ] && losetup -d "$loop"
	mountpoint -q "$scratch/ram" && umount "$scratch/ram"
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

make_ext4 >&2 && export FLATPAUSE_EXT4=$scratch/mnt FLATPAUSE_LOOP=$loop
status=0
for program in live_capture live_followed live_spans; do
	CMOCKA_MESSAGE_OUTPUT=TAP "$out/live/$program" || status=1
done
exit $status
