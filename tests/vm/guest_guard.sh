# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Sourced by guest_fixer.sh: a guard on a kernel that asks nobody before a first write, and what becomes
# of its writers when it is killed.
dir=/mnt/guarded

# file_of DIR KEY: what `fix status` says of DIR/memory.bin
file_of() {
	flatpause-fixer status --json | awk -v dir="\"$1\"," -v key="\"$2\":" '
		$1 == "\"dir\":" { here = $2 == dir }
		here && $1 == key { $1 = ""; gsub(/[",]/, ""); sub(/^ /, ""); print }'
}
notes() { flatpause-fixer status | tr -s ' \n' ' ' | grep -o "$1" | wc -l; } # its lines are wrapped
there() { [ -e "$1" ] && echo 1; }
planted() { # DIR: made, and its spare is there
	until_is 1 there $dir/.flatpause/spare
	mkdir $dir/"$1"
	until_is 1 there $dir/"$1"/memory.bin
}
# Writes one file after the other until it is told to stop.
write_on() {
	while [ ! -e /tmp/enough ]; do
		n=$((n + 1))
		mkdir $dir/on-$n && cat /tmp/part >$dir/on-$n/memory.bin || return 1
		: >/tmp/written-$n
	done
}
written() { ls /tmp/written-* 2>/dev/null | wc -l; }
at_least() { [ "$(written)" -ge "$1" ] && echo 1; }
broken() {
	for n in $(seq "$(written)"); do
		cmp -s /tmp/part $dir/on-"$n"/memory.bin || echo "$n"
	done | wc -l
}

mkdir $dir
flatpause-fixer apply --mitigation fallocate --redo --size-from 4M $dir 2>>/results/log || exit 1
[ "$(notes "does not ask before a first write (FAN_PRE_ACCESS, 6.14 and later)")" = 1 ] &&
	say "guard: nobody is asked before a first write"
planted exact
vmm_writer firecracker /tmp/a $dir/exact/memory.bin >/tmp/exact.said
until_is closed file_of exact state
say "guard: $(grep first /tmp/exact.said)"
say "guard: exact $(file_of exact preallocated), $(file_of exact at_first_write), $(file_of exact at_close)"
planted truncated
vmm_writer qemu /tmp/a $dir/truncated/memory.bin >/tmp/truncated.said
until_is closed file_of truncated state
say "guard: truncated $(file_of truncated preallocated), $(file_of truncated at_first_write)"
[ "$(file_of truncated redone)" = true ] || say "guard: it is not made again"
cmp /tmp/a $dir/exact/memory.bin && cmp /tmp/a $dir/truncated/memory.bin && say "guard: both are whole"

head -c 262144 /tmp/a >/tmp/part
n=0
write_on &
writers=$!
until_is 1 at_least 3
kill -9 "$(server)"
until_is 1 at_least $(($(written) + 3))
: >/tmp/enough
wait $writers && [ "$(written)" -ge 6 ] && say "guard: killed, and writers go on"
say "guard: broken $(broken)"
flatpause-fixer status >>/results/guard.log
flatpause-fixer revert $dir 2>>/results/log && say "guard: reverted"
say "guard: left $(ls -d $dir/.flatpause $dir/*/.*.flatpause /var/lib/flatpause/*.journal 2>/dev/null | wc -l)"
umount /mnt && say "guard: the disk can be unmounted"
