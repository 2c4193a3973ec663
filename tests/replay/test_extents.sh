#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A recorded sweep whose orchestrator preallocates each memory file: every second BRANCH is a diff, whose
# copy undoes that by O_TRUNC, the others are full and keep it. What the recording holds says so on any
# machine, without root. FLATPAUSE_GOLDEN=1 rewrites the findings.
set -uo pipefail
cd "$(dirname "$0")/../.."
. tests/tap.sh

fp=$(realpath "${FLATPAUSE_OUT:-.output}")/flatpause
here=tests/replay/extents
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

(cd $here && "$fp" diagnose --json run.fpt) >"$dir/run.json"
[ -z "${FLATPAUSE_GOLDEN:-}" ] || cp "$dir/run.json" $here/run.json

same() {
	cmp "$dir/run.json" $here/run.json || {
		diff <(jq -S . $here/run.json) <(jq -S . "$dir/run.json") | head -20
		return 1
	}
}
valid() { python3 tests/replay/report/check_json.py reports/schema.json "$dir/run.json"; }
found() { jq -e "$1" "$dir/run.json" >/dev/null; }
memory='[.windows[].files[] | select(.path | endswith("/memory.bin"))]'
says_it() { # OPTION...: however the lines are broken, and what is escaped
	"$fp" report "$here/run.fpt" "$@" 2>/dev/null | tr -s ' \n' ' ' |
		sed 's/\\//g' | grep -c "memory.bin was preallocated (2.0 MiB by branch/[0-9]*) and that was undone by O_TRUNC at open by branch/[0-9]* (copy_file_range) before window 1, and so for 2 of 4 windows" >&2
}

check "the findings are the committed ones (FLATPAUSE_GOLDEN=1 rewrites them)" same
check "they are what the schema says" valid
check "undone, kept, undone, kept" found "$memory | map(.extents_kept) == [false, true, false, true]"
check "of each it is known how much, by whom" found "$memory
	| all(.preallocated_bytes == 2097152 and (.preallocated.by | startswith(\"branch/\")))"
check "and before its window" found "[.windows[] | . as \$w | .files[] | select(.path | endswith(\"/memory.bin\"))
	| .preallocated.at_ns < \$w.begin_ns] | length == 4 and all"
check "the copy is the one that undid it, and wrote then" found "$memory | map(select(.extents_kept | not))
	| all(.undone.how == \"O_TRUNC at open\" and .undone.by == .first_written.by
		and .first_written.call == \"copy_file_range\" and .undone.at_ns > .preallocated.at_ns)"
check "its blocks were allocated again" found "$memory | map(select(.extents_kept | not) | .alloc_bytes) | add >= 2097152"
check "the VMM wrote into what was kept, and got no other block" found "$memory | map(select(.extents_kept))
	| all(.undone == null and (.first_written.by | startswith(\"labvmm/\")) and .alloc_bytes == 0)"
check "the evidence has both" found '[.verdict.evidence[] | select(test("for 4 windows; undone for 2 by O_TRUNC at open by branch/[0-9]+ \\(copy_file_range\\), .* allocated in the windows.*; kept for 2, 0 B allocated"))] | length == 1'
check "the sentence is in the Markdown" says_it --markdown
check "and on the page" says_it --html -
done_testing
