#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# `flatpause doctor`: what it says of this host, for people and for programs.
. "$(dirname "$0")/../tap.sh"
. "$(dirname "$0")/recording.sh"

status=0
text=$("$flatpause" doctor 2>/dev/null) || status=$?
json=$("$flatpause" doctor --json 2>/dev/null)

check "it ends with 0 or 3" test "$status" -eq 0 -o "$status" -eq 3
check "JSON: says whether it works, and the status agrees" \
	jq -e ".schema_version == 1 and .works == ($status == 0)" <<<"$json"
check "JSON: every feature has a state" \
	jq -e '.features | length > 4 and all(.state | IN("yes", "no", "missing"))' <<<"$json"
check "JSON: the kernel is this one" jq -e ".host.kernel == \"$(uname -r)\"" <<<"$json"
check "JSON: dirty limits are facts" jq -e '.host["dirty.ratio"] != null' <<<"$json"
check "no line is wider than 79 columns" \
	bash -c 'awk "length > 79 { print; bad = 1 } END { exit bad }"' <<<"$text"
check "JSON: each cause is seen, blind or not of this kernel" \
	jq -e '.causes | .seen + (.blind | length) + (.absent | length) > 80' <<<"$json"
check "JSON: a blind cause says what would show it" \
	jq -e '.causes.blind | all(.id != "" and .needs != "")' <<<"$json"
check "waits that every kernel names are not blind" \
	jq -e '.causes.blind + [.causes.absent[] | {id: .}] | all(.id | IN("futex.wait", "io.device_service", "lock.mutex", "timer.sleep") | not)' <<<"$json"
check "the text names the same blind causes" \
	test "$(grep -c "^  BLIND " <<<"$text")" = "$(jq '.causes.blind | length' <<<"$json")"
check "the disk behind a path is described" \
	bash -c "'$flatpause' doctor --json --disk '$scratch' | jq -e '[.host | keys[] | select(startswith(\"disk.\"))] | length > 0'"
check "a path that is not there" exits_with 1 "$flatpause" doctor --disk /no/such/path
check "a result that cannot be written is no success" exits_with 1 bash -c \
	"'$flatpause' doctor --json >/dev/full"
check "and says why" says "No space left" bash -c "'$flatpause' doctor >/dev/full"
check "an unknown option" exits_with 2 "$flatpause" doctor --bogus
check "help" exits_with 0 "$flatpause" doctor --help
if [ "$status" -eq 0 ]; then
	check "each probe has a rung, and what is lost by it" \
		jq -e '.hooks | length > 3 and all(.probe != "" and .rung != "" and has("lost"))' <<<"$json"
	check "a probe that lost something says how to gain it" \
		jq -e '.hooks | all(.lost == "" or .gain != "")' <<<"$json"
else
	skip "probes and their rungs" "nothing loads on this host"
	check "what is missing is named" grep -q MISSING <<<"$text"
fi

done_testing
