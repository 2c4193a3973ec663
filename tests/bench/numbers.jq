# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# From the findings of one trace (`flatpause diagnose --json`): how well does every window close.
#
# partition_us: the largest |sum of a thread's partition - its wall time| of any window and thread
# ledger_us:    the largest |sum of the ledger - duration| of any window
# unknown:      share of unknown.* in the ledgers of slow windows (all windows where none is slow)
def abs: if . < 0 then -. else . end;
def total(f): map(f) | add // 0;

[.windows[]] as $all
| ([$all[] | select(.slow)] | if length == 0 then $all else . end) as $slow
| {
	windows: ($all | length),
	partition_us: ([$all[] | .threads[]
		| (.running_user_ms + .running_kernel_ms + .runnable_ms
		   + (.blocked | total(.ms)) - .wall_ms) * 1000 | abs] | max // 0),
	ledger_us: ([$all[] | ((.ledger | total(.ms)) - .duration_ms) * 1000 | abs] | max // 0),
	unknown_percent: (100 * ($slow | total(.ledger | map(select(.cause | startswith("unknown.")) | .ms) | add // 0))
		/ ([$slow | total(.duration_ms), 0.000001] | max)),
	cause: .verdict.cause,
	share: .verdict.share,
	curve: .curve.verdict,
	lost: .loss.events
  }
