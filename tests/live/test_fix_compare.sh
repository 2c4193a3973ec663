#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A guard that is killed while it compares a file with its memory: the next one, or a revert, compares it
# again, and a disk that did not keep what was written to it is found out.
. "$(dirname "$0")/fix_lib.sh"

size=$((4 << 20))
new_fs 300M
loop=$(findmnt -no SOURCE "$mnt")
head -c $size /dev/urandom >"$work/a"
guard() { apply --mitigation memfd --export-rate "$1" "$mnt" 2>/dev/null; }
is() { [ "$(state_of "$1" "$2")" = "$3" ]; }
is_settled() { is "$1" settled true; }

# Killed with the file at its place and its comparison under way, which takes half a second: again where
# this machine stood still for longer.
kill_in_comparison() { # DIR
	local pid try
	for try in 1 2 3; do
		guard 8M
		pid=$(guard_pid)
		mkdir "$mnt/$1"
		sleep 0.05
		cp "$work/a" "$mnt/$1/memory.bin"
		wait_for 15 grep -aq '"state":"durable"' "$FLATPAUSE_STATE_DIR"/*.journal
		kill -9 "$pid"
		! is "$1" settled false || break
		revert 2>/dev/null
		rm -r "${mnt:?}/$1"
	done
	memory=$(find $(sort -u "$work/memory-dirs") -name memory.bin -size +0 2>/dev/null)
	check "$1: killed while it compared" is "$1" settled false
	check "$1: it is at its place" is_file "$mnt/$1/memory.bin"
	check "$1: and in memory" same_bytes "$work/a" "$memory"
}
on_disk_whole() { dd if="$1" bs=1M iflag=direct status=none | cmp - "$work/a"; }
damage() { # FILE: behind the file system's back
	local block
	sync -f "$1"
	block=$(filefrag -b4096 -v "$1" | awk '$1 == "0:" { sub(/\.\./, "", $4); print $4 }')
	head -c 4096 /dev/urandom | dd of="$loop" bs=4096 seek="$block" conv=notrunc,fsync status=none
}

kill_in_comparison whole
check "the next guard" guard 1G
check "compares it again" wait_for 10 is_settled whole
check "finds it whole" is whole read_back true
check "and lets its memory go" wait_for 5 not test -e "$memory"
check "it is whole" same_bytes "$work/a" "$mnt/whole/memory.bin"
revert 2>/dev/null

kill_in_comparison damaged
damage "$mnt/damaged/memory.bin"
check "the next guard" guard 1G
check "finds what the disk did" wait_for 10 says "damaged/memory.bin: the disk does not give back" status_text
check "makes it again" wait_for 15 is_settled damaged
check "it is whole" same_bytes "$work/a" "$mnt/damaged/memory.bin"
check "on the disk too" on_disk_whole "$mnt/damaged/memory.bin"
check "and lets its memory go" wait_for 5 not test -e "$memory"
revert 2>/dev/null

kill_in_comparison reverted
damage "$mnt/reverted/memory.bin"
check "a revert finds what the disk did" says "reverted/memory.bin: the disk does not give back" revert
check "and makes it again" same_bytes "$work/a" "$mnt/reverted/memory.bin"
check "nothing is left" nothing_left

# what its owner has changed since is his; and a late writer's bytes are the later ones
kill_in_comparison owned
echo his >>"$mnt/owned/memory.bin"
check "the next guard" guard 1G
check "leaves its owner what he changed" wait_for 10 is_settled owned
check "to the last byte" equals "$(tail -c 4 "$mnt/owned/memory.bin")" his
revert 2>/dev/null
kill_in_comparison late
exec 9<>"$memory"
check "the next guard" guard 1G
check "brings the link back for a writer" wait_for 5 is_link "$mnt/late/memory.bin"
echo late >&9
exec 9>&-
check "and what he wrote to disk" wait_for 15 is_settled late
check "it is what he wrote" equals "$(head -c 5 "$mnt/late/memory.bin")" late
revert 2>/dev/null

# renamed by its owner meanwhile
kill_in_comparison moved
mkdir "$mnt/elsewhere"
mv "$mnt/moved/memory.bin" "$mnt/elsewhere/renamed"
check "the next guard" guard 1G
check "finds what was moved" wait_for 10 is_settled moved
check "and compares it" is moved read_back true
check "it stays where it is" same_bytes "$work/a" "$mnt/elsewhere/renamed"
revert 2>/dev/null

# damaged too: that its ctime moved does not make it his, and only he can tell
kill_in_comparison strayed
mv "$mnt/strayed/memory.bin" "$mnt/elsewhere/strayed"
chmod 600 "$mnt/elsewhere/strayed"
damage "$mnt/elsewhere/strayed"
check "the next guard" guard 1G
check "does not call it his" wait_for 10 says "elsewhere/strayed is not what was written to it" "$fixer" status
check "nor settled" not is_settled strayed
kill -9 "$(guard_pid)"
check "a revert does not either" says "elsewhere/strayed is not what was written to it" not revert
check "its memory is kept" same_bytes "$work/a" "$memory"
rm "$memory"
check "until he has decided" revert 2>/dev/null
check "nothing is left" nothing_left

# he wrote to it later than somebody cut its memory: what that has now is nothing to go by
kill_in_comparison cut
truncate -s 1000001 "$memory"
sleep 0.05 # later by the clock of their ctimes, which ticks every 10 ms at most
echo his >>"$mnt/cut/memory.bin"
check "a revert leaves it to him" revert 2>/dev/null
check "all of it" equals "$(stat -c %s "$mnt/cut/memory.bin")" $((size + 4))
check "to the last byte" equals "$(tail -c 4 "$mnt/cut/memory.bin")" his
check "nothing is left" nothing_left

# its memory is gone too, as behind a reboot: that is told, and it is not called durable
kill_in_comparison gone
rm "$memory"
check "the next guard" guard 1G
check "tells that it cannot be compared" says "gone/memory.bin was synced and never compared" status_text
check "and does not call it durable" is gone state "on disk, not compared"
revert 2>/dev/null
check "nothing is left" nothing_left
check "the device can be unmounted" umount "$mnt"
done_testing
