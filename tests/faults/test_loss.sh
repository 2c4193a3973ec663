#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Records lost on purpose, in a ring that is made too small and emptied by a recorder that gets no CPU
# beside its target: every ledger still sums to its window, the loss has a name, and there is no verdict
# where it is too much. And a target in memory: no I/O.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../tap.sh"
out=$(realpath "${FLATPAUSE_OUT:-$here/../../.output}")
flatpause=$out/flatpause load=$out/faults/faultload
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export FLATPAUSE_RUN_DIR=$dir/run

why=
[ "$(id -u)" -eq 0 ] || why="not root"
"$flatpause" doctor >/dev/null 2>&1 || why="flatpause cannot record on this host; see flatpause doctor"
if [ -n "$why" ]; then
	skip "lost records" "$why"
	skip "a target in memory" "$why"
	done_testing
fi

sweep() { # OPTIONS... -- COMMAND...
	timeout 60 "${starved[@]}" "$flatpause" sweep -q -f -n 4 --gap 50ms --window mark --timeout 20s -o "$dir/run.fpt" "$@" >/dev/null
}
diagnose() {
	"$flatpause" diagnose --json "$@" "$dir/run.fpt" >"$dir/findings.json"
}
is() {
	jq -e "$1" "$dir/findings.json" >/dev/null || {
		jq -c '{loss, verdict: .verdict.cause, windows: [.windows[] | [.duration_ms, ([.ledger[] | [.cause, .ms]])]]}' \
			"$dir/findings.json" >&2
		return 1
	}
}
# One CPU for both, and the recorder has it when nobody else wants it.
lossy=(--ring 64K --min-sleep 0)
pingpong=(chrt --other 0 "$load" pingpong rounds=20000)
sums='.windows | length == 4 and all((.duration_ms - ([.ledger[].ms] | add)) | fabs < 0.001)'

starved=(taskset -c 0 chrt --idle 0)
check "a ring that is too small: recorded all the same, if loss is allowed" \
	sweep "${lossy[@]}" --max-loss 100 -- "${pingpong[@]}"
check "too much was lost: exit 6" exits_with 6 diagnose
check "too much was lost: no verdict" is '.loss.percent > 1 and .verdict.cause == "unknown.lost" and .verdict.confidence == 0'
check "what was lost has a name" is '[.windows[].ledger[] | select(.cause == "unknown.lost") | .ms] | add > 0'
check "every ledger sums to its window all the same" is "$sums"
check "by default such a recording says so itself: exit 6" \
	exits_with 6 sweep "${lossy[@]}" -- "${pingpong[@]}"
starved=()

mkdir -p "$dir/ram"
if mount -t tmpfs -o size=64m flatpause-faults "$dir/ram"; then
	trap 'umount "$dir/ram"; rm -rf "$dir"' EXIT
	check "a target in memory is recorded" sweep -- "$load" write "path=$dir/ram/diff" bytes=16M
	check "and diagnosed" diagnose
	check "in memory: no window has time in I/O, writeback or a journal" \
		is '[.windows[].ledger[] | select(.cause | test("^(io|writeback|jbd2|ext4)\\.")) | .ms] | add // 0 == 0'
	check "in memory: nothing is named" is '.verdict.cause == "none"'
	check "in memory: every ledger sums to its window" is "$sums"
else
	skip "a target in memory" "no tmpfs can be mounted"
fi
done_testing
