#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# `fix prealloc`: exact size, real blocks, all or nothing; and paths that somebody else prepared.
. "$(dirname "$0")/fix_lib.sh"

new_fs 64M
pre() { timeout 30 "$fixer" prealloc "$@"; }
blocks() { stat -c %b "$1"; }
snap=$mnt/snap
mkdir "$snap"
empty=$(df --output=used "$mnt" | tail -1)
used() { df --output=used "$mnt" | tail -1; }

check "a new file" pre "$snap/memory.bin" --size 8M
check "has its exact size" equals "$(stat -c %s "$snap/memory.bin")" $((8 << 20))
check "and all blocks" test "$(blocks "$snap/memory.bin")" -ge $((8 << 11))
check "of zeros" cmp -n $((8 << 20)) "$snap/memory.bin" /dev/zero
check "as large as another" pre "$snap/second.bin" --size-of "$snap/memory.bin"
check "and it is" equals "$(stat -c %s "$snap/second.bin")" $((8 << 20))
check "a size that is no multiple of anything" pre "$snap/odd" --size 1234567
check "is exact" equals "$(stat -c %s "$snap/odd")" 1234567
check "JSON" eval 'pre "$snap/json" --size 1M --json | jq -e ".allocated_bytes >= 1048576" >/dev/null'
rm "$snap"/*

head -c 3M /dev/urandom >"$work/data"
cp "$work/data" "$snap/old"
check "an existing file" pre "$snap/old" --size 8M
check "grows to the size" equals "$(stat -c %s "$snap/old")" $((8 << 20))
check "keeps its bytes" cmp -n $((3 << 20)) "$work/data" "$snap/old"
check "again: nothing to do, no error" pre "$snap/old" --size 8M
check "smaller: refused" exits_with 1 pre "$snap/old" --size 4M
check "and not cut" equals "$(stat -c %s "$snap/old")" $((8 << 20))
rm "$snap/old"

check "no space: an error" exits_with 1 pre "$snap/big" --size 4G
check "nothing is left" eval '[ -z "$(ls -A "$snap")" ]'
check "no block either" equals "$(used)" "$empty"
truncate -s 48M "$snap/sparse"
dd if="$work/data" of="$snap/sparse" bs=1M seek=20 conv=notrunc status=none
sync -f "$snap"
head -c 20M /dev/zero >"$mnt/filler"
sync -f "$snap"
before=$(blocks "$snap/sparse")
check "no space for an existing file: an error" exits_with 1 pre "$snap/sparse" --size 60M
sync -f "$snap"
check "its size is as before" equals "$(stat -c %s "$snap/sparse")" $((48 << 20))
# the file system may keep a block of its extent tree
check "its holes are holes again" test "$(blocks "$snap/sparse")" -le $((before + 16))
check "its bytes are right" eval 'cmp "$work/data" <(tail -c +$(((20 << 20) + 1)) "$snap/sparse" | head -c 3M)'
rm "$snap/sparse" "$mnt/filler"

check "zero bytes: usage" exits_with 2 pre "$snap/x" --size 0
check "2^63: usage" exits_with 2 pre "$snap/x" --size 9223372036854775808
check "2^64: usage" exits_with 2 pre "$snap/x" --size 18446744073709551616
check "no number: usage" exits_with 2 pre "$snap/x" --size much
check "no size: usage" exits_with 2 pre "$snap/x"
check "two sizes: usage" exits_with 2 pre "$snap/x" --size 1M --size-of "$work/data"
check "size of a directory: usage" exits_with 2 pre "$snap/x" --size-of "$mnt"
check "a directory as PATH: usage" exits_with 2 pre "$snap/" --size 1M
check "no such directory" exits_with 1 pre "$mnt/none/x" --size 1M

echo keep >"$work/victim"
ln -s "$work/victim" "$snap/link"
check "a link as the file is not followed" exits_with 1 pre "$snap/link" --size 1M
ln -s "$work" "$mnt/detour"
check "a link on the way is not followed" exits_with 1 pre "$mnt/detour/victim" --size 1M
check "what it led to is untouched" equals "$(cat "$work/victim")" keep
echo keep >"$snap/a"
ln "$snap/a" "$snap/b"
check "a file with two names is refused" exits_with 1 pre "$snap/a" --size 1M
mkfifo "$snap/fifo"
check "a fifo is refused, and does not hold us" exits_with 1 pre "$snap/fifo" --size 1M
install -o 12345 -m 666 "$work/victim" "$snap/foreign"
check "a file of somebody else is refused" exits_with 1 pre "$snap/foreign" --size 1M
check "no such file is changed" equals "$(cat "$snap/a" "$snap/foreign" | tr '\n' ' ')" "keep keep "
chown 12345:12346 "$snap"
check "a new file" pre "$snap/theirs" --size 1M
check "belongs to the owner of its directory" equals "$(stat -c %u:%g "$snap/theirs")" 12345:12346

mount -o remount,ro "$mnt"
check "read-only: an error" exits_with 1 pre "$snap/y" --size 1M
mount -o remount,rw "$mnt"

mkdir "$work/ram"
mount -t ramfs none "$work/ram"
check "no fallocate there: a warning" says "cannot allocate ahead" pre "$work/ram/z" --size 1M
check "and success" pre "$work/ram/z2" --size 1M
check "with the size" equals "$(stat -c %s "$work/ram/z2")" $((1 << 20))
umount "$work/ram"

# killed at any point: the file is whole or is not there
for i in $(seq 40); do
	rm -f "$snap/k"
	"$fixer" prealloc "$snap/k" --size 16M >/dev/null 2>&1 &
	pid=$!
	sleep "0.00$((RANDOM % 6))$((RANDOM % 10))"
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
	[ ! -e "$snap/k" ] || [ "$(blocks "$snap/k")" -ge $((16 << 11)) ] || break
done
check "killed at any point: whole or not there" equals "$i $(ls -A "$snap" | grep -c flatpause)" "40 0"
done_testing
