#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The faults that take a few seconds each, with their twins; `make faults` has all of them.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../tap.sh"
out=${FLATPAUSE_OUT:-$here/../../.output}

why=
[ "$(id -u)" -eq 0 ] || why="not root"
"$out/flatpause" doctor >/dev/null 2>&1 || why="flatpause cannot record on this host; see flatpause doctor"
if [ -n "$why" ]; then
	skip "faults made on purpose" "$why"
	done_testing
fi
exec "$here/faults.sh" "$out" --quick
