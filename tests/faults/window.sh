#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# One BRANCH of a fault's sweep: the victim of CASE in a place that stands already. The first
# windows are without the fault, in a twin all are. Who makes the fault is no child of ours: it is
# asked through a pipe, and answers when the fault is there.
#
#   window.sh CASE DIR
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
case=$1 dir=$2
. "$here/cases.sh"
. "$dir/env"

ask() {
	local answer
	echo "$1" >"$dir/ask"
	read -r answer <"$dir/told"
	[ "$answer" = done ] || exit 1
}

window=$(($(cat "$dir/window" 2>/dev/null || echo 0) + 1))
echo $window >"$dir/window"
faulty=0
[ "$arm" = fault ] && [ $window -gt "$clean_windows" ] && faulty=1

ask before
[ $faulty = 1 ] && ask on
[ -e "$dir/control.busy" ] && busy=$(busy_ns)
"${case}__window" >"$dir/said" || exit 1
[ -e "$dir/control.busy" ] && busy=$(($(busy_ns) - busy))
[ $faulty = 1 ] && ask off
cat "$dir/said"
jq -c --argjson disk_ns "${busy:-0}" --argjson faulty $faulty \
	'. + {faulty: ($faulty == 1), disk_ms: ($disk_ns / 1e6)}' "$dir/said" >>"$dir/windows.json"
