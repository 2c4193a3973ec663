#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# What it costs a writer to be led into memory, by a link that was planted for it or by a cover (with
# the kernel's own way to the bytes, and without it), beside the same file on a tmpfs itself and on
# the disk, in turn: open, 64 MB in writes of STEP bytes (1 MB, then 4 KB), close.
# usage: tests/bench/memfd.sh OUTPUT-DIR [ROUNDS]
set -euo pipefail
cd "$(dirname "$0")/../.."

out=$(realpath "$1")
rounds=${2:-30}
bytes=$((64 << 20))
fixer=$out/flatpause-fixer
work=$(mktemp -d /dev/shm/memfd-bench.XXXXXX)
mnt=$work/mnt
export FLATPAUSE_STATE_DIR=$work/state

clean_up() {
	"$fixer" revert --all --wait 5s >/dev/null 2>&1 || true
	umount "$mnt" 2>/dev/null || umount -l "$mnt" 2>/dev/null || true
	rm -rf "$work"
}
trap clean_up EXIT

write_us() { # DIR STEP: a new directory, its file written; us from open to close
	mkdir "$1"
	sleep 0.02
	local t0=${EPOCHREALTIME/./}
	dd if=/dev/zero of="$1/memory.bin" bs="$2" count=$((bytes / $2)) conv=notrunc status=none
	echo $((${EPOCHREALTIME/./} - t0))
	rm -r "$1"
}

mkdir "$mnt" "$work/tmpfs"
truncate -s 1G "$work/img"
mkfs.ext4 -q -F "$work/img"
mount -o loop "$work/img" "$mnt"
mkdir "$mnt/linked" "$mnt/covered" "$mnt/plain" "$mnt/disk"
ln -s "$work/tmpfs" "$mnt/tmpfs"
"$fixer" memfd --links "$mnt/linked" --size-from 64M 2>/dev/null
"$fixer" memfd "$mnt/covered" --size-from 64M 2>/dev/null
FLATPAUSE_COVER=plain "$fixer" memfd "$mnt/plain" --size-from 64M 2>/dev/null
places=(linked covered plain tmpfs disk)
for step in $((1 << 20)) 4096; do
	for i in $(seq "$rounds"); do
		for k in 0 1 2 3 4; do # each comes behind each other
			place=${places[$(((i + k) % 5))]}
			echo "$place $(write_us "$mnt/$place/vm-$i" $step)"
		done
	done | sort -k1,1 -k2,2n | awk -v n="$rounds" -v step=$step '
		{ v[$1, ++cnt[$1]] = $2 / 1000 }
		function x(place) { return sprintf("%.2f ms (x%.2f)", v[place, m], v[place, m] / v["tmpfs", m]) }
		END {
			m = int((n + 1) / 2)
			printf "-- memfd, 64 MB in writes of %d KB, medians: tmpfs itself %.2f ms; by a planted link %s; by a cover %s; by one without passthrough %s; page cache of the disk %s (n=%d each, in turn)\n",
				step / 1024, v["tmpfs", m], x("linked"), x("covered"), x("plain"), x("disk"), n
		}'
done
