#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# How many files should go to disk side by side: so many memory files wait behind an open window, and
# the clock runs from its end until all are durable, and until all were read back and their memory is
# free. On the lab's slow disk (100 MB/s) and on the disk that /var/tmp is on; the numbers of workers
# take turns.
# usage: tests/bench/export_workers.sh OUTPUT-DIR      (ROUNDS=5 FILES=8 MB=48 WORKERS='1 2')
set -euo pipefail
cd "$(dirname "$0")/../.."

out=$(realpath "$1")
rounds=${ROUNDS:-5} files=${FILES:-8} mb=${MB:-48}
read -ra workers <<<"${WORKERS:-1 2}"
fixer=$out/flatpause-fixer
dir=$(mktemp -d /dev/shm/export-workers.XXXXXX)
real=$(mktemp -d /var/tmp/export-workers.XXXXXX)
lab=$dir/lab
export LAB_BIN=$out/lab FLATPAUSE_STATE_DIR=$dir/state FLATPAUSE_RUN_DIR=$dir/run

clean_up() {
	"$fixer" revert --all --wait 5s >/dev/null 2>&1 || true
	tests/lab/lab.sh down "$lab" >/dev/null 2>&1 || true
	rm -rf "$dir" "$real"
}
trap clean_up EXIT

head -c $((mb << 20)) /dev/urandom >"$dir/source"
now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }
median() { sort -n | awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] }'; }

# The disk as the lock's name has it: the whole of it, where it has partitions.
lock_of() {
	local dev
	dev=$(mountpoint -d "$(stat -c %m "$1")")
	[ ! -e "/sys/dev/block/$dev/partition" ] || dev=$(cat "/sys/dev/block/$dev/../dev")
	echo "$dir/run/window-$dev"
}

links() { find "$1" -type l | wc -l; }
memory() { find "/dev/shm/flatpause-$2" -name memory.bin | wc -l; }

# one_round PLACE DIR WORKERS
one_round() {
	local place=$1 target=$2/guarded n=$3 id since
	mkdir "$target"
	"$fixer" apply --mitigation memfd --size-from "${mb}M" --export-workers "$n" "$target" 2>/dev/null
	id=$(grep -aoh 'flatpause-[0-9a-f]\{16\}' "$FLATPAUSE_STATE_DIR"/*.journal | head -1)
	exec 8>"$(lock_of "$target")"
	flock -s 8
	for i in $(seq "$files"); do
		mkdir "$target/snap-$i"
		until [ -L "$target/snap-$i/memory.bin" ]; do sleep 0.01; done
		cp "$dir/source" "$target/snap-$i/memory.bin"
	done
	sleep 0.5
	[ "$(links "$target")" -eq "$files" ] || {
		echo "not all files wait for the window" >&2
		exit 1
	}
	since=$(now_ms)
	exec 8>&-
	until [ "$(links "$target")" -eq 0 ]; do sleep 0.02; done
	echo $(($(now_ms) - since)) >>"$dir/$place-$n-durable"
	until [ "$(memory "$target" "${id#flatpause-}")" -eq 0 ]; do sleep 0.02; done
	echo $(($(now_ms) - since)) >>"$dir/$place-$n-free"
	"$fixer" revert "$target" 2>/dev/null
	rm -r "$target"
	sync -f "$2"
	sleep 1
}

place() { # NAME DIR
	for _ in $(seq "$rounds"); do
		for n in "${workers[@]}"; do one_round "$1" "$2" "$n"; done
	done
	for n in "${workers[@]}"; do
		printf '%-6s %2d workers: durable %6d ms [%s], memory free %6d ms [%s]\n' "$1" "$n" \
			"$(median <"$dir/$1-$n-durable")" "$(sort -n "$dir/$1-$n-durable" | tr '\n' ' ')" \
			"$(median <"$dir/$1-$n-free")" "$(sort -n "$dir/$1-$n-free" | tr '\n' ' ')"
	done
}

echo "-- $files files of $mb MB from the end of the window, medians of $rounds"
mkdir -p "$dir/run"
place disk "$real"
tests/lab/lab.sh up full "$lab" 2>"$dir/lab.log" || {
	cat "$dir/lab.log" >&2
	exit 1
}
place slow "$lab/mnt"
