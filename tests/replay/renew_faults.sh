#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Writes the findings of the recorded faults anew, after a change of the analysis; look at the diff
# before it is committed.
#
#   renew_faults.sh OUTPUT-DIR [--traces]
#
# --traces: first takes the recordings of the last `make faults` in OUTPUT-DIR, of all faults that
# were named rightly and whose recording is small.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
[ $# -ge 1 ] && out=$(realpath "$1") || exit 2
most_bytes=500000

if [ "${2:-}" = --traces ]; then
	mkdir -p tests/replay/faults
	while IFS=$'\t' read -r name arm how _ right _; do
		[ "$arm $how $right" = "fault ran true" ] || continue
		trace=$out/faults/$name/fault/run.fpt
		if [ "$(stat -c %s "$trace")" -gt $most_bytes ]; then
			echo "$name: $(stat -c %s "$trace") bytes, not taken" >&2
			continue
		fi
		cp "$trace" "tests/replay/faults/$name.fpt" && chmod 644 "tests/replay/faults/$name.fpt"
	done <"$out/faults/results.tsv"
fi

status=0
for trace in tests/replay/faults/*.fpt; do
	json=${trace%.fpt}.json
	before=$(jq -r .verdict.cause "$json" 2>/dev/null || echo -)
	(cd tests/replay/faults && "$out/flatpause" diagnose --json "${trace##*/}") >"$json.new" &&
		mv "$json.new" "$json" || { rm -f "$json.new"; status=1; continue; }
	printf '%-18s %-24s %s\n' "$(basename "${trace%.fpt}")" "$before" "$(jq -r .verdict.cause "$json")"
done
exit $status
