# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Sourced by the live tests of record, sweep and mark: the program, a scratch place, targets to
# record, and how a trace ends. Needs tap.sh before it.

flatpause=${FLATPAUSE_OUT:-$(dirname "$0")/../../.output}/flatpause
scratch=$(mktemp -d)
export FLATPAUSE_RUN_DIR=$scratch/run
started=()

clean_up() {
	local pid
	for pid in "${started[@]}"; do
		kill -KILL "$pid" 2>/dev/null
	done
	wait 2>/dev/null
	mountpoint -q "$scratch/small" && umount "$scratch/small"
	rm -rf "$scratch"
}
trap clean_up EXIT

# A process that computes a little, writes a little and sleeps a little, until it is killed.
start_target() {
	(cd "$scratch" && exec bash -c '
		while :; do echo x >target-file; sleep 0.02; done
	') >/dev/null 2>&1 &
	target=$!
	started+=("$target")
}

# How FILE ends: "complete REASON" (its last chunk is REC_END), else "incomplete". Not for --compress.
trace_end() {
	local size words
	size=$(stat -c %s "$1") || return 1
	[ "$size" -ge 112 ] || { echo incomplete; return; }
	# the chunk's type stands 48 bytes before the end, the reason 8 bytes before it
	mapfile -t words < <(tail -c 48 "$1" | od -An -v -w4 -td4 | tr -d ' ')
	if [ "${words[0]}" -eq 9 ] && [ "${words[2]}" -eq 24 ]; then
		echo "complete ${words[10]}"
	else
		echo incomplete
	fi
}

ends_as() {
	local got
	got=$(trace_end "$2")
	[ "$got" = "$1" ] || {
		echo "$2 is $got, expected $1" >&2
		return 1
	}
}

# wait_until "command" : polls it, at most 20 s
wait_until() {
	local i
	for ((i = 0; i < 400; i++)); do
		eval "$1" && return 0
		sleep 0.05
	done
	echo "never true: $1" >&2
	return 1
}

# Recording has begun once the trace holds more than its header.
is_recording() {
	[ -s "$1" ] && [ "$(stat -c %s "$1")" -gt 200 ] && [ -S "$FLATPAUSE_RUN_DIR/mark.sock" ]
}

need_recording() {
	"$flatpause" doctor >/dev/null 2>&1 && return
	skip "$1" "flatpause cannot record on this host; see flatpause doctor"
	done_testing
}
