# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Sourced: where a fault is made. Disks whose slowness is known, groups with limits, foreign
# processes; and their end, in the order in which they can end.
#
# $dir is the case's own directory, $load the program of victims and disturbers.

# shellcheck source=tests/lab/disk.sh
. "$here/../lab/disk.sh"

say() { echo "faults: $*" >&2; }
log() { return 0; }
die() {
	say "error: $*"
	exit 1
}
missing() { # this host cannot make the fault: counted as a skip
	echo "$*" >"$dir/missing"
	exit 3
}

need_program() { command -v "$1" >/dev/null || missing "$1 is not installed (package $2)"; }

# keep NAME=VALUE...: for the windows, which run in processes of their own
keep() { printf '%q\n' "$@" | sed "s/^\([a-z_]*\)\\\\=/\1=/" >>"$dir/env"; }

mount_disk() { # DIR/loop -> DIR/mnt
	loop=$(<"$dir/loop")
	mnt=$dir/mnt
	mkdir -p "$mnt"
	make_fs "$loop" "$mnt"
	set_knob "/sys/block/${loop#/dev/}/queue/wbt_lat_usec" 0 "no writeback throttling"
	keep "loop=$loop" "mnt=$mnt"
}

# fast_disk SIZE [MKFS-OPTIONS]: a file in tmpfs
fast_disk() {
	MKFS_OPTS=${2:-}
	make_fast_disk "$dir" "$1"
	mount_disk
}

# slow_file SIZE: DIR/fuse/flatpause-lab.disk, as slow as `slow` says
slow_file() {
	[ -c /dev/fuse ] || missing "/dev/fuse: this kernel has no FUSE"
	mkdir -p "$dir/fuse"
	: >"$dir/control"
	foreign slowdisk "mount=$dir/fuse" "control=$dir/control" "bytes=$1"
	disk=$dir/fuse/$DISK_NAME
	keep "disk=$disk"
}

# slow_disk SIZE [MKFS-OPTIONS]: a loop device on it
slow_disk() {
	MKFS_OPTS=${2:-}
	slow_file "$1"
	attach_loop "$dir" "$disk"
	mount_disk
}

# slow [read_us=N] [write_us=N] [flush_us=N] [bytes_per_s=N]: from now on; nothing = fast
slow() { echo "$*" >"$dir/control.new" && cat "$dir/control.new" >"$dir/control"; }

busy_ns() { od -An -tu8 -N8 "$dir/control.busy" | tr -d ' '; }

# old_file NAME SIZE: on the disk, allocated and written
old_file() {
	dd if=/dev/zero of="$mnt/$1" bs=64k count=$(($(numfmt --from=iec "$2") / 65536)) conv=fsync status=none ||
		die "cannot write $mnt/$1"
}

knob() { # NAME VALUE, of the disk's queue; set back at the end
	local file=/sys/block/${loop#/dev/}/queue/$1
	[ -e "$file" ] || missing "$file"
	grep -qs "^$file " "$dir/knobs" || echo "$file $(<"$file")" >>"$dir/knobs"
	echo "$2" >"$file" || die "cannot set $file to $2"
}

bdi_knob() { # NAME VALUE
	local file
	file=/sys/class/bdi/$(<"/sys/block/${loop#/dev/}/dev")/$1
	[ -e "$file" ] || missing "$file"
	echo "$2" >"$file" || die "cannot set $file to $2"
}

# ---- groups: version 1 controllers, each mounted by itself ----

# group CONTROLLER: makes one, $group is its directory
group() {
	local root=/sys/fs/cgroup/$1
	[ "$1" = cpu ] && [ -d "${room:-}" ] && root=$room
	[ -e "$root/cgroup.procs" ] || missing "no cgroup controller '$1' at $root"
	group=$root/flatpause-faults-$$
	mkdir -p "$group" || die "cannot make $group"
	echo "$group" >>"$dir/groups"
	keep "group=$group"
}

limit() { # FILE VALUE
	[ -e "$group/$1" ] || missing "$group has no $1"
	echo "$2" >"$group/$1" || die "cannot write $2 to $group/$1"
}

join_group() { echo 0 >"$group/cgroup.procs"; }

# ---- foreign processes: not the sweep's, so not targets ----

foreign() { # VERB [KEY=VALUE...]: returns once it has begun
	setsid "$load" "$@" </dev/null >"$dir/$1.said" 2>>"$dir/foreign.log" &
	echo $! >>"$dir/$1.pids"
	wait_until 10 grep -q ready "$dir/$1.said" || die "$1 does not begin: $(tail -3 "$dir/foreign.log")"
}

end_foreign() { # VERB; their children end with them
	local pid
	while read -r pid; do kill -9 "$pid"; done 2>/dev/null <"$dir/$1.pids"
	rm -f "$dir/$1.pids" "$dir/$1.said"
}

# ---- the end ----

remove_groups() {
	local group pid
	[ -e "$dir/groups" ] || return 0
	while read -r group; do
		[ -e "$group/freezer.state" ] && echo THAWED >"$group/freezer.state"
		while read -r pid; do kill -9 "$pid"; done <"$group/cgroup.procs" 2>/dev/null
		wait_until 5 rmdir "$group" || say "cannot remove $group"
	done <"$dir/groups"
	rm -f "$dir/groups"
}

remove_place() {
	local verb
	[ -e "$dir/loop" ] && fsfreeze -u "$dir/mnt" 2>/dev/null
	[ -e "$dir/control" ] && slow
	for verb in hog storm flood append listen serve; do
		[ -e "$dir/$verb.pids" ] && end_foreign "$verb"
	done
	remove_groups
	remove_disk "$dir" || say "the disk of $dir could not be removed"
	rmdir "$dir"/{mnt,fuse,ram} 2>/dev/null
}
