#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# fallocate by the guard: extents kept, undone, no space, no permission, no guard.
. "$(dirname "$0")/fix_lib.sh"
dead() { # gone, or waiting for its parent to notice
	[ ! -e "/proc/$1" ] || grep -q '^State:.*zombie' "/proc/$1/status"
}

new_fs 300M
head -c $size /dev/urandom >"$work/a"
write_like_firecracker "$mnt/snap-0" "$work/a"

check "apply returns when the watch is armed" apply --mitigation fallocate "$mnt"
check "a spare of the previous size is ready" equals "$(stat -c %s "$mnt/.flatpause/spare")" $size
check "it is really allocated" test "$(stat -c %b "$mnt/.flatpause/spare")" -ge $((size / 512))
check "a second instance on the directory is refused" says "is guarded already" apply \
	--mitigation memfd "$mnt"
check "with exit status 1" exits_with 1 apply --mitigation memfd "$mnt"

# block for block where the file lies on the disk; what a writer allocates itself lies elsewhere
blocks_of() {
	filefrag -v "$1" | tr -d : | awk '$1 ~ /^[0-9]+$/ { sub(/\.\./, "", $4)
		for (b = $4; b < $4 + $6; b++) print b }'
}
ino=$(stat -c %i "$mnt/.flatpause/spare")
write_like_firecracker "$mnt/snap-1" "$work/a"
check "the writer got the spare" equals "$(stat -c %i "$mnt/snap-1/memory.bin")" "$ino"
check "its bytes are right" same_bytes "$work/a" "$mnt/snap-1/memory.bin"
sleep 0.3
check "kept at the first write" equals "$(state_of snap-1 at_first_write)" kept
check "kept at close" equals "$(state_of snap-1 at_close)" kept
check "nothing was delayed" equals "$(state_of snap-1 extents_at_close.delayed_bytes)" 0

wait_for 5 test -e "$mnt/.flatpause/spare"
mkdir "$mnt/snap-2" # takes the spare; the next is not made while somebody writes
wait_for 5 test -e "$mnt/snap-2/memory.bin"
blocks_of "$mnt/snap-2/memory.bin" >"$work/blocks.before"
dd if="$work/a" of="$mnt/snap-2/memory.bin" bs=1M conv=notrunc,fsync status=none
blocks_of "$mnt/snap-2/memory.bin" >"$work/blocks.after"
check "there are blocks to compare" test "$(wc -l <"$work/blocks.before")" -ge 8192
check "the writer wrote into these very blocks" cmp "$work/blocks.before" "$work/blocks.after"

# like Rust's fs::copy: O_CREAT | O_TRUNC
wait_for 5 test -e "$mnt/.flatpause/spare"
mkdir "$mnt/snap-3"
cp "$work/a" "$mnt/snap-3/memory.bin"
sleep 0.3
check "an O_TRUNC is reported as what undid it" equals "$(state_of snap-3 at_first_write)" \
	"undone by O_TRUNC at open"
# ext4 flushes such a file when it is closed, once; a descriptor of ours must not use that up
check "ext4's own flush at close still happens" not eval \
	'filefrag -v "$mnt/snap-3/memory.bin" | grep -q delalloc'
check "the file is whole all the same" same_bytes "$work/a" "$mnt/snap-3/memory.bin"

# a name that no spare was planted for: space comes at open, the size stays the writer's
head -c 1000 "$work/a" >"$mnt/memory.bin"
sleep 0.3
check "a short file keeps its size" equals "$(stat -c %s "$mnt/memory.bin")" 1000
check "and no space behind its end" test "$(stat -c %b "$mnt/memory.bin")" -lt 4096
rm "$mnt/memory.bin"
exec 5<>"$mnt/memory.bin" # made at open; what is looked at while it is open is not known at its close
head -c 65536 "$work/a" >&5
check "its first write is seen when it happens" wait_for 5 eval \
	'[[ $(state_of . extents_at_first_write.unwritten_bytes | tail -1) =~ ^[1-9] ]]'
exec 5>&-
rm "$mnt/memory.bin"

wait_for 5 test -e "$mnt/.flatpause/spare"
mkdir "$mnt/snap-4" # a BRANCH that fails before it writes
wait_for 5 test -e "$mnt/snap-4/memory.bin"
check "revert" revert
check "a planted spare that nobody wrote to is gone" not test -e "$mnt/snap-4/memory.bin"
check "nothing is left" nothing_left
check "revert twice" revert
check "what was written stays" same_bytes "$work/a" "$mnt/snap-1/memory.bin"

check "no space: exit 1" exits_with 1 apply --mitigation fallocate --size-from 10G "$mnt"
check "no space: a clear message" says "cannot preallocate" apply --mitigation fallocate \
	--size-from 10G "$mnt"
check "no space: nothing is left" nothing_left

# names that are no UTF-8, of the guarded directory and of what its writers make
odd=$mnt/$'latin \xe4'
kept_by_name() { "$fixer" status --json | jq -e '.guards[0].files[] | select(.name == "m\\xff") | .at_close == "kept"'; }
mkdir "$odd"
check "a directory of any name" apply --mitigation fallocate --match $'m\xff*' --size-from $size "$odd"
check "is told in status" says 'latin \xe4: fallocate' "$fixer" status
cat "$work/a" >"$odd/"$'m\xff'
check "and what became of a file of any name" wait_for 5 eval 'kept_by_name >/dev/null'
check "and reverted" timeout 60 "$fixer" revert "$odd"
check "nothing is left" nothing_left

# --redo: again at the first write behind an O_TRUNC
apply --mitigation fallocate --redo "$mnt"
mkdir "$mnt/snap-5"
wait_for 5 test -e "$mnt/snap-5/memory.bin"
dd if="$work/a" of="$mnt/snap-5/memory.bin" bs=1M status=none
sleep 0.3
check "redo: says that it was undone" equals "$(state_of snap-5 at_first_write)" \
	"undone by O_TRUNC at open"
check "redo: and made again" equals "$(state_of snap-5 redone)" true
check "redo: nothing was delayed" equals "$(state_of snap-5 extents_at_close.delayed_bytes)" 0
check "redo: the bytes are right" same_bytes "$work/a" "$mnt/snap-5/memory.bin"
revert
apply --mitigation fallocate --redo --no-plant --size-from $size "$mnt"
mkdir "$mnt/snap-6"
: >"$mnt/snap-6/memory.bin" # by an orchestrator; the mark of that open is there at the next
wait_for 5 eval '[ -n "$(state_of snap-6 at_close)" ]'
cat "$mnt/snap-6/memory.bin"
dd if="$work/a" of="$mnt/snap-6/memory.bin" bs=1M status=none
sleep 0.3
check "redo: so is one that was made empty and read before" equals "$(state_of snap-6 redone | tail -1)" true
revert

# killed: writers go on, revert cleans up
apply --mitigation fallocate "$mnt"
kill -9 "$(guard_pid)"
check "a writer goes on without the guard" timeout 5 cp "$work/a" "$mnt/snap-1/memory.bin"
check "apply over a dead guard is refused" says "ended without clean-up" apply \
	--mitigation fallocate "$mnt"
journal=$(ls "$FLATPAUSE_STATE_DIR"/*.journal)
cp "$journal" "$work/good"
printf 'X' | dd of="$journal" bs=1 seek=40 conv=notrunc status=none
check "a damaged journal is refused" says "refused the journal" revert
check "with exit status 1" exits_with 1 revert
check "and kept" test -e "$journal"
cp "$work/good" "$journal"
check "revert after kill -9" revert
check "nothing is left after it" nothing_left

# stuck: the watchdog ends it, and the writer's open goes through
apply --mitigation fallocate "$mnt"
pid=$(guard_pid)
kill -STOP "$pid"
check "a stuck guard does not hold a writer for good" timeout 10 cp "$work/a" \
	"$mnt/snap-1/memory.bin"
check "it was the watchdog that ended it" dead "$pid"
revert

# interrupted in the foreground
"$fixer" apply --mitigation fallocate --foreground "$mnt" 2>/dev/null &
fg=$!
wait_for 5 test -e "$mnt/.flatpause/spare"
sleep 0.3
kill -INT $fg
wait $fg
check "SIGINT ends the guard in order" equals $? 0
revert
check "nothing is left after SIGINT" nothing_left

# hostile
ln -s /tmp "$mnt/.flatpause"
check "a link in the place of our directory is refused" says "is not ours" apply \
	--mitigation fallocate "$mnt"
rm -f "$mnt/.flatpause"
check "'/' is never guarded" exits_with 2 apply --mitigation fallocate /
check "unknown mitigation: usage" exits_with 2 apply --mitigation magic "$mnt"
check "a pattern with a slash: usage" exits_with 2 apply --mitigation memfd --match ../x "$mnt"
check "not root: exit 3" exits_with 3 setpriv --reuid 65534 --clear-groups "$fixer" apply \
	--mitigation fallocate "$mnt"

# tmpfs
mkdir "$work/ram"
check "a tmpfs gets a warning" says "changes nothing there" apply --mitigation fallocate \
	"$work/ram"
write_like_firecracker "$work/ram/snap-1" "$work/a"
check "and its writer goes on" same_bytes "$work/a" "$work/ram/snap-1/memory.bin"
check "revert there" timeout 20 "$fixer" revert "$work/ram"
check "the device can be unmounted" umount "$mnt"
done_testing
