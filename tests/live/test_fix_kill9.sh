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
		# while nobody is there to meet it a file goes to disk, and there is nothing to kill for
		until [ -e "$work/armed" ]; do sleep 0.005; done
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

tell_writer() { # how many have died; whole at any time
	echo "$1" >"$work/round.new"
	mv "$work/round.new" "$work/round"
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

# ---- who is killed, and at which of its steps ----

# Guards that have begun since the journal was.
starts() {
	cat "$FLATPAUSE_STATE_DIR"/*.journal 2>/dev/null | grep -ao '"pid":' | wc -l
}

# What the guard that began in this round wrote down last.
last_step() {
	[ "$(starts)" -ne "$before" ] || { echo starting; return; }
	case $(tail -c 3000 "$FLATPAUSE_STATE_DIR"/*.journal | grep -ao '"pid":\|"state":"[^"]*"\|"verify_ms":' | tail -n 1) in
	'"state":"planted"') echo planted ;;
	'"state":"being exported"') echo exporting ;;
	'"state":"being renamed"') echo renaming ;;
	'"state":"durable"') echo comparing ;;
	'"state":"in memory'*) echo 'waiting to try again' ;;
	'"pid":') echo 'watching only' ;;
	*) echo 'between two steps' ;;
	esac
}

wait_for_step() { # STEP: half a second at most, then whatever it does is what it is killed in
	local until=$((${EPOCHREALTIME/./} + 500000))
	until [ "$(last_step)" = "$1" ] || [ "${EPOCHREALTIME/./}" -gt $until ]; do :; done
}

# A child of ours that was killed tells so itself: who had ended before has another status.
kill_hits() { # PID
	kill -9 "$1" 2>/dev/null
	wait "$1" 2>/dev/null
	[ $? -eq 137 ]
}

# Slow enough for a copy and its comparison to be met: 0.3 s each.
guard=("$fixer" apply --mitigation memfd --memory 256M --export-rate 8M "$mnt")

declare -A died=()
hit_at() {
	hits=$((hits + 1))
	died[$1]=$((${died[$1]:-0} + 1))
	tell_writer $hits
}

# A guard whose starter or revert died is nobody's child; it is killed too, and not counted.
end_daemon() {
	local pid
	pid=$("$fixer" status --json | jq -r '.guards[0] | select(.alive) | .pid')
	[ -z "$pid" ] || kill -9 "$pid"
}

kill_starter() { # at any step of its start; of every second the guard is no child of ours
	local daemon=$((round % 2))
	"${guard[@]}" $([ $daemon = 1 ] || echo --foreground) 2>"$work/apply.log" &
	sleep 0.$(printf '%03d' $((RANDOM % (daemon ? 40 : 60))))
	if kill_hits $!; then
		if [ $daemon = 1 ]; then hit_at starting; else hit_at "$(last_step)"; fi
	fi
	end_daemon
}

kill_revert() {
	"${guard[@]}" 2>"$work/apply.log"
	"$fixer" revert --wait 1s "$mnt" >/dev/null 2>&1 &
	sleep 0.0$(printf '%02d' $((RANDOM % 40)))
	! kill_hits $! || hit_at reverting
	end_daemon
}

kill_guard() { # STEP, or nothing: at any time
	: >"$work/apply.log"
	"${guard[@]}" --foreground 2>"$work/apply.log" &
	until [[ $(<"$work/apply.log") == *guarding* ]]; do
		kill -0 $! 2>/dev/null || { end_daemon; return; } # one that was starting was there first
		sleep 0.005
	done
	: >"$work/armed"
	if [ -n "$1" ]; then
		wait_for_step "$1"
		sleep 0.00$((RANDOM % 10))
	else
		sleep 0.$(printf '%03d' $((RANDOM % 400)))
	fi
	! kill_hits $! || hit_at "$(last_step)"
	rm "$work/armed"
}

# So many deaths in a step at least: the one that lacks most is waited for next.
declare -A least=([starting]=15 [reverting]=15 [planted]=15 [exporting]=30 [renaming]=15 [comparing]=15)
lacking() {
	local step most=0 which=''
	for step in "${!least[@]}"; do
		local lack=$((least[$step] - ${died[$step]:-0}))
		[ $lack -le $most ] || { most=$lack which=$step; }
	done
	echo "$which"
}

tell_writer 0
write_all &
writer=$!
hits=0 round=0
revert >/dev/null 2>&1 # the guard of the first check
while { [ $hits -lt $kills ] || [ -n "$(lacking)" ]; } && [ $round -lt $((kills * 2)) ]; do
	round=$((round + 1))
	before=$(starts)
	case $(lacking) in
	starting) kill_starter ;;
	reverting) kill_revert ;;
	*) kill_guard "$(lacking)" ;;
	esac
	grep -aoh '/dev/shm/flatpause-[0-9a-f]*' "$FLATPAUSE_STATE_DIR"/*.journal >>"$work/memory-dirs" 2>/dev/null
	[ $((round % 20)) -ne 0 ] || check_claims
done
: >"$work/armed"
tell_writer $((kills * 2)) # the last files need no more kills
wait $writer
: >"$work/done-writing"
check_claims
held=$(find "$mnt" -type l | wc -l)
distribution=$(for step in "${!died[@]}"; do echo "${died[$step]} $step"; done | sort -rn | paste -sd, | sed 's/,/, /g')
echo "# $hits of $round kills hit who was alive: $distribution; $held names were in memory at the end"
check "$kills kills hit a living controller" test $hits -ge $kills
check "so many in each of its steps as it was waited for in" equals "$(lacking)" ""
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
check "nothing is left" nothing_left
check "the device can be unmounted" umount "$mnt"
done_testing
