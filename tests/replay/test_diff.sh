#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# `flatpause diff` on two committed traces: the same bytes on any machine, without root.
# FLATPAUSE_GOLDEN=1 rewrites traces and findings.
set -uo pipefail
cd "$(dirname "$0")/../.."
. tests/tap.sh

out=$(realpath "${FLATPAUSE_OUT:-.output}")
fp=$out/flatpause
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

if [ -n "${FLATPAUSE_GOLDEN:-}" ]; then
	"$out/tests/unit/analyze/test_diff_verb" >&2
	(cd tests/replay/diff && "$fp" diff before.fpt after.fpt --json >diff.json &&
		"$fp" diff before.fpt after.fpt >diff.txt)
fi

valid() { python3 tests/replay/report/check_json.py reports/schema.json "$dir/diff.json"; }
same() { diff -u "tests/replay/diff/$1" "$dir/$1"; }
narrow() { ! awk 'length > 79' "$dir/diff.txt" | grep .; }
reverse_of() { # what went in one direction comes in the other
	[ "$(jq -c '[.causes[] | select(.change == "went") | .cause]' "$dir/diff.json")" = \
		"$(jq -c '[.causes[] | select(.change == "came") | .cause]' "$dir/back.json")" ]
}

cd tests/replay/diff || exit 1
"$fp" diff before.fpt after.fpt --json >"$dir/diff.json"
"$fp" diff before.fpt after.fpt >"$dir/diff.txt"
"$fp" diff after.fpt before.fpt --json >"$dir/back.json"
cd ../../..

check "json is as it was (FLATPAUSE_GOLDEN=1 rewrites it)" same diff.json
check "text is as it was" same diff.txt
check "json is what the schema says" valid
check "text fits a terminal" narrow
check "the other way round what went comes" reverse_of
check "nobody reads a trace that is not there" exits_with 1 "$fp" diff tests/replay/diff/before.fpt "$dir/none.fpt"
check "one trace is no difference" exits_with 2 "$fp" diff tests/replay/diff/before.fpt
done_testing
