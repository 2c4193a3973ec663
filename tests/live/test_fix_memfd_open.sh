#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# One file in memory for a writer that is told where: opened, written, exported, closed; and what
# must be refused.
. "$(dirname "$0")/fix_lib.sh"

bytes=$((4 << 20))
new_fs 256M
head -c $bytes /dev/urandom >"$work/a"
head -c $bytes /dev/urandom >"$work/b"
memfd() { timeout 60 "$fixer" memfd "$@"; }
opened() { target=$(memfd open "$@" 2>"$work/err"); }
holder() { basename "$(dirname "$(dirname "$1")")"; }
is_gone() { ! kill -0 "$1" 2>/dev/null; }
write_it() { dd if="$1" of="$2" bs=1M conv=notrunc,fsync status=none; }
no_state() { [ -z "$(ls "$FLATPAUSE_STATE_DIR")" ] && [ -z "$(find "$mnt" -name '.*.flatpause' -o -type l)" ]; }
refused() { # refused WHY ARGS...: exits with an error that says why, and leaves nothing
	local why=$1
	shift
	! memfd "$@" >"$work/out" 2>"$work/err" && grep -q "$why" "$work/err" && [ ! -s "$work/out" ] ||
		{ cat "$work/err" "$work/out" >&2; return 1; }
}

mkdir "$mnt/d"
p=$mnt/d/memory.bin

# by a path to hand on
check "open" opened "$p" --size $bytes
check "the path is a holder's descriptor" test -e "$target"
check "nothing is at the real path yet" not test -e "$p"
check "nothing is in use yet" equals "$(memfd size "$p")" 0
check "a writer without O_TRUNC" write_it "$work/a" "$target"
check "in use: its blocks" equals "$(memfd size "$p")" $bytes
check "O_TRUNC is refused by the seal" not sh -c ": >'$target'"
check "a second open is refused" refused "is held already" open "$p" --size $bytes
check "status names it" says "memory.bin  in memory" "$fixer" status
check "export" memfd export "$p"
check "the file is there" same_bytes "$work/a" "$p"
check "the memory is still held" same_bytes "$work/a" "$target"
write_it "$work/b" "$target"
pid=$(holder "$target")
check "close brings what was written since" memfd close "$p"
check "the later bytes" same_bytes "$work/b" "$p"
check "its memory is free" wait_for 5 is_gone "$pid"
check "the size of what is closed is an error" refused "nothing is held for $p" size "$p"
check "closing twice is an error" refused "nothing is held for $p" close "$p"
check "nothing is left" no_state

# its size is asked for while it is closed: that, or an error, and nothing else
for i in 1 2 3 4 5 6 7 8; do
	opened "$mnt/d/asked" --size $bytes
	write_it "$work/a" "$target"
	for _ in 1 2 3 4 5 6; do memfd size "$mnt/d/asked" 2>>"$work/refusals"; done >>"$work/sizes" &
	memfd close "$mnt/d/asked"
	wait $!
done
check "a size asked for beside a close is right" equals "$(sort -u "$work/sizes")" $bytes
check "or refused" test "$(grep -c "nothing is held\|is closed" "$work/refusals")" = \
	$((48 - $(wc -l <"$work/sizes")))
rm "$mnt/d/asked"

# over a file that is there, by a link, with another size, and given up
opened "$p" --size $bytes --no-seal
write_it "$work/a" "$target"
check "until the export the old file is read" same_bytes "$work/b" "$p"
check "close replaces it" memfd close "$p"
check "by the new one" same_bytes "$work/a" "$p"
rm "$p"
check "open with a link" opened "$p" --size $bytes --link --no-seal
cp "$work/b" "$p"
check "a writer with O_TRUNC goes through the link" is_link "$p"
check "a reader before the export sees all of it" same_bytes "$work/b" "$p"
check "revert brings it home too" "$fixer" revert "$mnt/d"
check "a real file" is_file "$p"
check "with the bytes" same_bytes "$work/b" "$p"
rm "$p"
opened "$p" --size $bytes --link
check "close of what was never written" memfd close "$p"
check "leaves no file" not test -e "$p"
opened "$p" --size $bytes
write_it "$work/a" "$target"
check "close --discard" memfd close --discard "$p"
check "leaves no file either" not test -e "$p"
check "nothing is left" no_state

# a writer that is still at it
opened "$p" --size $bytes
exec 9<>"$target"
check "no export while a writer has it" refused "still being written" export "$p" --wait 300ms
exec 9>&-
write_it "$work/a" "$target"
echo mine >"$p"
check "another's file at the path is not replaced" refused "is kept" close "$p"
check "and left alone" equals "$(cat "$p")" mine
rm "$p"
check "then it goes" memfd close "$p"
check "whole" same_bytes "$work/a" "$p"
rm "$p"

# the exporter is killed at any of its steps; the holder has the bytes
whole=0 died=0
for i in $(seq 20); do
	opened "$p" --size $bytes $([ $((i % 2)) = 0 ] && echo --link)
	write_it "$work/a" "$([ $((i % 2)) = 0 ] && echo "$p" || echo "$target")"
	"$fixer" memfd close "$p" 2>/dev/null &
	sleep 0.0$(printf '%02d' $((i * 7 % 20)))
	kill -9 $! 2>/dev/null && died=$((died + 1))
	wait $! 2>/dev/null
	memfd close "$p" 2>"$work/err" || grep -q "nothing is held" "$work/err" || cat "$work/err" >&2
	same_bytes "$work/a" "$p" && is_file "$p" && no_state && whole=$((whole + 1))
	rm -f "$p"
done
echo "# $died of 20 exporters were killed" >&2
check "20 of 20 are whole after kill -9 of the exporter" equals $whole 20
opened "$p" --size $bytes --link
write_it "$work/a" "$p"
kill -9 "$(holder "$(readlink "$p")")"
check "a holder that was killed: lost, by name" refused "LOST: $p" close "$p"
check "and not for a file that is there" not test -e "$p"
check "nothing is left" no_state

# the budget
opened "$p" --size $bytes --memory 1M
check "beyond the budget: the path itself" equals "$target" "$p"
check "with a warning" grep -q "memory budget is used up" "$work/err"
opened "$mnt/d/one" --size $bytes --memory 6M
opened "$mnt/d/two" --size $bytes --memory 6M
check "it counts what is held already" equals "$target" "$mnt/d/two"
memfd close --discard "$mnt/d/one"
check "nothing is left" no_state

# whole directories, in the same words
check "memfd --links DIR" memfd --links "$mnt" --match 'mem.img' --memory 64M
check "a second controller is refused" refused "guarded already" "$mnt"
mkdir "$mnt/vm"
wait_for 5 is_link "$mnt/vm/mem.img"
write_it "$work/a" "$mnt/vm/mem.img"
check "a reader before the export sees all of it" same_bytes "$work/a" "$mnt/vm/mem.img"
mv "$mnt/vm/mem.img" "$mnt/vm/final.img"
check "under the name that its owner gave it" wait_for 10 is_file "$mnt/vm/final.img"
check "whole" same_bytes "$work/a" "$mnt/vm/final.img"
kill -9 "$(guard_pid)"
check "a dead guard of another --match is not gone on with" wait_for 5 refused "ended without clean-up" "$mnt"
check "revert" "$fixer" revert "$mnt"
check "nothing is left" no_state

# what must be refused
echo x >"$mnt/d/file"
ln "$mnt/d/file" "$mnt/d/hard"
ln -s file "$mnt/d/soft"
check "a link" refused "is a link" open "$mnt/d/soft" --size 1M
check "a file with two names" refused "other names" open "$mnt/d/file" --size 1M
check "a directory" refused "exists" open "$mnt/d" --size 1M
check "dots" refused "file name" open "$mnt/d/.." --size 1M
check "no directory" refused "No such" open "$mnt/nowhere/x" --size 1M
check "no size" exits_with 2 memfd open "$p"
check "size 0" exits_with 2 memfd open "$p" --size 0
check "size 2^63" exits_with 2 memfd open "$p" --size 9223372036854775808
check "a link where a file is" refused "exists" open "$mnt/d/file" --size 1M --link
rm "$mnt/d/hard" "$mnt/d/soft"
chown 65534 "$mnt/d/file"
check "another user's file" refused "another user" open "$mnt/d/file" --size 1M
mount -o remount,ro "$mnt"
check "a read-only file system" refused "Read-only" open "$p" --size 1M
mount -o remount,rw "$mnt"
opened "$p" --size $bytes
write_it "$work/a" "$target"
mount -o remount,ro "$mnt"
check "read-only behind the open: kept" refused "is kept" close "$p"
mount -o remount,rw "$mnt"
mv "$mnt/d" "$mnt/e"
ln -s /tmp "$mnt/d"
check "a directory swapped for a link" not timeout 20 "$fixer" revert --all
check "nothing went through it" not test -e /tmp/memory.bin
rm "$mnt/d"
mv "$mnt/e" "$mnt/d"
fallocate -l 1G "$mnt/filler" 2>/dev/null || dd if=/dev/zero of="$mnt/filler" bs=1M status=none 2>/dev/null
check "no space: kept" refused "is kept" close "$p"
rm "$mnt/filler"
printf 'X' | dd of="$(ls "$FLATPAUSE_STATE_DIR"/*.journal)" bs=1 seek=60 conv=notrunc status=none
check "a damaged journal is refused" refused "refused the journal" close "$p"
check "and its memory is still there" same_bytes "$work/a" "$target"
kill "$(holder "$target")"
rm "$FLATPAUSE_STATE_DIR"/*
check "nothing is left" no_state
check "the device can be unmounted" umount "$mnt"
done_testing
