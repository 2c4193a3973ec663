#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The lab itself: what `up` makes, that `down` leaves nothing after any kind of end, and that the VMM
# stand-in and the orchestrator refuse what they must.
. "$(dirname "$0")/../tap.sh"
cd "$(dirname "$0")/../.." || exit 1

out=${FLATPAUSE_OUT:-$PWD/.output}
export LAB_BIN=$out/lab
lab=tests/lab/lab.sh
work=$(mktemp -d)
dir=$work/lab

cleanup() {
	local code=$?
	[ -n "${vmm:-}" ] && kill "$vmm" 2>/dev/null
	[ "$(id -u)" -eq 0 ] && $lab down "$dir" 2>/dev/null
	rm -rf "$work"
	exit $code
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# ---- the VMM stand-in and the orchestrator, without any disk ----

sock=$work/vmm.sock

start_vmm() {
	"$LAB_BIN/labvmm" --api-sock "$sock" --memory 8M --pidfile "$work/vmm.pid" "$@" 2>"$work/vmm.log" &
	vmm=$!
	for _ in $(seq 100); do
		[ -s "$work/vmm.pid" ] && return
		sleep 0.05
	done
	return 1
}

# http METHOD PATH BODY: the status and the body of the answer
http() {
	printf '%s %s HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s' "$1" "$2" "${#3}" "$3" | raw
}

raw() { # bytes on stdin to the socket, the answer on stdout; the connection is one of perl's core
	perl -MIO::Socket::UNIX -e '
		alarm 20;
		my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "connect: $!\n";
		local $/;
		my $q = <STDIN>;
		$s->syswrite($q);
		my $a = "";
		while ($a !~ /\r\n\r\n/ && $s->sysread(my $b, 65536)) { $a .= $b }
		print $a;' "$sock"
}

branch() { "$LAB_BIN/branch" --api-sock "$sock" --root "$work/root" "$@"; }

threads_are() {
	local names
	names=$(cat /proc/"$vmm"/task/*/comm | sort | tr '\n' ' ')
	[ "$names" = "$1" ] || {
		echo "threads: $names" >&2
		return 1
	}
}

mkdir -p "$work/root"
check "the VMM starts" start_vmm
check "its threads have Firecracker's names" threads_are "fc_api fc_vcpu 0 fc_vcpu 1 labvmm "
check "a second one on the same socket is refused" \
	says "another labvmm" "$LAB_BIN/labvmm" --api-sock "$sock" --memory 1M
check "a snapshot of a running VM is refused" says "needs a paused VM" \
	http PUT /snapshot/create '{"snapshot_path":"/tmp/a","mem_file_path":"/tmp/b"}'
check "an unknown state is refused with 400" says "400 Bad Request" http PATCH /vm '{"state":"Stopped"}'
check "an unknown field is refused" says "400 Bad Request" http PATCH /vm '{"state":"Paused","x":1}'
check "a body that is no JSON is refused" says "no JSON object" http PATCH /vm '{"state":'
check "an unknown path is refused" says "400 Bad Request" http PUT /machine '{}'
check "what is no HTTP is refused" says "no HTTP" raw < <(printf 'hello\r\n\r\n')
check "a body that is too long is refused" says "413" \
	raw < <(printf 'PUT /vm HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n')
check "a client that says nothing does not disturb" bash -c "
	perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Peer => \$ARGV[0]); sleep 1' '$sock' &
	'$LAB_BIN/branch' --api-sock '$sock' --root '$work/root' --mode full >/dev/null; code=\$?; wait; exit \$code"

base=$work/root/snap-1/memory.bin
is_whole_chain() { # diff after diff, the file is what a full snapshot has
	http PATCH /vm '{"state":"Paused"}' >/dev/null
	http PUT /snapshot/create "{\"snapshot_type\":\"Diff\",\"snapshot_path\":\"$work/vs\",\"mem_file_path\":\"$work/diff\"}" >/dev/null
	http PUT /snapshot/create "{\"snapshot_path\":\"$work/vs\",\"mem_file_path\":\"$work/full\"}" >/dev/null
	http PATCH /vm '{"state":"Resumed"}' >/dev/null
	cp "$1" "$work/chain"
	# the last diff is not in the chain yet: what differs must lie in its pages
	cmp -l "$work/chain" "$work/full" | awk '{ print int(($1 - 1) / 4096) }' | uniq | while read -r page; do
		dd if="$work/diff" bs=4096 skip="$page" count=1 2>/dev/null | tr -d '\0' | grep -q . || exit 1
	done
}
check "a diff BRANCH works" bash -c "'$LAB_BIN/branch' --api-sock '$sock' --root '$work/root' --base '$base' | jq -e '.branch == 2 and .pause_ms > 0 and .diff_bytes > 0'"
check "and another one on top" branch --base "$base"
check "the chain of diffs has the guest's memory" is_whole_chain "$work/root/snap-3/memory.bin"
check "--keep removes older ones" bash -c "'$LAB_BIN/branch' --api-sock '$sock' --root '$work/root' --base '$work/full' --keep 2 >/dev/null && [ ! -e '$work/root/snap-2' ] && [ -e '$work/root/snap-3' ]"

mkdir "$work/shm"
ln -s "$work/shm/memory" "$work/link"
check "a previous file on another file system is copied too" bash -c "
	cp '$work/full' /dev/shm/flatpause-test.$$ && rm -rf '$work'/root/snap-* &&
	'$LAB_BIN/branch' --api-sock '$sock' --root '$work/root' --base /dev/shm/flatpause-test.$$
	code=\$?; rm -f /dev/shm/flatpause-test.$$; exit \$code"

http PATCH /vm '{"state":"Paused"}' >/dev/null
check "a VM that was left paused is resumed first" says "was left Paused" branch --mode full
runs_again() { http GET / '' | grep -q '"Running"'; }
check "and runs afterwards" runs_again
check "a refused snapshot is said" says "No such file" \
	"$LAB_BIN/branch" --api-sock "$sock" --root "$work/root" --base "$base.missing"

ends_cleanly() {
	kill "$vmm" && wait "$vmm" && [ ! -e "$sock" ] && [ ! -e "$work/vmm.pid" ]
}
check "SIGTERM ends the VMM cleanly" ends_cleanly
check "branch without a VMM fails and says so" says "does it run?" branch --mode full
newest() { ls -d "$work"/root/snap-* | wc -l; }
before=$(newest)
branch --mode full 2>/dev/null
leaves_nothing_half() { [ "$(newest)" -eq "$before" ]; }
check "and leaves no half snapshot" leaves_nothing_half
check "branch without --root is a usage error" exits_with 2 "$LAB_BIN/branch" --api-sock x
check "labvmm without a socket is a usage error" exits_with 2 "$LAB_BIN/labvmm"
check "a scenario that there is not is a usage error" exits_with 2 $lab up nonsense "$dir"

# ---- the disks ----

if [ "$(id -u)" -ne 0 ]; then
	check "without root the lab says what is missing" exits_with 3 $lab up aged "$dir"
	skip "up and down of all scenarios" "not root"
	done_testing
fi
why=
[ -e /dev/loop-control ] || why="this kernel has no loop devices"
[ -c /dev/fuse ] || why="this kernel has no FUSE"
command -v nbdkit >/dev/null && command -v nbdfuse >/dev/null || why="nbdkit and nbdfuse are not installed"
if [ -n "$why" ]; then
	skip "up and down of all scenarios" "$why"
	done_testing
fi

processes() {
	local pid
	for pid in /proc/[0-9]*; do
		tr '\0' ' ' 2>/dev/null <"$pid/cmdline" | grep -F -- "$dir/" | grep -v grep
	done
}

nothing_is_left() {
	! grep -F "$dir" /proc/self/mountinfo && [ -z "$(processes)" ] && [ ! -e "$dir" ] &&
		! grep -lF "$dir" /sys/block/loop*/loop/backing_file 2>/dev/null &&
		! grep -rlxF "$dir" /run/flatpause-lab 2>/dev/null
}

# as the lab noted them before it changed them
knobs_are_back() {
	local file value
	[ -s "$work/knobs" ] && while read -r file value; do
		[ "$(<"$file")" = "$value" ] || {
			echo "$file is $(<"$file"), was $value" >&2
			return 1
		}
	done <"$work/knobs"
}

one_branch() { (. "$dir/env" && "${BRANCH[@]}") | jq -e '.pause_ms > 0' >/dev/null; }
control_branch() { (. "$dir/control.env" && "${BRANCH[@]}") | jq -e '.pause_ms > 0' >/dev/null; }

# Nothing is said of a pause here: one of them warm, to have all that `up` and `reset` do; test_story.sh
# has the three as they are used.
export LAB_COLD
for scenario in backlog full aged; do
	LAB_COLD=1
	[ $scenario = full ] && LAB_COLD=
	check "$scenario: up" timeout 200 $lab up $scenario "$dir"
	check "$scenario: a BRANCH in it" one_branch
	if [ $scenario = full ]; then
		check "$scenario: a second up on the same directory is refused" exits_with 1 $lab up aged "$dir"
		check "$scenario: control" timeout 100 $lab control "$dir"
		check "$scenario: a BRANCH of the control" control_branch
		check "$scenario: reset" timeout 200 $lab reset "$dir"
		no_snapshots() { ! ls -d "$dir"/mnt/snap-* "$dir"/control/snap-* 2>/dev/null; }
		check "$scenario: no snapshot survives the reset" no_snapshots
		check "$scenario: status knows it" says "$dir: full" $lab status
	fi
	cp "$dir/knobs" "$work/knobs"
	check "$scenario: down" timeout 150 $lab down "$dir"
	check "$scenario: nothing is left" nothing_is_left
	check "$scenario: the settings of the loop device are as they were" knobs_are_back
	check "$scenario: down once more does no harm" timeout 20 $lab down "$dir"
done

# ---- ends that nobody wanted ----

pid_of() {
	local pid
	for pid in /proc/[0-9]*; do
		[ "$(cat "$pid/comm" 2>/dev/null)" = "$1" ] &&
			tr '\0' '\n' <"$pid/cmdline" | grep -qF -- "$dir/" && echo "${pid#/proc/}"
	done
}

for victim in nbdfuse nbdkit labvmm; do
	timeout 200 $lab up backlog "$dir" 2>/dev/null
	one_branch
	# shellcheck disable=SC2046
	check "kill -9 $victim" kill -9 $(pid_of $victim)
	check "down after it" timeout 200 $lab down "$dir"
	check "nothing is left after it" nothing_is_left
done

killed_while_coming_up() { # the script itself, in the middle
	$lab up backlog "$dir" 2>/dev/null &
	local script=$!
	for _ in $(seq 200); do
		[ -e "$dir/loop" ] && break
		sleep 0.05
	done
	kill -9 $script
	wait $script 2>/dev/null
	[ -e "$dir/loop" ]
}
check "kill -9 of lab.sh in the middle of up" killed_while_coming_up
check "status finds the leftovers" says "$dir" $lab status
check "down removes them" timeout 200 $lab down "$dir"
check "nothing is left of it" nothing_is_left

forgotten() { # state file gone too
	timeout 100 $lab up aged "$dir" 2>/dev/null
	grep -rlxF "$dir" /run/flatpause-lab | xargs rm -f
	says "$dir" $lab status
}
check "a lab without a state file is found by its disk" forgotten
check "and removed" timeout 100 $lab down "$dir"
check "nothing of it is left" nothing_is_left

disk_full() { # the VMM says ENOSPC, branch passes it on, the VM runs
	timeout 100 $lab up full "$dir" 2>/dev/null
	(
		. "$dir/env"
		# root may use reserved blocks too, so %f; freed ones come back with the commit, so again
		for part in 1 2 3 4; do
			sync -f "$MNT"
			room=$(($(stat -f -c '%f * %S' "$MNT") - SIZE / 2))
			[ $room -gt 0 ] && fallocate -l $room "$MNT/full$part"
		done
		! "${BRANCH[@]}" 2>"$work/said" && grep -q "No space left" "$work/said" && [ ! -e "$MNT/snap-1" ]
	)
}
check "a full disk: BRANCH fails, says why, leaves no half snapshot" disk_full
check "down of a full disk" timeout 100 $lab down "$dir"
check "nothing is left of the full disk" nothing_is_left
done_testing
