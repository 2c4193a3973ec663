#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# What the guard costs the writers it guards: opens and writes in a guarded directory beside those in
# a plain one of the same file system, in turn; and 50 writers that create 200 files at once. What a
# writer of these waited for us is what it slept in its open while no CPU stood still: guard_open.c.
# usage: tests/bench/guard.sh OUTPUT-DIR [FILES] [STORMS]
set -euo pipefail
cd "$(dirname "$0")/../.."

out=$(realpath "$1")
files=${2:-200}
rounds=${3:-20}
fixer=$out/flatpause-fixer
bench=$out/bench/guard_open
work=$(mktemp -d /dev/shm/guard-bench.XXXXXX)
mnt=$work/mnt
export FLATPAUSE_STATE_DIR=$work/state

loops=() # pids
end_loops() {
	[ ${#loops[@]} -eq 0 ] || kill "${loops[@]}" 2>/dev/null || true
	loops=()
}
clean_up() {
	end_loops
	"$fixer" revert --all --wait 5s >/dev/null 2>&1 || true
	umount "$mnt" 2>/dev/null || umount -l "$mnt" 2>/dev/null || true
	rm -rf "$work"
}
trap clean_up EXIT

new_fs() {
	umount "$mnt" 2>/dev/null || true
	truncate -s 2G "$work/img"
	mkfs.ext4 -q -F "$work/img"
	mount -o loop "$work/img" "$mnt"
	mkdir "$mnt/guarded" "$mnt/plain"
}

guard() { "$fixer" apply --mitigation fallocate --no-plant "$@" "$mnt/guarded" 2>/dev/null; }

mkdir "$mnt"
for bytes in $((1 << 20)) $((4 << 20)); do
	new_fs
	guard --size-from $bytes
	"$bench" pairs "$mnt/guarded" "$mnt/plain" "$files" $bytes |
		awk -v n="$files" -v mb=$((bytes >> 20)) '
		{ for (i = 2; i < NF; i += 2) v[$1, $i] = $(i + 1) }
		END {
			printf "-- guard, %d MB allocated at open: median open %.3f ms plain, %.3f ms guarded, %+.3f ms (p99 %.3f and %.3f; n=%d each; to reach: <= +0.3 ms)\n",
				mb, v["plain", "open_ms"], v["guarded", "open_ms"], v["guarded", "open_ms"] - v["plain", "open_ms"],
				v["plain", "open_p99_ms"], v["guarded", "open_p99_ms"], n
			printf "-- guard, later writes of 4 KiB: median %.4f ms plain, %.4f ms guarded, %+.1f %% (p99 %.4f and %.4f; to reach: no difference); the first %.4f and %.4f ms; fsync %.2f and %.2f ms\n",
				v["plain", "write_ms"], v["guarded", "write_ms"], (v["guarded", "write_ms"] / v["plain", "write_ms"] - 1) * 100,
				v["plain", "write_p99_ms"], v["guarded", "write_p99_ms"],
				v["plain", "first_ms"], v["guarded", "first_ms"], v["plain", "fsync_ms"], v["guarded", "fsync_ms"]
		}'
	"$fixer" revert "$mnt/guarded" 2>/dev/null
done

# a name that does not match: what asking alone costs
new_fs
guard --size-from 1M --match other.bin
"$bench" pairs "$mnt/guarded" "$mnt/plain" "$files" $((1 << 20)) | awk '
	{ v[$1] = $3 }
	END { printf "-- guard, a file that it does not care for: median open %.3f ms plain, %.3f ms guarded\n", v["plain"], v["guarded"] }'
"$fixer" revert "$mnt/guarded" 2>/dev/null

# 50 writers with 200 files at once, again and again: quiet, and beside a loop on each CPU
storms() { # WHERE: plain or guarded
	"$bench" storm "$mnt/$1" 50 4 "$rounds" | awk '
		function max(a, b) { return a > b ? a : b }
		{ p50 += $5; for (i = 4; i < NF; i += 2) m[$i] = max(m[$i], $(i + 1)) }
		END {
			printf "open median %.2f ms, p99 %.1f, longest %.1f; longest wait for a CPU %.1f; asleep %.2f, of it for us %.2f (a CPU stood still for up to %.1f, the hypervisor took up to %d)\n",
				p50 / NR, m["p99_ms"], m["max_ms"], m["queued_ms"],
				m["asleep_ms"], m["for_us_ms"], m["stalled_ms"], m["stolen_ms"]
		}'
}
for load in quiet busy; do
	new_fs
	guard --size-from 1M --match '*memory.bin'
	if [ $load = busy ]; then
		for _ in $(seq "$(nproc)"); do
			while :; do :; done &
			loops+=($!)
		done
	fi
	echo "-- $rounds storms of 50 writers, 200 files at once, CPUs $load (to reach: none waits longer than 5 ms for us)"
	echo "   plain:   $(storms plain)"
	echo "   guarded: $(storms guarded)"
	end_loops
	sleep 1
	"$fixer" status --json | jq -r '[.guards[].files[] | select(.waited_ms)] |
		"   as the guard says, whoever took the CPU: median \([.[].waited_ms] | sort | .[length / 2 | floor] * 1000 | round / 1000) ms, longest \([.[].waited_ms] | max * 1000 | round / 1000) ms (n=\(length)); allocations that went on behind their answer: \([.[] | select(.in_time == false)] | length)"'
	"$fixer" revert "$mnt/guarded" 2>/dev/null
done
