#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The gate: how long it takes on 1,000 windows of 50 sweeps of CSV, and how often it is wrong.
# usage: tests/bench/gate.sh OUTPUT-DIR [RUNS]
set -euo pipefail
cd "$(dirname "$0")/../.."

out=$(realpath "$1")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# FILE SEED: twice as long from window 500 on
make_csv() {
	awk -v seed="$2" 'BEGIN {
		srand(seed)
		for (k = 1; k <= 50; k++)
			for (w = 1; w <= 1000; w++)
				printf("%d,%d,%.6f\n", k, w, (w < 500 ? 100 : 200) * exp(0.5 * (rand() + rand() - 1)))
	}' >"$1"
}
make_csv "$dir/first.csv" 1
make_csv "$dir/second.csv" 2
for round in 1 2 3 4 5; do
	/usr/bin/time -f %e -o "$dir/one.$round" \
		"$out/flatpause" gate --no-confirm --json "$dir/first.csv" >/dev/null || [ $? -eq 4 ]
	/usr/bin/time -f %e -o "$dir/two.$round" \
		"$out/flatpause" gate --confirm "cat $dir/second.csv" --json "$dir/first.csv" \
		>/dev/null 2>&1 || [ $? -eq 4 ]
done
show() { # WHAT NAME
	# `time` puts a line before its own where the status is not 0
	grep -h '^[0-9.]*$' "$dir/$2".* | sort -n | awk -v what="$1" '
		{ s[NR] = $1 }
		END { printf "gate, 50 sweeps of 1000 windows as CSV%s: median %.2f s [%.2f..%.2f]  (to reach: < 1 s)\n", what, s[int((NR + 1) / 2)], s[1], s[NR] }'
}
show "" one
show ", confirmed by as many" two
"$out/bench/gate_power" "${2:-20000}"
