# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Sourced by lab.sh: the disk under a lab, from the memory that plays the platter to the mount.
#
#   slow disk:  nbdkit (memory, rate filter) -> nbdfuse -> loop device -> ext4
#   fast disk:  a file in tmpfs -> loop device -> ext4
#
# All names are made from the lab's directory, so that what a crash left behind can be found by it.

DISK_NAME=flatpause-lab.disk # the file behind the loop device: nothing else is called so
NBD_NAME=flatpause-lab.nbd

# bounded SECONDS COMMAND...: its status, or 124 when it has not ended by then. Never waits longer:
# a process in an uninterruptible sleep is left behind for the caller's harder means.
bounded() {
	local limit=$1 pid started=$SECONDS
	shift
	"$@" </dev/null &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		if [ $((SECONDS - started)) -ge "$limit" ]; then
			kill -9 "$pid" 2>/dev/null
			sleep 0.2
			kill -0 "$pid" 2>/dev/null && return 124
			wait "$pid" 2>/dev/null
			return 124
		fi
		sleep 0.02
	done
	wait "$pid"
}

# wait_until SECONDS COMMAND...: polls until it succeeds
wait_until() {
	local limit=$1 started=$SECONDS
	shift
	until "$@" >/dev/null 2>&1; do
		[ $((SECONDS - started)) -ge "$limit" ] && return 1
		sleep 0.05
	done
}

is_mounted() {
	# not mountpoint(1): it stats the mount, and a dead FUSE mount may not answer
	awk -v dir="$1" '$5 == dir { found = 1 } END { exit !found }' /proc/self/mountinfo
}

loop_of() { # the loop device that has DIR's disk, dead or alive
	local name
	for name in /sys/block/loop*/loop/backing_file; do
		[ -e "$name" ] || continue
		case $(<"$name") in
		"$1/fuse/$DISK_NAME"* | "$1/ram/$DISK_NAME"* | "/$DISK_NAME"*)
			# inside a FUSE or tmpfs mount that is gone the path is cut to its tail
			[ "$(<"$name")" = "/$DISK_NAME" ] && ! loop_is_ours "$1" "$name" && continue
			name=${name#/sys/block/}
			echo "/dev/${name%%/*}"
			return 0 # in a trap a bare one gives the status from before the trap
			;;
		esac
	done
	return 1
}

loop_is_ours() { # DIR SYSFS-NAME: by the device number that `up` noted
	local dev=${2#/sys/block/}
	[ "$(cat "$1/loop" 2>/dev/null)" = "/dev/${dev%%/*}" ]
}

# pids_of DIR PROGRAM: those that name DIR's own files in their arguments
pids_of() {
	local dir=$1 program=$2 pid comm
	for pid in /proc/[0-9]*; do
		{ read -r comm <"$pid/comm"; } 2>/dev/null || continue # no fork for each
		[ "$comm" = "$program" ] || continue
		tr '\0' '\n' <"$pid/cmdline" 2>/dev/null | grep -qF -- "$dir/" && echo "${pid#/proc/}"
	done
	return 0
}

# stop_all SECONDS DIR PROGRAM: asks them to end, then makes them
stop_all() {
	local limit=$1 dir=$2 program=$3 pids
	pids=$(pids_of "$dir" "$program")
	[ -z "$pids" ] && return
	# shellcheck disable=SC2086
	kill $pids 2>/dev/null
	gone() { [ -z "$(pids_of "$dir" "$program")" ]; }
	wait_until "$limit" gone && return
	say "$program does not end, killing it"
	# shellcheck disable=SC2046
	kill -9 $(pids_of "$dir" "$program") 2>/dev/null
	wait_until 5 gone || say "$program (pid $(pids_of "$dir" "$program" | tr '\n' ' ')) hangs in the kernel"
}

# ---- up ----

set_rate() { # DIR BITS-PER-SECOND; 0 = as fast as it goes
	[ -e "$1/rate" ] || return 0
	echo "$2" >"$1/rate"
}

make_slow_disk() { # DIR SIZE
	local dir=$1 size=$2
	need_program nbdkit nbdkit
	need_program nbdfuse libnbd-bin
	[ -c /dev/fuse ] || missing "/dev/fuse: this kernel has no FUSE (modprobe fuse?)"
	mkdir -p "$dir/fuse"
	echo 0 >"$dir/rate" # up and reset work at full speed
	bounded 10 nbdkit -P "$dir/nbdkit.pid" -U "$dir/$NBD_NAME" --filter=rate \
		memory size="$size" rate-file="$dir/rate" burstiness=0.5 ||
		die "nbdkit does not start"
	wait_until 5 test -S "$dir/$NBD_NAME" || die "nbdkit made no socket"
	setsid nbdfuse -P "$dir/nbdfuse.pid" "$dir/fuse/$DISK_NAME" --unix "$dir/$NBD_NAME" \
		</dev/null >"$dir/nbdfuse.log" 2>&1 &
	wait_until 5 test -e "$dir/fuse/$DISK_NAME" ||
		die "nbdfuse does not serve the disk: $(cat "$dir/nbdfuse.log")"
	attach_loop "$dir" "$dir/fuse/$DISK_NAME"
}

make_fast_disk() { # DIR SIZE
	mkdir -p "$1/ram"
	bounded 10 mount -t tmpfs -o size="$2",mode=0700 flatpause-lab "$1/ram" ||
		die "cannot mount a tmpfs"
	truncate -s "$2" "$1/ram/$DISK_NAME" || die "cannot make the disk's file"
	attach_loop "$1" "$1/ram/$DISK_NAME"
}

attach_loop() { # DIR FILE
	local loop
	[ -e /dev/loop-control ] || missing "/dev/loop-control: this kernel has no loop devices (modprobe loop?)"
	bounded 10 losetup -f --show "$2" >"$1/loop" || {
		rm -f "$1/loop"
		missing "no loop device can be had for $2"
	}
	loop=$(<"$1/loop")
	# a write error that this number's last user never saw would be told to us: take it now
	bounded 20 sync "$loop" 2>/dev/null
	keep_knobs "$1" "$loop"
	log "disk: $loop"
}

# The loop device's number lives on after us, and so would its settings: note what they were.
keep_knobs() { # DIR LOOP
	local queue=/sys/block/${2#/dev/}/queue bdi file
	bdi=/sys/class/bdi/$(<"/sys/block/${2#/dev/}/dev")
	for file in "$queue/wbt_lat_usec" "$queue/max_sectors_kb" "$bdi/max_ratio_fine" "$bdi/strict_limit"; do
		[ -e "$file" ] && echo "$file $(<"$file")"
	done >"$1/knobs"
}

restore_knobs() { # DIR
	local file value
	[ -e "$1/knobs" ] || return 0
	while read -r file value; do
		[ "$(<"$file")" = "$value" ] || echo "$value" 2>/dev/null >"$file" ||
			say "cannot set $file back to $value"
	done <"$1/knobs"
	rm -f "$1/knobs"
}

set_knob() { # FILE VALUE WHAT-THE-KERNEL-LACKS ("" as value: leave it)
	[ -z "$2" ] && return
	[ -e "$1" ] || missing "$1: $3"
	echo "$2" >"$1" || die "cannot set $1 to $2"
}

set_knobs() { # LOOP; from the scenario
	local queue=/sys/block/${1#/dev/}/queue bdi
	bdi=/sys/class/bdi/$(<"/sys/block/${1#/dev/}/dev")
	set_knob "$queue/wbt_lat_usec" "$WBT_USEC" "no writeback throttling (CONFIG_BLK_WBT)"
	set_knob "$queue/max_sectors_kb" "$REQUEST_KB" "no such setting"
	set_knob "$bdi/max_bytes" "$DIRTY_LIMIT" "no dirty limit per device (needs Linux 6.2)"
	set_knob "$bdi/strict_limit" "$STRICT_LIMIT" "no strict dirty limit (needs Linux 6.2)"
}

make_fs() { # LOOP MOUNTPOINT
	need_program mkfs.ext4 e2fsprogs
	# no lazy initialisation: its thread would write beside the BRANCHes
	bounded 120 mkfs.ext4 -q -F -L flatpause-lab -i 1048576 $MKFS_OPTS \
		-E nodiscard,lazy_itable_init=0,lazy_journal_init=0 "$1" ||
		die "mkfs.ext4 fails on $1"
	bounded 20 mount -t ext4 -o nodiscard "$1" "$2" || die "cannot mount $1"
}

# ---- down ----

# Unmounts, at worst by force; FUSE is cut off when the disk does not answer any more.
unmount() { # DIR MOUNTPOINT SECONDS
	local dir=$1 mnt=$2 limit=$3
	is_mounted "$mnt" || return 0
	bounded "$limit" umount "$mnt" 2>"$dir/umount.log" && return 0
	is_mounted "$mnt" || return 0
	say "cannot unmount $mnt ($(head -1 "$dir/umount.log" 2>/dev/null)), using force"
	# without its server FUSE fails every request, and whoever waits for the disk goes on
	# shellcheck disable=SC2046
	kill -9 $(pids_of "$dir" nbdfuse) 2>/dev/null
	bounded 10 umount "$mnt" 2>/dev/null && return 0
	is_mounted "$mnt" || return 0
	bounded 10 umount -l "$mnt" 2>/dev/null
	! is_mounted "$mnt"
}

# Mount, loop device, FUSE file, server: in this order, or the machine waits for itself.
remove_disk() { # DIR
	local dir=$1 loop status=0
	set_rate "$dir" 0
	unmount "$dir" "$dir/mnt" 60 || status=1
	restore_knobs "$dir"
	if loop=$(loop_of "$dir"); then
		bounded 10 losetup -d "$loop" || say "cannot detach $loop"
		detached() { ! loop_of "$dir"; }
		wait_until 10 detached || status=1
	fi
	if is_mounted "$dir/fuse"; then
		bounded 10 umount "$dir/fuse" 2>/dev/null || {
			# shellcheck disable=SC2046
			kill -9 $(pids_of "$dir" nbdfuse) 2>/dev/null
			bounded 10 umount -l "$dir/fuse"
		}
		is_mounted "$dir/fuse" && status=1
	fi
	stop_all 5 "$dir" nbdfuse
	stop_all 5 "$dir" nbdkit
	unmount "$dir" "$dir/ram" 10 || status=1
	return $status
}
