#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Bringing memory files to disk beside `dd oflag=direct` of the same bytes to the same place, in turn;
# and how much sooner a VM runs again whose memory file goes to memory first. On the lab's slow disk
# (100 MB/s) and on a loop device in memory, where the CPU is what there is too little of.
# usage: tests/bench/export.sh OUTPUT-DIR      (ROUNDS=7 MB=128)
set -euo pipefail
cd "$(dirname "$0")/../.."

out=$(realpath "$1")
rounds=${ROUNDS:-7}
mb=${MB:-128}
source_mb=256
speed=$out/bench/export_speed
fixer=$out/flatpause-fixer
dir=$(mktemp -d /dev/shm/export-bench.XXXXXX)
lab=$dir/lab
export LAB_BIN=$out/lab FLATPAUSE_STATE_DIR=$dir/state FLATPAUSE_RUN_DIR=$dir/run

clean_up() {
	"$fixer" revert --all --wait 5s >/dev/null 2>&1 || true
	tests/lab/lab.sh down "$lab" >/dev/null 2>&1 || true
	umount "$dir/fast" 2>/dev/null || true
	rm -rf "$dir"
}
trap clean_up EXIT

head -c $((source_mb << 20)) /dev/urandom >"$dir/source"

# timed COMMAND...: its milliseconds
timed() {
	local begin
	begin=$(date +%s%N)
	"$@" >/dev/null
	echo $((($(date +%s%N) - begin) / 1000000))
}

median() { sort -n | awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] }'; }

dd_speed() { # DIR: MB/s until it is durable
	local ms
	ms=$(timed dd if="$dir/source" of="$1/by-dd" bs=512k count=$((mb * 2)) oflag=direct \
		conv=fsync status=none)
	rm "$1/by-dd"
	awk -v mb="$mb" -v ms="$ms" 'BEGIN { printf "%.1f\n", mb * 1048.576 / ms }'
}

# beside_dd PLACE DIR IDLE MODE...: each round one dd, then one export by each mode; before each of
# them the disk is left alone for IDLE seconds, so that what it takes in a burst is the same for all
beside_dd() {
	local place=$1 target=$2 idle=$3 mode
	shift 3
	rm -f "$dir"/series-*
	for _ in $(seq "$rounds"); do
		local dd
		sleep "$idle"
		dd=$(dd_speed "$target")
		for mode in "$@"; do
			sleep "$idle"
			echo "$dd $(FLATPAUSE_EXPORT=${mode#default} "$speed" $((mb << 20)) "$target")" \
				>>"$dir/series-$mode"
		done
	done
	for mode in "$@"; do
		local file=$dir/series-$mode
		awk '{ print $2 / $1 }' "$file" | sort -n | awk -v place="$place" -v mode="$mode" \
			-v dd="$(cut -d' ' -f1 "$file" | median)" -v speed="$(cut -d' ' -f2 "$file" | median)" \
			-v back="$(cut -d' ' -f3 "$file" | median)" -v way="$(head -1 "$file" | cut -d' ' -f4)" '
			{ v[NR] = $1 }
			END { printf "%-6s %-16s %-16s %7.0f MB/s  dd %5.0f   of dd %4.0f %% [%.0f..%.0f]   with reading back %5.0f MB/s\n",
				place, mode, way, speed, dd, v[int((NR + 1) / 2)] * 100, v[1] * 100, v[NR] * 100, back }'
	done
}

echo "-- $mb MB from memory until it is durable, medians of $rounds pairs (to reach: default >= 90 % of dd)"
mkdir "$dir/fast"
truncate -s 1G "$dir/fast.img"
mkfs.ext4 -q -F "$dir/fast.img"
mount -o loop "$dir/fast.img" "$dir/fast"
beside_dd fast "$dir/fast" 0 default blocking inline dontcache window sendfile splice plain
umount "$dir/fast"
rm "$dir/fast.img"

LAB_DISK_SIZE=6G tests/lab/lab.sh up full "$lab" 2>"$dir/lab.log" || {
	cat "$dir/lab.log" >&2
	exit 1
}
beside_dd slow "$lab/mnt" 1 default blocking

# As Firecracker writes its memory file in the pause: no O_TRUNC, fsync at the end.
write_memory() { # FILE MB
	for _ in $(seq $(($2 / source_mb))); do cat "$dir/source"; done |
		dd of="$1" bs=1M iflag=fullblock conv=notrunc,fsync status=none
}

# The guard touches memory for the next file between two windows, as its budget has room for two; a
# window that comes earlier pays.
is_warm() { # MB
	local pid
	pid=$("$fixer" status --json | jq '.guards[0].pid')
	[ "$(awk '/VmRSS/ { print $2 }' "/proc/$pid/status")" -ge $(($1 * 1024)) ]
}

until_runs_again() { # MB ROUNDS
	local mnt=$lab/mnt round
	rm -f "$dir/file-backed" "$dir/in-memory"
	mkdir -p "$mnt/plain" "$mnt/guarded"
	"$fixer" apply --mitigation memfd --size-from "$1M" --memory "$(($1 * 2))M" \
		"$mnt/guarded" 2>/dev/null
	for round in $(seq "$2"); do
		timed write_memory "$mnt/plain/memory.bin" "$1" >>"$dir/file-backed"
		rm "$mnt/plain/memory.bin"
		sync -f "$mnt"
		for _ in $(seq 300); do is_warm "$1" && break || sleep 0.2; done
		mkdir "$mnt/guarded/snap-$round"
		sleep 0.05
		timed write_memory "$mnt/guarded/snap-$round/memory.bin" "$1" >>"$dir/in-memory"
		until [ -f "$mnt/guarded/snap-$round/memory.bin" ] &&
			[ ! -L "$mnt/guarded/snap-$round/memory.bin" ]; do sleep 0.1; done
	done
	"$fixer" revert "$mnt/guarded" 2>/dev/null
	cmp -n $((source_mb << 20)) "$dir/source" "$mnt/guarded/snap-1/memory.bin"
	rm -r "$mnt/guarded"
	awk -v file="$(median <"$dir/file-backed")" -v memory="$(median <"$dir/in-memory")" -v mb="$1" -v n="$2" 'BEGIN {
		printf "-- %d MB of memory until the VM runs again: %d ms file-backed, %d ms in memory first: %.1fx shorter (n=%d each; to reach: 4x)\n",
			mb, file, memory, file / memory, n }'
}
until_runs_again $source_mb 3
until_runs_again 4096 1
