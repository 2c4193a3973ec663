#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The export of memory files: it gives way, keeps its rate and its memory, and whatever the disk does,
# the memory copy stays until the bytes are safe.
. "$(dirname "$0")/fix_lib.sh"

export FLATPAUSE_RUN_DIR=$work/run
size=$((8 << 20))
head -c $size /dev/urandom >"$work/a"
head -c $((40 << 20)) /dev/urandom >"$work/big"
counter() { "$fixer" status --json | jq ".guards[0].export.$1"; }
memory_of() { readlink "$1"; }
is_durable() { [ "$(state_of "$1" state)" = durable ]; } # told a little later than it is
held() { # FILE SECONDS: still a link after that time
	sleep "$2"
	is_link "$1"
}
write_new() { # DIR SOURCE: as cp does, fsync not asked for
	mkdir "$1"
	sleep 0.05
	cp "$2" "$1/memory.bin"
}

# ---- a window elsewhere on the disk ----

new_fs 300M
mkdir "$mnt/one" "$mnt/two"
loop_numbers=$(lsblk -no MAJ:MIN "$(findmnt -no SOURCE "$mnt")" | tr -d ' ')
check "apply" apply --mitigation memfd "$mnt/one"
exec 8>"$work/run/window-$loop_numbers"
flock -s 8
write_new "$mnt/one/w1" "$work/a"
check "nothing goes out while a window is open on the disk" held "$mnt/one/w1/memory.bin" 0.7
equals_zero() { [ "$(counter written_bytes)" = 0 ]; }
check "not a byte" equals_zero
flock -u 8
exec 8>&-
check "it goes when the window closes" wait_for 10 is_file "$mnt/one/w1/memory.bin"
check "whole" same_bytes "$work/a" "$mnt/one/w1/memory.bin"

# the guard of another directory sees its writers
check "a second guard on the disk" apply --mitigation fallocate --no-plant --size-from 1M "$mnt/two"
mkdir "$mnt/two/s"
sleep 0.3
exec 8<>"$mnt/two/s/memory.bin"
write_new "$mnt/one/w2" "$work/a"
check "writers below another guarded directory hold it back" held "$mnt/one/w2/memory.bin" 0.7
exec 8>&-
check "until they close" wait_for 10 is_file "$mnt/one/w2/memory.bin"
timeout 20 "$fixer" revert "$mnt/two" 2>/dev/null

# ---- what is told ----

is_read_back() { [ "$(state_of w2 read_back)" = true ]; }
wait_for 5 is_read_back
check "read back behind the rename" equals "$(state_of w2 read_back)" true
check "by which way" equals "$(state_of w2 way)" direct
check "two workers, where nothing else was said" equals "$(counter workers)" 2
check "the size of their pools" equals "$(counter capacity_bytes)" $((2 * 4 * 524288))
check "no slot is out" equals "$(counter slots_in_use)" 0
check "slots were taken" test "$(counter acquires)" -ge 32
check "sizes of writes" equals "$(counter 'write_sizes | map(.writes) | add')" 32
timeout 20 "$fixer" revert "$mnt/one" 2>/dev/null

# ---- choices ----

check "no readback, by the rate" apply --mitigation memfd --no-readback --export-rate 10M "$mnt"
write_new "$mnt/r" "$work/a"
check "exported" wait_for 20 is_file "$mnt/r/memory.bin"
wait_for 5 is_durable r
slow_enough() { [ "$(state_of r copy_ms | cut -d. -f1)" -ge 600 ]; }
check "8 MiB at 10 MiB/s" slow_enough
check "not read back, and told so" equals "$(state_of r read_back)" false
revert 2>/dev/null
# several workers: side by side, and the rate is the guard's, not each one's
check "three workers, by the rate" apply --mitigation memfd --export-workers 3 --no-readback \
	--export-rate 10M "$mnt"
exec 8>"$work/run/window-$loop_numbers" && flock -s 8
write_new "$mnt/s1" "$work/a"
write_new "$mnt/s2" "$work/a"
check "both wait for the window" wait_for 5 eval '[ "$(counter workers)" = 3 ]'
check "each with its pool" equals "$(counter capacity_bytes)" $((3 * 4 * 524288))
since=$(date +%s%N)
flock -u 8 && exec 8>&-
under_way() { [ -e "$mnt/s1/.memory.bin.flatpause" ] && [ -e "$mnt/s2/.memory.bin.flatpause" ]; }
check "two files are under way at once" wait_for 5 under_way
wait_for 20 is_durable s1
wait_for 20 is_durable s2
check "both are whole" eval 'cmp "$work/a" "$mnt/s1/memory.bin" && cmp "$work/a" "$mnt/s2/memory.bin"'
last_durable() { "$fixer" status --json | jq '[.guards[0].files[].durable_ns] | max'; }
check "16 MiB at 10 MiB/s for both together" test $(($(last_durable) - since)) -ge 1400000000
check "no worker: usage" exits_with 2 apply --mitigation memfd --export-workers 0 "$mnt"
revert 2>/dev/null
FLATPAUSE_EXPORT=plain apply --mitigation memfd "$mnt"
write_new "$mnt/p" "$work/a"
wait_for 10 is_durable p
check "the kill switch" equals "$(state_of p way)" plain
check "whole" same_bytes "$work/a" "$mnt/p/memory.bin"
# an empty file is a file
mkdir "$mnt/z"
sleep 0.05
: >"$mnt/z/memory.bin"
check "an empty file" wait_for 10 is_file "$mnt/z/memory.bin"
check "of no bytes" equals "$(stat -c %s "$mnt/z/memory.bin")" 0
# no space in the middle: this way asks for none in advance
fallocate -l "$(($(stat -fc '%a * %S' "$mnt") - (20 << 20)))" "$mnt/filler"
write_new "$mnt/n" "$work/big"
check "no space in the middle is told" wait_for 10 eval 'state_of n state | grep -q "no space"'
check "the memory copy is read" same_bytes "$work/big" "$mnt/n/memory.bin"
check "nothing half is left" equals "$(ls -A "$mnt/n")" memory.bin
rm "$mnt/filler"
check "with space it goes" wait_for 15 is_file "$mnt/n/memory.bin"
check "whole" same_bytes "$work/big" "$mnt/n/memory.bin"

# ---- the file system turns read-only, and back ----

# the file of before is compared: until then it holds the link that it replaced, and would wait for the window
wait_for 10 eval '[ "$(state_of n read_back)" = true ]'
exec 8>"$work/run/window-$loop_numbers" && flock -s 8
write_new "$mnt/ro" "$work/a"
sync -f "$mnt"
check "remounted read-only" mount -o remount,ro "$mnt"
flock -u 8 && exec 8>&-
check "told" wait_for 10 eval 'state_of ro state | grep -q "in memory: export failed"'
check "the memory copy is read" same_bytes "$work/a" "$mnt/ro/memory.bin"
mount -o remount,rw "$mnt"
check "writable again it goes" wait_for 15 is_file "$mnt/ro/memory.bin"
check "whole" same_bytes "$work/a" "$mnt/ro/memory.bin"
check "revert" revert
check "nothing is left" nothing_left
check "an unknown mode is refused" exits_with 2 env FLATPAUSE_EXPORT=fast "$fixer" apply \
	--mitigation memfd "$mnt"
check "and nothing was begun" nothing_left
umount "$mnt"

# ---- a disk that fails, and one that is gone ----

if command -v nbdkit >/dev/null && command -v nbdfuse >/dev/null && [ -c /dev/fuse ]; then
	disk_with_errors 256M error-pwrite-rate=100%
	mkfs.ext4 -q -F "$loop" && mount "$loop" "$mnt"
	check "apply on it" apply --mitigation memfd "$mnt"
	numbers=$(lsblk -no MAJ:MIN "$loop" | tr -d ' ')
	exec 8>"$work/run/window-$numbers" && flock -s 8
	write_new "$mnt/e" "$work/a"
	memory=$(memory_of "$mnt/e/memory.bin")
	sync -f "$mnt"
	touch "$work/fail"
	flock -u 8 && exec 8>&-
	check "write errors are told" wait_for 15 eval 'state_of e state | grep -q "in memory: export failed"'
	check "the memory copy is whole" same_bytes "$work/a" "$memory"
	check "revert does not give it up" exits_with 1 revert
	check "it is still whole" same_bytes "$work/a" "$memory"
	rm "$work/fail"
	umount "$mnt"
	e2fsck -fy "$loop" >/dev/null 2>&1
	mount "$loop" "$mnt"
	check "revert on the mended disk" revert
	check "brings it home" same_bytes "$work/a" "$mnt/e/memory.bin"
	check "nothing is left" nothing_left

	check "apply again" apply --mitigation memfd "$mnt"
	exec 8>"$work/run/window-$numbers" && flock -s 8
	write_new "$mnt/v" "$work/a"
	memory=$(memory_of "$mnt/v/memory.bin")
	kill -9 "$(cat "$work/nbdkit.pid")"
	flock -u 8 && exec 8>&-
	check "a disk that vanishes is told" wait_for 15 eval 'state_of v state | grep -q "in memory: export failed"'
	check "the memory copy is whole" same_bytes "$work/a" "$memory"
	kill -9 "$(guard_pid)" # its directory will never answer again
	drop_disk
	rm -rf "${memory%/*/*}" "$FLATPAUSE_STATE_DIR"
	trap clean_up EXIT
else
	skip "disks that fail" "needs nbdkit, nbdfuse and /dev/fuse"
fi
done_testing
