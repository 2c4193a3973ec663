#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# `flatpause verify`: flattened, not flattened, inconclusive; arms of several files; bad input.
set -uo pipefail
cd "$(dirname "$0")/../.."
. tests/tap.sh

fp=$(realpath "${FLATPAUSE_OUT:-.output}")/flatpause
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# csv FILE PAUSE...: one sweep
csv() {
	local file=$1 window=0 ms
	shift
	echo sweep,window,pause_ms >"$file"
	for ms; do
		window=$((window + 1))
		echo "1,$window,$ms" >>"$file"
	done
}
# The lab's measurements: a backlog, what flattened it, what did not, and the tmpfs control.
csv "$dir/before.csv" 25 9 17 17 28 4915 1384 2497 2461 1574
csv "$dir/flat.csv" 15 17 24 59 14 17 14 51 24 22
csv "$dir/undone.csv" 28 11 14 13 22 1358 4618 1400 2000 1800
csv "$dir/level.csv" 310 290 300 320 305 315 295 300 310 305
csv "$dir/control.csv" 13 14 15 17 13 16 14 15 13 14
csv "$dir/four.csv" 140 472 428 424
csv "$dir/bad.csv" 25 9 -17

is() { # WANT QUERY command...
	local want=$1 query=$2 got
	shift 2
	got=$("$@" 2>/dev/null | jq -r "$query")
	[ "$got" = "$want" ] || {
		echo "$query is '$got', expected '$want': $*" >&2
		return 1
	}
}
narrow() { ! "$@" 2>&1 | awk 'length > 79 { print; bad = 1 } END { exit !bad }' >&2; }
silent_on_stdout() { [ -z "$("$@" 2>/dev/null)" ]; }
cd "$dir" || exit 1

check "flattened exits 0" exits_with 0 "$fp" verify before.csv flat.csv --control control.csv
check "flattened without a control" exits_with 0 "$fp" verify before.csv flat.csv
check "and says so with the numbers" \
	says "flattened: no step, median of windows 6 to 10: 22 ms, 112 times below" \
	"$fp" verify before.csv flat.csv --control control.csv
check "the table has a line for each arm" says "control       1       14       14       16" \
	"$fp" verify before.csv flat.csv --control control.csv
check "a step that is left exits 4" exits_with 4 "$fp" verify before.csv undone.csv --control control.csv
check "and says where it is" says "still STEPPED at window 6" "$fp" verify before.csv undone.csv
check "before against itself exits 4" exits_with 4 "$fp" verify before.csv before.csv
check "better, not flat exits 4" exits_with 4 "$fp" verify before.csv level.csv --control control.csv
check "and says both" says "better, not flat" "$fp" verify before.csv level.csv --control control.csv
check "a flat curve before is inconclusive" exits_with 5 "$fp" verify control.csv flat.csv
check "too few windows are inconclusive" exits_with 5 "$fp" verify before.csv four.csv
check "and say so" says "4 windows here, 10 before" "$fp" verify before.csv four.csv
check "four windows in all arms are inconclusive" exits_with 5 "$fp" verify four.csv four.csv --control four.csv

check "several files are sweeps of their arm" is "2 3 1" '[.arms[].curve.sweeps] | join(" ")' \
	"$fp" verify --json before.csv before.csv --after flat.csv flat.csv flat.csv --control control.csv
check "wherever the arms stand" is "2 1 2" '[.arms[].curve.sweeps] | join(" ")' \
	"$fp" verify before.csv before.csv --control=control.csv control.csv --json --after flat.csv
check "an option given twice adds up" is "1 2" '[.arms[].curve.sweeps] | join(" ")' \
	"$fp" verify before.csv --after flat.csv --after flat.csv --json
check "JSON: schema_version" is 1 .schema_version "$fp" verify --json before.csv flat.csv
check "JSON: flattened" is true .flattened "$fp" verify --json before.csv flat.csv --control control.csv
check "JSON: kept" is after .kept "$fp" verify --json before.csv flat.csv --control control.csv
check "JSON: not flattened" is "false none" '"\(.flattened) \(.kept)"' "$fp" verify --json before.csv undone.csv
outcomes='"\(.outcome) \(.arms | map(.outcome) | join(" "))"'
check "JSON: outcome" is "flattened  flattened " "$outcomes" "$fp" verify --json before.csv flat.csv --control control.csv
check "JSON: outcome of a step that is left" is "not_flattened  not_flattened" "$outcomes" "$fp" verify --json before.csv undone.csv
check "JSON: outcome of too few windows" is "inconclusive  inconclusive" "$outcomes" "$fp" verify --json before.csv four.csv
check "JSON: labels" is "before after control" '[.arms[].label] | join(" ")' \
	"$fp" verify --json before.csv flat.csv --control control.csv
check "JSON: times below before" is 111 '.arms[1].ratio_to_before | floor' \
	"$fp" verify --json before.csv flat.csv --control control.csv
check "JSON keeps the exit status" exits_with 4 "$fp" verify --json before.csv undone.csv
"$fp" curve --json flat.csv >flat.json
check "curve JSON is an arm" exits_with 0 "$fp" verify before.csv flat.json

check "no line is wider than 79" narrow "$fp" verify before.csv level.csv --control control.csv
check "help is no wider than 79" narrow "$fp" verify --help
check "no arm: usage" exits_with 2 "$fp" verify
check "one arm: usage" exits_with 2 "$fp" verify before.csv
check "three files without --after: usage" exits_with 2 "$fp" verify before.csv flat.csv control.csv
check "which of these is after: usage" exits_with 2 "$fp" verify before.csv --control control.csv flat.csv
check "--after without a file: usage" exits_with 2 "$fp" verify before.csv --after
check "an unknown option: usage" exits_with 2 "$fp" verify before.csv flat.csv --kontrol control.csv
check "a bad line exits 1" exits_with 1 "$fp" verify before.csv bad.csv
check "and is named" says "bad.csv:4: a pause of -17 ms" "$fp" verify before.csv bad.csv
check "in the control as well" says "bad.csv:4:" "$fp" verify before.csv flat.csv --control bad.csv
check "and nothing is on stdout" silent_on_stdout "$fp" verify --json before.csv flat.csv --control bad.csv
check "a missing file exits 1" exits_with 1 "$fp" verify before.csv none.csv
check "sweeps of unequal length exit 1" exits_with 1 "$fp" verify before.csv --after flat.csv four.csv
check "a full disk is an error" exits_with 1 sh -c '"$0" verify before.csv flat.csv >/dev/full' "$fp"
check "for JSON as well, whatever the verdict" exits_with 1 sh -c '"$0" verify --json before.csv undone.csv >/dev/full' "$fp"
check "and is named" says "No space left" sh -c '"$0" verify --json before.csv flat.csv >/dev/full' "$fp"

done_testing
