#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The controller on older kernels of the distribution, emulated. Its cover: one is before passthrough
# and before a kernel asks another server what a dead one has not answered, one has both. Its guard:
# neither asks before a first write.
. "$(dirname "$0")/vm_lib.sh"

# whether the cover lives on behind a killed server
declare -A lives=([linux-image-amd64]=0 [linux-image-6.12-cloud-amd64]=1)

said() { # NAME RESULTS LINE
	check "$1: $3" grep -qx "$3" "$2/said"
}

check_cover() { # NAME RESULTS LIVES
	local line
	for line in "mounts 1" "a new file with O_EXCL" "is read whole" "durable 1" "is whole on disk" \
		"O_TRUNC over it" "durable again 2" "the directory can be used" "reverted" \
		"mounts at the end 0" "links at the end 0" "left in memory 0"; do
		said "$1" "$2" "$line"
	done
	said "$1" "$2" "mounts behind the kill $3"
	if [ "$3" = 1 ]; then
		said "$1" "$2" "another server goes on"
		said "$1" "$2" "it is another"
	else
		check "$1: says why the cover was taken away" \
			grep -q "this kernel (before 6.9) does not ask another" "$2/guard.log"
	fi
}

check_guard() { # NAME RESULTS
	local line
	for line in "nobody is asked before a first write" "first mapped 4194304 delayed 0" \
		"exact spare, kept, kept" "truncated spare, undone by O_TRUNC at open" \
		"it is not made again" "both are whole" "killed, and writers go on" "broken 0" \
		"reverted" "left 0" "the disk can be unmounted"; do
		said "$1" "$2" "guard: $line"
	done
}

for package in "${kernels[@]}"; do
	in_vm "the controller in an emulated machine" "$package" "$here/guest_fixer.sh" \
		"$here/guest_cover.sh" "$here/guest_guard.sh" "$out/flatpause-fixer" \
		"$out/lab/vmm_writer" || continue
	cat "$results"/{log,said,guard.log} >&2
	check_cover "$name" "$results" "${lives[$package]}"
	check_guard "$name" "$results"
done
done_testing
