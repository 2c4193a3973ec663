#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# `flatpause curve`: verdicts, bars, JSON, and what it says to files that are no curve.
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
csv "$dir/backlog.csv" 25 9 17 17 28 4915 1384 2497 2461 1574
csv "$dir/flat.csv" 13 14 15 17 13 16 14 15 13 14
csv "$dir/four.csv" 140 472 428 424
csv "$dir/cold.csv" 800 700 21 19 22 20 18 21 20 22
csv "$dir/nan.csv" 25 9 nan 17

field() { # QUERY command...
	local query=$1
	shift
	"$@" 2>/dev/null | jq -r "$query"
}
is() { # WANT QUERY command...
	local want=$1 query=$2 got
	shift 2
	got=$(field "$query" "$@")
	[ "$got" = "$want" ] || {
		echo "$query is '$got', expected '$want': $*" >&2
		return 1
	}
}
silent_on_stdout() { [ -z "$("$@" 2>/dev/null)" ]; }
narrow() { ! "$@" 2>&1 | awk 'length > 79 { print; bad = 1 } END { exit !bad }' >&2; }
same() { cmp <("$fp" "$@") <("$fp" "$@"); }

check "a step is said with its window" \
	says "pause curve: STEPPED at window 6, x145 (90 %: 81.4 to 273), p < 0.0001, 1" "$fp" curve "$dir/backlog.csv"
check "and exits 0" exits_with 0 "$fp" curve "$dir/backlog.csv"
check "its first slow bar is marked" says ">        6      4915 ms  ####" "$fp" curve "$dir/backlog.csv"
check "a flat curve" says "pause curve: FLAT" "$fp" curve "$dir/flat.csv"
check "four windows are inconclusive and say why" says "record at least 5" "$fp" curve "$dir/four.csv"
check "and exit 0" exits_with 0 "$fp" curve "$dir/four.csv"
check "cold first windows are no step" says "cold first windows:" "$fp" curve "$dir/cold.csv"
check "three files are three sweeps" says "3 sweeps" "$fp" curve "$dir/backlog.csv" "$dir/backlog.csv" "$dir/backlog.csv"
check "no line is wider than 79" narrow "$fp" curve "$dir/backlog.csv"
check "nor of several sweeps" narrow "$fp" curve "$dir/backlog.csv" "$dir/cold.csv"
check "help is no wider than 79" narrow "$fp" curve --help
check "the same input gives the same bytes" same curve "$dir/flat.csv" "$dir/cold.csv" --json

check "JSON: verdict" is stepped .verdict "$fp" curve --json "$dir/backlog.csv"
check "JSON: schema_version" is 1 .schema_version "$fp" curve --json "$dir/backlog.csv"
check "JSON: window of the step" is 6 .at_window "$fp" curve --json "$dir/backlog.csv"
check "JSON: values in order" is 4915 '.values_ms[5]' "$fp" curve --json "$dir/backlog.csv"
check "JSON: a bound that is not to be had is null" is null .ratio_upper95 "$fp" curve --json "$dir/four.csv"
check "JSON schema" is object 'type' "$fp" curve --json-schema

"$fp" curve --json "$dir/backlog.csv" >"$dir/curve.json"
echo '{"schema_version":1,"windows":[],"curve":{"values_ms":[25,9,17,17,28,4915,1384,2497,2461,1574],"sweeps":1}}' >"$dir/findings.json"
check "its own JSON is input" is stepped .verdict "$fp" curve --json "$dir/curve.json"
check "findings JSON is input" is 6 .at_window "$fp" curve --json "$dir/findings.json"
check "JSON and CSV are sweeps of one curve" is 2 .sweeps "$fp" curve --json "$dir/findings.json" "$dir/backlog.csv"
check "standard input" is flat .verdict "$fp" curve --json - <"$dir/flat.csv"
check "a pipe" is flat .verdict "$fp" curve --json <(cat "$dir/flat.csv")

check "no file: usage" exits_with 2 "$fp" curve
check "an unknown option: usage" exits_with 2 "$fp" curve --frobnicate "$dir/flat.csv"
check "a bad number: 1" exits_with 1 "$fp" curve "$dir/nan.csv"
check "and names file and line" says "nan.csv:4: 'nan' is no number" "$fp" curve "$dir/nan.csv"
check "and prints nothing on stdout" silent_on_stdout "$fp" curve "$dir/nan.csv"
check "and none of it with --json" silent_on_stdout "$fp" curve --json "$dir/nan.csv"
check "a file that is not there" exits_with 1 "$fp" curve "$dir/none.csv"
check "is named" says "none.csv: No such file" "$fp" curve "$dir/none.csv"
check "a directory" says "Is a directory" "$fp" curve "$dir"
: >"$dir/empty"
check "an empty file" says "is empty" "$fp" curve "$dir/empty"
check "unequal sweeps" says "four.csv has 4 windows a sweep, the files before it 10" "$fp" curve "$dir/flat.csv" "$dir/four.csv"
check "unequal sweeps exit 1" exits_with 1 "$fp" curve "$dir/flat.csv" "$dir/four.csv"
echo '{"curve":' >"$dir/cut.json"
check "cut JSON names its line" says "cut.json:" "$fp" curve "$dir/cut.json"
check "cut JSON exits 1" exits_with 1 "$fp" curve "$dir/cut.json"
echo '{"schema_version":9,"values_ms":[1],"sweeps":1}' >"$dir/newer.json"
check "JSON of another schema is refused" says "schema_version" "$fp" curve "$dir/newer.json"
printf 'FLATPAU\n' >"$dir/cut.fpt"
check "a trace that is cut in its head exits 1" exits_with 1 "$fp" curve "$dir/cut.fpt"
head -c 100000 /dev/urandom >"$dir/noise"
check "noise exits 1" exits_with 1 "$fp" curve "$dir/noise"
check "a full disk is an error" exits_with 1 sh -c '"$0" curve "$1" >/dev/full' "$fp" "$dir/flat.csv"
check "for JSON as well" says "No space left" sh -c '"$0" curve --json "$1" >/dev/full' "$fp" "$dir/flat.csv"
check "and exits 1" exits_with 1 sh -c '"$0" curve --json "$1" >/dev/full' "$fp" "$dir/flat.csv"

# 50 sweeps of 1,000 windows come back, and say what they are
awk 'BEGIN { srand(1); for (k = 1; k <= 50; k++) for (i = 1; i <= 1000; i++)
	printf "%d,%d,%.3f\n", k, i, (i > 500 ? 200 : 100) * (0.9 + 0.2 * rand()) }' >"$dir/large.csv"
check "a thousand windows: found at 501" is 501 .at_window "$fp" curve --json "$dir/large.csv"
check "a thousand windows: at most 40 bars" says " 976-1000 " "$fp" curve "$dir/large.csv"

done_testing
