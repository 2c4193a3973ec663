#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The lab's figures: how well the windows of the demo's traces close, what the mitigations gave, and
# what recording costs a BRANCH. Runs the demo first if there is no summary of one.
# usage: tests/bench/lab.sh OUTPUT-DIR
set -euo pipefail
cd "$(dirname "$0")/../.."

out=$(realpath "$1")
demo=$out/demo
summary=$demo/summary.json
flatpause=$out/flatpause

[ -e "$summary" ] || tests/lab/demo.sh "$out" >"$out/demo.log" 2>&1 || {
	echo "lab.sh: the demo failed; see $out/demo.log" >&2
	exit 1
}

echo "-- every window of every trace: does it close (to reach: 1 us; unknown < 5 % of slow windows)"
printf '%-10s %-10s %8s %12s %10s %9s %5s  %s\n' scenario arm windows partition ledger unknown lost cause
jq -r '.scenarios | to_entries[] | .key as $s | .value.arms | to_entries[]
	| select(.value.trace) | [$s, .key, .value.trace] | @tsv' "$summary" |
	while IFS=$'\t' read -r scenario arm trace; do
		case $trace in /*) ;; *) trace=$demo/$trace ;; esac
		"$flatpause" diagnose --json "$trace" 2>/dev/null | jq -r -f tests/bench/numbers.jq |
			jq -r --arg s "$scenario" --arg a "$arm" \
				'[$s, $a, .windows, .partition_us, .ledger_us, .unknown_percent, .lost, .cause] | @tsv' |
			awk -F'\t' '{ printf "%-10s %-10s %8d %9.3f us %7.3f us %7.2f %% %5d  %s\n", $1, $2, $3, $4, $5, $6, $7, $8 }'
	done

echo
echo "-- what the mitigations gave: medians of windows 3.. in ms"
jq -r '
	def median: sort | if length == 0 then null else .[(length - 1) / 2 | floor] end;
	def late: (.values_ms // [])[2:] | median;
	.scenarios | to_entries[] | .key as $s | .value as $v
	| ($v.arms.before | late) as $b | (($v.arms.control // {}) | late) as $c
	| ($v.arms.before.values_ms[:2] | median) as $fast
	| (["", $s, "before \($b | round) (first two \($fast | round))", "kept: \($v.kept)", "flattened: \($v.flattened)"]
	   , ($v.arms | to_entries[] | select(.key != "before")
	      | ["", "  \(.key)", "\(.value | late | round)",
		 "before / this = \(($b / (.value | late)) * 10 | round / 10)",
		 (if $c and .key != "control" then "this / control = \(((.value | late) / $c) * 100 | round / 100)" else "" end)]))
	| @tsv' "$summary"
echo "to reach: backlog, memfd: >= 17.6x lower and <= 1.2x control; full, memfd: <= 1.3x control; aged, fallocate: >= 2x lower"

echo
tests/bench/recording_cost.sh "$out"
