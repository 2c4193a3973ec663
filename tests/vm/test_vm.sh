#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Older kernels of the distribution, emulated: that recording loads and attaches there, that the
# upper rungs (fentry, fexit) see what the kernel stacks see, and that every window closes.
. "$(dirname "$0")/vm_lib.sh"

# holds FILTER FILE: the filter is true of the JSON, else the JSON is shown
holds() {
	jq -e "$1" "$2" >/dev/null && return
	echo "not true: $1" >&2
	jq -c . "$2" | cut -c1-4000 >&2
	return 1
}

same_json() {
	diff <(jq -S 'del(.source)' "$1") <(jq -S 'del(.source)' "$2")
}

check_host() {
	local name=$1 r=$2
	check "$name: the kernel is the one that was asked for" \
		holds ".host.kernel == \"$(cat "$r/kernel")\"" "$r/doctor.json"
	check "$name: recording works, with the names of kernel functions" \
		holds '.works and any(.features[]; .name == "kernel symbols" and .state == "yes")' "$r/doctor.json"
	check "$name: the disk is throttled (wbt)" test "$(tr '\n' ' ' <"$r/queue")" = "1 75000 "
	check "$name: wbt, jbd2 and mballoc have their best rung" \
		holds '[.hooks[] | select(.probe | IN("wbt", "jbd2", "mballoc"))]
			| length == 3 and all(.rung == "best" and (.hook | startswith("fentry/fexit ")))' "$r/doctor.json"
	check "$name: the others have theirs too: nothing is refused" \
		holds '[.hooks[] | select(.rung != "best")] == []' "$r/doctor.json"
	check "$name: without ftrace these three step down, and say what is lost and how to gain it" \
		holds '.works and ([.hooks[] | select(.rung != "best")]
			| map(.probe) == ["wbt", "jbd2", "mballoc"]
			and all(.rung == "2nd" and .lost != "" and (.gain | contains("ftrace_enabled"))))' "$r/no_ftrace.json"
	check "$name: the trace has the hooks that were promised" bash -c \
		"diff <(jq -c '.hooks[] | [.probe, .rung]' '$r/doctor.json') <(jq -c '.hooks[] | [.probe, .rung]' '$r/diagnose.json')"
}

check_windows() {
	local name=$1 r=$2
	check "$name: three BRANCHes are recorded and nothing is lost" \
		holds '(.runs | length == 3 and all(.exit == 0)) and .loss.events == 0' "$r/sweep.json"
	check "$name: every window closes to the nanosecond" \
		holds '.windows | length == 3 and all(([.ledger[].ms * 1e6 | round] | add) == (.duration_ms * 1e6 | round))' "$r/diagnose.json"
	check "$name: less than 5 % of every window has no name" \
		holds '.windows | all(([.ledger[] | select(.cause | startswith("unknown.")) | .ms] | add // 0) < 0.05 * .duration_ms)' "$r/diagnose.json"
	check "$name: each BRANCH wrote its file, all of it, and waited for it" \
		holds '[.windows[] | .index as $n | .files[] | select(.path == "/mnt/diff-\($n)") |
			.bytes_written == 24 * 65536 and .fsync_ms > 0] == [true, true, true]' "$r/diagnose.json"
	check "$name: the throttle and the journal are among what held the windows" \
		holds '[.windows[].ledger[].cause] | any(. == "io.throttle.wbt") and any(startswith("jbd2.commit_"))' "$r/diagnose.json"
	"$out/flatpause" diagnose --json "$r/upper.fpt" >"$r/here.json"
	check "$name: the trace says the same here as there" same_json "$r/diagnose.json" "$r/here.json"
}

check_rungs() {
	local name=$1 r=$2 ledger_ms
	"$out/vm/rungs" "$r/upper.fpt" >"$r/rungs.json"
	check "$name: waits in wbt_wait, a commit and an allocation for each BRANCH" \
		holds '.wbt_wait.spans >= 3 and .jbd2_wait.spans >= 3 and .mb_new_blocks.spans >= 3' "$r/rungs.json"
	check "$name: no span ends before it begins" holds 'all(.backwards == 0)' "$r/rungs.json"
	check "$name: who sleeps in wbt_wait by its stack is in a span of it, and was met" \
		holds '.wbt_wait | .sleeps > 0 and .sleeps_outside == 0' "$r/rungs.json"
	check "$name: the same of a journal commit" \
		holds '.jbd2_wait | .sleeps > 0 and .sleeps_outside == 0' "$r/rungs.json"
	check "$name: the same of block allocation" holds '.mb_new_blocks.sleeps_outside == 0' "$r/rungs.json"
	check "$name: who passes wbt_wait without waiting is not told" \
		holds '.wbt_wait.idle_spans == 0' "$r/rungs.json"
	check "$name: no span is shorter than the sleeps within it" holds 'all(.slept_ms <= .ms)' "$r/rungs.json"
	ledger_ms=$(jq '[.windows[].ledger[] | select(.cause == "io.throttle.wbt") | .ms] | add' "$r/diagnose.json")
	check "$name: the ledgers have no more throttling than was waited for" \
		holds ".wbt_wait.ms >= $ledger_ms" "$r/rungs.json"
}

for package in "${kernels[@]}"; do
	in_vm "an emulated machine with this kernel" "$package" "$here/guest_sweep.sh" "$out/flatpause" ||
		continue
	cat "$results/sweep.log" >&2
	check "$name: the sweep in it succeeds" test "$(cat "$results/status")" = 0
	check_host "$name" "$results"
	check_windows "$name" "$results"
	check_rungs "$name" "$results"
done

done_testing
