#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A recorded fsync on a virtio disk: its path goes through an interrupt to the device, and back by a
# worker. Whoever follows wakes alone ends at that worker, which an interrupt had woken.
. "$(dirname "$0")/../tap.sh"
cd "$(dirname "$0")/../.." || exit 1
out=${FLATPAUSE_OUT:-.output}
trace=tests/replay/path/fsync.fpt

path() { # PROGRAM: a jq program over the path of the third window
	"$out/flatpause" diagnose --json "$trace" |
		jq -e "[.windows[2].path[] | {cause, who: (.actor | sub(\"/[0-9]+\"; \"\")), ms}] as \$p | $1" \
			>/dev/null
}

check "the recording has four windows, closed to the nanosecond" eval \
	'"$out/flatpause" diagnose --json "$trace" | jq -e ".windows | length == 4 and
		all(.[]; (([.ledger[].ms] | add) - .duration_ms) | fabs < 0.000001)" >/dev/null'
check "from the interrupt to the device, and by a worker back" path '
	[range(0; $p | length) | select($p[.].cause == "io.device_service"
		and $p[. + 1].cause == "io.completion_delivery" and $p[. + 2].cause == "wq.latency")]
	| length == 1'
check "the worker is named" path '[$p[] | select(.cause == "wq.latency" and (.who | startswith("kworker")))]
	| length == 1'
check "most of the fsync is the device" path '
	([$p[] | select(.cause == "io.device_service") | .ms] | add) > 0.6'
check "by way of the wait of the thread that called fsync" eval \
	'"$out/flatpause" diagnose --json "$trace" | jq -e "[.windows[2].path[]
		| select(.cause == \"io.device_service\") | .via | startswith(\"fs.writeback_wait of dd/\")]
		| length > 0 and all" >/dev/null'
check "no flush is taken for service" path '[$p[] | select(.cause == "io.flush")] | length == 1'
check "a full disk is named" says "No space left" sh -c '"$0" diagnose "$1" >/dev/full' \
	"$out/flatpause" "$trace"
check "for JSON too" says "No space left" sh -c '"$0" diagnose --json "$1" >/dev/full' "$out/flatpause" "$trace"
done_testing
