# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Findings, as much of them as a gate reads, from CSV `sweep,window,pause_ms` on stdin (jq -Rn):
# in windows from $step on, $cause holds what is above 100 ms, elsewhere 3 % of the pause.
[inputs | select(test("^[0-9]")) | split(",") | map(tonumber)] as $rows
| ($rows | map(.[0]) | max) as $sweeps
| {
	schema_version: 1,
	host: {
		kernel: $kernel, cpus: "2", "memory.total": "8052000 kB",
		"disk.loop0.dev": "7:0", "disk.loop0.fs_type": "ext4"
	},
	windows: [$rows[] | .[2] as $ms
		| (if .[1] >= $step then [$ms - 100, 0] | max else 0.03 * $ms end) as $held
		| {
			sweep: .[0], index: .[1], duration_ms: $ms,
			ledger: [{cause: $cause, ms: $held}, {cause: "user.cpu", ms: ($ms - $held)}],
			files: [{dev: "7:0", bytes_written: 4096}]
		}],
	curve: {sweeps: $sweeps, windows: (($rows | length) / $sweeps), values_ms: ($rows | map(.[2]))}
  }
