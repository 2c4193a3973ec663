#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# memfd by a cover: whatever way a file is made below the directory, memory first, disk after. Once
# with the kernel's own way to the bytes, once with all of them through the server.
. "$(dirname "$0")/fix_lib.sh"
writer=$(realpath "$out")/lab/vmm_writer
[ -x "$writer" ] || {
	skip "fix memfd DIR" "no lab tools; 'make tools' builds them"
	done_testing
}
[ -c /dev/fuse ] || {
	skip "fix memfd DIR" "no /dev/fuse"
	done_testing
}
size=$((8 << 20))
covered() { grep -q " $mnt fuse.flatpause " /proc/self/mounts; }
uncovered() { ! covered; }
cover() { apply --mitigation memfd --cover "$@" "$mnt"; }
# A process that is not below the cover: what is really there.
real() { nsenter --target $outside --mount "$@"; }
in_memory() { real test -L "$1"; }
on_disk() { real test -f "$1" && ! real test -L "$1"; }
looks_real() { [ -f "$1" ] && [ ! -L "$1" ] && [ "$(stat -c %s "$1")" = "$2" ]; }
durable() { [ "$(state_of "$1" state)" = durable ]; }
server() { guard_pid; }
alive() { kill -0 "$1" 2>/dev/null; }

new_fs 1G
unshare --mount --propagation private sleep 1000 &
outside=$! # in a mount namespace from before the cover
trap 'kill $outside 2>/dev/null; clean_up' EXIT
head -c $size /dev/urandom >"$work/a"
head -c $size /dev/urandom >"$work/b"
mkdir "$mnt/sources"
cp "$work/a" "$work/b" "$mnt/sources" # copy_file_range wants one file system
modes="firecracker qemu cloud-hypervisor fs-copy copy-file-range sendfile splice direct mmap"

# Firecracker, QEMU, Cloud Hypervisor (O_EXCL) and the others: into a new file, over an old one
write_all_ways() { # NAME
	local mode
	for mode in $modes; do
		mkdir -p "$mnt/$1/$mode"
		check "$1, $mode: a new file" "$writer" "$mode" "$mnt/sources/a" "$mnt/$1/$mode/memory.bin"
		check "$1, $mode: is in memory" in_memory "$mnt/$1/$mode/memory.bin"
		check "$1, $mode: looks like a file" looks_real "$mnt/$1/$mode/memory.bin" $size
		check "$1, $mode: is read whole" same_bytes "$work/a" "$mnt/$1/$mode/memory.bin"
	done
	for mode in $modes; do
		check "$1, $mode: reaches the disk" wait_for 10 on_disk "$mnt/$1/$mode/memory.bin"
		check "$1, $mode: whole" same_bytes "$work/a" "$mnt/$1/$mode/memory.bin"
	done
	for mode in qemu sendfile splice direct mmap fs-copy; do
		check "$1, $mode: O_TRUNC over an old file" "$writer" "$mode" "$mnt/sources/b" \
			"$mnt/$1/$mode/memory.bin"
		check "$1, $mode: is in memory again" in_memory "$mnt/$1/$mode/memory.bin"
		check "$1, $mode: and read whole" same_bytes "$work/b" "$mnt/$1/$mode/memory.bin"
	done
	for mode in qemu sendfile splice direct mmap fs-copy; do
		check "$1, $mode: reaches the disk again" wait_for 10 on_disk \
			"$mnt/$1/$mode/memory.bin"
		check "$1, $mode: whole" same_bytes "$work/b" "$mnt/$1/$mode/memory.bin"
	done
	check "$1: no temporary file" equals "$(find "$mnt/$1" -name '.*')" ""
}
check "fix memfd DIR" timeout 20 "$fixer" memfd "$mnt"
check "covers it" covered
write_all_ways passthrough
check "a second controller is refused" says "is guarded already" cover
check "of another mitigation too" says "is guarded already" apply --mitigation fallocate "$mnt"
check "and a cover below it" says "and $mnt/passthrough is below it" apply \
	--mitigation memfd --cover "$mnt/passthrough"
check "revert" revert
check "takes the cover away" uncovered
check "nothing is left" nothing_left
check "fix memfd --links does not" eval 'timeout 20 "$fixer" memfd --links "$mnt" && uncovered'
revert
# the same without passthrough, as before Linux 6.9
FLATPAUSE_COVER=plain cover
write_all_ways plain
check "revert" revert
check "nothing is left" nothing_left
rm -rf "$mnt"/passthrough "$mnt"/plain "$mnt"/sources

# ---- names ----
cover
cp "$work/a" "$mnt/memory.bin"
check "directly in the directory" in_memory "$mnt/memory.bin"
mkdir -p "$mnt/x/y/z"
cp "$work/a" "$mnt/x/y/z/memory.bin"
check "deep below it" in_memory "$mnt/x/y/z/memory.bin"
cp "$work/a" "$mnt/other.bin"
check "what does not match goes to disk" on_disk "$mnt/other.bin"
check "a directory lists files" equals "$(find "$mnt" -name '*.bin' -type f | wc -l)" 3
exec 9<>"$mnt/memory.bin" # no export while it is written
mv "$mnt/memory.bin" "$mnt/x/renamed"
check "a rename keeps it" same_bytes "$work/a" "$mnt/x/renamed"
timeout 10 dd if="$work/b" of="$mnt/x/renamed" bs=1M status=none
check "emptied while another has it open: by the same memory" same_bytes "$work/b" "/proc/self/fd/9"
timeout 10 dd if="$work/a" of="$mnt/x/renamed" bs=1M status=none
ln "$mnt/x/renamed" "$mnt/x/second"
check "a hard link is the same file" test "$mnt/x/renamed" -ef "$mnt/x/second"
check "and counted" equals "$(stat -c %h "$mnt/x/second")" 2
dd if="$work/b" bs=1M conv=notrunc status=none >&9
exec 9>&-
check "both names reach the disk" wait_for 10 on_disk "$mnt/x/second"
check "as one file" test "$mnt/x/renamed" -ef "$mnt/x/second"
check "with what was written last" same_bytes "$work/b" "$mnt/x/renamed"
echo mine >"$mnt/new" && mv "$mnt/new" "$mnt/x/y/z/memory.bin"
check "another file in its place" equals "$(cat "$mnt/x/y/z/memory.bin")" mine
cp "$work/a" "$mnt/gone" && mv "$mnt/gone" "$mnt/memory.bin" && rm "$mnt/memory.bin"
check "a name that was removed is free" not test -e "$mnt/memory.bin"
mkdir "$mnt/many"
touch "$mnt/many"/file-{1..3000}
check "a large directory is listed whole" equals "$(find "$mnt/many" -type f | wc -l)" 3000
check "and removed" rm -r "$mnt/many"
ln -s nowhere "$mnt/dangling"
check "a link of somebody else stays one" equals "$(readlink "$mnt/dangling")" nowhere
mkfifo "$mnt/fifo"
check "a fifo is one" test -p "$mnt/fifo"
rm "$mnt/fifo" "$mnt/dangling"
xattr() { python3 -c 'import os, sys; print(getattr(os, sys.argv[1])(*[a.encode() for a in sys.argv[2:]]))' "$@"; }
xattr setxattr "$mnt/other.bin" user.note yes >/dev/null
check "attributes of files on disk" says "b'yes'" xattr getxattr "$mnt/other.bin" user.note
check "are listed" says "['user.note']" xattr listxattr "$mnt/other.bin"
xattr removexattr "$mnt/other.bin" user.note >/dev/null
check "and removed" says "[]" xattr listxattr "$mnt/other.bin"
cp -r "$mnt/x" "$mnt/copy" && mv "$mnt/copy" "$mnt/moved"
check "trees are copied and moved" same_bytes "$work/b" "$mnt/moved/second"
rm -r "$mnt/moved" "$mnt/x" "$mnt/other.bin"
# names that its owner gives: as long as they can be, of any bytes, deeper than anybody looks
longest=$(printf 'n%.0s' {1..255})
deep=$(printf 'directory-%02d/' {1..40})
mkdir -p "$mnt/deep/$deep"
for to in "$longest" $'new\nline' $'latin \xe4' "deep/${deep}x" "deep/$deep$longest"; do
	cat "$work/a" >"$mnt/memory.bin"
	mv "$mnt/memory.bin" "$mnt/$to"
	what=$(printf '%q' "${to:0:12}")
	check "moved to $what: reaches the disk" wait_for 10 on_disk "$mnt/$to"
	check "moved to $what: whole" same_bytes "$work/a" "$mnt/$to"
	rm "$mnt/$to"
done
cat "$work/a" >"$mnt/memory.bin" && mv "$mnt/memory.bin" "$mnt/deep/$deep$longest"
exec 9<>"$mnt/deep/$deep$longest"
check "a revert waits for its writer there" not timeout 20 "$fixer" revert --wait 1s "$mnt"
exec 9>&-
check "and brings it home" revert
check "whole" same_bytes "$work/a" "$mnt/deep/$deep$longest"
rm -r "$mnt/deep"
cover
# and the times that its users give it, or that it got when it was written
cat "$work/a" >"$mnt/memory.bin"
given=2001-02-03_04:05:06.123456789
TZ=UTC touch -d "${given/_/ }" "$mnt/memory.bin"
mkdir "$mnt/times"
cat "$work/a" >"$mnt/times/memory.bin"
touch "$mnt/stamp"
check "a file with a time: on disk" wait_for 10 on_disk "$mnt/memory.bin"
check "has it there" equals "$(TZ=UTC date -r "$mnt/memory.bin" +%F_%T.%N)" "$given"
check "as has one without" wait_for 10 on_disk "$mnt/times/memory.bin"
check "which is no newer than what was made later" equals "$(find "$mnt/times" -name memory.bin -newer "$mnt/stamp")" ""
rm -r "$mnt/times" "$mnt/stamp" "$mnt/memory.bin"
truncate -s 256M "$mnt/memory.bin"
dd if="$work/a" of="$mnt/memory.bin" bs=4096 count=3 seek=1000 conv=notrunc status=none
cp --sparse=always "$mnt/memory.bin" "$work/sparse"
check "a sparse file reaches the disk" wait_for 10 on_disk "$mnt/memory.bin"
check "with its bytes" same_bytes "$work/sparse" "$mnt/memory.bin"
check "and its holes" test "$(stat -c %b "$mnt/memory.bin")" -lt 1024
rm "$mnt/memory.bin"

# ---- names that change between the rename of an export and its comparison, a second each ----
revert
cover --export-rate 8M
exported() { cat "$work/a" >"$mnt/memory.bin" && exec 9<"$mnt/memory.bin" && wait_for 10 on_disk "$mnt/memory.bin"; }
late() { printf late | dd of=/dev/fd/9 conv=notrunc status=none; } # by whoever had it open before
exported
echo theirs >"$mnt/theirs" && mv "$mnt/theirs" "$mnt/memory.bin"
late
sleep 0.5
check "a late writer: another's file in its place stays" equals "$(cat "$mnt/memory.bin")" theirs
rm "$mnt/memory.bin"
exported
mv "$mnt/memory.bin" "$mnt/moved.bin"
late
check "a late writer: the file that was moved has it" equals "$(head -c 4 "$mnt/moved.bin")" late
check "and is exported again" wait_for 10 on_disk "$mnt/moved.bin"
check "with it" equals "$(head -c 4 "$mnt/moved.bin")" late
check "and the rest" cmp -i 4 "$work/a" "$mnt/moved.bin"
exec 9>"$mnt/memory.bin"
ln "$mnt/memory.bin" "$mnt/second.bin"
cat "$work/a" >&9
exec 9>&-
wait_for 10 on_disk "$mnt/memory.bin"
echo theirs >"$mnt/theirs" && mv "$mnt/theirs" "$mnt/memory.bin"
check "a second name reaches the disk" wait_for 10 on_disk "$mnt/second.bin"
check "as what it was a name of" same_bytes "$work/a" "$mnt/second.bin"
check "another's file under the first stays" equals "$(cat "$mnt/memory.bin")" theirs
rm "$mnt"/*.bin
revert
cover

# ---- users ----
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
check "another user may not write here" not as_nobody sh -c "echo x >'$mnt/memory.bin'"
install -d -o 65534 -g 65534 "$mnt/his"
chmod 711 "$work"
as_nobody sh -c "umask 027; cat >'$mnt/his/memory.bin'" <"$work/a"
check "but where he may" in_memory "$mnt/his/memory.bin"
check "it is his, with his umask" equals "$(stat -c %u:%g:%a "$mnt/his/memory.bin")" 65534:65534:640
check "on disk too" wait_for 10 on_disk "$mnt/his/memory.bin"
check "it is his" equals "$(stat -c %u:%g:%a "$mnt/his/memory.bin")" 65534:65534:640
exec 9>"$mnt/his/memory.bin"
dir=$(real readlink "$mnt/his/memory.bin")
as_nobody ln -s "$dir" "$mnt/his/mine"
check "a link into our memory that is not ours stays a link" test -L "$mnt/his/mine"
exec 9>&-
rm "$mnt/his/mine"
mkdir "$mnt/group" && chgrp 65534 "$mnt/group" && chmod g+s "$mnt/group"
echo x >"$mnt/group/memory.bin"
check "a set-group-ID directory gives its group" equals "$(stat -c %g "$mnt/group/memory.bin")" 65534
revert
check "nothing is left" nothing_left
rm -rf "${mnt:?}"/*

# ---- the budget ----
cover --memory 12M --size-from $size
mkdir "$mnt/1" "$mnt/2"
exec 8<>"$mnt/1/memory.bin"
exec 9<>"$mnt/2/memory.bin"
check "within the budget" in_memory "$mnt/1/memory.bin"
check "over the budget: on disk" on_disk "$mnt/2/memory.bin"
check "with a warning" says "the memory budget is used up" status_text
cat "$work/a" >&9
exec 8>&- 9>&-
check "and written there" same_bytes "$work/a" "$mnt/2/memory.bin"
revert
rm -rf "${mnt:?}"/*

# what is written beyond what was expected is counted too, and what goes to disk for it is said once,
# not for each
cover --memory 12M --size-from 1M
mkdir "$mnt/1"
exec 8<>"$mnt/1/memory.bin"
cat "$work/a" "$work/b" >&8
check "it grew over the budget" wait_for 5 says "over the budget" status_text
for i in $(seq 200); do
	mkdir "$mnt/many-$i" && echo x >"$mnt/many-$i/memory.bin"
done
check "the next ones are on disk" on_disk "$mnt/many-200/memory.bin"
notes() { "$fixer" status --json | jq '.guards[0].notes | length'; }
check "with a few warnings" test "$(notes)" -lt 12
exec 8>&-
check "it reaches the disk" wait_for 10 on_disk "$mnt/1/memory.bin"
fits() { rm -f "$mnt/memory.bin"; cat "$work/a" >"$mnt/memory.bin" && in_memory "$mnt/memory.bin"; }
check "and others have its room, when it has been compared" wait_for 5 fits
revert
rm -rf "${mnt:?}"/*

# ---- the server is killed ----
cover
mkfifo "$work/gate"
mkdir "$mnt/kill"
echo data >"$mnt/kill/disk.bin"
exec 8<>"$mnt/kill/disk.bin"
exec 7<>"$mnt/kill/unlinked.bin"
rm "$mnt/kill/unlinked.bin"
(exec 9>"$mnt/kill/memory.bin" && cat "$work/gate" - <"$work/a" >&9 && sync /dev/fd/9) &
slow=$!
wait_for 5 in_memory "$mnt/kill/memory.bin"
first=$(server)
kill -9 "$first"
: >"$work/gate"
check "a writer goes on" wait $slow
restarted() { local pid; pid=$(server); [ "$pid" != "$first" ] && alive "$pid"; }
check "with another server" wait_for 10 restarted
check "it has all of it" same_bytes "$work/a" "$mnt/kill/memory.bin"
echo more >&8
check "a file that was open is written on" equals "$(tail -c 5 "$mnt/kill/disk.bin")" more
echo unlinked >&7
check "one without a name too" equals "$(cat /proc/self/fd/7)" unlinked
check "it reaches the disk" wait_for 10 on_disk "$mnt/kill/memory.bin"
check "whole" same_bytes "$work/a" "$mnt/kill/memory.bin"
check "status says what happened" says "the server of the cover was killed; another went on" \
	status_text
# an empty file has a writer too
second=$(server)
exec 9>"$mnt/kill/memory.bin"
mv "$mnt/kill/memory.bin" "$mnt/kill/renamed.bin"
kill -9 "$second"
restarted() { local pid; pid=$(server); [ "$pid" != "$second" ] && alive "$pid"; }
wait_for 10 restarted
check "renamed while it was empty, its server killed: written" eval 'cat "$work/a" >&9'
exec 9>&-
check "it reaches the disk" wait_for 10 on_disk "$mnt/kill/renamed.bin"
check "whole" same_bytes "$work/a" "$mnt/kill/renamed.bin"
# again and again, under load: nothing is done twice, and nothing left out
one_round() { # DIR
	mkdir "$1" && (set -C && cat "$work/small" >"$1/memory.bin") &&
		mv "$1/memory.bin" "$1/vm.bin" && ln "$1/vm.bin" "$1/second" && rm "$1/second" &&
		mkdir "$1/sub" && rmdir "$1/sub" && cmp "$work/small" "$1/vm.bin"
}
storm() { for i in $(seq 60); do one_round "$mnt/storm-$1-$i" || return 1; done; }
head -c 300000 "$work/a" >"$work/small"
pids=()
for w in 1 2 3; do
	storm $w &
	pids+=($!)
done
for _ in 1 2 3; do
	sleep 0.6
	kill -9 "$(server)" 2>/dev/null
done
stormed=0
for pid in "${pids[@]}"; do
	wait "$pid" && stormed=$((stormed + 1))
done
check "three writers while servers are killed" equals $stormed 3
all_on_disk() { [ -z "$(real find "$mnt" -name vm.bin -type l)" ]; }
check "what they wrote reaches the disk" wait_for 30 all_on_disk
whole=0
for file in "$mnt"/storm-*/vm.bin; do
	same_bytes "$work/small" "$file" && whole=$((whole + 1))
done
check "180 files, each whole" equals $whole 180

# ---- what is open when the cover goes ----
exec 6<>"$mnt/kill/left.bin"
check "revert with open files" revert
check "takes the cover away at once" uncovered
echo left >&6
check "what was open is still written" equals "$(cat "$mnt/kill/left.bin")" left
check "and synced" sync "/proc/self/fd/6"
exec 6>&- 7>&- 8>&-
served() { pgrep -f "apply --mitigation memfd --cover $mnt" >/dev/null; }
check "nobody serves it when it is closed" wait_for 10 not served
check "nothing is left" nothing_left

# ---- a mount namespace that is made meanwhile ----
cover
mkdir "$mnt/left"
exec 9>"$mnt/left/memory.bin"
new_namespace() {
	unshare --mount --propagation private sleep 1000 9>&- &
	left=$!
	wait_for 5 eval '[ "$(readlink /proc/$left/ns/mnt)" != "$(readlink /proc/$$/ns/mnt)" ]'
}
new_namespace
there() { nsenter --target $left --mount "$@"; }
there cp "$work/b" "$mnt/left/other"
check "status says where its file is" equals "$(state_of left state)" "in memory"
check "and that the cover is there" equals "$("$fixer" status --json | jq .guards[0].cover_gone)" false
check "while the cover is up nothing is said of it" not says "still mounted" "$fixer" status
cat "$work/a" >&9
exec 9>&-
check "revert says for whom it is still mounted" says "still mounted for sleep (pid $left)" revert
check "takes the cover away here" uncovered
check "nothing is left" nothing_left
check "status says it too" says "$mnt: a cover that was taken away is still mounted for sleep (pid $left)" \
	"$fixer" status "$mnt"
check "and that it is served" equals "$("$fixer" status --json | jq -c ".left_covers[] | [.pid, .served] | select(.[0] == $left)")" \
	"[$left,true]"
# a server that answers nobody holds up nobody who only asks about it
supervisor=$(pgrep -f "apply --mitigation memfd --cover $mnt")
kill -STOP $supervisor
wait_for 5 grep -q '^State:.T' /proc/$supervisor/status
check "status asks no server" says "its server (pid $supervisor) is stopped" timeout 10 "$fixer" status
check "and has it in its JSON" equals "$(timeout 10 "$fixer" status --json |
	jq -c ".left_covers[] | select(.pid == $left) | [.server_pid, .server_stopped, .known]")" \
	"[$supervisor,true,true]"
kill -CONT $supervisor
check "what was in memory is read whole there" there cmp "$work/a" "$mnt/left/memory.bin"
there cp "$work/b" "$mnt/left/memory.bin"
check "what is written there" there cmp "$work/b" "$mnt/left/memory.bin"
check "is on disk" same_bytes "$work/b" "$mnt/left/memory.bin"
check "as a file" is_file "$mnt/left/memory.bin"
kill $left
wait $left 2>/dev/null
check "nobody serves it when that namespace has ended" wait_for 10 not served
check "nor tells of it" not says "still mounted" "$fixer" status "$mnt"
rm -r "$mnt/left"

# ---- all of them are killed ----
cover
mkdir "$mnt/all"
exec 9>"$mnt/all/memory.bin"
cat "$work/a" >&9
new_namespace
kill_all() { # none of them gets to do anything about it
	pkill -STOP -f "apply --mitigation memfd --cover $mnt"
	pkill -KILL -f "apply --mitigation memfd --cover $mnt"
}
kill_all
dead() { ! stat "$mnt/all" >/dev/null 2>&1; }
check "without any server the cover is dead" wait_for 5 dead
check "an open file is written by the kernel itself" eval 'echo after >&9'
exec 9>&-
# the kernel keeps what it writes itself open as long as the cover is mounted anywhere
check "revert says who is left with it" says "nobody serves it any more" "$fixer" revert --wait 1s "$mnt"
kill $left
check "and clears it away when that has ended" wait_for 5 revert
check "the file is whole" cmp -n $size "$work/a" "$mnt/all/memory.bin"
check "to the last byte" equals "$(tail -c 6 "$mnt/all/memory.bin")" after
check "nothing is left" nothing_left
cover
mkdir "$mnt/empty"
touch "$mnt/empty/memory.bin"
kill_all
wait_for 5 dead
check "revert over an empty file" revert
check "it is there: its user made it" is_file "$mnt/empty/memory.bin"
check "nothing is left" nothing_left
cover
kill_all
wait_for 5 dead
check "another cover goes on where that left off" cover
mkdir "$mnt/again"
cp "$work/a" "$mnt/again/memory.bin"
check "and works" in_memory "$mnt/again/memory.bin"
revert

# the supervisor starts another server while revert stops the one that was killed
beside=0
for _ in 1 2 3; do
	cover
	echo x >"$mnt/again/memory.bin"
	kill -9 "$(server)"
	revert && beside=$((beside + 1))
done
check "revert beside the death of a server, 3 times" equals $beside 3
check "nothing is left" nothing_left

# the supervisor alone: nobody could take over from its server, which ends in order
supervisor() { ps -o ppid= -p "$(server)" | tr -d ' '; }
cover
cp "$work/a" "$mnt/memory.bin"
kill -9 "$(supervisor)"
check "without a supervisor the cover is taken away" wait_for 10 uncovered
check "what is in memory is read by its link" same_bytes "$work/a" "$mnt/memory.bin"
check "revert brings it home" revert
check "whole" same_bytes "$work/a" "$mnt/memory.bin"
check "nothing is left" nothing_left
# somebody else unmounts it
cover
umount -l "$mnt"
ended() { says "THE GUARD IS DEAD" "$fixer" status; }
check "a cover that somebody unmounts ends its guard" wait_for 10 ended
check "of which status says that it is gone" says "by a cover, WHICH IS GONE," "$fixer" status
check "as JSON too" equals "$("$fixer" status --json | jq .guards[0].cover_gone)" true
check "which says why" says "was unmounted by somebody" status_text
check "what is written then is on disk" eval 'echo x >"$mnt/memory.bin" && on_disk "$mnt/memory.bin"'
check "revert" revert
check "nothing is left" nothing_left

# ---- what the file system below forbids ----
mount -o remount,noexec "$mnt"
cover
cp /bin/true "$mnt/true"
check "noexec holds" not "$mnt/true"
rm "$mnt/true"
revert
mount -o remount,exec "$mnt"
cover
install -m 6777 "$work/a" "$mnt/suid.bin"
as_nobody sh -c "echo x >>'$mnt/suid.bin'"
check "another's write takes set-user-ID away" equals "$(stat -c %a "$mnt/suid.bin")" 777
setfacl_() { python3 -c 'import os, sys, struct
def acl(entries): return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)
N = 0xffffffff
os.setxattr(sys.argv[1], "system.posix_acl_" + sys.argv[2],
	acl([(1, 7, N), (2, 4, 65534), (4, 0, N), (16, 4, N), (32, 0, N)]))' "$@"; }
cp "$work/a" "$mnt/acl.bin" && chmod 640 "$mnt/acl.bin" && setfacl_ "$mnt/acl.bin" access
check "an ACL lets in whom it names" as_nobody cmp -n 1 "$mnt/acl.bin" "$mnt/acl.bin"
check "and nobody else" not setpriv --reuid 1000 --regid 65534 --clear-groups cat "$mnt/acl.bin"
mkdir "$mnt/acl" && setfacl_ "$mnt/acl" default
cp "$work/a" "$mnt/acl/memory.bin"
check "below a default ACL files go to disk" on_disk "$mnt/acl/memory.bin"
check "and get theirs" as_nobody cmp -n 1 "$mnt/acl/memory.bin" "$mnt/acl/memory.bin"
check "which is said" says "its directory has a default ACL" status_text
# many that wait for the disk hold up nobody
for i in $(seq 40); do
	(for k in $(seq 5); do echo x >>"$mnt/sync-$i" && sync "$mnt/sync-$i"; done) &
done
wait $(jobs -p | grep -vx $outside)
check "40 that sync at once" equals "$(cat "$mnt"/sync-* | wc -l)" 200
revert
(cd "$mnt" && exec sleep 30) &
inside=$!
sleep 0.2
check "who is in the directory is named" says "sleep (pid" cover
kill $inside
revert
rm -rf "${mnt:?}"/*

# ---- what cannot be covered ----
mkdir "$mnt/sub" && mount -t tmpfs none "$mnt/sub"
check "nothing is hidden: a mount below it is refused" says "mounted below" cover
check "fix memfd plants links then, and says so" says "Links are planted" timeout 20 "$fixer" memfd "$mnt"
check "no cover" uncovered
revert
umount "$mnt/sub"
check "--cover is of memfd" exits_with 2 apply --mitigation fallocate --cover "$mnt"
check "nothing is left" nothing_left
kill $outside
wait $outside 2>/dev/null
check "the device can be unmounted" umount "$mnt"
done_testing
