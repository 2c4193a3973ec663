#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The three stories as the demo tells them, by their structure: a sweep of each is recorded without
# loss, its windows close, and the diagnosis names the right group of causes. Nothing is said of
# how long anything takes: that is `make bench`.
. "$(dirname "$0")/../tap.sh"
cd "$(dirname "$0")/../.." || exit 1

out=${FLATPAUSE_OUT:-$PWD/.output}
export LAB_BIN=$out/lab
flatpause=$out/flatpause
lab=tests/lab/lab.sh
work=$(mktemp -d)
dir=$work/lab

cleanup() {
	local code=$?
	[ "$(id -u)" -eq 0 ] && $lab down "$dir" 2>/dev/null
	rm -rf "$work"
	exit $code
}
trap cleanup EXIT
trap 'exit 130' INT TERM

why=
[ "$(id -u)" -eq 0 ] || why="not root"
command -v nbdkit >/dev/null && command -v nbdfuse >/dev/null || why="nbdkit and nbdfuse are not installed"
[ -e /dev/loop-control ] && [ -c /dev/fuse ] || why="this kernel has no loop devices or no FUSE"
[ -e /sys/kernel/btf/vmlinux ] || why="this kernel has no BTF, so nothing can be recorded"
if [ -n "$why" ]; then
	for scenario in backlog full aged; do skip "$scenario" "$why"; done
	done_testing
fi

is() { # JQ-EXPRESSION on the diagnosis
	jq -e "$1" "$work/findings.json" >/dev/null || {
		jq -c '{curve, verdict: .verdict.cause, loss,
			windows: [.windows[] | [.index, .duration_ms, ([.ledger[].ms] | add)]]}' "$work/findings.json" >&2
		return 1
	}
}

sweep() { # N
	(
		. "$dir/env"
		timeout 120 "$flatpause" sweep -f -n "$1" --gap "$GAP" -p "$VMM_PID" --pause-from json:.pause_ms \
			--timeout 60s -o "$work/run.fpt" -- "${BRANCH[@]}"
	)
}

diagnose() { "$flatpause" diagnose --json "$work/run.fpt" >"$work/findings.json"; }

# The causes that a slow window of this story may be made of; the first is the one it is known for.
group_of() {
	case $1 in
	backlog) echo '^(jbd2|io|fs\.writeback_wait|writeback)' ;;
	full) echo '^(writeback\.dirty_throttle|io|jbd2|fs\.writeback_wait)' ;;
	aged) echo '^ext4\.alloc' ;;
	esac
}

# unknown.* rows stand among the blocked ones; unknown_ms is their sum.

# By time, whatever the size of the curve: the share of the group in the longest window.
group_holds_longest() {
	jq -e --arg group "$(group_of "$1")" '
		(.windows | max_by(.duration_ms)) as $w
		| ([$w.ledger[] | select(.cause | test($group)) | .ms] | add // 0) as $held
		| $held > 0 and ($held >= ([$w.ledger[] | select(.cause | test($group) | not) | .ms] | max // 0))' \
		"$work/findings.json" >/dev/null || {
		jq -c '.windows | max_by(.duration_ms) | .ledger' "$work/findings.json" >&2
		return 1
	}
}

for scenario in backlog full aged; do
	check "$scenario: the lab comes up" timeout 200 $lab up $scenario "$dir"
	check "$scenario: a sweep is recorded" sweep 7
	check "$scenario: it is diagnosed" diagnose
	check "$scenario: nothing was lost" is '.loss.events == 0'
	check "$scenario: a window per BRANCH, by its own API" \
		is '(.windows | length == 7) and (.windows | all(.detector == "api" and .open == false))'
	check "$scenario: windows agree with what the command says" \
		is '.windows | all(.reported_ms != null and .duration_ms <= .reported_ms + 0.001)'
	check "$scenario: every ledger sums to its window" \
		is '.windows | all((.duration_ms - ([.ledger[].ms] | add)) | fabs < 0.001)'
	check "$scenario: every thread's partition sums to its wall time" \
		is '[.windows[].threads[] | .wall_ms - (.running_user_ms + .running_kernel_ms + .runnable_ms
			+ ([.blocked[].ms] | add // 0)) | fabs] | max < 0.001'
	check "$scenario: the longest pause is held by what this scenario is made of" group_holds_longest $scenario
	check "$scenario: in it the parked vCPUs are passive" \
		is '.windows | max_by(.duration_ms) | [.threads[] | select(.comm | startswith("fc_vcpu"))]
			| length == 2 and all(.passive)'
	check "$scenario: down" timeout 150 $lab down "$dir"
done
done_testing
