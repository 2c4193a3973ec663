#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The loop with real sweeps on a small ext4: whatever it concludes, it says so and leaves order.
. "$(dirname "$0")/fix_lib.sh"
flatpause=$(realpath "$out")/flatpause

new_fs 300M
head -c $((8 << 20)) /dev/urandom >"$work/a"
cat >"$work/branch" <<'BRANCH'
#!/bin/sh
set -e
n=1
while [ -e "$1/snap-$n" ]; do n=$((n + 1)); done
mkdir "$1/snap-$n"
sleep 0.002
truncate -s 8M "$1/snap-$n/memory.bin"
exec dd if="$2" of="$1/snap-$n/memory.bin" bs=1M conv=notrunc,fsync status=none
BRANCH
chmod +x "$work/branch"
mkdir "$work/ram"
branch=("$work/branch" "$mnt" "$work/a")

check "without --apply: the plan" says "nothing was run or changed" "$fixer" auto --dir "$mnt" \
	-- "${branch[@]}"
check "with each change on files" says "- symlink $mnt/NEW-DIRECTORY/memory.bin" "$fixer" auto --dir "$mnt" \
	-- "${branch[@]}"
check "and how its export would go" says "3 files side by side at most, 10.0 MiB a second together" \
	"$fixer" auto --dir "$mnt" --export-workers 3 --export-rate 10M -- "${branch[@]}"
check "and nothing else" nothing_left
check "no worker: usage" exits_with 2 "$fixer" auto --dir "$mnt" --export-workers 0 -- true
check "no directory: usage" exits_with 2 "$fixer" auto --apply -- true
check "no command: usage" exits_with 2 "$fixer" auto --apply --dir "$mnt"
check "unknown mitigation: usage" exits_with 2 "$fixer" auto --mitigations x --dir "$mnt" -- true

timeout 60 "$flatpause" sweep -n 1 --window exec -o "$work/probe.fpt" -- true >&2
status=$?
if [ $status -eq 3 ]; then
	skip "the loop" "flatpause cannot record on this host"
	done_testing
fi
check "a sweep records" equals $status 0
check "plan of a trace" says "nothing was changed" "$fixer" plan "$work/probe.fpt" --dir "$mnt"
check "plan --json" eval '"$fixer" plan --json "$work/probe.fpt" | jq -e .steps >/dev/null'
check "plan of no trace fails" not "$fixer" plan "$work/a"
check "plan left nothing" nothing_left

auto() {
	timeout 150 "$fixer" auto --apply --dir "$mnt" -n 4 --gap 200ms --window exec \
		--scenario test -o "$work/out" "$@"
}
auto --try-all --between "rm -rf $mnt/snap-* $work/ram/snap-*" \
	--control-command "$work/branch $work/ram $work/a" -- "${branch[@]}" >"$work/said"
status=$?
cat "$work/said" >&2
check "the loop ends with 0, 5 or 7" eval '[ $status -eq 0 ] || [ $status -eq 5 ] || [ $status -eq 7 ]'
check "all arms are in the summary" equals "$(jq -r '.scenarios.test.arms | keys | join(" ")' \
	"$work/out/summary.json")" "before control fallocate memfd"
check "with four pauses each" equals "$(jq '[.scenarios.test.arms[].values_ms | length] | unique[0]' \
	"$work/out/summary.json")" 4
check "with what became of the files" equals "$(jq '.scenarios.test.arms.fallocate.files | length' \
	"$work/out/summary.json")" 4
check "a report is there" test -s "$work/out/report.html"
kept=$(jq -r .scenarios.test.kept "$work/out/summary.json")
if [ "$status" -eq 0 ] && [ "$kept" != none ]; then
	check "what was kept is in force" says "$kept" "$fixer" status
else
	check "what was not kept is not in force" says "no mitigation is in force" "$fixer" status
fi
revert
check "nothing is left" nothing_left

# two sweeps in each arm: interleaved, as one that drifts would else be taken for an effect; memfd by a cover
auto --force --mitigations memfd --try-all --sweeps 2 --rounds 1 --memory 64M --export-rate 100M \
	--export-workers 1 --no-readback --cover --between "rm -rf $mnt/snap-*" \
	-- "${branch[@]}" >"$work/said"
check "sweeps of two arms are interleaved" equals "$(jq -r '[.scenarios.test.steps[]
	| select(.step == "sweep") | .arm] | join(" ")' "$work/out/summary.json")" "before memfd memfd before"
check "each arm has the pauses of both its sweeps" equals "$(jq -r '[.scenarios.test.arms[].values_ms | length]
	| join(" ")' "$work/out/summary.json")" "8 8"
check "what it cost is said" eval 'jq -e ".scenarios.test.arms.memfd.cost | contains(\"durable\")" \
	"$work/out/summary.json" >/dev/null'
check "of each file is known from when on it took memory" equals "$(jq '[.scenarios.test.arms.memfd.files[]
	| select(.state == "durable") | .made_ns > 0 and .made_ns <= .resumed_ns] | unique | tostring' \
	"$work/out/summary.json")" '"[true]"'
check "and said with the memory" eval 'jq -e ".scenarios.test.arms.memfd.cost |
	contains(\"from their creation until then at most\")" "$work/out/summary.json" >/dev/null'
check "in the report too" grep -q "cost: a sweep takes" "$work/out/report.html"
applied="--memory 67108864 --export-rate 104857600 --export-workers 1 --no-readback --cover"
check "what the export was asked for reached the guard" equals "$(jq -r '[.scenarios.test.arms.memfd.files[]
	| select(.state == "durable") | .read_back] | unique | join(" ")' "$work/out/summary.json")" false
check "and stands in the summary" eval 'jq -r .scenarios.test.arms.memfd.applied "$work/out/summary.json" |
	grep -q -- "$applied"'
check "and in the report" grep -q -- "applied with: .*$applied" "$work/out/report.html"
revert

# a pause that grows by work that no mitigation takes away: what is tried is not kept
cat >"$work/busy" <<'BRANCH'
#!/bin/bash
n=1
while [ -e "$1/snap-$n" ]; do n=$((n + 1)); done
mkdir "$1/snap-$n"
begin=${EPOCHREALTIME/./}
head -c 1M /dev/zero >"$1/snap-$n/memory.bin"
head -c "$([ $n -le 3 ] && echo 1M || echo "$2")" /dev/zero | sha256sum >/dev/null
us=$((${EPOCHREALTIME/./} - begin))
printf '{"pause_ms": %d.%03d}\n' $((us / 1000)) $((us % 1000))
BRANCH
chmod +x "$work/busy"
busy() { # MOST [option...]
	timeout 150 "$fixer" auto --apply --dir "$mnt" -n 6 --gap 0s --pause-from json:.pause_ms --force \
		--scenario test -o "$work/out" --mitigations fallocate --between "rm -rf $mnt/snap-*" \
		"${@:2}" -- "$work/busy" "$mnt" "$1"
}
tried() { jq -r '[.scenarios.test | (.arms | keys[]), .kept] | join(" ")' "$work/out/summary.json"; }
check "advice that is none is not tried: 7" exits_with 7 busy 40M
check "and so it says" equals "$(tried)" "before none"
check "what does not help is not kept: 7" exits_with 7 busy 40M --try-all
check "it was tried" equals "$(tried)" "before fallocate none"
check "nothing is in force" says "no mitigation is in force" "$fixer" status
check "nothing is left" nothing_left

# the BRANCH command fails: said, rolled back
check "a BRANCH that fails is no success" not auto --force -- false
check "nothing is left of it" nothing_left
# whoever read what it says leaves behind the first sweep: it ends in order, not in the middle
timeout 100 "$fixer" auto --apply --dir "$mnt" -n 3 --gap 100ms --window exec -o "$work/out" --force \
	--mitigations memfd --rounds 1 --try-all --between "rm -rf $mnt/snap-*" -- "${branch[@]}" |
	sed '/^trace/q' >&2
status=${PIPESTATUS[0]}
check "without a reader: a failure that it ends with itself" test "$status" -gt 0 -a "$status" -lt 124
check "nothing is in force" says "no mitigation is in force" "$fixer" status
check "nothing is left" nothing_left
# interrupted in the middle
"$fixer" auto --apply --dir "$mnt" -n 4 --gap 200ms --window exec -o "$work/out" --force --try-all \
	-- "${branch[@]}" >&2 &
loop=$!
sleep 4
kill -TERM $loop
wait $loop
check "interrupted: not a success" not equals $? 0
check "interrupted: nothing is in force" says "no mitigation is in force" "$fixer" status
check "interrupted: nothing is left" nothing_left

# ---- what helps is kept ----
# A disk of 20 MB/s: from the fourth BRANCH on it has four times as much to write, which takes it
# ten times as long and more as memory takes.
if ! command -v nbdkit nbdfuse >/dev/null || [ ! -c /dev/fuse ]; then
	skip "what helps is kept" "no nbdkit, nbdfuse or /dev/fuse"
	done_testing
fi
umount "$mnt"
disk_by_nbdkit rate 300M rate=160M burstiness=0.1
mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$loop" && mount "$loop" "$mnt"
cat >"$work/slow" <<'BRANCH'
#!/bin/bash
n=1
while [ -e "$1/snap-$n" ]; do n=$((n + 1)); done
mkdir "$1/snap-$n"
begin=${EPOCHREALTIME/./}
dd if="$2" of="$1/snap-$n/memory.bin" bs=1M count="$([ $n -le 3 ] && echo 1 || echo 4)" conv=fsync status=none
us=$((${EPOCHREALTIME/./} - begin))
printf '{"pause_ms": %d.%03d}\n' $((us / 1000)) $((us % 1000))
BRANCH
chmod +x "$work/slow"
check "what helps ends with 0" timeout 100 "$fixer" auto --apply --dir "$mnt" -n 8 --gap 0s \
	--pause-from json:.pause_ms --force --scenario test -o "$work/out" --mitigations memfd --cover \
	--try-all --rounds 1 --between "rm -rf $mnt/snap-*; sync -f $mnt" -- "$work/slow" "$mnt" "$work/a"
check "and is kept" equals "$(tried)" "before memfd memfd"
check "before there was a step" equals "$(jq -r .scenarios.test.arms.before.curve "$work/out/summary.json")" stepped
check "it was shown to be flat" equals "$(jq .scenarios.test.arms.memfd.flattened "$work/out/summary.json")" true
check "it is in force" says "memfd by a cover for 'memory.bin', guard pid" "$fixer" status
check "until it is reverted" revert
check "the files are whole" cmp -n $((4 << 20)) "$work/a" "$mnt/snap-8/memory.bin"
check "nothing is left" nothing_left
check "the device can be unmounted" umount "$mnt"
done_testing
