#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# What it costs a writer to be led into memory by a link that was planted for it, beside the same
# file on a tmpfs itself and on the disk, in turn: open, 64 MB in writes of 1 MB, close.
# usage: tests/bench/memfd.sh OUTPUT-DIR [ROUNDS]
set -euo pipefail
cd "$(dirname "$0")/../.."

out=$(realpath "$1")
rounds=${2:-30}
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

write_ms() { # DIR: a new directory, its file written; ms from open to close
	mkdir "$1"
	sleep 0.02
	local t0=${EPOCHREALTIME/./}
	dd if=/dev/zero of="$1/memory.bin" bs=1M count=64 conv=notrunc status=none
	echo $((${EPOCHREALTIME/./} - t0))
	rm -r "$1"
}

mkdir "$mnt" "$work/tmpfs"
truncate -s 1G "$work/img"
mkfs.ext4 -q -F "$work/img"
mount -o loop "$work/img" "$mnt"
mkdir "$mnt/covered" "$mnt/plain"
"$fixer" memfd "$mnt/covered" --size-from 64M 2>/dev/null
for i in $(seq "$rounds"); do
	for place in $([ $((i % 2)) = 0 ] && echo covered tmpfs plain || echo plain tmpfs covered); do
		at=$mnt/$place
		[ $place = tmpfs ] && at=$work/tmpfs
		echo "$place $(write_ms "$at/vm-$i")"
	done
done | sort -k1,1 -k2,2n | awk -v n="$rounds" '
	{ v[$1, ++cnt[$1]] = $2 / 1000 }
	END {
		m = int((n + 1) / 2)
		printf "-- memfd by a planted link, 64 MB: median %.2f ms; on tmpfs itself %.2f ms (x%.2f); in the page cache of the disk %.2f ms (n=%d each, in turn)\n",
			v["covered", m], v["tmpfs", m], v["covered", m] / v["tmpfs", m], v["plain", m], n
	}'
