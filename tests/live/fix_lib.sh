# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Sourced by the live tests of the fixer: a small ext4 on a loop device over a tmpfs file.
. "$(dirname "$0")/../tap.sh"

out=${FLATPAUSE_OUT:-$(dirname "$0")/../../.output}
fixer=$(realpath "$out")/flatpause-fixer
size=$((32 << 20))

if [ "$(id -u)" -ne 0 ]; then
	skip "fixer" "needs root"
	done_testing
fi

work=$(mktemp -d /dev/shm/fix-test.XXXXXX)
mnt=$work/mnt
export FLATPAUSE_STATE_DIR=$work/state
mkdir "$mnt"

clean_up() {
	"$fixer" revert --all --wait 2s >/dev/null 2>&1
	umount "$mnt" 2>/dev/null || umount -l "$mnt" 2>/dev/null
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

new_fs() { # new_fs SIZE [mkfs option...]
	umount "$mnt" 2>/dev/null
	rm -f "$work/img"
	truncate -s "$1" "$work/img"
	shift
	mkfs.ext4 -q -F "$@" "$work/img" && mount -o loop "$work/img" "$mnt"
}

# Whose memory directory is whose: others may run guards on this host meanwhile.
apply() {
	local status=0
	timeout 20 "$fixer" apply "$@" || status=$?
	grep -aoh '/dev/shm/flatpause-[0-9a-f]*' "$FLATPAUSE_STATE_DIR"/*.journal \
		>>"$work/memory-dirs" 2>/dev/null
	return $status
}
revert() { timeout 60 "$fixer" revert "$mnt"; }
state_of() { # state_of FILE KEY: a value of `fix status` for snap/memory.bin
	"$fixer" status --json | jq -r ".guards[].files[] | select(.dir == \"$1\") | .$2"
}
# its lines are for a terminal: what is longer goes on in the next
status_text() { "$fixer" status "$@" 2>&1 | tr -s ' \n' ' '; }
guard_pid() { "$fixer" status --json | jq -r '.guards[0].pid'; }

# wait_for SECONDS command...: polls for it
wait_for() {
	local until=$((SECONDS + $1))
	shift
	until "$@" 2>/dev/null; do
		[ $SECONDS -lt $until ] || {
			echo "not within the time: $*" >&2
			return 1
		}
		sleep 0.02
	done
}

# As Firecracker writes: a directory, O_CREAT without O_TRUNC, ftruncate, write, fsync.
write_like_firecracker() { # DIR SOURCE
	mkdir "$1"
	sleep 0.001
	truncate -s "$(stat -c %s "$2")" "$1/memory.bin" &&
		dd if="$2" of="$1/memory.bin" bs=1M conv=notrunc,fsync status=none
}

same_bytes() { cmp "$1" "$2"; }
not() { ! "$@"; }
is_link() { [ -L "$1" ]; }
is_file() { [ -f "$1" ] && [ ! -L "$1" ]; }
equals() { [ "$1" = "$2" ] || { echo "'$1' is not '$2'" >&2; return 1; }; }

no_memory_left() {
	local dir
	for dir in $(sort -u "$work/memory-dirs" 2>/dev/null); do
		[ ! -e "$dir" ] || return 1
	done
}
nothing_left() {
	no_memory_left && [ ! -e "$mnt/.flatpause" ] &&
		[ -z "$(ls "$FLATPAUSE_STATE_DIR")" ] &&
		[ -z "$(find "$mnt" -name '.*.flatpause' -o -type l)" ] || {
		ls -la /dev/shm "$mnt" "$FLATPAUSE_STATE_DIR" >&2
		return 1
	}
}

# Unmounted and detached before nbdkit ends: without it what is mounted would hang.
drop_disk() {
	umount -l "$mnt" 2>/dev/null
	losetup -d "$loop" 2>/dev/null
	kill "$(cat "$work/nbdkit.pid")" 2>/dev/null
	timeout 5 umount "$work/fuse" 2>/dev/null || timeout 5 umount -l "$work/fuse"
	kill "$(cat "$work/nbdfuse.pid" 2>/dev/null)" 2>/dev/null
}

# disk_by_nbdkit FILTER SIZE OPTION...: $loop, a disk in memory behind that filter
disk_by_nbdkit() {
	mkdir "$work/fuse"
	nbdkit -P "$work/nbdkit.pid" -U "$work/nbd" --filter="$1" memory "${@:2}"
	wait_for 5 test -S "$work/nbd"
	setsid nbdfuse -P "$work/nbdfuse.pid" "$work/fuse/disk" --unix "$work/nbd" >/dev/null 2>&1 &
	wait_for 5 test -e "$work/fuse/disk"
	loop=$(losetup -f --show "$work/fuse/disk")
	trap 'drop_disk; clean_up' EXIT
}

# disk_with_errors SIZE ERROR-OPTION...: $loop, which fails as the options say while $work/fail is there
disk_with_errors() { disk_by_nbdkit error "$@" error-file="$work/fail"; }
