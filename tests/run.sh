#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Runs every test below tests/ and sums up. Each test prints TAP ("ok", "not ok", "ok # SKIP why").
# What has nothing of this kernel to itself (units, replay, the controller in an emulated machine) runs
# side by side, one for each CPU; what records, guards or mounts runs alone, behind it. So does a
# recording in an emulated machine, which cannot see that it was not given a CPU.
# usage: tests/run.sh OUTPUT-DIR [PATTERN]     (PATTERN: only tests whose name contains it)
set -uo pipefail
cd "$(dirname "$0")/.."

out=$(realpath "$1")
pattern=${2:-}
passed=0 failed=0 skipped=0
names=() failures=() skips=()
log=$out/test-logs
mkdir -p "$log"

# Reads TAP on stdin; a plan that is not met, or a program that dies, is a failure too.
sum_up() {
	local name=$1 status=$2 file=$3 line
	local seen=0 planned=-1
	while IFS= read -r line; do
		case $line in
		1..*) planned=$((planned < 0 ? ${line#1..} : planned + ${line#1..})) ;;
		# cmocka marks what was skipped so, some versions with "not" before it
		"not ok"*"# SKIP"*) skipped=$((skipped + 1)) seen=$((seen + 1)) skips+=("$name: ${line#not ok }") ;;
		"not ok"*) failed=$((failed + 1)) seen=$((seen + 1)) failures+=("$name: ${line#not ok }") ;;
		ok*"# SKIP"*) skipped=$((skipped + 1)) seen=$((seen + 1)) skips+=("$name: ${line#ok }") ;;
		ok*"# skip"*) skipped=$((skipped + 1)) seen=$((seen + 1)) skips+=("$name: ${line#ok }") ;;
		ok*) passed=$((passed + 1)) seen=$((seen + 1)) ;;
		esac
	done <"$file"
	if [ "$seen" -eq 0 ] || [ "$planned" -lt 0 ] || [ "$seen" -ne "$planned" ]; then
		failed=$((failed + 1))
		failures+=("$name: ended after $seen of $planned tests (status $status); see $file")
	elif [ "$status" != 0 ] && ! grep -q '^not ok' "$file"; then
		failed=$((failed + 1))
		failures+=("$name: exit status $status; see $file")
	fi
}

# What it told, and how it ended, stay in its files. A shell's background has SIGINT ignored, and a
# test shall not: tests send it.
run_one() { # NAME FILE
	local name=$1 file=$log/${1//\//_}.tap start=$SECONDS pid status
	CMOCKA_MESSAGE_OUTPUT=TAP FLATPAUSE_OUT=$out env --default-signal=INT,QUIT \
		timeout --kill-after=20 900 "$2" >"$file" 2>"$file.err" </dev/null &
	pid=$!
	trap 'kill $pid; wait $pid; exit 130' TERM
	wait $pid
	status=$?
	echo "$status" >"$file.status"
	printf '  %-46s %4ds  status %d\n' "$name" $((SECONDS - start)) "$status"
}

# start_one NAME FILE: what PATTERN leaves out is not there, and not said
start_one() {
	case $1 in *"$pattern"*) ;; *) return ;; esac
	[ -e "$2" ] || return # a pattern of none; what cannot be run has failed
	while [ "$(jobs -rp | wc -l)" -ge "$width" ]; do wait -n; done
	names+=("$1")
	run_one "$1" "$2" &
}

programs() { (cd "$out/tests" && find "$@" -type f -perm -u+x 2>/dev/null | sort); }

# Each test undoes what it did when it is ended.
trap 'kill $(jobs -p) 2>/dev/null; wait; exit 130' INT TERM

rm -f "$log"/*.tap*
width=$(nproc)
# the longest first
for script in tests/unit/*.sh tests/vm/test_fixer.sh; do
	start_one "${script#tests/}" "$script"
done
for bin in $(programs sim); do
	start_one "$bin" "$out/tests/$bin"
done
for script in tests/replay/test_*.sh; do
	start_one "${script#tests/}" "$script"
done
for bin in $(programs unit fuzz); do
	start_one "$bin" "$out/tests/$bin"
done
wait
width=1
for script in tests/live/test_*.sh tests/faults/test_*.sh tests/lab/test_*.sh tests/vm/test_vm.sh; do
	start_one "${script#tests/}" "$script"
done
wait

for name in "${names[@]}"; do
	file=$log/${name//\//_}.tap
	sum_up "$name" "$(cat "$file.status" 2>/dev/null || echo lost)" "$file"
done

[ ${#skips[@]} -gt 0 ] && printf 'skipped: %s\n' "${skips[@]}"
[ ${#failures[@]} -gt 0 ] && printf 'FAILED: %s\n' "${failures[@]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
