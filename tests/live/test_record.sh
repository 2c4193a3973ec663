#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# `flatpause record` with real BPF: targets, commands, signals, a full disk, a second recorder.
. "$(dirname "$0")/../tap.sh"
. "$(dirname "$0")/recording.sh"
need_recording "record"

start_target

# ---- what it is for ----
check "records a process for a time" "$flatpause" record -p "$target" 1s -o "$scratch/a.fpt"
check "the trace is complete" ends_as "complete 0" "$scratch/a.fpt"
check "only its owner can read the trace" test "$(stat -c %a "$scratch/a.fpt")" = 600
json=$("$flatpause" record -p "$target" 1s -o "$scratch/j.fpt" --json 2>/dev/null)
check "--json: events were recorded" jq -e '.schema_version == 1 and .events > 20' <<<"$json"
check "--json: nothing was lost" jq -e '.loss.events == 0' <<<"$json"
check "--json: its cost is there" jq -e '.cost.cpu_ns > 0 and .cost.rss_bytes > 0' <<<"$json"
check "records by name" "$flatpause" record --comm 'bas?' 300ms -o "$scratch/n.fpt"
json=$("$flatpause" record -p "$target" 1s --compress -o "$scratch/z.fpt" --json 2>/dev/null)
check "--compress: at most 20 bytes per event, symbols included" jq -e '.bytes < 20 * .events' <<<"$json"
check "--force replaces" "$flatpause" record -p "$target" 300ms -f -o "$scratch/a.fpt"
check "records without syscalls, wakes, samples" "$flatpause" record -p "$target" 300ms \
	--no-syscalls --no-wakes --hz 0 --floor -o "$scratch/least.fpt"
check "the default name is in this directory" \
	bash -c "cd '$scratch' && '$flatpause' record -p $target 200ms >/dev/null && ls flatpause-2*.fpt"

# ---- a command ----
check "records a command" "$flatpause" record -o "$scratch/c.fpt" -- sleep 0.3
check "a command that fails: its status is ours" exits_with 42 \
	"$flatpause" record -o "$scratch/f.fpt" -- sh -c 'exit 42'
check "a command that fails: the trace is kept" ends_as "complete 0" "$scratch/f.fpt"
check "a command that a signal kills: 128 + signal" exits_with 137 \
	"$flatpause" record -o "$scratch/k.fpt" -- sh -c 'kill -KILL $$'
check "no such command" exits_with 1 "$flatpause" record -o "$scratch/e.fpt" -- /no/such/program
check "no such command: said" says "cannot run /no/such/program" \
	"$flatpause" record -f -o "$scratch/e.fpt" -- /no/such/program
check "a duration ends a command, as was asked for" timeout 30 \
	"$flatpause" record 300ms -o "$scratch/d.fpt" -- sleep 1000
check "the shorter of duration and --timeout counts" exits_with 1 timeout 30 \
	"$flatpause" record 100s --timeout 300ms -o "$scratch/d2.fpt" -- sleep 1000
check "--timeout ends it" exits_with 1 \
	"$flatpause" record --timeout 300ms -o "$scratch/t.fpt" -- sleep 1000
check "--timeout: the trace is kept" ends_as "complete 0" "$scratch/t.fpt"
check "--timeout: one that ignores SIGTERM too" exits_with 1 \
	"$flatpause" record --timeout 300ms -o "$scratch/t2.fpt" -- bash -c 'trap "" TERM; while :; do sleep 1; done'
"$flatpause" record --timeout 300ms -o "$scratch/t3.fpt" -- bash -c '
	(trap "" TERM; exec sleep 1000) & echo $! >"$0"; wait' "$scratch/stubborn" >/dev/null 2>&1
check "--timeout: a child that ignores SIGTERM is not left behind" \
	bash -c "[ -s '$scratch/stubborn' ] &&
		! ps -o stat= -p \$(cat '$scratch/stubborn') | grep -v Z"
"$flatpause" record -o "$scratch/big.fpt" -v -- sh -c 'echo seen-by-me; head -c 1000000 /dev/zero' \
	>"$scratch/big.out" 2>"$scratch/big.err"
check "-v: what the command prints goes to stderr" grep -aq seen-by-me "$scratch/big.err"
check "-v: and not to stdout" bash -c "! grep -aq seen-by-me '$scratch/big.out'"

# ---- the disk that a command turns out to write to is described ----
if [ "$(stat -c %d /dev/shm)" != "$(stat -c %d "$PWD")" ]; then
	shm=$(mktemp -d /dev/shm/flatpause-test-XXXXXX)
	"$flatpause" record -o "$scratch/late.fpt" -- dd if=/dev/zero of="$shm/x" bs=4k count=1 2>/dev/null >&2
	rm -rf "$shm"
	check "a disk that is written to while recording is described" \
		grep -aq 'disk.*fs_type":"tmpfs"' "$scratch/late.fpt"
else
	skip "a disk that is written to while recording is described" "/dev/shm is where we are"
fi

# ---- the trace beside what is recorded: said when targets write there, not for a log ----
(cd "$scratch" && exec sleep 1000 >>log 2>&1 5>>log2) &
logger=$!
started+=("$logger")
check "a target that only logs beside the trace is no reason to warn" \
	bash -c "! '$flatpause' record -p $logger 300ms -o '$scratch/log.fpt' 2>&1 | grep -q disturbs"
(exec sleep 1000 5>"$scratch/memory.bin") &
writer=$!
started+=("$writer")
check "a target that holds a file beside the trace open for writing is one" \
	says "disturbs them less" "$flatpause" record -p "$writer" 300ms -o "$scratch/open.fpt"
check "a target that opens one while it is recorded is one" \
	says "disturbs them less" "$flatpause" record -p "$target" 500ms -o "$scratch/opens.fpt"

# ---- names are bytes, JSON is UTF-8 ----
odd=$scratch/$'odd\xff'
mkdir "$odd"
json=$("$flatpause" record -o "$odd/x.fpt" --json --window $'file:*\xff/x' -- true $'\xff' 2>"$scratch/odd.err") ||
	cat "$scratch/odd.err" >&2
check "what is not UTF-8 is recorded and told with '?'" \
	jq -e '.trace | endswith("odd?/x.fpt")' <<<"$json"

# ---- targets that end ----
start_target
short=$target
(sleep 0.7 && kill -KILL "$short") &
check "the target ends: recording ends, exit 0" "$flatpause" record -p "$short" 60s -o "$scratch/g.fpt"
check "the target ends: the trace is complete and says so" ends_as "complete 2" "$scratch/g.fpt"
start_target
short=$target
(sleep 0.5 && kill -KILL "$short") &
check "the target ends: it is named" says "process $short has ended" \
	"$flatpause" record -p "$short" 60s -o "$scratch/g2.fpt"

if command -v python3 >/dev/null; then
	python3 -c '
import os, time
pid = os.fork()
if pid == 0:
	os._exit(0)
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
print(pid, flush=True)
time.sleep(1000)' >"$scratch/zombie" &
	parent=$!
	started+=("$parent")
	wait_until "[ -s '$scratch/zombie' ]"
	check "a target that waits to be reaped is refused" exits_with 1 \
		"$flatpause" record -p "$(cat "$scratch/zombie")" -o "$scratch/zombie.fpt" 1s
	check "a target that waits to be reaped: said, and no trace is left" \
		says "has ended" "$flatpause" record -p "$(cat "$scratch/zombie")" -o "$scratch/zombie.fpt" 1s
	check "by name it is passed over" bash -c \
		"! '$flatpause' record --comm 'python3*' 300ms -o '$scratch/zombies.fpt' 2>&1 | grep -q 'no process'"
	kill "$parent"
else
	skip "a target that waits to be reaped" "no python3 here"
fi

# ---- few descriptors ----
few_descriptors() (
	ulimit -S -n 64 && "$flatpause" record -p "$target" --json -o "$scratch/few.fpt" \
		-v -- bash -c 'echo limit $(ulimit -n)'
)
start_target
if few_descriptors >"$scratch/few.out" 2>"$scratch/few.err"; then
	check "a soft limit of 64 descriptors is enough, and is the command's" \
		grep -q '^limit 64$' "$scratch/few.err"
else
	check "a soft limit of 64 descriptors is enough" false
fi

# ---- signals ----
start_target
for signal in INT TERM HUP; do
	file=$scratch/$signal.fpt
	"$flatpause" record -p "$target" -o "$file" >/dev/null 2>&1 &
	recorder=$!
	started+=("$recorder")
	wait_until "is_recording '$file'"
	sleep 0.3
	kill -"$signal" "$recorder"
	check "SIG$signal: exit 0" wait "$recorder"
	check "SIG$signal: the trace is complete and says so" ends_as "complete 1" "$file"
	check "SIG$signal: no socket is left" test ! -e "$FLATPAUSE_RUN_DIR/mark.sock"
done

if command -v python3 >/dev/null; then
	check "started by one that ignores SIGCHLD: the end of a command is seen" timeout 30 python3 -c '
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])' "$flatpause" record -o "$scratch/chld.fpt" -- true
else
	skip "started by one that ignores SIGCHLD" "no python3 here"
fi
check "without standard streams: recorded all the same" bash -c \
	"'$flatpause' record -p $target 300ms -o '$scratch/closed.fpt' <&- >&- 2>&-"
check "without standard streams: the trace is whole" ends_as "complete 0" "$scratch/closed.fpt"

"$flatpause" record -p "$target" -o "$scratch/kill.fpt" >/dev/null 2>&1 &
recorder=$!
started+=("$recorder")
wait_until "is_recording '$scratch/kill.fpt'"
before=$(stat -c %s "$scratch/kill.fpt")
wait_until "[ \$(stat -c %s '$scratch/kill.fpt') -gt $before ]"
kill -KILL "$recorder"
wait "$recorder" 2>/dev/null
check "SIGKILL: what was recorded is there, without an end" ends_as incomplete "$scratch/kill.fpt"
check "SIGKILL: the next recorder starts all the same" \
	"$flatpause" record -p "$target" 300ms -o "$scratch/after.fpt"

# ---- two at once ----
"$flatpause" record -p "$target" -o "$scratch/first.fpt" >/dev/null 2>&1 &
recorder=$!
started+=("$recorder")
wait_until "is_recording '$scratch/first.fpt'"
check "a second recorder with the same marks is refused" exits_with 1 \
	"$flatpause" record -p "$target" 300ms -o "$scratch/second.fpt"
check "a second recorder: the next step is said" says "--no-marks" \
	"$flatpause" record -p "$target" 300ms -o "$scratch/second.fpt"
check "a second recorder: it leaves no trace behind" test ! -e "$scratch/second.fpt"
check "a second recorder into the same file is refused, forced or not" exits_with 1 \
	"$flatpause" record -p "$target" 300ms --no-marks -f -o "$scratch/first.fpt"
check "a second recorder of the same target, without marks, is fine" \
	"$flatpause" record -p "$target" 300ms --no-marks -o "$scratch/second.fpt"
kill -INT "$recorder"
wait "$recorder"
check "the first one is complete" ends_as "complete 1" "$scratch/first.fpt"

# ---- nothing to see ----
sleep 1000 &
idle=$!
started+=("$idle")
check "an idle target is recorded too" "$flatpause" record -p "$idle" 300ms -o "$scratch/idle.fpt"
check "an idle target: the trace is complete" ends_as "complete 0" "$scratch/idle.fpt"

# ---- no space, while recording ----
# A target that does nothing but system calls: a trace of it grows by megabytes a second.
bash -c 'while :; do echo x; done' >/dev/null &
busy=$!
started+=("$busy")
mkdir -p "$scratch/small"
if mount -t tmpfs -o size=24m none "$scratch/small" 2>/dev/null; then
	"$flatpause" record -p "$busy" 120s -o "$scratch/small/x.fpt" >/dev/null 2>"$scratch/full.err" &
	recorder=$!
	started+=("$recorder")
	wait_until "is_recording '$scratch/small/x.fpt'"
	dd if=/dev/zero of="$scratch/small/fill" bs=64k status=none 2>/dev/null
	status=0
	wait "$recorder" || status=$?
	check "a full disk: exit 1" test "$status" -eq 1
	check "a full disk: said" grep -q "no room for the trace" "$scratch/full.err"
	check "a full disk: the trace is whole and says so" ends_as "complete 3" "$scratch/small/x.fpt"
	umount "$scratch/small"
else
	skip "a full disk while recording" "tmpfs cannot be mounted here"
fi

# ---- loss: how much there is depends on the machine, what is said of it does not ----
status=0
json=$("$flatpause" record -p "$busy" 1s --ring 64K -o "$scratch/loss.fpt" --json 2>/dev/null) || status=$?
check "exit 6 exactly if more than 1 % is lost" \
	jq -e "(.loss.percent > 1) == ($status == 6) and ($status == 0 or $status == 6)" <<<"$json"
check "--max-loss 100 never exits with 6" "$flatpause" record -p "$busy" 1s --ring 64K \
	--max-loss 100 -o "$scratch/loss2.fpt"

done_testing
