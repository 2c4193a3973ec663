#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# One recording of each fault, diagnosed again: the findings are those that are committed, byte for
# byte, on any machine and without root. tests/replay/renew_faults.sh writes them anew.
set -uo pipefail
cd "$(dirname "$0")/../.."
. tests/tap.sh

fp=$(realpath "${FLATPAUSE_OUT:-.output}")/flatpause
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

same() { # TRACE
	local golden=${1%.fpt}.json
	(cd tests/replay/faults && "$fp" diagnose --json "${1##*/}") >"$dir/findings.json" || return 1
	cmp "$dir/findings.json" "$golden" || {
		diff <(jq -S . "$golden") <(jq -S . "$dir/findings.json") | head -20
		return 1
	}
}

# What the suite expects of the fault on the live kernel holds for its recording too.
named() { # NAME CAUSES, separated by |
	local cause
	cause=$(jq -r .verdict.cause "tests/replay/faults/$1.json")
	case "|$2|" in *"|$cause|"*) return 0 ;; esac
	echo "$1: $cause, expected $2"
	return 1
}

sums() {
	jq -e '.windows | length > 0 and all((.duration_ms - ([.ledger[].ms] | add)) | fabs < 0.001)' "$1" >/dev/null
}

while read -r name _ causes _; do
	trace=tests/replay/faults/$name.fpt
	[ -e "$trace" ] || continue
	check "$name: the findings are the committed ones" same "$trace"
	check "$name: the cause is the one that was made" named "$name" "$causes"
	check "$name: every ledger sums to its window" sums "${trace%.fpt}.json"
done < <(tests/faults/faults.sh . --list)
check "there are recordings of at least 24 faults" test "$(ls tests/replay/faults/*.fpt | wc -l)" -ge 24
done_testing
