#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# `diagnose` on a trace of one million events: seconds, and memory beside the trace's size.
# usage: tests/bench/analysis.sh OUTPUT-DIR [EVENTS]
set -euo pipefail
cd "$(dirname "$0")/../.."

out=$(realpath "$1")
events=${2:-1000000}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

"$out/bench/trace_speed" "$dir/speed.fpt"
"$out/bench/trace_speed" --make "$dir/run.fpt" "$events"
size_kb=$(($(stat -c %s "$dir/run.fpt") / 1024))
for round in 1 2 3 4 5; do
	# %e seconds, %M peak resident KiB
	/usr/bin/time -f '%e %M' -o "$dir/time.$round" \
		"$out/flatpause" diagnose --json "$dir/run.fpt" >"$dir/findings.json" 2>/dev/null
done
sort -n "$dir"/time.* | awk -v size="$size_kb" -v events="$events" '
	{ s[NR] = $1; if ($2 > rss) rss = $2 }
	END {
		m = s[int((NR + 1) / 2)]
		printf "diagnose, %d events: median %.2f s [%.2f..%.2f]  (to reach: < 1 s per million)\n", events, m, s[1], s[NR]
		printf "  peak RSS %.1f MB = %.2f x the trace of %.1f MB  (to reach: <= 1.5)\n", rss / 1024, rss / size, size / 1024
	}'
