#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A place where pauses grow, on one machine and without hardware: an ext4 on a disk of our own and a
# VMM stand-in with snapshots on it.
#
#   lab.sh up backlog|full|aged DIR   builds it; DIR/env tells what there is, for `. DIR/env`
#   lab.sh control DIR                adds the same on tmpfs; DIR/control.env
#   lab.sh reset DIR                  as after `up`: no snapshots, a fresh file system, nothing dirty
#   lab.sh down DIR | down --all      removes it, also after a crash; cannot hang
#   lab.sh status                     the labs that are there
#
# LAB_BIN: where labvmm, branch and age are (default: .output/lab of this checkout).
# LAB_DISK_SIZE: of the slow disk (default 3G); it lies in memory.
# LAB_COLD=1: memory is not touched before, so that it is up soon and pauses in it tell nothing.
# Exit codes: 0 ok, 1 failed, 2 usage, 3 this host cannot do it.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAB_BIN=${LAB_BIN:-$here/../../.output/lab}
STATE=/run/flatpause-lab

say() { echo "lab: $*" >&2; }
log() { [ -n "${LAB_VERBOSE:-}" ] && say "$@"; return 0; }
die() {
	say "error: $*"
	exit 1
}
missing() {
	say "error: this host cannot run the lab: $*"
	exit 3
}
usage() {
	sed -n '3,15s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
	exit 2
}
need_program() {
	command -v "$1" >/dev/null || missing "$1 is not installed (package $2; \`make deps\` as root)"
}

# shellcheck source=tests/lab/disk.sh
. "$here/disk.sh"

# ---- the scenarios ----

# What makes each pause grow. The slow disk takes requests of 512 KiB and has little burst: with more
# of both, one slow pause drains the whole backlog and the next ones are fast again.
scenario() {
	VCPUS=2 DIRTY_PAGES=100 MEMORY=256M KEEP=5 WBT_USEC=2000
	DISK=slow DISK_SIZE=${LAB_DISK_SIZE:-3G} RATE_BITS=800000000 REQUEST_KB=512 DIRTY_LIMIT=600000000 STRICT_LIMIT=
	AGED_SIZE= FIRST= MKFS_OPTS= DROP_CACHE=
	case $1 in
	backlog) # a small diff, fsynced behind the writeback of the copies beside it
		MODE=diff GAP=1s FSYNC=yes
		;;
	full) # the whole memory in the pause; the writer is throttled for what it dirties.
		# strict: on a machine with much memory nobody is throttled below the global limit
		MODE=full GAP=0.5s FSYNC=no KEEP=3 STRICT_LIMIT=1
		;;
	aged) # the whole memory and fsync, on a file system whose free space is crumbs. Small block
		# groups: 1088 of them, as on 136 GB. No wbt: it would hide the allocator behind thousands
		# of small requests. All snapshots stay, or the first ones' whole extents come back. The gap
		# leaves room for allocating the next file among the crumbs.
		MODE=full GAP=2.5s FSYNC=yes MEMORY=128M KEEP=16 DROP_CACHE=--drop-cache
		DISK=fast DISK_SIZE=4352M AGED_SIZE=3840M MKFS_OPTS="-g 1024"
		RATE_BITS=0 REQUEST_KB= DIRTY_LIMIT= WBT_USEC=0
		;;
	*)
		say "no scenario '$1' (backlog, full, aged)"
		usage
		;;
	esac
}

# ---- state: which labs there are, and with what ----

state_file() { echo "$STATE/$(printf %s "$1" | md5sum | cut -c1-16)"; }

absolute() {
	local dir
	dir=$(realpath -m -- "$1") || usage
	[ "$dir" != / ] || usage
	case $dir in *[[:space:]\'\"]*) die "a lab's directory has no spaces or quotes in its name: $dir" ;; esac
	echo "$dir"
}

need_root() { [ "$(id -u)" -eq 0 ] || missing "not root"; }

need_bins() {
	local name
	for name in labvmm branch age; do
		[ -x "$LAB_BIN/$name" ] || die "$LAB_BIN/$name is not built; \`make tools\` builds it"
	done
	LAB_BIN=$(cd "$LAB_BIN" && pwd)
}

is_up() {
	[ -e "$(state_file "$1")" ] || is_mounted "$1/mnt" || is_mounted "$1/fuse" ||
		is_mounted "$1/ram" || is_mounted "$1/control"
}

# ---- the VMM and its snapshots ----

start_vmm() { # DIR NAME: DIR/NAME.sock, DIR/NAME.pid
	local args=(--api-sock "$1/$2.sock" --pidfile "$1/$2.pid" --memory "$MEMORY"
		--vcpus "$VCPUS" --dirty-pages "$DIRTY_PAGES")
	[ "$FSYNC" = no ] && args+=(--no-fsync)
	rm -f "$1/$2.pid"
	setsid "$LAB_BIN/labvmm" "${args[@]}" </dev/null >"$1/$2.log" 2>&1 &
	wait_until 30 test -s "$1/$2.pid" || die "labvmm does not start: $(cat "$1/$2.log")"
}

# A first full snapshot of the running VM: where the chain of diffs starts.
make_base() { # SOCK ROOT
	bounded 60 "$LAB_BIN/branch" --api-sock "$1" --root "$2" --mode full >/dev/null &&
		mv "$2/snap-1/memory.bin" "$2/base.bin" && rm -r "$2/snap-1" ||
		die "cannot make the base snapshot in $2"
}

write_env() { # FILE ROOT SOCK PIDFILE DEV MEMORY-DIR
	{
		echo "SCENARIO=$SCENARIO MODE=$MODE GAP=$GAP SIZE=$(numfmt --from=iec "$MEMORY")"
		echo "MNT=$2 DEV=$5"
		echo "SOCK=$3 VMM_PID=$(<"$4") BASE=$6/base.bin"
		echo "BRANCH=($LAB_BIN/branch --api-sock $3 --root $2 --memory-dir $6 --base $6/base.bin --mode $MODE --keep $KEEP $DROP_CACHE)"
	} >"$1.new" && mv "$1.new" "$1"
}

# A file system as on the first day (or the last, for `aged`), nothing dirty, the disk's own speed.
fresh_fs() { # DIR
	local loop
	loop=$(<"$1/loop")
	set_rate "$1" 0
	mkdir -p "$1/mnt"
	make_fs "$loop" "$1/mnt"
	set_knobs "$loop"
	[ -n "$AGED_SIZE" ] &&
		{ bounded 120 "$LAB_BIN/age" --size "$AGED_SIZE" "$1/mnt/aged" >"$1/age.json" ||
			die "cannot age the file system"; }
	[ "$FIRST" = yes ] && [ "$DISK" = fast ] && fill "$1/mnt" 11
	fill "$1/mnt" 6
	make_base "$1/vmm.sock" "$1/mnt"
	bounded 120 sync -f "$1/mnt" || die "the disk does not take its data"
	set_rate "$1" "$RATE_BITS"
}

# The memory of a virtual machine can be slow when it is touched for the first time, which is nothing
# that should show in a pause: have it touched before: the disk's (warm_disk; on a fast disk the
# free space is filled once) and that of the page cache.
warm_disk() { # LOOP
	[ -n "${LAB_COLD:-}" ] && return
	bounded 180 dd if=/dev/zero of="$1" bs=4M oflag=direct status=none 2>/dev/null # to its end
	bounded 60 sync "$1"
}

fill() { # ROOT MEMORIES: writes as much as so many memory files, and takes it away again
	[ -n "${LAB_COLD:-}" ] && return
	local mb=$(($(numfmt --from=iec "$MEMORY") * $2 >> 20))
	bounded 120 dd if=/dev/zero of="$1/fill" bs=4M count=$((mb / 4)) conv=fdatasync status=none &&
		rm "$1/fill" || die "cannot write $mb MB to $1"
}

up() {
	SCENARIO=$1
	scenario "$1"
	local dir
	dir=$(absolute "$2") || exit
	need_root
	need_bins
	is_up "$dir" && die "a lab is up at $dir already; \`lab.sh down $dir\` removes it"
	mkdir -p "$dir" "$STATE" || die "cannot make $dir"
	echo "$dir" >"$(state_file "$dir")" || die "cannot note the lab in $STATE"
	trap 'code=$?; trap "" INT TERM; [ $code -ne 0 ] && remove_lab "$dir"; exit $code' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	echo "$SCENARIO" >"$dir/scenario"
	"make_${DISK}_disk" "$dir" "$DISK_SIZE"
	[ "$DISK" = slow ] && warm_disk "$(<"$dir/loop")"
	start_vmm "$dir" vmm
	FIRST=yes fresh_fs "$dir"
	write_env "$dir/env" "$dir/mnt" "$dir/vmm.sock" "$dir/vmm.pid" "$(<"$dir/loop")" "$dir/mnt"
	trap - EXIT INT TERM
	say "$SCENARIO is up: $dir/env"
}

load_lab() { # DIR: as `up` made it
	[ -e "$1/scenario" ] && is_mounted "$1/mnt" || die "no lab is up at $1"
	SCENARIO=$(<"$1/scenario")
	scenario "$SCENARIO"
	need_root
	need_bins
}

# Only the memory files move to tmpfs; the device state and the small diff stay on the disk, so that the
# control differs from the other arms by one thing.
control() {
	local dir
	dir=$(absolute "$1") || exit
	load_lab "$dir"
	is_mounted "$dir/control" && die "the control is up already"
	mkdir -p "$dir/control"
	bounded 10 mount -t tmpfs -o size="$DISK_SIZE",mode=0700 flatpause-lab "$dir/control" ||
		die "cannot mount a tmpfs"
	# few snapshots stay: pages of tmpfs that were just freed are quick to get, new ones may not be
	KEEP=3
	fill "$dir/control" 6
	start_vmm "$dir" control
	make_base "$dir/control.sock" "$dir/control"
	write_env "$dir/control.env" "$dir/mnt" "$dir/control.sock" "$dir/control.pid" "$(<"$dir/loop")" \
		"$dir/control"
	say "the control is up: $dir/control.env"
}

reset() {
	local dir
	dir=$(absolute "$1") || exit
	load_lab "$dir"
	set_rate "$dir" 0
	unmount "$dir" "$dir/mnt" 60 || die "cannot unmount $dir/mnt; is it in use?"
	fresh_fs "$dir"
	is_mounted "$dir/control" && rm -rf "$dir"/control/snap-* "$dir"/control/diff-*
	log "reset"
}

remove_lab() { # DIR; idempotent
	local dir=$1 status=0 mark
	mark=$(state_file "$dir")
	set_rate "$dir" 0
	stop_all 15 "$dir" labvmm
	unmount "$dir" "$dir/control" 10 || status=1
	remove_disk "$dir" || status=1
	if [ $status -ne 0 ]; then
		say "error: something of $dir could not be removed; try again when it is not in use"
		return 1
	fi
	if [ -d "$dir" ]; then
		(cd "$dir" && rm -f env control.env env.new control.env.new scenario loop rate knobs \
			age.json umount.log ./*.log ./*.pid ./*.sock "$NBD_NAME" &&
			rmdir mnt fuse ram control 2>/dev/null)
		rmdir "$dir" 2>/dev/null
	fi
	rm -f "$mark"
	rmdir "$STATE" 2>/dev/null
	return 0
}

# Labs by the state files, and those whose state file is gone by the names of their disks.
all_labs() {
	local f
	{
		cat "$STATE"/* 2>/dev/null
		for f in /sys/block/loop*/loop/backing_file; do
			[ -e "$f" ] && sed -n "s,/\(fuse\|ram\)/$DISK_NAME.*,,p" "$f"
		done
		awk '{ print $5 }' /proc/self/mountinfo | while read -r f; do
			[ -e "$f/../scenario" ] && [ -e "$f/../loop" ] && dirname "$f"
		done
		for f in /proc/[0-9]*; do
			case $(cat "$f/comm" 2>/dev/null) in nbdkit | nbdfuse) ;; *) continue ;; esac
			tr '\0' '\n' <"$f/cmdline" | sed -n "s,^\(/.*\)/$NBD_NAME\$,\1,p"
		done
	} 2>/dev/null | grep '^/.' | sort -u
}

down() {
	local dir status=0
	need_root
	if [ "$1" = --all ]; then
		while read -r dir; do
			say "removing $dir"
			remove_lab "$dir" || status=1
		done < <(all_labs)
		exit $status
	fi
	dir=$(absolute "$1") || exit
	remove_lab "$dir"
}

status() {
	local dir
	while read -r dir; do
		echo "$dir: $(cat "$dir/scenario" 2>/dev/null || echo leftovers)," \
			"mounts: $(awk -v d="$dir/" 'index($5, d) == 1 { printf "%s ", substr($5, length(d) + 1) }' /proc/self/mountinfo)," \
			"loop: $(loop_of "$dir" || echo none)," \
			"processes: $(for p in labvmm nbdfuse nbdkit; do pids_of "$dir" $p; done | tr '\n' ' ')"
	done < <(all_labs)
}

verb=${1:-}
case $verb:$# in
up:3) up "$2" "$3" ;;
control:2 | reset:2 | down:2) "$verb" "$2" ;;
status:1) status ;;
*) usage ;;
esac
