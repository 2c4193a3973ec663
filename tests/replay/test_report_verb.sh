#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# `flatpause report` itself: what it takes, where it writes, what it says, how it ends.
set -uo pipefail
cd "$(dirname "$0")/../.."
. tests/tap.sh

fp=$(realpath "${FLATPAUSE_OUT:-.output}")/flatpause
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

before='[25,9,17,17,28,4915,1384,2497,2461,1574]'
flat='[15,17,24,19,14,17,14,21,24,22]'
control='[14,15,13,16,14,15,13,14,16,15]'
cat >"$dir/summary.json" <<JSON
{ "scenarios": { "backlog": { "arms": {
    "control": { "values_ms": $control },
    "memfd": { "values_ms": $flat, "trace": "not-there.fpt", "cause": "none", "curve": "flat" },
    "fallocate": { "values_ms": $before },
    "before": { "values_ms": $before, "cause": "io.throttle.wbt" } },
  "kept": "memfd", "flattened": true },
 "<script>alert(1)</script>": { "arms": { "before": { "values_ms": $before } }, "kept": "none" } } }
JSON

report() {
	"$fp" report "$@"
}

renders_summary() {
	report "$dir/summary.json" --html "$dir/page.html" --json -o "$dir/out.json" 2>"$dir/err" &&
		grep -q 'without the trace' "$dir/err" &&
		grep -q 'could not be read' "$dir/page.html" &&
		grep -q 'the summary says its cause is io.throttle.wbt' "$dir/page.html" &&
		[ "$(grep -c '<script' "$dir/page.html")" = 1 ] &&
		[ "$(jq -r '.comparisons[0].arms | map(.label) | join(" ")' "$dir/out.json")" = \
			"before fallocate memfd control" ] &&
		jq -e '.comparisons[0].flattened and .comparisons[0].arms[2].flattened and
			(.comparisons[0].arms[1].flattened | not) and
			.comparisons[0].arms[2].ratio_to_before > 50' "$dir/out.json"
}

pauses_outweigh_the_summary() {
	sed 's/"kept": "memfd"/"kept": "fallocate"/' "$dir/summary.json" >"$dir/boast.json" &&
		report "$dir/boast.json" --json >"$dir/out.json" 2>"$dir/err" &&
		grep -q "'backlog' is flattened: yes, it says; its pauses say: not_flattened" "$dir/err" &&
		jq -e '.comparisons[0] | .outcome == "not_flattened" and .flattened == false' "$dir/out.json"
}

keeps_old_file() {
	echo old >"$dir/keep"
	! report "$dir/broken.json" --html "$dir/keep" && [ "$(cat "$dir/keep")" = old ] &&
		no_leftovers
}

no_leftovers() {
	! ls "$dir"/*.?????? 2>/dev/null | grep -vE '\.(json|html)$'
}

replaces_old_file() {
	echo old >"$dir/keep"
	chmod 640 "$dir/keep"
	report "$dir/summary.json" --html "$dir/keep" && grep -q '</html>' "$dir/keep" &&
		[ "$(stat -c %a "$dir/keep")" = 640 ] && no_leftovers
}

same_twice() {
	report "$dir/summary.json" --html "$dir/a.html" && report "$dir/summary.json" --html "$dir/b.html" &&
		cmp "$dir/a.html" "$dir/b.html"
}

markdown_on_stdout() {
	report "$dir/summary.json" 2>/dev/null | grep '^| memfd | [a-z]* | 21.0 ms | 117 | ' >&2
}

schema_is_json() {
	report --json-schema | jq -e '.definitions.findings.required | index("verdict")'
}

fails_without_space() { # option
	local got=0
	report "$dir/summary.json" "$@" >/dev/full 2>"$dir/err" || got=$?
	[ "$got" = 1 ] && grep -q 'No space left' "$dir/err"
}

echo '{ "scenarios": { "x": ' >"$dir/broken.json"
echo '{ "windows": [] }' >"$dir/findings.json"
echo '{ "scenarios": { "x": { "arms": { "before": { "values_ms": [1, -2] } } } } }' >"$dir/negative.json"
echo '{ "scenarios": { "x": { "arms": { "before": { "values_ms": "25,9" } } } } }' >"$dir/text.json"
echo '{ "scenarios": { "x": { "arms": { "before": { "values_ms": [1, 2, 3], "sweeps": 2 } } } } }' >"$dir/odd.json"
echo '{ "scenarios": { "x": { "arms": [] } } }' >"$dir/no-arms.json"
: >"$dir/empty"
head -c 5000 /dev/urandom >"$dir/noise"

check "a summary becomes a page and JSON, without a trace that is missing" renders_summary
check "a summary that boasts is not believed" pauses_outweigh_the_summary
check "an output file is there whole or as it was" keeps_old_file
check "an output file is replaced with its mode kept" replaces_old_file
check "the same input gives the same page" same_twice
check "Markdown goes to the standard output" markdown_on_stdout
check "the schema is JSON" schema_is_json
check "a full disk is an error" fails_without_space
check "a full disk is an error for a page too" fails_without_space --html -

check "no file is a usage error" exits_with 2 report
check "two formats are a usage error" exits_with 2 report --json --markdown "$dir/summary.json"
check "two things on stdout are a usage error" exits_with 2 report --json --html - "$dir/summary.json"
check "-o without a text is a usage error" exits_with 2 report --html "$dir/x" -o "$dir/y" "$dir/summary.json"
check "an unknown option is a usage error" exits_with 2 report --jsno "$dir/summary.json"
check "unknown stacks are a usage error" exits_with 2 report --folded --stacks red "$dir/summary.json"
check "folded stacks without a trace are a usage error" exits_with 2 report --folded "$dir/summary.json"
check "a file that is not there" exits_with 1 report "$dir/nothing"
check "a directory" exits_with 1 report "$dir"
check "an empty file" exits_with 1 report "$dir/empty"
check "noise" exits_with 1 report "$dir/noise"
check "a summary that is cut" exits_with 1 report "$dir/broken.json"
check "findings instead of a summary" says "give a trace" report "$dir/findings.json"
check "a pause that is none" says "numbers above 0" report "$dir/negative.json"
check "pauses that are no list" says "numbers above 0" report "$dir/text.json"
check "sweeps of unequal length" says "must divide" report "$dir/odd.json"
check "a scenario without arms" says "has no arms" report "$dir/no-arms.json"
check "a directory that is not there" exits_with 1 report "$dir/summary.json" --html "$dir/no/such"
narrow() { ! "$@" 2>&1 | awk 'length > 79 { print; bad = 1 } END { exit !bad }' >&2; }
check "help is no wider than 79" narrow report --help
check "help" says "flatpause report FILE..." report --help
done_testing
