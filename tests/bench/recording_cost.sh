#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# What recording costs a BRANCH: the same BRANCHes on tmpfs, where nothing but the CPU is slow, with
# and without `flatpause record` on the VMM, in turn.
# usage: tests/bench/recording_cost.sh OUTPUT-DIR [ROUNDS]
set -euo pipefail
cd "$(dirname "$0")/../.."

out=$(realpath "$1")
rounds=${2:-6}
per_round=6
dir=$(mktemp -d)
lab=$dir/lab
recorder=

clean_up() {
	[ -n "$recorder" ] && kill -INT "$recorder" 2>/dev/null && wait "$recorder" || true
	LAB_BIN=$out/lab tests/lab/lab.sh down "$lab" >/dev/null 2>&1 || true
	rm -rf "$dir"
}
trap clean_up EXIT

export LAB_BIN=$out/lab
tests/lab/lab.sh up full "$lab" 2>/dev/null
tests/lab/lab.sh control "$lab" 2>/dev/null
# shellcheck source=/dev/null
. "$lab/control.env"

branches() { # FILE: appends the pause of each BRANCH
	for _ in $(seq $per_round); do
		"${BRANCH[@]}" | jq .pause_ms >>"$1"
	done
}

branches "$dir/warm"
for round in $(seq "$rounds"); do
	branches "$dir/plain"
	"$out/flatpause" record -p "$VMM_PID" -o "$dir/cost.$round.fpt" 10m >/dev/null 2>"$dir/record.log" &
	recorder=$!
	until [ -s "$dir/cost.$round.fpt" ]; do sleep 0.05; done
	sleep 0.3
	branches "$dir/recorded"
	kill -INT "$recorder"
	wait "$recorder" || true
	recorder=
done

median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
awk -v a="$(median "$dir/plain")" -v b="$(median "$dir/recorded")" -v n=$((rounds * per_round)) 'BEGIN {
	printf "-- recording a BRANCH of 256 MB to tmpfs: median pause %.1f ms plain, %.1f ms recorded, %+.1f %% (n=%d each; to reach: < 3 %%)\n",
		a, b, (b / a - 1) * 100, n }'
