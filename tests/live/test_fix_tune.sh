#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Settings of a real disk: changed, journaled, put back; what others changed is left to them.
. "$(dirname "$0")/fix_lib.sh"

new_fs 64M
dev=$(mountpoint -d "$mnt")
bdi=/sys/class/bdi/$dev
wbt=/sys/dev/block/$dev/queue/wbt_lat_usec
if [ ! -e "$bdi/max_ratio_fine" ] || [ ! -e "$wbt" ]; then
	skip "tune" "no $bdi/max_ratio_fine or $wbt on this kernel"
	done_testing
fi
values() { cat "$bdi/max_ratio_fine" "$bdi/strict_limit" "$wbt"; }
before=$(values)
wbt_before=$(cat "$wbt")

check "no setting named: usage" exits_with 2 "$fixer" apply -m tune "$mnt"
check "a setting without tune: usage" exits_with 2 "$fixer" apply -m memfd --max-bytes 32M "$mnt"
check "the whole host only with --global" exits_with 2 "$fixer" apply -m tune \
	--background-bytes 64M "$mnt"
check "nothing was changed by that" equals "$(values)" "$before"
check "and no journal is left" nothing_left

check "a limit for this disk" apply -m tune --max-bytes 16M --wbt-lat-usec 0 "$mnt"
check "the disk has it" equals "$(cat "$bdi/strict_limit" "$wbt" | tr '\n' ' ')" "1 0 "
check "as a share of the host's limit" test "$(cat "$bdi/max_ratio_fine")" -lt 1000000
check "a second hand is refused" not apply -m tune --wbt-lat-usec 100 "$mnt"
check "a guard too" not apply -m memfd "$mnt"
check "status names what was changed" says "wbt_lat_usec: $wbt_before -> 0" "$fixer" status
check "revert" revert
check "every value is back" equals "$(values)" "$before"
check "nothing is left" nothing_left

check "once more" apply -m tune --wbt-lat-usec 0 "$mnt"
echo 12345 >"$wbt"
check "status tells that somebody changed it" says "somebody made it 12345" "$fixer" status
check "revert says so too" eval 'revert 2>&1 | grep -q "12345 now"'
check "and leaves it" equals "$(cat "$wbt")" 12345
check "no journal is left" nothing_left
echo "$wbt_before" >"$wbt"

check "what it has already is no change" not apply -m tune --wbt-lat-usec "$wbt_before" "$mnt"
check "and leaves no journal" nothing_left

# killed at a random point of it, again and again: revert always leads back
for i in $(seq 25); do
	"$fixer" apply -m tune --max-bytes 16M --wbt-lat-usec 0 "$mnt" >/dev/null 2>&1 &
	pid=$!
	sleep "0.00$((RANDOM % 10))$((RANDOM % 10))"
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
	timeout 60 "$fixer" revert "$mnt" >/dev/null 2>&1 || break
	[ "$(values)" = "$before" ] || break
done
check "killed at any point: revert leads back" equals "$i $(values)" "25 $before"
check "with nothing left" nothing_left
done_testing
