#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Makes known faults on this kernel, one after the other, each with its twin (the same load and no
# fault), records a sweep of each and looks whether its cause is named, found in the right amount,
# and nothing is named in the twin. TAP, then a confusion matrix.
#
#   faults.sh OUTPUT-DIR [--quick] [--list] [--no-twins] [CASE...]
#
# What was recorded stays in OUTPUT-DIR/faults/CASE/{fault,twin}/: run.fpt, findings.json.
# Exit codes: 0 all right, 1 some wrong, 2 usage, 3 this host cannot record.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../tap.sh"

windows=8
export clean_windows=4 # and the fault is in the rest

[ $# -ge 1 ] && out=$(realpath "$1") || exit 2
shift
flatpause=$out/flatpause
export FAULTLOAD=$out/faults/faultload
. "$here/cases.sh"

wanted=() arms=(fault twin) quick=
for word; do
	case $word in
	--quick) quick=1 ;;
	--no-twins) arms=(fault) ;;
	--list)
		for case in "${case_names[@]}"; do
			printf '%-17s %-6s %-40s %s\n' "$case" "${case_quick[$case]}" "${case_causes[$case]}" "${case_what[$case]}"
		done
		exit 0
		;;
	*)
		[ -n "${case_what[$word]:-}" ] || { say "no case '$word' (--list)"; exit 2; }
		wanted+=("$word")
		;;
	esac
done
[ ${#wanted[@]} -gt 0 ] || for case in "${case_names[@]}"; do
	[ -z "$quick" ] || [ "${case_quick[$case]}" = quick ] && wanted+=("$case")
done

[ "$(id -u)" -eq 0 ] || { say "not root: this host cannot make faults"; exit 3; }
[ -x "$flatpause" ] && [ -x "$FAULTLOAD" ] || { say "not built: make all tools"; exit 1; }

# What else runs on this machine is no fault of ours: let it wait. A group of our own, as niceness
# counts only within a session where the kernel groups by these.
room=/sys/fs/cgroup/cpu/flatpause-faults
if mkdir -p $room 2>/dev/null && echo 200000 >$room/cpu.shares && echo $$ >$room/cgroup.procs; then
	# the real-time hog is in the group too
	[ -e $room/cpu.rt_runtime_us ] && echo 600000 >$room/cpu.rt_runtime_us
	trap 'echo $$ >/sys/fs/cgroup/cpu/cgroup.procs; rmdir $room 2>/dev/null' EXIT
else
	say "no group with a priority of its own: what else runs may show"
fi

# ---- one arm of one case ----

# Does what the windows ask for, "begin|end FAULTY". It is no child of the sweep, so what it starts
# is no target.
serve_asks() {
	local what faulty busy=0
	while :; do
		read -r what faulty <"$dir/ask" || continue
		if "${what}_window" >&2 2>>"$dir/asks.log"; then
			echo "done" >"$dir/told"
		else
			echo failed >"$dir/told"
		fi
	done
}

step() { ! declare -F "${case}__$1" >/dev/null || "${case}__$1"; }

begin_window() {
	step before || return 1
	[ "$faulty" = 0 ] || step on || return 1
	[ ! -e "$dir/control.busy" ] || busy=$(busy_ns)
}

end_window() {
	[ ! -e "$dir/control.busy" ] || busy=$(($(busy_ns) - busy))
	[ "$faulty" = 0 ] || step off || return 1
	jq -c --argjson disk_ns "$busy" --argjson faulty "$faulty" \
		'. + {faulty: ($faulty == 1), disk_ms: ($disk_ns / 1e6)}' "$dir/said" >>"$dir/windows.json"
}

# Builds the place, sweeps, diagnoses. 0 = $dir/findings.json is there, 3 = not on this host
run_arm() (
	export arm=$1
	dir=$out/faults/$case/$arm
	rm -rf "$dir"
	mkdir -p "$dir/run" || exit 1
	: >"$dir/env"
	mkfifo "$dir/ask" "$dir/told"
	agent=
	finish() {
		local code=$?
		trap '' INT TERM
		[ -n "$agent" ] && kill "$agent" 2>/dev/null && wait "$agent" 2>/dev/null
		remove_place
		rm -f "$dir/ask" "$dir/told"
		exit $code
	}
	trap finish EXIT
	trap 'exit 130' INT TERM
	if declare -F "${case}__up" >/dev/null; then
		"${case}__up" || die "cannot build the place of $case"
	fi
	serve_asks &
	agent=$!
	FLATPAUSE_RUN_DIR=$dir/run timeout 100 "$flatpause" sweep -q -f --compress --json -n $windows --gap 60ms \
		--window mark --pause-from json:.pause_ms --timeout 20s -o "$dir/run.fpt" \
		-- "$here/window.sh" "$case" "$dir" >"$dir/sweep.json" 2>"$dir/sweep.err" ||
		die "the sweep fails: $(tail -3 "$dir/sweep.err" "$dir/asks.log" 2>/dev/null)"
	"$flatpause" diagnose --json "$dir/run.fpt" >"$dir/findings.json" 2>"$dir/diagnose.err" ||
		die "diagnose fails: $(tail -3 "$dir/diagnose.err")"
)

# ---- what came out ----

# The facts of a case's fault in one JSON object, for the checks and the summary.
facts() {
	jq -n --arg causes "${case_causes[$case]}" --arg known "${case_known[$case]}" \
		--slurpfile f "$dir/findings.json" --slurpfile w "$dir/windows.json" '
		def mean: if length == 0 then 0 else add / length end;
		($causes | split("|")) as $ids
		| $f[0] as $f
		| [$f.windows, $w] | transpose
		| map({faulty: .[1].faulty, ms: .[0].duration_ms, pause_ms: .[1].pause_ms,
			detector: .[0].detector, open: .[0].open,
			sum: ([.[0].ledger[].ms] | add),
			found: ([.[0].ledger[] | select(.cause as $c | $ids | index($c)) | .ms] | add // 0),
			unknown: ([.[0].ledger[] | select(.cause | startswith("unknown.")) | .ms] | add // 0),
			injected: (if $known == "disk" then .[1].disk_ms elif $known == "self" then .[1].injected_ms else null end)})
		| . as $all
		| ($all | map(select(.faulty))) as $slow
		| ($all | map(select(.faulty | not))) as $fast
		| {cause: $f.verdict.cause, share: $f.verdict.share, confidence: $f.verdict.confidence,
			right: ($ids | index($f.verdict.cause) != null),
			windows: ($all | length),
			closed: ($all | all(.detector == "mark" and .open == false and .ms != null and .pause_ms != null)),
			sums: ($all | all((.ms - .sum) | fabs < 0.001)),
			agrees: ($all | all((.ms - .pause_ms) | fabs < 0.5)),
			lost: $f.loss.events,
			fast_ms: ($fast | map(.ms) | mean), slow_ms: ($slow | map(.ms) | mean),
			found_ms: ($slow | map(.found) | mean),
			injected_ms: (if $known == "-" then null else ($slow | map(.injected) | mean) end),
			unknown: (if ($slow | length) == 0 then 0 else ($slow | map(.unknown) | add) / ($slow | map(.ms) | add) end),
			rows: ([$f.windows[-1].ledger | sort_by(-.ms)[:5][] | "\(.cause) \(.ms * 10 | round / 10)"] | join(", "))}
		| (if .injected_ms == null or ($slow | length) == 0 then [0] else ($slow | map(.found - .injected) | sort) end) as $off
		| .off_ms = (($off[($off | length - 1) / 2 | floor] + $off[($off | length) / 2 | floor]) / 2)
		| .near = ((.off_ms | fabs) <= ([10, 0.3 * (.injected_ms // 0)] | max))
		| .amount = ((.off_ms | fabs) <= ([2, 0.1 * (.injected_ms // 0)] | max))' \
		>"$dir/facts.json"
}

is() { # JQ-EXPRESSION on the facts
	jq -e "$1" "$dir/facts.json" >/dev/null || {
		jq -c . "$dir/facts.json" >&2
		return 1
	}
}

check_common() {
	check "$case, $arm: $windows windows, each closed by its mark, agreeing with the victim" \
		is ".windows == $windows and .closed and .agrees"
	check "$case, $arm: nothing lost, every ledger sums to its window" is '.lost == 0 and .sums'
}

check_arm() {
	local dir=$out/faults/$case/$arm status
	run_arm "$arm" >&2
	status=$?
	[ $status -eq 130 ] && exit 130
	if [ $status -eq 3 ]; then
		skip "$case, $arm" "$(cat "$dir/missing")"
		printf '%s\t%s\tskipped\t%s\n' "$case" "$arm" "$(cat "$dir/missing")" >>"$results"
		return
	fi
	if [ $status -ne 0 ] || ! facts; then
		check "$case, $arm: is recorded and diagnosed" false
		printf '%s\t%s\tfailed\t\n' "$case" "$arm" >>"$results"
		return
	fi
	check_common
	if [ "$arm" = fault ]; then
		check "$case: the cause is ${case_causes[$case]}" is .right
		# the middle window counts; beside the other tests of a busy machine it is not held so tightly
		if [ "${case_known[$case]}" = - ]; then
			:
		elif [ -n "$quick" ]; then
			check "$case: what was injected is found within 30 % or 10 ms" is .near
		else
			check "$case: what was injected is found within 10 % or 2 ms" is .amount
		fi
	else
		check "$case, twin: no cause is named" is '.cause == "none"'
	fi
	jq -r --arg case "$case" --arg arm "$arm" '[$case, $arm, "ran", .cause, .right, .amount, .fast_ms, .slow_ms,
		.injected_ms // "", .found_ms, .unknown, .rows] | @tsv' "$dir/facts.json" >>"$results"
}

# ---- the summary: comments of TAP ----

summary() {
	awk -F'\t' '
	function ms(x) { return x == "" ? "-" : sprintf("%.1f", x) }
	$2 == "fault" && $3 == "ran" {
		n++; name[n] = $1; cause[n] = $4; right += $5 == "true"; if ($9 != "") { knowns++; amount += $6 == "true" }
		wrong[n] = $5 != "true"; off[n] = $6 != "true"
		fast[n] = $7; slow[n] = $8; injected[n] = $9; found[n] = $10; rows[n] = $12
		if ($11 > worst) worst = $11
		if (!($4 in column)) { column[$4] = ++columns; title[columns] = $4 }
	}
	$2 == "twin" && $3 == "ran" { twins++; clean += $4 == "none"; if ($4 != "none") dirty = dirty " " $1 ":" $4 }
	$3 == "failed" { failed = failed " " $1 "/" $2 }
	$3 == "skipped" { skipped = skipped " " $1 "/" $2 }
	END {
		letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		printf "# %-17s %-9s %-9s %-9s %-9s  cause named\n", "fault injected", "fast ms", "slow ms", "injected", "found"
		for (i = 1; i <= n; i++)
			printf "# %-17s %-9s %-9s %-9s %-9s  %s%s%s\n", name[i], ms(fast[i]), ms(slow[i]), ms(injected[i]),
				ms(found[i]), cause[i], wrong[i] ? "  WRONG" : "", off[i] ? "  AMOUNT" : ""
		print "#"
		line = ""
		for (c = 1; c <= columns; c++) line = line substr(letters, c, 1)
		printf "# %-17s %s   (rows: injected, columns: named)\n", "confusion", line
		for (i = 1; i <= n; i++) {
			line = ""
			for (c = 1; c <= columns; c++) line = line (column[cause[i]] != c ? "." : wrong[i] ? "X" : "1")
			printf "# %-17s %s\n", name[i], line
		}
		for (c = 1; c <= columns; c++) printf "#   %s %s\n", substr(letters, c, 1), title[c]
		for (i = 1; i <= n; i++) if (wrong[i] || off[i]) printf "# %s: last window: %s\n", name[i], rows[i]
		if (dirty) print "# named in twins:" dirty
		if (failed) print "# failed:" failed
		if (skipped) print "# skipped:" skipped
		printf "# unknown.* at most %.2f %% of the slow windows of a fault\n", 100 * worst
		printf "# %d of %d right, %d of %d amounts found, %d of %d twins clean\n", right, n, amount, knowns, clean, twins
	}' "$results"
}

mkdir -p "$out/faults"
results=$out/faults/results.tsv
: >"$results"
for case in "${wanted[@]}"; do
	for arm in "${arms[@]}"; do
		check_arm
	done
done
summary
done_testing
