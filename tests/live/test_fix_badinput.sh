#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# What a host, a user or an earlier version can put before the fixer: streams that are full or closed,
# journals that are damaged or not ours, sizes that cannot be. Each is an error that is said; nothing
# is lost, and nothing is left behind.
. "$(dirname "$0")/fix_lib.sh"

new_fs 200M
head -c $((8 << 20)) /dev/urandom >"$work/a"
trace=$(dirname "$0")/../replay/path/fsync.fpt
memory_of() { readlink "$1"; }
in_memory() { # DIR: a memory file there that its guard has died for
	mkdir "$mnt/$1"
	wait_for 5 is_link "$mnt/$1/memory.bin"
	exec 9<>"$mnt/$1/memory.bin" # open, so that no export begins before the guard dies
	cat "$work/a" >&9
	kill -9 "$(guard_pid)"
	exec 9>&-
	memory=$(memory_of "$mnt/$1/memory.bin")
}
no_state() { [ -z "$(ls "$FLATPAUSE_STATE_DIR")" ] && [ -z "$(find "$mnt" -name '.*.flatpause' -o -type l)" ]; }

# ---- a full or closed standard output ----

broken_pipe() { # the status of a command whose reader has gone
	local status=0
	mkfifo "$work/pipe"
	exec 7<>"$work/pipe" 6>"$work/pipe"
	exec 7>&-
	"$@" >&6 2>"$work/err" || status=$?
	exec 6>&-
	rm "$work/pipe"
	echo "$status: $(cat "$work/err")"
}

to_full_disk() { # exit 1, and it is said
	local status=0
	"$@" >/dev/full 2>"$work/err" || status=$?
	[ $status -eq 1 ] && grep -q "$said" "$work/err" || { echo "status $status" >&2; cat "$work/err" >&2; return 1; }
}
said="cannot write the standard output: No space"

check "a guard" apply --mitigation memfd "$mnt"
check "status to a full disk: exit 1" to_full_disk "$fixer" status
check "as JSON" to_full_disk "$fixer" status --json
check "plan to a full disk: exit 1" to_full_disk "$fixer" plan "$trace" --dir "$mnt"
check "the plan of auto: exit 1" to_full_disk "$fixer" auto --dir "$mnt" -- true
check "--help: exit 1" to_full_disk "$fixer" apply --help
check "status without a reader: an error, not a death" equals "$(broken_pipe "$fixer" status)" "1: "
check "plan too" equals "$(broken_pipe "$fixer" plan "$trace" --dir "$mnt")" "1: "
check "the plan of auto too" equals "$(broken_pipe "$fixer" auto --dir "$mnt" -- true)" "1: "
timeout 20 "$fixer" revert "$mnt" >&- 2>&-
check "a revert with closed streams" nothing_left

# what a help says of an option, on one line, without the part of the verb that it belongs to
help_of() { # VERB OPTION
	"$fixer" "$1" --help | sed 's/^  -\([a-z]\), /      /' |
		awk -v option="--$2" '!/^       /{ on = $1 == option } on' | tr -s ' \n' ' ' |
		sed "s/\\(--$2\\( [A-Z]*\\)\\?\\) \\(memfd\\|fallocate\\|DIR\\): /\\1 /"
}
same_help() { # OPTION VERB...
	local first verb
	first=$(help_of "$2" "$1")
	[ -n "$first" ] || return 1
	for verb in "${@:3}"; do
		equals "$(help_of "$verb" "$1")" "$first" || return 1
	done
}
for option in match size-from; do
	check "--$option is the same for every verb" same_help $option apply memfd guard auto
done
for option in memory export-rate export-workers no-readback; do
	check "--$option is the same for every verb" same_help $option apply memfd auto
done
check "--foreground is the same for every verb" same_help foreground apply memfd
check "--no-plant is the same for every verb" same_help no-plant apply guard auto
for option in cover redo; do
	check "--$option is the same for every verb" same_help $option apply auto
done

# messages must not go where the journal is, whatever descriptor it got
"$fixer" apply --mitigation memfd --foreground "$mnt" <&- >&- 2>&- &
wait_for 5 eval '[ "$(guard_pid)" -gt 0 ]'
mkdir "$mnt/closed"
wait_for 5 is_link "$mnt/closed/memory.bin"
cp "$work/a" "$mnt/closed/memory.bin"
check "a guard with closed streams exports" wait_for 10 is_file "$mnt/closed/memory.bin"
check "its journal is whole" "$fixer" status
check "revert" revert
wait $!

p=$mnt/held.bin
check "a path that could not be told: exit 1" eval \
	'said="it is not held" to_full_disk "$fixer" memfd open "$p" --size 1M'
check "nothing is held then" no_state
check "a link neither" eval 'said="it is not held" to_full_disk "$fixer" memfd open "$p" --size 1M --link'
check "nothing is held then" no_state
check "prealloc to a full disk: exit 1" to_full_disk "$fixer" prealloc "$p" --size 1M
rm -f "$p"

# ---- journals ----

refused() { # WHY COMMAND...: exit 1, says why, and the journal is as it was
	local why=$1 status=0
	shift
	timeout 20 "$@" >"$work/said" 2>&1 || status=$?
	[ $status -eq 1 ] && grep -q "$why" "$work/said" && cmp -s "$journal" "$work/bad" ||
		{ echo "status $status" >&2; cat "$work/said" >&2; return 1; }
}
every_verb_refuses() { # WHY WHAT
	cp "$journal" "$work/bad"
	check "$2: status" refused "$1" "$fixer" status
	check "$2: apply" refused "$1" "$fixer" apply --mitigation memfd "$mnt"
	check "$2: memfd DIR" refused "$1" "$fixer" memfd "$mnt"
	check "$2: guard" refused "$1" "$fixer" guard "$mnt"
	check "$2: revert" refused "$1" "$fixer" revert "$mnt"
	check "$2: revert --all" refused "$1" "$fixer" revert --all
	check "$2: which says so once" equals "$(grep -c "$1" "$work/said")" 1
	check "$2: the memory copy is there" same_bytes "$work/a" "$memory"
	cp "$work/good" "$journal"
}
apply --mitigation memfd "$mnt"
in_memory j
journal=$(ls "$FLATPAUSE_STATE_DIR"/*.journal)
cp "$journal" "$work/good"
# version 2, with the checksum that belongs to it
printf '\x02\x00\x00\x00\xda\x02\xce\x44' | dd of="$journal" bs=1 seek=8 conv=notrunc status=none
every_verb_refuses "another version" "of another version"
printf 'X' | dd of="$journal" bs=1 seek=60 conv=notrunc status=none
every_verb_refuses "is damaged" "damaged in the middle"
head -c 16 /dev/urandom >"$journal"
cat "$work/good" >>"$journal"
every_verb_refuses "no journal" "something else"
truncate -s 65M "$journal"
every_verb_refuses "too large" "65 MiB of it"
other=$FLATPAUSE_STATE_DIR/9.9-9.journal
head -c 200 /dev/urandom >"$other"
check "a damaged one hides no other" says "memfd for 'memory.bin'" "$fixer" status
check "and is told" exits_with 1 "$fixer" status
rm "$other"
head -c -5 "$work/good" >"$journal"
check "cut off in its last record: understood" "$fixer" status
check "revert brings home what it can" revert
check "whole" same_bytes "$work/a" "$mnt/j/memory.bin"
check "nothing is left" nothing_left
apply --mitigation memfd "$mnt"
head -c 200 /dev/urandom >"$other"
check "beside a damaged one: revert --all fails" exits_with 1 timeout 60 "$fixer" revert --all
rm "$other"
check "and has undone the rest" nothing_left
check "status of a directory that is not there: exit 1" exits_with 1 "$fixer" status "$mnt/none"
check "of two: usage" exits_with 2 "$fixer" status "$mnt" "$work"
ln -s "$work/good" "$journal"
check "a link in its place is not followed" exits_with 1 apply --mitigation memfd "$mnt"
rm "$journal"
chown 65534 "$FLATPAUSE_STATE_DIR"
check "a state directory of another user" says "must belong to us" apply --mitigation memfd "$mnt"
chown 0 "$FLATPAUSE_STATE_DIR"
install -d -o 65534 "$mnt/.flatpause"
check "our directory, of another user" says "is not ours" apply --mitigation fallocate \
	--size-from 1M "$mnt"
rmdir "$mnt/.flatpause"
check "nothing is left" nothing_left

# ---- the journal's own disk is full ----

mkdir "$work/small"
trap 'umount "$work/small" 2>/dev/null; clean_up' EXIT
mount -t tmpfs -o size=256k none "$work/small"
fill() { dd if=/dev/zero of="$work/small/filler" bs=4k status=none 2>/dev/null; }
state=$FLATPAUSE_STATE_DIR
export FLATPAUSE_STATE_DIR=$work/small/state
mkdir -m 700 "$FLATPAUSE_STATE_DIR"
fill
check "no room for the intent: nothing is begun" exits_with 1 apply --mitigation memfd "$mnt"
check "nor for a spare's" exits_with 1 apply --mitigation fallocate --size-from 1M "$mnt"
check "nor for a held file's" exits_with 1 "$fixer" memfd open "$p" --size 1M
check "nothing is left" nothing_left
rm "$work/small/filler"
check "with room" apply --mitigation memfd "$mnt"
mkdir "$mnt/full1"
wait_for 5 is_link "$mnt/full1/memory.bin"
exec 9<>"$mnt/full1/memory.bin"
fill
cat "$work/a" >&9
# its last page has room for some more
for i in $(seq 20); do
	mkdir "$mnt/more-$i"
	sleep 0.1
	[ -L "$mnt/more-$i/memory.bin" ] || break
done
cp "$work/a" "$mnt/more-$i/memory.bin"
check "what cannot be announced goes to disk" is_file "$mnt/more-$i/memory.bin"
exec 9>&-
sleep 1
check "what cannot be written down is not renamed" is_link "$mnt/full1/memory.bin"
rm "$work/small/filler"
check "with room it goes" wait_for 15 is_file "$mnt/full1/memory.bin"
check "both are whole" eval 'cmp "$work/a" "$mnt/full1/memory.bin" && cmp "$work/a" "$mnt/more-$i/memory.bin"'
check "revert" revert
check "nothing is left" nothing_left
umount "$work/small"
export FLATPAUSE_STATE_DIR=$state

# ---- sizes ----

: >"$work/empty"
for size in 0 9223372036854775808 18446744073709551616 -1 "$work/empty" "$work/none"; do
	check "--size-from $(basename -- "$size"): usage" exits_with 2 apply --mitigation fallocate \
		--size-from "$size" "$mnt"
done
check "a mitigation without its option: usage" exits_with 2 apply memfd "$mnt"
check "--memory 0: usage" exits_with 2 apply --mitigation memfd --memory 0 "$mnt"
check "of memfd too" exits_with 2 "$fixer" memfd --memory 0 "$mnt"
check "--memory 2^64: usage" exits_with 2 apply --mitigation memfd --memory 18446744073709551616 "$mnt"
check "--match ..: usage" exits_with 2 apply --mitigation memfd --match .. "$mnt"
check "DIR/..: usage" exits_with 2 "$fixer" prealloc "$mnt/.." --size 1M
check "nothing is left" nothing_left
apply --mitigation memfd "$mnt"
mkdir "$mnt/huge"
wait_for 5 is_link "$mnt/huge/memory.bin"
truncate -s 9223372036854775807 "$mnt/huge/memory.bin"
check "2^63 - 1 bytes are too many for the disk: told" wait_for 10 eval \
	'state_of huge state | grep -q "in memory: export failed"'
mkdir "$mnt/next"
sleep 0.3
check "the next file is not taken for as large" is_link "$mnt/next/memory.bin"
cp "$work/a" "$mnt/next/memory.bin"
check "and goes its way" wait_for 10 is_file "$mnt/next/memory.bin"
check "revert does not give the other up" exits_with 1 revert
rm -r "$mnt/huge"
check "its owner does" revert
check "nothing is left" nothing_left
check "by ftruncate" apply --mitigation fallocate --size-from ftruncate "$mnt"
mkdir "$mnt/grown"
truncate -s 4611686018427387904 "$mnt/grown/memory.bin" 2>/dev/null
truncate -s 16T "$mnt/grown/memory.bin" 2>/dev/null || truncate -s 8T "$mnt/grown/memory.bin"
cp "$work/a" "$mnt/grown/small"
check "a size that no disk has holds nobody up" same_bytes "$work/a" "$mnt/grown/small"
check "revert" revert
check "nothing is left" nothing_left

# ---- read-only under a guard ----

apply --mitigation fallocate --size-from 1M "$mnt"
mount -o remount,ro "$mnt"
check "revert cannot remove the spare: exit 1" exits_with 1 revert
check "and keeps its journal" test -e "$(ls "$FLATPAUSE_STATE_DIR"/*.journal)"
mount -o remount,rw "$mnt"
check "writable again it can" revert
check "nothing is left" nothing_left
apply --mitigation memfd "$mnt"
mkdir "$mnt/never"
wait_for 5 is_link "$mnt/never/memory.bin"
mount -o remount,ro "$mnt"
check "nor a link that nobody wrote through" exits_with 1 revert
check "it says which" says "never/memory.bin" revert
mount -o remount,rw "$mnt"
check "writable again it can" revert
check "nothing is left" nothing_left
check "the device can be unmounted" umount "$mnt"
done_testing
