#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# `fix guard`: every way in which a VMM or a copier writes, and where its extents were meanwhile.
. "$(dirname "$0")/fix_lib.sh"
writer=$(realpath "$out")/lab/vmm_writer
[ -x "$writer" ] || {
	skip "fix guard" "no lab tools; 'make tools' builds them"
	done_testing
}
size=$((4 << 20))
guard= # its process

guard() { # guard [option...]: in the background, armed when this returns
	"$fixer" guard "$@" "$mnt" 2>>"$work/guard.log" &
	guard=$!
	wait_for 10 alive
}
alive() { [ "$("$fixer" status --json | jq '[.guards[] | select(.alive)] | length')" = "${1:-1}" ]; }
end_guard() {
	kill -TERM "$guard" 2>/dev/null
	wait "$guard"
}
field() { awk -v w="$2" -v k="$3" '$1 == w { for (i = 2; i < NF; i++) if ($i == k) print $(i + 1) }' "$work/$1.said"; }
closed() { [ "$(state_of "$1" state)" = closed ]; }

# run_mode NAME: writes NAME's way into a new directory (the planted or new file), or over what is there
run_mode() { # MODE DIR
	mkdir -p "$mnt/$2"
	"$writer" "$1" "$mnt/source" "$mnt/$2/memory.bin" >"$work/$2.said" &&
		wait_for 5 closed "$2"
}
allocated() { # DIR WHEN: all of it has its place, nothing is delayed
	[ "$(field "$1" "$2" delayed)" = 0 ] && [ "$(field "$1" "$2" mapped)" -ge $size ] || {
		cat "$work/$1.said" >&2
		return 1
	}
}
kept_at() { # NAME DIR
	check "$1: extents at the first write" allocated "$2" first
	check "$1: at fsync" allocated "$2" fsync
	check "$1: at close" allocated "$2" close
	check "$1: the guard says so" equals "$(state_of "$2" at_close)" "${3:-kept}"
	check "$1: the bytes are right" same_bytes "$mnt/source" "$mnt/$2/memory.bin"
}

new_fs 600M
head -c $size /dev/urandom >"$mnt/source"
modes="firecracker qemu cloud-hypervisor fs-copy copy-file-range sendfile splice direct mmap"

# ---- files that are not there before ----
guard --no-plant --size-from $size
for mode in $modes; do
	check "$mode: a new file" run_mode "$mode" "new-$mode"
	kept_at "$mode, new" "new-$mode"
done
check "the first write was seen as kept" equals "$(state_of new-firecracker at_first_write)" kept
# at leisure: a close right behind the fsync may be seen first, and lets the file go
mkfifo "$work/gate"
mkdir "$mnt/new-gated"
"$writer" firecracker "$mnt/source" "$mnt/new-gated/memory.bin" "$work/gate" >/dev/null &
fsync_seen() { [ "$(state_of new-gated at_fsync)" = kept ]; }
check "fsync was seen" wait_for 8 fsync_seen
: >"$work/gate"
wait $!
check "the answer came in time, or the allocation went on" eval \
	'[ "$(state_of new-qemu in_time)" = true ] || [ "$(state_of new-qemu at_first_write)" = kept ]'

# ---- the same files again: O_TRUNC undoes at open, the first write makes it again ----
for mode in qemu sendfile splice direct mmap; do
	check "$mode: over a file that is there" run_mode "$mode" "new-$mode"
	kept_at "$mode, O_TRUNC" "new-$mode" "allocated since"
	check "$mode, O_TRUNC: says what undid it" equals "$(state_of "new-$mode" at_first_write)" \
		"undone by O_TRUNC at open"
	check "$mode, O_TRUNC: made again" equals "$(state_of "new-$mode" redone)" true
done
check "the finding names the writer" says "undone by O_TRUNC at open from 'vmm_writer'" \
	"$fixer" status
end_guard
check "guard ends with status 0" equals $? 0
check "and leaves nothing" nothing_left
check "what was written stays" same_bytes "$mnt/source" "$mnt/new-qemu/memory.bin"

# ---- files from before the guard ----
guard
check "a file from before the guard, truncated by its writer" run_mode qemu new-firecracker
kept_at "before, O_TRUNC" new-firecracker "allocated since"
check "fs::copy over a file from before" run_mode fs-copy new-cloud-hypervisor
check "fs::copy: says what undid it" equals "$(state_of new-cloud-hypervisor at_first_write)" \
	"undone by O_TRUNC at open"
# whether the kernel asks before copy_file_range is its own affair; a silent loss is not
case $(state_of new-cloud-hypervisor redone) in
true) check "fs::copy: asked, and made again" allocated new-cloud-hypervisor first ;;
*) check "fs::copy: not asked, and said so" equals \
	"$(state_of new-cloud-hypervisor writer_call)" copy_file_range ;;
esac
check "fs::copy: the bytes are right" same_bytes "$mnt/source" "$mnt/new-cloud-hypervisor/memory.bin"
wait_for 5 test -e "$mnt/.flatpause/spare"
ino=$(stat -c %i "$mnt/.flatpause/spare")
check "a planted spare, O_TRUNC" run_mode qemu planted
check "it is the spare" equals "$(stat -c %i "$mnt/planted/memory.bin")" "$ino"
kept_at "planted, O_TRUNC" planted "allocated since"
# a reader in between changes nothing, nor that the spare may have the number of a file that is gone
for i in 1 2 3; do
	rm -rf "$mnt/planted" "$mnt"/read-*
	wait_for 5 test -e "$mnt/.flatpause/spare"
	mkdir "$mnt/read-$i" && wait_for 5 test -e "$mnt/read-$i/memory.bin"
	cat "$mnt/read-$i/memory.bin" >/dev/null
	check "a planted spare that was read, O_TRUNC" run_mode qemu "read-$i"
	kept_at "read, O_TRUNC" "read-$i" "allocated since"
done
# the same where a copy was made under another name
rm -rf "$mnt/read-3"
cp "$mnt/source" "$mnt/part" && mv "$mnt/part" "$mnt/memory.bin"
cat "$mnt/memory.bin" >/dev/null
check "a file that was renamed, O_TRUNC" run_mode qemu .
kept_at "renamed, O_TRUNC" . "allocated since"
# whoever only reads is not waited for, and what is deleted then gives its blocks back
cat "$mnt"/*/memory.bin "$mnt/memory.bin" >/dev/null
sync -f "$mnt"
used=$(df --output=used -k "$mnt" | tail -1)
rm -rf "$mnt"/new-* "$mnt/memory.bin"
freed() { sync -f "$mnt"; [ $((used - $(df --output=used -k "$mnt" | tail -1))) -ge $((8 * size / 1024)) ]; }
check "deleted files that were read give their blocks back" wait_for 8 freed
end_guard

# ---- sizes ----
guard --size-from ftruncate
check "ftruncate says the size" run_mode firecracker said
kept_at "ftruncate" said
check "it was made then" equals "$(state_of said preallocated)" "at ftruncate"
check "mmap says it too" run_mode mmap mapped
kept_at "ftruncate, mmap" mapped
end_guard
guard --size-from "$mnt/source" --no-plant
check "a file says the size" run_mode qemu by-file
kept_at "size of a file" by-file
head -c $((size * 2)) /dev/urandom >"$mnt/source.new" && mv "$mnt/source.new" "$mnt/source"
size=$((size * 2))
sleep 1.5
check "and its size now" run_mode qemu by-file-2
kept_at "size of a file that grew" by-file-2
end_guard
guard --match 'mem*.img' --size-from $size
mkdir "$mnt/other"
"$writer" qemu "$mnt/source" "$mnt/other/mem-1.img" >"$work/other.said"
check "a pattern: matches" allocated other first
"$writer" qemu "$mnt/source" "$mnt/other/disk.img" >"$work/disk.said"
check "a pattern: others are left alone" not allocated disk first
"$fixer" revert "$mnt" 2>/dev/null
end_guard
check "reverted under it: it ends" equals $? 0

# ---- two directories, two controllers ----
mkdir "$mnt/a" "$mnt/b"
"$fixer" guard --no-plant --size-from $size "$mnt/a" "$mnt/b" 2>>"$work/guard.log" &
guard=$!
check "two directories" wait_for 10 alive 2
check "a second controller is refused" says "is guarded already" timeout 20 "$fixer" guard "$mnt/a"
check "and undoes nothing of the first" alive 2
mkdir "$mnt/b/snap"
"$writer" qemu "$mnt/source" "$mnt/b/snap/memory.bin" >"$work/b.said"
check "the second directory is guarded" allocated b first
end_guard
check "nothing is left of both" nothing_left
check "no such directory: exit 1" exits_with 1 timeout 20 "$fixer" guard "$mnt/none"
check "no directory: usage" exits_with 2 "$fixer" guard
check "a size that is none: usage" exits_with 2 timeout 20 "$fixer" guard --size-from no-such-file "$mnt/a"
check "zero: usage" exits_with 2 timeout 20 "$fixer" guard --size-from 0 "$mnt/a"
check "2^63: usage" exits_with 2 timeout 20 "$fixer" guard --size-from 9223372036854775808 "$mnt/a"
check "nothing is left of these" nothing_left

# ---- many at once; killed; stuck ----
many() { # many PREFIX: 50 writers, 4 files each
	local i pids=()
	for i in $(seq 50); do
		for k in 1 2 3 4; do
			head -c 65536 "$mnt/source" >"$mnt/$1-$i-$k.bin" || exit 1
		done &
		pids+=($!)
	done
	wait "${pids[@]}"
}
whole() { [ "$(find "$mnt" -maxdepth 1 -name "$1-*.bin" -size 65536c | wc -l)" = 200 ]; }
start_many() { # in the background, while the guard has something to do
	many "$1" &
	many_pid=$!
	sleep 0.1
}
guard --match '*.bin' --no-plant --size-from 1M
check "200 files by 50 writers at once" many all
check "are all whole" whole all
guarded() { [ "$("$fixer" status --json | jq '[.guards[].files[] | select(.state == "closed")] | length')" -ge 200 ]; }
check "and were all guarded" wait_for 10 guarded
undone() { "$fixer" status --json | jq '[.guards[].files[] | select(.at_close != "kept" and .at_first_write != "not in time")] | length'; }
check "their extents were kept, or came late" equals "$(undone)" 0
check "what was too much is given back" test "$(stat -c %b "$mnt/all-1-1.bin")" -le 256
start_many killed
kill -9 "$(guard_pid)"
check "kill -9 under 50 writers: all end" wait $many_pid
check "their files are whole" whole killed
wait "$guard"
check "the parent says that it is gone" equals $? 1
check "nothing is left after kill -9" nothing_left

guard --match '*.bin' --no-plant --size-from 1M
kill -STOP "$(guard_pid)"
start_many stopped
check "SIGSTOP under 50 writers: all end" timeout 15 tail --pid=$many_pid -f /dev/null
check "their files are whole too" whole stopped
wait "$guard"
check "nothing is left after SIGSTOP" nothing_left
check "the device can be unmounted" umount "$mnt"
done_testing
