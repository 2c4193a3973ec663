#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Where the bytes do not fit: memory and disk full at once, a quota, a disk that fails or is gone. What
# is in memory stays there until it fits, and nothing half is left.
. "$(dirname "$0")/fix_lib.sh"

head -c $((8 << 20)) /dev/urandom >"$work/a"
p=$mnt/held.bin
state_has() { state_of "$1" state | grep -q "$2"; }

# ---- /dev/shm full, in a mount namespace: this machine's is others' too ----

new_fs 64M
unshare --mount --propagation private sleep 600 &
ns=$!
inside() { nsenter --mount="/proc/$ns/ns/mnt" "$@"; }
wait_for 5 eval '[ "$(readlink /proc/$ns/ns/mnt)" != "$(readlink /proc/self/ns/mnt)" ]'
# the same paths inside: our own directory shows through the small tmpfs
small_shm='mkdir -p /run/fix-space.$$ && mount --rbind "$1" /run/fix-space.$$ &&
	mount -t tmpfs -o size=24M none /dev/shm && mkdir -p "$1" && mount --rbind /run/fix-space.$$ "$1" &&
	umount -l /run/fix-space.$$ && rmdir /run/fix-space.$$'
if inside sh -c "$small_shm" sh "$work"; then
	apply_inside() { inside timeout 20 "$fixer" apply --mitigation memfd "$@" "$mnt"; }
	revert_inside() { inside timeout 60 "$fixer" revert "$mnt"; }
	shm_is_empty() { [ -z "$(inside find /dev/shm -mindepth 1 -maxdepth 1 -name 'flatpause-*')" ]; }

	check "apply" apply_inside --size-from 32M --memory 512M
	mkdir "$mnt/toobig"
	sleep 0.3
	cp "$work/a" "$mnt/toobig/memory.bin"
	check "no room in /dev/shm: to disk" is_file "$mnt/toobig/memory.bin"
	check "with a warning" says "the tmpfs is full" status_text
	check "whole" same_bytes "$work/a" "$mnt/toobig/memory.bin"
	check "revert" revert_inside

	# it is full in the middle of a write: the writer is told, and what it has written stays
	check "apply" apply_inside --size-from 1M --memory 512M
	mkdir "$mnt/middle"
	wait_for 5 is_link "$mnt/middle/memory.bin"
	check "the writer gets ENOSPC" eval \
		'! inside dd if=/dev/zero of="$mnt/middle/memory.bin" bs=1M count=40 2>"$work/err" && grep -q "No space" "$work/err"'
	check "what it has written goes to disk" wait_for 10 is_file "$mnt/middle/memory.bin"
	check "all of it" test "$(stat -c %s "$mnt/middle/memory.bin")" -ge $((20 << 20))
	wait_for 10 eval '[ "$(state_of middle read_back)" = true ]' # who reads it keeps its blocks
	sleep 0.2
	rm -r "$mnt/middle"

	# and the disk too
	sync -f "$mnt" # what was removed counts as free only then
	fallocate -l "$(($(stat -fc '%a * %S' "$mnt") - (4 << 20)))" "$mnt/filler"
	mkdir "$mnt/both"
	wait_for 5 is_link "$mnt/both/memory.bin"
	inside cp "$work/a" "$mnt/both/memory.bin"
	check "no space on disk is told" wait_for 10 state_has both "no space"
	inside dd if=/dev/zero of=/dev/shm/filler bs=64k status=none 2>/dev/null
	mkdir "$mnt/neither"
	sleep 0.3
	check "both are full: its writer is told" eval '! cp "$work/a" "$mnt/neither/memory.bin" 2>/dev/null'
	rm -r "$mnt/neither"
	check "revert gives nothing up" exits_with 1 revert_inside
	check "the memory copy is whole" inside cmp "$work/a" "$mnt/both/memory.bin"
	check "nothing half is left" equals "$(ls -A "$mnt/both")" memory.bin
	rm "$mnt/filler"
	check "with space on disk it goes" revert_inside
	check "whole" same_bytes "$work/a" "$mnt/both/memory.bin"
	check "nothing is left" nothing_left
	check "nor in memory" shm_is_empty
else
	skip "a full /dev/shm" "no mount namespace of our own here"
fi
kill $ns
wait $ns 2>/dev/null
umount "$mnt"

# ---- quota: of a subvolume, as it holds for root too ----

if command -v mkfs.btrfs >/dev/null && { grep -qw btrfs /proc/filesystems || modprobe btrfs 2>/dev/null; }; then
	truncate -s 300M "$work/img2"
	mkfs.btrfs -q "$work/img2" >&2 && mount -o loop "$work/img2" "$mnt"
	btrfs quota enable "$mnt" && btrfs subvolume create "$mnt/v" >/dev/null
	quota() { btrfs qgroup limit "$1" "$mnt/v" && sync -f "$mnt/v"; }
	quota 6M
	vol=$mnt/v p=$mnt/v/held.bin
	vempty() { [ -z "$(ls -A "$vol")" ]; }
	over() { "$@" >"$work/out" 2>&1; local s=$?; [ $s -eq 1 ] && grep -q "quota" "$work/out" || { cat "$work/out" >&2; return 1; }; }
	check "prealloc over quota: exit 1" over "$fixer" prealloc "$vol/x" --size 32M
	check "nothing is left" vempty
	check "a spare over quota: exit 1" over "$fixer" apply --mitigation fallocate --size-from 32M "$vol"
	check "nothing is left" eval 'vempty && nothing_left'
	target=$("$fixer" memfd open "$p" --size 8M)
	dd if="$work/a" of="$target" bs=1M conv=notrunc status=none
	check "an export over quota: kept" over "$fixer" memfd close "$p"
	check "nothing half is left" vempty
	check "revert keeps it too" over "$fixer" revert "$vol"
	check "the memory copy is whole" same_bytes "$work/a" "$target"
	check "memfd DIR" apply --mitigation memfd --size-from 8M "$vol"
	mkdir "$vol/q"
	wait_for 5 is_link "$vol/q/memory.bin"
	cp "$work/a" "$vol/q/memory.bin"
	check "over quota: told" wait_for 10 state_has q "over quota"
	check "nothing half is left" equals "$(ls -A "$vol/q")" memory.bin
	quota none
	check "with the quota gone it goes" wait_for 15 is_file "$vol/q/memory.bin"
	check "whole" same_bytes "$work/a" "$vol/q/memory.bin"
	check "memfd close" "$fixer" memfd close "$p"
	check "whole" same_bytes "$work/a" "$p"
	check "revert" timeout 60 "$fixer" revert "$vol"
	check "nothing is left" nothing_left
	umount "$mnt"
	rm "$work/img2"
else
	skip "a quota" "needs btrfs and btrfs-progs (ext4's limits do not hold for root)"
fi

# ---- a disk that fails, and one that is gone ----

if command -v nbdkit >/dev/null && command -v nbdfuse >/dev/null && [ -c /dev/fuse ]; then
	p=$mnt/held.bin
	disk_with_errors 128M error-pwrite-rate=100% error-pread-rate=100%
	failed_mend() {
		rm -f "$work/fail"
		umount "$mnt"
		e2fsck -fy "$loop" >/dev/null 2>&1
		mount "$loop" "$mnt"
	}
	mkfs.ext4 -q -F "$loop" && mount "$loop" "$mnt"
	umount "$mnt" && blockdev --flushbufs "$loop"
	dd if="$work/fuse/disk" iflag=nocache count=0 status=none
	mount "$loop" "$mnt"
	touch "$work/fail"
	check "prealloc where bitmaps cannot be read: exit 1" exits_with 1 timeout 30 "$fixer" prealloc \
		"$mnt/x" --size 32M
	check "a spare neither" exits_with 1 apply --mitigation fallocate --size-from 32M "$mnt"
	failed_mend
	check "nothing is left" eval '[ ! -e "$mnt/x" ] && nothing_left'
	target=$("$fixer" memfd open "$p" --size 8M)
	dd if="$work/a" of="$target" bs=1M conv=notrunc status=none
	sync -f "$mnt"
	touch "$work/fail"
	check "write errors: memfd close keeps it" exits_with 1 timeout 60 "$fixer" memfd close "$p"
	check "the memory copy is whole" same_bytes "$work/a" "$target"
	failed_mend
	check "on the mended disk it goes" timeout 60 "$fixer" memfd close "$p"
	check "whole" same_bytes "$work/a" "$p"
	check "nothing is left" nothing_left

	check "a guard with a spare" apply --mitigation fallocate --size-from 1M "$mnt"
	target=$("$fixer" memfd open "$mnt/v.bin" --size 8M)
	dd if="$work/a" of="$target" bs=1M conv=notrunc status=none
	sync -f "$mnt"
	kill -9 "$(cat "$work/nbdkit.pid")"
	check "a disk that vanishes: memfd close keeps it" exits_with 1 timeout 60 "$fixer" memfd close "$mnt/v.bin"
	check "the memory copy is whole" same_bytes "$work/a" "$target"
	check "revert there: exit 1, and its journal is kept" eval \
		'exits_with 1 timeout 60 "$fixer" revert "$mnt" && [ -n "$(ls "$FLATPAUSE_STATE_DIR"/*.journal)" ]'
	kill "$(basename "$(dirname "$(dirname "$target")")")"
	drop_disk
	rm -rf "$FLATPAUSE_STATE_DIR"
	trap clean_up EXIT
else
	skip "disks that fail" "needs nbdkit, nbdfuse and /dev/fuse"
fi
done_testing
