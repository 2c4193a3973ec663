#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# kill -9 of whoever controls, at random points, while a writer makes 64 files: nothing is lost, and
# nothing was ever called durable that was not whole at its real place.
. "$(dirname "$0")/fix_lib.sh"

files=64 kills=200
seed=${FLATPAUSE_SEED:-$RANDOM}
RANDOM=$seed
echo "# seed $seed" >&2

new_fs 512M
head -c 2500000 /dev/urandom >"$work/source"
apply --mitigation memfd --memory 256M "$mnt" 2>"$work/apply.log"

# A directory, O_CREAT without O_TRUNC, written in two parts; some are renamed, linked or moved.
write_all() {
	local i
	for i in $(seq $files); do
		mkdir "$mnt/vm-$i"
		sleep 0.0$((i % 4 * 2))
		dd if="$work/source" of="$mnt/vm-$i/memory.bin" bs=$((1400000 + i)) count=1 conv=notrunc status=none
		sleep 0.0$((i % 7))
		tail -c +$((1400001 + i)) "$work/source" |
			dd of="$mnt/vm-$i/memory.bin" bs=$((1400000 + i)) seek=1 conv=notrunc status=none
		case $((i % 8)) in
		3) mv "$mnt/vm-$i/memory.bin" "$mnt/vm-$i/renamed" ;;
		5) ln "$mnt/vm-$i/memory.bin" "$mnt/vm-$i/second" ;;
		7) mv "$mnt/vm-$i" "$mnt/moved-$i" ;;
		esac
		# the last kills come while there is still something to write
		while [ "$(cat "$work/round")" -lt $((i * (kills - 40) / files)) ]; do sleep 0.02; done
	done
}

place_of() {
	case $(($1 % 8)) in
	3) echo "$mnt/vm-$1/renamed" ;;
	7) echo "$mnt/moved-$1/memory.bin" ;;
	*) echo "$mnt/vm-$1/memory.bin" ;;
	esac
}

is_whole() { # by whatever name it has at this moment
	local at
	at=$(find "$mnt" -path "*-$1/*" \( -name memory.bin -o -name renamed \) | head -n 1)
	[ -f "$at" ] && [ ! -L "$at" ] && cmp -s "$at" "$work/source"
}

false_claims=0
check_claims() { # what the journal calls durable is whole on the disk, now
	local dir
	for dir in $("$fixer" status --json | jq -r '.guards[].files[] | select(.state == "durable") | .dir'); do
		is_whole "${dir##*-}" || {
			# it may still be in the writer's hands: durable in part one, opened again for part two
			[ -e "$work/done-writing" ] || continue
			false_claims=$((false_claims + 1))
			echo "# called durable and is not: $dir" >&2
		}
	done
}

# Until a copy is seen, or a third of a second: a copy takes a few milliseconds.
wait_for_copy() {
	local until=$((${EPOCHREALTIME/./} + 300000))
	until compgen -G "$mnt/*/.*.flatpause" >/dev/null; do
		[ "${EPOCHREALTIME/./}" -lt $until ] || return
	done
}

echo 0 >"$work/round"
write_all &
writer=$!
exporting=0 renaming=0
for round in $(seq $kills); do
	echo "$round" >"$work/round"
	case $((round % 10)) in
	4) # the starter of a guard, at any of its steps
		"$fixer" apply --mitigation memfd --memory 256M "$mnt" 2>/dev/null &
		victim=$!
		sleep 0.0$((RANDOM % 40 + 10))
		kill -9 $victim 2>/dev/null
		wait $victim 2>/dev/null
		continue
		;;
	9) # a revert, at any of its steps
		"$fixer" revert --wait 1s "$mnt" >/dev/null 2>&1 &
		victim=$!
		sleep 0.$(printf '%03d' $((RANDOM % 250)))
		kill -9 $victim 2>/dev/null
		wait $victim 2>/dev/null
		;;
	esac
	"$fixer" apply --mitigation memfd --memory 256M "$mnt" 2>"$work/apply.log"
	cat "$FLATPAUSE_STATE_DIR"/*.journal | grep -ao '/dev/shm/flatpause-[0-9a-f]*' >>"$work/memory-dirs"
	pid=$("$fixer" status --json | jq -r '.guards[0].pid // 0')
	# what it took over is exported from 100 ms on: there most of them die
	case $((round % 3)) in
	0) sleep 0.$(printf '%03d' $((RANDOM % 280))) ;;
	1) sleep 0.$(printf '%03d' $((95 + RANDOM % 100))) ;;
	2) wait_for_copy ;;
	esac
	[ "$pid" -gt 0 ] && kill -9 "$pid" 2>/dev/null
	"$fixer" status --json | jq -r '.guards[].files[].state' >"$work/states"
	grep -q 'being exported' "$work/states" && exporting=$((exporting + 1))
	grep -q 'being renamed' "$work/states" && renaming=$((renaming + 1))
	[ $((round % 20)) = 0 ] && check_claims
done
wait $writer
: >"$work/done-writing"
check_claims
held=$(find "$mnt" -type l | wc -l)
echo "# killed in $exporting copies and $renaming renames; $held names still in memory at the end" >&2
check "apply goes on where the last guard was killed" apply --mitigation memfd --memory 256M "$mnt"
wait_for 15 sh -c "[ -z \"\$(find $mnt -type l)\" ]"
check "what was held is exported after the restart" equals "$(find "$mnt" -type l)" ""
check_claims
check "nothing was called durable that was not whole" equals $false_claims 0
check "revert" revert
whole=0 linked=0
for i in $(seq $files); do
	if is_file "$(place_of "$i")" && same_bytes "$(place_of "$i")" "$work/source"; then
		whole=$((whole + 1))
	else
		echo "# not whole: $(place_of "$i"): $(ls -la "$(dirname "$(place_of "$i")")" 2>&1)" >&2
	fi
	[ $((i % 8)) = 5 ] && [ "$mnt/vm-$i/second" -ef "$mnt/vm-$i/memory.bin" ] && linked=$((linked + 1))
done
check "$files of $files files are whole at their real place" equals $whole $files
check "what had two names has two names" equals $linked $((files / 8))
check "some died while they copied" test $exporting -gt 0
check "some died behind a rename" test $renaming -gt 0
check "nothing is left" nothing_left
check "the device can be unmounted" umount "$mnt"
done_testing
