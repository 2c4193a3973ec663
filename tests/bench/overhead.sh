#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# What recording costs the recorded, by context switch and by syscall, beside other tools in the
# same run. Every traced run is paired with an untraced one right before it; figures are the
# median [least..most] of the pairs' ratios.
# usage: tests/bench/overhead.sh OUTPUT-DIR      (ROUNDS=5 SWITCHES=300000 ONLY="name name")
set -uo pipefail

bin=$(realpath "$1")/bench
rounds=${ROUNDS:-5}
switches=${SWITCHES:-300000}
only=${ONLY:-}
target_cpu=0
tracer_cpu=1

if [ "$(id -u)" -ne 0 ]; then
	echo "overhead.sh: needs root" >&2
	exit 3
fi
if [ "$(nproc)" -lt 2 ]; then
	echo "overhead.sh: needs two CPUs, one for the target and one for the tracer" >&2
	exit 3
fi
for program in pingpong tracer; do
	[ -x "$bin/$program" ] || {
		echo "overhead.sh: no $bin/$program; run \`make bench\`" >&2
		exit 1
	}
done

dir=$(mktemp -d)
pids=()
cleanup() {
	for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null; done
	[ "$mounted" = 1 ] && umount /sys/kernel/tracing
	rm -rf "$dir"
}
mounted=0
trap cleanup EXIT

# A process that is recorded in the place of the gauge, where the gauge is to be a stranger.
sleep 3600 &
bystander=$!
pids+=("$bystander")
disown

# bpftrace names tracepoints by tracefs (ours does not need it).
if [ ! -d /sys/kernel/tracing/events ] && mount -t tracefs tracefs /sys/kernel/tracing; then
	mounted=1
fi

wait_for_line() { # FILE TEXT PID
	for _ in $(seq 200); do
		grep -q "$2" "$1" 2>/dev/null && return 0
		kill -0 "$3" 2>/dev/null || return 1
		sleep 0.05
	done
	return 1
}

wait_for_stop() {
	for _ in $(seq 200); do
		[ "$(awk '/^State:/ {print $2}' "/proc/$1/status" 2>/dev/null)" = T ] && return 0
		sleep 0.02
	done
	return 1
}

# start_tool NAME PID: starts it in the background (tool=PID of it) and waits until it traces
start_tool() {
	local options=(min_sleep_ns=100000 hz=0 syscalls=0 wakes=1) who=$2
	tool=0
	: >"$dir/tool"
	case $1 in
	nothing) return 0 ;;
	other) who=$bystander ;;
	other-syscalls) who=$bystander options+=(syscalls=1) ;;
	other-no-wakes) who=$bystander options+=(wakes=0) ;;
	events) options+=(min_sleep_ns=3600000000000) ;;
	events-syscalls) options+=(min_sleep_ns=3600000000000 syscalls=1) ;;
	default) options+=(syscalls=1 hz=99) ;;
	default-no-syscalls) options+=(hz=99) ;;
	all-stacks) options+=(min_sleep_ns=0) ;;
	offcputime)
		taskset -c $tracer_cpu offcputime -p "$2" 60 >"$dir/tool" 2>&1 &
		tool=$!
		sleep 1.5
		kill -0 "$tool" 2>/dev/null
		return
		;;
	bpftrace)
		BPFTRACE_MAX_MAP_KEYS=10000 taskset -c $tracer_cpu bpftrace -e '
			BEGIN { printf("ready\n"); }
			tracepoint:sched:sched_switch {
				if (pid == '"$2"') { @from[tid] = nsecs; @k[tid] = kstack; @u[tid] = ustack; }
				$from = @from[args->next_pid];
				if ($from) {
					@sum[@k[args->next_pid], @u[args->next_pid]] = sum(nsecs - $from);
					delete(@from[args->next_pid]);
				}
			}' >"$dir/tool" 2>&1 &
		tool=$!
		wait_for_line "$dir/tool" ready "$tool"
		return
		;;
	esac
	rm -f "$dir/trace.fpt"
	taskset -c $tracer_cpu "$bin/tracer" "${options[@]}" "$who" "$dir/trace.fpt" >"$dir/tool" 2>&1 &
	tool=$!
	wait_for_line "$dir/tool" ready "$tool"
}

# run_gauge NAME ARGUMENT...: prints the gauge's ns, or fails
run_gauge() {
	local name=$1 gauge status
	shift
	taskset -c $target_cpu "$bin/pingpong" "$@" >"$dir/gauge" &
	gauge=$!
	pids+=("$gauge")
	wait_for_stop "$gauge" && start_tool "$name" "$gauge"
	status=$?
	[ $status -eq 0 ] || kill -KILL "$gauge"
	kill -CONT "$gauge" 2>/dev/null
	wait "$gauge" 2>/dev/null
	if [ "$tool" -ne 0 ]; then
		kill -INT "$tool" 2>/dev/null
		wait "$tool" 2>/dev/null
	fi
	[ $status -eq 0 ] && cat "$dir/gauge"
}

# pair NAME ARGUMENT...: one untraced and one traced run; appends "before after" to the series
pair() {
	local name=$1 before after
	shift
	before=$(run_gauge nothing "$@") && after=$(run_gauge "$name" "$@") &&
		echo "$before $after" >>"$dir/series-$name"
	grep '^{' "$dir/tool" >>"$dir/json-$name"
	return 0
}

# summary NAME WHAT LIMIT: the line that people read
summary() {
	local file=$dir/series-$1
	if [ ! -s "$file" ]; then
		printf '%-46s %s\n' "$2" "did not run"
		return
	fi
	awk '{printf "%.4f %.1f\n", $2 / $1, $2 - $1}' "$file" | sort -n | awk -v what="$2" -v limit="$3" '
		{ratio[NR] = $1; delta[NR] = $2; sum += $2}
		END {
			m = int((NR + 1) / 2)
			printf "%-46s %5.2fx [%.2f..%.2f]  %+6.0f ns   %s\n", what, ratio[m], ratio[1],
				ratio[NR], delta[m], limit
		}'
}

median_ratio() {
	awk '{printf "%.4f\n", $2 / $1}' "$dir/series-$1" 2>/dev/null | sort -n |
		awk '{v[NR] = $1} END {if (NR) print v[int((NR + 1) / 2)]}'
}

configs="other other-no-wakes events events-syscalls default default-no-syscalls all-stacks"
command -v offcputime >/dev/null && configs+=" offcputime"
command -v bpftrace >/dev/null && configs+=" bpftrace"
[ -n "$only" ] && configs=$only

for round in $(seq "$rounds"); do
	[ -t 2 ] && printf '\rround %d of %d ' "$round" "$rounds" >&2
	for config in $(tr ' ' '\n' <<<"$configs" | shuf); do
		pair "$config" $((switches / 2))
	done
done
[ -t 2 ] && echo >&2

# The same names would mix switches and syscalls in one series.
syscall_pairs() {
	local config name
	for config in other other-syscalls; do
		for _ in $(seq "$rounds"); do
			name=$config
			before=$(run_gauge nothing --syscalls 2000000) &&
				after=$(run_gauge "$name" --syscalls 2000000) &&
				echo "$before $after" >>"$dir/series-getppid-$name"
		done
	done
}
[ -z "$only" ] && syscall_pairs

echo "per context switch of the gauge (pinned pipe ping-pong, untraced $(awk '{print $1}' \
	"$dir"/series-[!g]* | sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}') ns), $rounds pairs each:"
summary other "no target of flatpause" "(at most 1.06x)"
summary other-no-wakes "no target, without the sched_waking hook" "(at most 1.06x)"
summary events "target, events without stacks" "(at most 1.17x)"
summary events-syscalls "target, events without stacks, with syscalls" ""
summary default-no-syscalls "target, default --min-sleep, no syscall hooks" "(at most 1.25x)"
summary default "target, default --min-sleep, with syscalls" ""
summary all-stacks "target, --min-sleep 0: stacks of every sleep" "(less than offcputime)"
summary offcputime "libbpf-tools offcputime -p" ""
summary bpftrace "bpftrace, off-CPU sum by stacks" ""
ours=$(median_ratio all-stacks) theirs=$(median_ratio offcputime)
[ -n "$ours" ] && [ -n "$theirs" ] &&
	awk -v a="$ours" -v b="$theirs" 'BEGIN {
		printf "every sleep with stacks against offcputime: %.2fx against %.2fx: %s\n", a, b,
			a < b ? "less" : "NOT less"}'
echo
echo "per getppid() of a process that is no target:"
summary getppid-other "without syscall hooks" "(0 ns)"
summary getppid-other-syscalls "with syscall hooks" "(at most +160 ns)"
echo
echo "the recorder (ring 16 MiB a CPU), last run of each:"
for config in events events-syscalls default all-stacks; do
	tail -n 1 "$dir/json-$config" 2>/dev/null | sed 's/[{}",:]/ /g' | awk -v name="$config" '{
		for (i = 1; i < NF; i += 2) v[$i] = $(i + 1)
		ring = v["ring_kb"] * v["cpus"]
		printf "%-16s %8d events, %d lost, %.1f bytes an event (at most 40), resident %.1f MB " \
			"(at most %.1f MB), at its peak %.1f MB\n", name, v["events"], v["lost"],
			v["events"] ? v["bytes"] / v["events"] : 0, v["rss_kb"] / 1024,
			6 + 2 * ring / 1024, v["peak_kb"] / 1024}'
done
