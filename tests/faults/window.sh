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

# Nothing is started here but the victim: what this shell does is recorded too.
ask() {
	local answer
	echo "$1 $faulty" >"$dir/ask"
	read -r answer <"$dir/told"
	[ "$answer" = "done" ] || exit 1
}

window=0
[ -e "$dir/window" ] && read -r window <"$dir/window"
echo $((window += 1)) >"$dir/window"
faulty=0
[ "$arm" = fault ] && [ $window -gt "$clean_windows" ] && faulty=1

ask begin
"${case}__window" >"$dir/said" || exit 1
ask end
echo "$(<"$dir/said")"
