#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# memfd by the guard: memory first, disk after, nothing lost however it ends.
. "$(dirname "$0")/fix_lib.sh"

new_fs 1G
head -c $size /dev/urandom >"$work/a"
head -c $size /dev/urandom >"$work/b"
write_like_firecracker "$mnt/snap-0" "$work/a"
ram() { for dir in $(sort -u "$work/memory-dirs"); do ls -d "$dir"/[0-9]*; done 2>/dev/null | wc -l; }

check "apply" apply --mitigation memfd "$mnt"
write_like_firecracker "$mnt/snap-1" "$work/a"
check "a reader before the export sees all of it" same_bytes "$work/a" "$mnt/snap-1/memory.bin"
check "a real file follows" wait_for 10 is_file "$mnt/snap-1/memory.bin"
check "with the same bytes" same_bytes "$work/a" "$mnt/snap-1/memory.bin"
wait_for 5 eval '[ "$(ram)" = 0 ]'
check "durable in status" equals "$(state_of snap-1 state)" durable
check "all of it in lines for a terminal" equals "$("$fixer" status | grep "^ " | grep -c ".\{80\}")" 0
check "one of which is its checksum's" says "crc32c $(state_of snap-1 crc32c)" status_text
check "later than resumed" test "$(state_of snap-1 durable_ns)" -gt "$(state_of snap-1 resumed_ns)"
check "no temporary file" equals "$(ls -A "$mnt/snap-1")" memory.bin
check "its memory is free" equals "$(ram)" 0

# memory for the next window is touched before it opens, and let go when its link stands
anon() { awk '/^RssAnon/ { print $2 * 1024 }' "/proc/$(guard_pid)/status"; }
pool() { "$fixer" status --json | jq '[.. | .capacity_bytes? // empty] | add // 0'; }
warm() { [ "$(anon)" -ge $(($(pool) + size)) ]; }
is_cold() { ! warm; }
check "memory for the next file is held warm" wait_for 10 warm
mkdir "$mnt/snap-warm"
wait_for 5 is_link "$mnt/snap-warm/memory.bin"
exec 9<>"$mnt/snap-warm/memory.bin" # or it is touched again for the next
check "and let go for its writer" wait_for 5 is_cold
exec 9>&-
rmdir "$mnt/snap-warm" 2>/dev/null || rm -r "$mnt/snap-warm"

# sparse: holes stay holes
mkdir "$mnt/snap-2"
sleep 0.05
truncate -s 512M "$mnt/snap-2/memory.bin"
dd if="$work/a" of="$mnt/snap-2/memory.bin" bs=4096 count=3 seek=1000 conv=notrunc status=none
cp --sparse=always "$mnt/snap-2/memory.bin" "$work/sparse"
check "a sparse file is exported" wait_for 10 is_file "$mnt/snap-2/memory.bin"
check "with the same bytes" same_bytes "$work/sparse" "$mnt/snap-2/memory.bin"
check "and its holes" test "$(stat -c %b "$mnt/snap-2/memory.bin")" -lt 1024

# a size that is no multiple of a block
mkdir "$mnt/snap-3"
sleep 0.05
head -c 1000001 "$work/b" >"$mnt/snap-3/memory.bin"
check "an odd size is exported" wait_for 10 is_file "$mnt/snap-3/memory.bin"
check "with that size and those bytes" cmp -n 1000001 "$work/b" "$mnt/snap-3/memory.bin"
check "not a byte more" equals "$(stat -c %s "$mnt/snap-3/memory.bin")" 1000001

# a writer that opens it again before the export is done
mkdir "$mnt/snap-4"
sleep 0.05
cp "$work/a" "$mnt/snap-4/memory.bin"
exec 9<>"$mnt/snap-4/memory.bin"
sleep 0.5
check "no export while a writer has it open" is_link "$mnt/snap-4/memory.bin"
dd if="$work/b" of=/proc/self/fd/9 bs=1M conv=notrunc status=none
exec 9>&-
check "exported when it is closed" wait_for 10 is_file "$mnt/snap-4/memory.bin"
check "with what was written last" same_bytes "$work/b" "$mnt/snap-4/memory.bin"

# a storm of reopeners: whatever was written last is what stays
mkdir "$mnt/snap-5"
sleep 0.05
cp "$work/a" "$mnt/snap-5/memory.bin"
for i in $(seq 60); do
	printf '%04d' "$i" | dd of="$mnt/snap-5/memory.bin" bs=4 count=1 conv=notrunc status=none
	sleep 0.0$((RANDOM % 10))
done
check "exported behind many reopenings" wait_for 10 is_file "$mnt/snap-5/memory.bin"
check "the last write is in it" equals "$(head -c 4 "$mnt/snap-5/memory.bin")" 0060
check "the rest is right" cmp -i 4 "$work/a" "$mnt/snap-5/memory.bin"

# directories that move and vanish
mkdir "$mnt/snap-6"
sleep 0.05
cp "$work/a" "$mnt/snap-6/memory.bin"
mv "$mnt/snap-6" "$mnt/moved"
check "a directory that was moved gets its file" wait_for 10 is_file "$mnt/moved/memory.bin"
check "whole" same_bytes "$work/a" "$mnt/moved/memory.bin"
mkdir "$mnt/snap-7"
sleep 0.05
exec 9<>"$mnt/snap-7/memory.bin"
rm -rf "$mnt/snap-7"
exec 9>&-
check "a deleted directory is noticed" wait_for 10 eval '[ "$(state_of snap-7 state)" = "deleted by its owner" ]'
check "and its memory freed" equals "$(ram)" 0

# somebody puts a file of his own in the place of the link
mkdir "$mnt/snap-8"
sleep 0.05
exec 9<>"$mnt/snap-8/memory.bin"
rm "$mnt/snap-8/memory.bin"
echo mine >"$mnt/snap-8/memory.bin"
exec 9>&-
sleep 2
check "another's file is left alone" equals "$(cat "$mnt/snap-8/memory.bin")" mine

# no space: kept in memory, tried again
fallocate -l 2G "$mnt/filler" 2>/dev/null || dd if=/dev/zero of="$mnt/filler" bs=1M status=none 2>/dev/null
write_like_firecracker "$mnt/snap-9" "$work/a"
check "no space is reported" wait_for 10 eval 'state_of snap-9 state | grep -q "no space"'
check "the memory copy is still read" same_bytes "$work/a" "$mnt/snap-9/memory.bin"
check "no half file is left" equals "$(ls -A "$mnt/snap-9")" memory.bin
check "revert without space loses nothing" exits_with 1 revert
check "the memory copy is still read" same_bytes "$work/a" "$mnt/snap-9/memory.bin"
rm "$mnt/filler"
check "revert with space" revert
check "brings it home" same_bytes "$work/a" "$mnt/snap-9/memory.bin"
check "nothing is left" nothing_left
check "revert twice" revert

# the budget
apply --mitigation memfd --memory 8M "$mnt"
write_like_firecracker "$mnt/snap-10" "$work/a"
check "over the budget: on disk" is_file "$mnt/snap-10/memory.bin"
check "with a warning" says "the memory budget is used up" status_text
revert

# kill -9 at many moments of many exports
head -c $((160 << 20)) /dev/urandom >"$work/big"
whole=0 tried=0 mid=0
for i in $(seq 12); do
	apply --mitigation memfd "$mnt"
	pid=$(guard_pid)
	mkdir "$mnt/kill-$i"
	sleep 0.05
	cp "$work/big" "$mnt/kill-$i/memory.bin"
	wait_for 5 test -e "$mnt/kill-$i/.memory.bin.flatpause"
	sleep 0.$(printf '%03d' $((RANDOM % 400)))
	kill -9 "$pid"
	[ -L "$mnt/kill-$i/memory.bin" ] && mid=$((mid + 1))
	timeout 60 "$fixer" revert "$mnt"
	tried=$((tried + 1))
	is_file "$mnt/kill-$i/memory.bin" && same_bytes "$work/big" "$mnt/kill-$i/memory.bin" &&
		nothing_left && whole=$((whole + 1))
	rm -rf "$mnt/kill-$i"
done
echo "# $mid of $tried guards died before the rename" >&2
check "12 of 12 files are whole after kill -9 and revert" equals "$whole" 12
check "some of them died before the rename" test "$mid" -gt 0

# a writer that is still there when the guard goes
apply --mitigation memfd "$mnt"
mkdir "$mnt/snap-11"
sleep 0.05
(exec 9<>"$mnt/snap-11/memory.bin"; cat "$work/a" >&9; sleep 2) &
writer=$!
sleep 0.3
check "revert waits for a writer" revert
wait $writer
check "and has all of it" same_bytes "$work/a" "$mnt/snap-11/memory.bin"

# another user: passes through to its own directory, and to no other
apply --mitigation memfd "$mnt"
mkdir "$mnt/users"
install -d -o 65534 -g 65534 "$mnt/snap-12"
sleep 0.05
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
check "nobody lists our memory" not as_nobody sh -c 'ls /dev/shm/flatpause-*'
revert
check "nothing is left at the end" nothing_left
check "the device can be unmounted" umount "$mnt"
done_testing
