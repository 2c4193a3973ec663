#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# `flatpause sweep` with real BPF: runs, reported pauses, failures, time limits, signals.
. "$(dirname "$0")/../tap.sh"
. "$(dirname "$0")/recording.sh"
need_recording "sweep"

cat >"$scratch/branch.sh" <<'END'
#!/bin/bash
# BRANCH n of this directory: reports n.5 ms
n=$(($(cat count 2>/dev/null || echo 0) + 1))
echo $n >count
echo "working on $n"
dd if=/dev/zero of=file-$n bs=64k count=4 status=none
echo "{\"branch\":$n,\"inner\":{\"pause_ms\":$n.5}}"
[ ! -e "fail-at-$n" ] || exit 17
[ ! -e "hang-at-$n" ] || sleep 1000
END
chmod +x "$scratch/branch.sh"
cd "$scratch" || exit 1

json=$("$flatpause" sweep -n 3 --sweeps 2 --gap 100ms --pause-from json:.inner.pause_ms -o a.fpt --json \
	-- ./branch.sh 2>err)
check "six runs are recorded" jq -e '.runs | length == 6' <<<"$json"
check "each is in its place" jq -e '[.runs[] | [.sweep, .index]] == [[1,1],[1,2],[1,3],[2,1],[2,2],[2,3]]' <<<"$json"
check "each has what the command reported" jq -e '[.runs[].reported_ms] == [1.5,2.5,3.5,4.5,5.5,6.5]' <<<"$json"
check "each took some time" jq -e '[.runs[].duration_ms > 0] | all' <<<"$json"
check "nothing was lost" jq -e '.loss.events == 0' <<<"$json"
check "the trace is complete" ends_as "complete 0" a.fpt
check "the BRANCHes really ran" test "$(cat count)" -eq 6

output=$("$flatpause" sweep -n 2 --gap 50ms -o b.fpt -- ./branch.sh 2>/dev/null)
check "a line per BRANCH on stdout" test "$(grep -c '^BRANCH' <<<"$output")" -eq 2
check "the trace, loss and cost on stdout" grep -q '^trace  b.fpt' <<<"$output"
check "what comes next is said" says "flatpause diagnose" "$flatpause" sweep -n 1 -o b2.fpt -- ./branch.sh
check "no JSON where a pause was promised: said" says "no JSON line" \
	"$flatpause" sweep -n 1 --pause-from json:.pause_ms -o b3.fpt -- true

rm -f count
touch fail-at-2
check "a BRANCH that fails: its status is ours" exits_with 17 \
	"$flatpause" sweep -n 5 --gap 50ms -o c.fpt -- ./branch.sh
check "a BRANCH that fails: no further one is run" test "$(cat count)" -eq 2
check "a BRANCH that fails: the trace is kept" ends_as "complete 0" c.fpt
rm -f count fail-at-2

touch hang-at-2
json=$("$flatpause" sweep -n 5 --gap 50ms --timeout 1s -o d.fpt --json -- ./branch.sh 2>err)
check "a BRANCH that never ends: exit 1" test $? -eq 1
check "a BRANCH that never ends: it is recorded as such" jq -e '.runs[1].ended == "timeout"' <<<"$json"
check "a BRANCH that never ends: the sweep ends" jq -e '.runs | length == 2' <<<"$json"
check "a BRANCH that never ends: the trace is kept" ends_as "complete 0" d.fpt
rm -f count hang-at-2

check "no such BRANCH command" says "cannot run ./nothing" "$flatpause" sweep -o e.fpt -- ./nothing

start_target
(sleep 1 && kill -KILL "$target") &
check "the VMM ends: the sweep ends, exit 1" exits_with 1 \
	"$flatpause" sweep -n 100 --gap 200ms -p "$target" -o g.fpt -- true
check "the VMM ends: the trace is complete and says so" ends_as "complete 2" g.fpt

touch hang-at-1
rm -f count
"$flatpause" sweep -n 3 --gap 50ms -o h.fpt -- ./branch.sh >/dev/null 2>&1 &
recorder=$!
started+=("$recorder")
wait_until "is_recording h.fpt && [ -e count ]"
branch=$(pgrep -P "$recorder" | head -1)
kill -INT "$recorder"
status=0
wait "$recorder" || status=$?
check "SIGINT in a BRANCH: exit 1, it is not the sweep that was asked for" test "$status" -eq 1
check "SIGINT in a BRANCH: the trace is complete and says so" ends_as "complete 1" h.fpt
check "SIGINT in a BRANCH: the command is ended too" bash -c "! kill -0 $branch 2>/dev/null"
rm -f hang-at-1

check "a small ring of the least size works" \
	"$flatpause" sweep -n 1 --ring 64K --max-loss 100 -o i.fpt -- ./branch.sh

done_testing
