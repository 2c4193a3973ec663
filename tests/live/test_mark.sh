#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# `flatpause mark`: with and without a recorder, and by a plain write to the socket.
. "$(dirname "$0")/../tap.sh"
. "$(dirname "$0")/recording.sh"

check "no recorder: exit 1" exits_with 1 "$flatpause" mark begin x
check "no recorder: the next step is said" says "flatpause record" "$flatpause" mark end
check "a wrong word is usage" exits_with 2 "$flatpause" mark start
check "no word is usage" exits_with 2 "$flatpause" mark
check "a label that is too long is usage" exits_with 2 "$flatpause" mark begin "$(printf 'x%.0s' {1..48})"
check "a label with an escape sequence is usage" exits_with 2 "$flatpause" mark begin $'\e[31m'

need_recording "mark"
start_target
"$flatpause" record -p "$target" -o "$scratch/m.fpt" --json >"$scratch/m.json" 2>"$scratch/m.err" &
recorder=$!
started+=("$recorder")
wait_until "is_recording '$scratch/m.fpt'"
check "begin is taken" "$flatpause" mark begin vm1
check "end is taken" "$flatpause" mark end vm1
check "the longest label is taken" "$flatpause" mark begin "$(printf 'x%.0s' {1..47})"
if command -v python3 >/dev/null; then
	check "a one-line write of any language is taken" python3 -c '
import os, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(b"end plain\n", os.environ["FLATPAUSE_RUN_DIR"] + "/mark.sock")'
	marks=4
else
	skip "a one-line write of any language is taken" "no python3 here"
	marks=3
fi
as_nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
chmod 755 "$scratch"
if [ "$(id -u)" -eq 0 ] && "${as_nobody[@]}" "$flatpause" --version >/dev/null 2>&1; then
	check "a stranger can send" "${as_nobody[@]}" "$flatpause" mark begin stranger
	wait_until "grep -q 'neither root nor a target' '$scratch/m.err'"
	check "a stranger's mark is refused, and said" grep -q "neither root nor a target" "$scratch/m.err"
else
	skip "a stranger's mark is refused" "needs root, and a build that nobody can read"
fi
kill -INT "$recorder"
check "the recorder ends well" wait "$recorder"
check "all marks but the stranger's are in the trace" jq -e ".marks == $marks" "$scratch/m.json"
check "after the recorder nobody listens" exits_with 1 "$flatpause" mark begin x

done_testing
