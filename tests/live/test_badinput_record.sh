#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Whatever is wrong with a recording: the exit status, and a message that names the next step.
# Nothing here needs BPF; what does is in test_record.sh and test_sweep.sh.
. "$(dirname "$0")/../tap.sh"
. "$(dirname "$0")/recording.sh"

# refused STATUS TEXT arguments...: both at once, and no trace is left
refused() {
	local want=$1 text=$2 got=0 output
	shift 2
	output=$("$flatpause" "$@" 2>&1 </dev/null) || got=$?
	[ "$got" -eq "$want" ] || {
		printf 'status %d, expected %d: %s\n%s\n' "$got" "$want" "$*" "$output"
		return 1
	}
	case $output in *"$text"*) ;; *)
		printf 'expected "%s" in:\n%s\n' "$text" "$output"
		return 1
		;;
	esac
	[ ! -e "$out" ] || {
		echo "$out was left behind"
		return 1
	}
}

out=$scratch/never.fpt
free_pid=$(($(cat /proc/sys/kernel/pid_max) - 1))
while kill -0 "$free_pid" 2>/dev/null; do free_pid=$((free_pid - 1)); done

narrow_help() {
	local text
	text=$("$flatpause" "$1" --help) && grep -q examples: <<<"$text" &&
		awk 'length > 79 { print; bad = 1 } END { exit bad }' <<<"$text"
}

for verb in record sweep mark doctor; do
	check "$verb --help: exit 0, examples, at most 79 columns" narrow_help "$verb"
done
check "record nothing: usage" refused 2 "record what" record -o "$out"
check "sweep without a command: usage" refused 2 "needs a BRANCH command" sweep -o "$out"
check "sweep with a stray word: usage" refused 2 "behind --" sweep -o "$out" ./branch.sh
check "unknown verb" refused 2 "flatpause --help" recrod
check "unknown option" refused 2 "unknown option '--bogus'" record --bogus -o "$out" -- true
check "unknown short option" refused 2 "unknown option '-z'" sweep -z -o "$out" -- true
check "option without its value" refused 2 "needs a value" sweep -o
check "unknown unit of a duration" refused 2 "3parsecs" sweep --gap 3parsecs -o "$out" -- true
check "unknown unit of a size" refused 2 "4MB" record --ring 4MB -o "$out" -- true
check "duration that is none" refused 2 "30 sec" record -p 1 -o "$out" "30 sec"
check "duration of nothing" refused 2 "'0s'" record -p 1 -o "$out" 0s
check "no BRANCHes" refused 2 "out of range" sweep -n 0 -o "$out" -- true
check "negative number" refused 2 "whole number" sweep -n -3 -o "$out" -- true
check "ring too small" refused 2 "try --ring 64K" record --ring 4K -o "$out" -- true
check "ring no power of two" refused 2 "try --ring 4096K" record --ring 3M -o "$out" -- true
check "ring too large" refused 2 "try --ring 1048576K" record --ring 4G -o "$out" -- true
check "unknown window" refused 2 "file:GLOB" sweep --window moon -o "$out" -- true
check "unknown report format" refused 2 "json:.KEY" sweep --pause-from xml:.x -o "$out" -- true
check "PID that is no number" refused 2 "not 'vmm'" record -p vmm -o "$out" 1s
check "PID 0" refused 2 "not '0'" record -p 0 -o "$out" 1s
check "empty PID in a list" refused 2 "not ''" record -p 1, -o "$out" 1s
check "trace to a pipe" refused 2 "path of a file" record -p 1 -o - 1s
check "wrong PID" refused 1 "process $free_pid" record -p "$free_pid" -o "$out" 1s
check "wrong PID of a sweep" refused 1 "process $free_pid" sweep -p "$free_pid" -o "$out" -- true
check "name that nobody has" refused 1 "no process is named" record --comm 'no-such-*' -o "$out" 1s
check "cgroup that is none" refused 1 "/sys/fs/cgroup" record --cgroup "$scratch" -o "$out" 1s
check "directory that is not there" refused 1 "$scratch/none" record -o "$scratch/none/x" -- true

echo old >"$scratch/old.fpt"
check "output exists: refused" exits_with 1 "$flatpause" record -o "$scratch/old.fpt" -- true
check "output exists: the next step" says "or --force" "$flatpause" record -o "$scratch/old.fpt" -- true
check "output exists: it is untouched" test "$(cat "$scratch/old.fpt")" = old
check "output is a directory" exits_with 1 "$flatpause" record -f -o "$scratch" -- true
ln -s "$scratch/old.fpt" "$scratch/link.fpt"
check "output is a symlink: not followed" exits_with 1 "$flatpause" record -f -o "$scratch/link.fpt" -- true
check "output is a symlink: its target is untouched" test "$(cat "$scratch/old.fpt")" = old

mkdir "$scratch/small"
if mount -t tmpfs -o size=4m none "$scratch/small" 2>/dev/null; then
	out=$scratch/small/x.fpt
	check "no space for the trace" refused 1 "a trace needs at least" record -o "$out" -- true
	umount "$scratch/small"
else
	skip "no space for the trace" "tmpfs cannot be mounted here"
fi

chmod 755 "$scratch"
mkdir -m 777 "$scratch/open"
out=$scratch/open/x.fpt
as_nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all --inh-caps=-all)
if [ "$(id -u)" -eq 0 ] && "${as_nobody[@]}" "$flatpause" --version >/dev/null 2>&1; then
	check "not root: exit 3" exits_with 3 "${as_nobody[@]}" "$flatpause" record -o "$out" -- true
	check "not root: says what is missing" says root "${as_nobody[@]}" "$flatpause" record -o "$out" -- true
	check "not root: no trace is left" test ! -e "$out"
	check "not root: doctor says 3" exits_with 3 "${as_nobody[@]}" "$flatpause" doctor
	check "not root: doctor names the capability" says CAP_BPF "${as_nobody[@]}" "$flatpause" doctor
else
	skip "not root" "needs root, and a build that nobody can read, to become nobody"
fi

done_testing
