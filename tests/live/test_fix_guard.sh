#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# `fix guard`: every way in which a VMM or a copier writes, and where its extents were meanwhile.
# An answer goes out within 2 ms, so on a busy machine a writer may be first. The guard says so of
# each such file (in_time), and only of those may the first write have been without its space.
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
late() { [ "$(state_of "$1" in_time)" = false ]; }
in_time_or_said() { # DIR: the space was there at the first write, or the guard says that it was late
	late "$1" || allocated "$1" first
}
one_of() { # VALUE EXPECTED...
	local value=$1 expected
	shift
	for expected; do
		[ "$value" = "$expected" ] && return
	done
	echo "'$value' is none of: $*" >&2
	return 1
}
# What is documented of a new file: in time and kept; or late, whatever the first write met then.
new_is_told() { # DIR
	if late "$1"; then
		one_of "$(state_of "$1" at_first_write)" kept "not seen" "not in time" "partly there"
	else
		equals "$(state_of "$1" at_first_write) $(state_of "$1" at_close)" "kept kept"
	fi
}
# ... and of a file that lost its space: made again, before its first write or said to be late
undone_is_told() { # DIR
	equals "$(state_of "$1" at_first_write)" "undone by O_TRUNC at open" &&
		equals "$(state_of "$1" redone)" true &&
		equals "$(state_of "$1" at_close)" "allocated since" &&
		{ late "$1" || equals "$(state_of "$1" in_time)" true; }
}
holds() { # NAME DIR new_is_told|undone_is_told
	check "$1: extents at the first write, or said to be late" in_time_or_said "$2"
	check "$1: at fsync" allocated "$2" fsync
	check "$1: at close" allocated "$2" close
	check "$1: the guard says so" "$3" "$2"
	check "$1: the bytes are right" same_bytes "$mnt/source" "$mnt/$2/memory.bin"
}
planted() { # DIR: a new directory, behind its planter
	mkdir "$mnt/$1" && wait_for 5 test -e "$mnt/$1/memory.bin"
}

new_fs 600M
head -c $size /dev/urandom >"$mnt/source"
modes="firecracker qemu cloud-hypervisor fs-copy copy-file-range sendfile splice direct mmap"

mkdir "$mnt/emptied"
: >"$mnt/emptied/old.bin" # old when it is written

# ---- files that are not there before ----
guard --no-plant --size-from $size
for mode in $modes; do
	check "$mode: a new file" run_mode "$mode" "new-$mode"
	holds "$mode, new" "new-$mode" new_is_told
done
# at leisure: a close right behind the fsync may be seen first, and lets the file go
mkfifo "$work/gate"
mkdir "$mnt/new-gated"
"$writer" firecracker "$mnt/source" "$mnt/new-gated/memory.bin" "$work/gate" >/dev/null &
fsync_seen() {
	if late new-gated; then
		one_of "$(state_of new-gated at_fsync)" kept allocated "allocated since"
	else
		equals "$(state_of new-gated at_fsync)" kept
	fi
}
check "fsync was seen" wait_for 8 fsync_seen
: >"$work/gate"
wait $!

# ---- the same files again: O_TRUNC undoes at open, the first write makes it again ----
for mode in qemu sendfile splice direct mmap; do
	check "$mode: over a file that is there" run_mode "$mode" "new-$mode"
	holds "$mode, O_TRUNC" "new-$mode" undone_is_told
done
check "the finding names the writer" says "undone by O_TRUNC at open from 'vmm_writer'" \
	status_text
end_guard
check "guard ends with status 0" equals $? 0
check "and leaves nothing" nothing_left
check "what was written stays" same_bytes "$mnt/source" "$mnt/new-qemu/memory.bin"

# ---- files from before the guard ----
guard
check "a file from before the guard, truncated by its writer" run_mode qemu new-firecracker
holds "before, O_TRUNC" new-firecracker undone_is_told
check "fs::copy over a file from before" run_mode fs-copy new-cloud-hypervisor
check "fs::copy: says what undid it" equals "$(state_of new-cloud-hypervisor at_first_write)" \
	"undone by O_TRUNC at open"
# whether the kernel asks before copy_file_range is its own affair; a silent loss is not
case $(state_of new-cloud-hypervisor redone) in
true) check "fs::copy: asked, and made again" in_time_or_said new-cloud-hypervisor ;;
*) check "fs::copy: not asked, and said so" equals \
	"$(state_of new-cloud-hypervisor writer_call)" copy_file_range ;;
esac
check "fs::copy: the bytes are right" same_bytes "$mnt/source" "$mnt/new-cloud-hypervisor/memory.bin"
wait_for 5 test -e "$mnt/.flatpause/spare"
ino=$(stat -c %i "$mnt/.flatpause/spare")
planted planted
check "a planted spare, O_TRUNC" run_mode qemu planted
check "it is the spare" equals "$(stat -c %i "$mnt/planted/memory.bin")" "$ino"
holds "planted, O_TRUNC" planted undone_is_told
# a reader in between changes nothing, nor that the spare may have the number of a file that is gone
for i in 1 2 3; do
	rm -rf "$mnt/planted" "$mnt"/read-*
	wait_for 5 test -e "$mnt/.flatpause/spare"
	planted "read-$i"
	cat "$mnt/read-$i/memory.bin" >/dev/null
	check "a planted spare that was read, O_TRUNC" run_mode qemu "read-$i"
	holds "read, O_TRUNC" "read-$i" undone_is_told
done
# nor do readers all the while
read_on() { while :; do cat "$mnt/read-4/memory.bin" >/dev/null; done; }
wait_for 5 test -e "$mnt/.flatpause/spare"
planted read-4
read_on &
reader=$!
check "a planted spare that is being read, O_TRUNC" run_mode qemu read-4
kill $reader && wait $reader 2>/dev/null
holds "being read, O_TRUNC" read-4 undone_is_told
# the same where a copy was made under another name
rm -rf "$mnt/read-4"
cp "$mnt/source" "$mnt/part" && mv "$mnt/part" "$mnt/memory.bin"
cat "$mnt/memory.bin" >/dev/null
check "a file that was renamed, O_TRUNC" run_mode qemu .
holds "renamed, O_TRUNC" . undone_is_told
# whoever only reads is not waited for, and what is deleted then gives its blocks back
cat "$mnt"/*/memory.bin "$mnt/memory.bin" >/dev/null
sync -f "$mnt"
used=$(df --output=used -k "$mnt" | tail -1)
rm -rf "$mnt"/new-* "$mnt/memory.bin"
freed() { sync -f "$mnt"; [ $((used - $(df --output=used -k "$mnt" | tail -1))) -ge $((8 * size / 1024)) ]; }
check "deleted files that were read give their blocks back" wait_for 8 freed
end_guard

# ---- a name of a file that is somewhere else too ----
mkdir "$work/elsewhere" "$mnt/linked" "$mnt/linked-later" "$mnt/linked-before"
blocks_of() { stat -c %b "$1"; }
: >"$mnt/private"
head -c 65536 "$mnt/source" >"$mnt/linked-before/memory.bin"
ln "$mnt/linked-before/memory.bin" "$mnt/private-before"
guard --no-plant --size-from 64M
ln "$mnt/private" "$mnt/linked/memory.bin"
exec 8>>"$mnt/linked/memory.bin"
check "the guard allocates nothing in it" equals "$(blocks_of "$mnt/private")" 0
exec 8>&-
check "nor says anything else of it" equals "$(state_of linked state)" ""
check "a file that had one before the guard: O_TRUNC" "$writer" qemu "$mnt/source" \
	"$mnt/linked-before/memory.bin"
check "is left alone" equals "$(state_of linked-before state)" ""
check "one that gets another later" run_mode qemu linked-later
ln "$mnt/linked-later/memory.bin" "$mnt/private-later"
"$writer" qemu "$mnt/source" "$mnt/linked-later/memory.bin" >/dev/null
check "is left alone from then on" equals "$(state_of linked-later redone)" null
check "its bytes are right" same_bytes "$mnt/source" "$mnt/private-later"
check "the first is told" says "linked-before/memory.bin has another name" status_text
check "and no other" equals "$(status_text | grep -o "has another name" | wc -l)" 1
end_guard
check "nothing is left" nothing_left
rm -r "$mnt"/linked* "$mnt"/private*

# ---- sizes ----
guard --size-from ftruncate
check "ftruncate says the size" run_mode firecracker said
holds "ftruncate" said new_is_told
check "it was made then" equals "$(state_of said preallocated)" "at ftruncate"
check "mmap says it too" run_mode mmap mapped
holds "ftruncate, mmap" mapped new_is_told
end_guard
guard --size-from "$mnt/source" --no-plant
check "a file says the size" run_mode qemu by-file
holds "size of a file" by-file new_is_told
head -c $((size * 2)) /dev/urandom >"$mnt/source.new" && mv "$mnt/source.new" "$mnt/source"
size=$((size * 2))
looked=0
looked_again() { # the guard looks at that file once a second
	looked=$((looked + 1))
	run_mode qemu "by-file-$looked" && [ "$(state_of "by-file-$looked" bytes)" = $size ]
}
check "and its size now" wait_for 10 looked_again
holds "size of a file that grew" "by-file-$looked" new_is_told
end_guard
guard --match 'mem*.img' --size-from $size
mkdir "$mnt/other"
"$writer" qemu "$mnt/source" "$mnt/other/mem-1.img" >"$work/other.said"
wait_for 5 closed other
check "a pattern: matches" in_time_or_said other
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
mkdir "$mnt/a/below"
check "one below it too" says "and $mnt/a/below is below it" timeout 20 "$fixer" guard "$mnt/a/below"
check "and one above it" says "and $mnt is above it" apply --mitigation memfd "$mnt"
check "they undo nothing either" alive 2
mkdir "$mnt/b/snap"
"$writer" qemu "$mnt/source" "$mnt/b/snap/memory.bin" >"$work/snap.said"
wait_for 5 closed snap
check "the second directory is guarded" in_time_or_said snap
end_guard
check "nothing is left of both" nothing_left

# reverted under it, and applied again by another: that one's is not undone at its end
"$fixer" guard --no-plant --size-from $size "$mnt/a" "$mnt/b" 2>>"$work/guard.log" &
guard=$!
wait_for 10 alive 2
"$fixer" revert "$mnt/a" 2>/dev/null
apply --mitigation fallocate --no-plant --size-from $size "$mnt/a"
check "another's guard in place of one of two" alive 2
end_guard
check "stays when the first controller ends" alive 1
check "and is of its directory" says "$mnt/a: fallocate" "$fixer" status
"$fixer" revert "$mnt/a" 2>/dev/null
check "nothing is left when it is reverted" nothing_left
mkdir "$mnt/gone"
cd "$mnt" || exit
"$fixer" guard --size-from $size gone 2>>"$work/guard.log" &
guard=$!
wait_for 10 alive
cd / && rm -r "$mnt/gone"
end_guard
check "a directory that is removed meanwhile ends in order" equals $? 0
check "nothing is left of it" nothing_left
check "no such directory: exit 1" exits_with 1 timeout 20 "$fixer" guard "$mnt/none"
check "no directory: usage" exits_with 2 "$fixer" guard
check "a size that is none: usage" exits_with 2 timeout 20 "$fixer" guard --size-from no-such-file "$mnt/a"
check "zero: usage" exits_with 2 timeout 20 "$fixer" guard --size-from 0 "$mnt/a"
check "2^63: usage" exits_with 2 timeout 20 "$fixer" guard --size-from 9223372036854775808 "$mnt/a"
check "nothing is left of these" nothing_left

# two at once, again and again: one is refused, and does not take the other's away
one_of_two() {
	local pids=() i
	for i in 1 2; do
		"$fixer" guard --no-plant --size-from $size "$mnt/a" 2>>"$work/guard.log" &
		pids+=($!)
	done
	wait -n "${pids[@]}"
	equals $? 1 && wait_for 10 alive 1 || return 1
	kill -TERM "${pids[@]}" 2>/dev/null
	wait "${pids[@]}" || true # one of them was refused
}
at_once=0
for _ in 1 2 3 4 5; do one_of_two && at_once=$((at_once + 1)); done
check "of two controllers at once one is in force" equals $at_once 5
check "nothing is left of them" nothing_left

# the first of its name
guard --match first.bin --no-plant
mkdir "$mnt/unknown"
"$writer" qemu "$mnt/source" "$mnt/unknown/first.bin" >"$work/unknown.said"
wait_for 5 closed unknown
check "whose size is not known is not said to be late" equals "$(state_of unknown at_first_write)" "no size known"
check "nor, when it is written back, to be kept" equals "$(state_of unknown at_close)" "no size known"
end_guard

# what was allocated in time, and was not what the writer needed, or was taken away
guard --match '*.bin' --no-plant --size-from 1M
check "a file that outgrows its space" run_mode qemu outgrown
outgrown_is_told() {
	if late outgrown; then
		one_of "$(state_of outgrown at_first_write)" kept "not seen" "not in time" "partly there"
	else
		equals "$(state_of outgrown at_first_write) $(state_of outgrown at_close)" "kept outgrown" &&
			says "larger than what was allocated: 8.0 MiB, and 1.0 MiB were" "$fixer" status
	fi
}
check "is not said to be late" outgrown_is_told
check "an empty old file, truncated by its writer" "$writer" qemu "$mnt/source" "$mnt/emptied/old.bin"
wait_for 5 closed emptied
check "is said to be undone" one_of "$(state_of emptied at_first_write)" "undone by O_TRUNC at open" \
	"$(late emptied && echo not in time)"
end_guard

# what it cannot undo at its end
guard --size-from 1M
mount -o remount,ro "$mnt"
end_guard
check "an end that cannot be undone: exit 1" equals $? 1
mount -o remount,rw "$mnt"
check "what it left is still to be undone" eval 'timeout 20 "$fixer" revert "$mnt" 2>&1 | grep -q "no longer in force"'
check "and nothing is left then" nothing_left

# ---- nobody reads what it says ----
mkfifo "$work/unread"
exec 6<>"$work/unread"
# more than a file of ext4 can have: refused at once, and no space is taken meanwhile
"$fixer" guard --no-plant --size-from 32T "$mnt/a" 2>&6 &
guard=$!
wait_for 10 alive
dd if=/dev/zero of="$work/unread" bs=4096 count=64 oflag=nonblock status=none 2>/dev/null
for i in 1 2 3; do
	mkdir "$mnt/a/unread-$i"
	timeout 20 "$writer" qemu "$mnt/source" "$mnt/a/unread-$i/memory.bin" >"$work/unread-$i.said"
done
check "a full pipe does not hold it up" wait_for 10 closed unread-3
check "what it had to say is in its status" says "unread-3/memory.bin: not preallocated" status_text
kill -TERM "$guard"
check "nor its end" timeout 20 tail --pid="$guard" -f /dev/null
exec 6>&-
check "nothing is left" nothing_left

# ---- what takes longer than an answer may ----
umount "$mnt"
new_fs 64G # sparse
head -c $size /dev/urandom >"$mnt/source"
guard --no-plant --size-from 48G
check "too large to be made in time" run_mode firecracker large
check "it goes on behind the answer" wait_for 10 late large
check "and the guard says so" new_is_told large
check "at close" allocated large close
check "the bytes are right" same_bytes "$mnt/source" "$mnt/large/memory.bin"
given_back() { [ $(($(stat -c %b "$mnt/large/memory.bin") * 512)) -le $((size + (1 << 20))) ]; }
check "nothing is left behind the file's end" wait_for 10 given_back
end_guard
new_fs 600M
head -c $size /dev/urandom >"$mnt/source"

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
untold() { # files of which neither is said that they were in time and kept, nor that they were late
	"$fixer" status --json | jq '[.guards[].files[] | select(
		(.in_time == true and .at_first_write == "kept" and .at_close == "kept" or
		 .in_time == false and IN(.at_first_write; "not seen", "kept", "not in time", "partly there")) | not)] | length'
}
check "their extents were kept, or are said to have come late" equals "$(untold)" 0
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
