#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A name is one thing when it is looked at and another when it is used: directories that change places
# with links to somewhere else, and memory files with links to secrets, a bounded number of times,
# while the fixer works. Nothing is ever made, changed or copied on the other side.
. "$(dirname "$0")/fix_lib.sh"

swap=$(realpath "$out")/live/live_swap
if [ ! -x "$swap" ]; then
	skip "names that change places" "needs $swap: make tests"
	done_testing
fi
new_fs 200M
head -c $((4 << 20)) /dev/urandom >"$work/a"
mkdir "$work/outside"
echo secret >"$work/outside/spare"
echo secret >"$work/outside/memory.bin"
outside_is_untouched() {
	[ "$(cd "$work/outside" && ls -A | tr '\n' ' ')" = "memory.bin spare " ] &&
		[ "$(cat "$work/outside/"*)" = $'secret\nsecret' ] || { ls -la "$work/outside" >&2; return 1; }
}
# swapping A B USEC COMMAND...: the command again and again while they change places 4,000 times; how
# often it ran, and how often it was refused
swapping() {
	local a=$1 b=$2 usec=$3 pid
	shift 3
	ran=0 refusals=0
	"$swap" "$a" "$b" 4000 "$usec" >"$work/swapped" &
	pid=$!
	while kill -0 $pid 2>/dev/null; do
		"$@" >/dev/null 2>>"$work/said" || refusals=$((refusals + 1))
		ran=$((ran + 1))
	done
	wait $pid
	echo "# $* ran $ran times, $refusals refused, during $(cat "$work/swapped") exchanges" >&2
}

# ---- prealloc: a directory on the way, and the file itself ----

mkdir "$mnt/d"
ln -s "$work/outside" "$mnt/l"
made=0
prealloc_new() {
	made=$((made + 1))
	timeout 20 "$fixer" prealloc "$mnt/d/new-$made" --size 64K
}
swapping "$mnt/d" "$mnt/l" 300 prealloc_new
check "prealloc: nothing through a directory that is a link now and then" outside_is_untouched
check "it was refused at times, and at times it was not" test $refusals -gt 0 -a $refusals -lt $ran
check "what was made is where it belongs" equals "$(ls "$mnt/d" | wc -l)" $((ran - refusals))
rm "$mnt"/d/*
: >"$mnt/d/file"
ln -s "$work/outside/spare" "$mnt/d/link"
swapping "$mnt/d/file" "$mnt/d/link" 300 timeout 20 "$fixer" prealloc "$mnt/d/file" --size 64K
check "prealloc: nothing through a file that is a link now and then" outside_is_untouched
check "refused at times" test $refusals -gt 0
rm "$mnt"/d/*

# ---- memfd open and close ----

open_and_close() { # while a link is there the close is refused, and done again
	local target
	target=$(timeout 20 "$fixer" memfd open "$mnt/d/held" --size 64K --no-seal) || return
	head -c 65536 "$work/a" >"$target"
	local until=$((SECONDS + 60)) # it is refused some times; for good is a failure that says why
	until timeout 20 "$fixer" memfd close "$mnt/d/held" 2>"$work/said"; do
		refusals=$((refusals + 1))
		[ $SECONDS -lt $until ] || {
			cp "$work/said" "$work/stuck"
			return
		}
	done
}
swapping "$mnt/d" "$mnt/l" 600 open_and_close
check "memfd open: each is closed in the end" eval '[ ! -e "$work/stuck" ] || { cat "$work/stuck" >&2; false; }'
check "memfd open: nothing on the other side" outside_is_untouched
timeout 20 "$fixer" revert --all >/dev/null 2>&1
check "and nothing is held" equals "$(ls "$FLATPAUSE_STATE_DIR")" ""
check "refused at times" test $refusals -gt 0
rm -rf "$mnt/d" "$mnt/l"

# ---- guards: new directories that change places with links ----

for mitigation in fallocate memfd; do
	check "$mitigation" apply --mitigation $mitigation --size-from 1M "$mnt"
	made=0
	new_dir() {
		made=$((made + 1))
		mkdir "$mnt/n-$made" && ln -s "$work/outside" "$mnt/s-$made" &&
			"$swap" "$mnt/n-$made" "$mnt/s-$made" 40 200 >/dev/null
		cp "$work/a" "$mnt/n-$made/memory.bin"
	}
	for _ in $(seq 25); do new_dir; done
	check "$mitigation: nothing is planted on the other side" outside_is_untouched
	check "$mitigation: revert" revert
	check "$mitigation: nothing on the other side" outside_is_untouched
	whole=0
	for i in $(seq 25); do same_bytes "$work/a" "$mnt/n-$i/memory.bin" && whole=$((whole + 1)); done
	check "$mitigation: every file is whole" equals $whole 25
	check "$mitigation: nothing but the test's own links is left" eval \
		'no_memory_left && [ ! -e "$mnt/.flatpause" ] && [ -z "$(find "$mnt" -name ".*.flatpause")" ] && [ -z "$(ls "$FLATPAUSE_STATE_DIR")" ]'
	rm -rf "$mnt"/n-* "$mnt"/s-*
done

# ---- our own directory, in a directory of somebody else ----

check "a spare" apply --mitigation fallocate --size-from 1M "$mnt"
kill -9 "$(guard_pid)"
mv "$mnt/.flatpause" "$mnt/moved"
ln -s "$work/outside" "$mnt/.flatpause"
check "revert" revert
check "does not remove another's spare" outside_is_untouched
rm -r "$mnt/moved" "$mnt/.flatpause"

# ---- a memory file whose owner puts a link to a secret in its place ----

as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
install -m 600 "$work/a" "$work/secret"
check "memfd" apply --mitigation memfd "$mnt"
chmod 711 "$work"
chown 65534:65534 "$mnt"
as_nobody mkdir "$mnt/u"
wait_for 5 is_link "$mnt/u/memory.bin"
memory=$(readlink "$mnt/u/memory.bin")
head -c 100000 /dev/zero >"$work/public"
chmod 644 "$work/public"
as_nobody dd of="$memory" status=none <"$work/public"
as_nobody ln -s "$work/secret" "${memory%/*}/other"
as_nobody "$swap" "$memory" "${memory%/*}/other" 6000 300 >/dev/null &
swapper=$!
for _ in $(seq 30); do
	sleep 0.05
	[ -L "$mnt/u/memory.bin" ] || break
done
wait $swapper
leaks=0
for f in "$mnt"/u/* "$mnt"/u/.*.flatpause; do
	[ -f "$f" ] && [ ! -L "$f" ] && cmp -s "$f" "$work/secret" && leaks=$((leaks + 1))
done
check "the secret is in no file of theirs" equals $leaks 0
as_nobody rm -f "${memory%/*}/other"
# a second name of it is refused while it is there: whose file it is cannot be known
if [ -e "$memory" ] && is_link "$mnt/u/memory.bin"; then
	check "their own bytes come home" wait_for 15 is_file "$mnt/u/memory.bin"
fi
check "revert" revert
check "their own bytes are in their file" same_bytes "$work/public" "$mnt/u/memory.bin"
check "nothing is left" nothing_left
check "the device can be unmounted" umount "$mnt"
done_testing
