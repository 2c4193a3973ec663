#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Runs every test below tests/ and sums up. Each test prints TAP ("ok", "not ok", "ok # SKIP why").
# usage: tests/run.sh OUTPUT-DIR [PATTERN]     (PATTERN: only tests whose name contains it)
set -uo pipefail
cd "$(dirname "$0")/.."

out=$(realpath "$1")
pattern=${2:-}
passed=0 failed=0 skipped=0
failures=() skips=()
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
	elif [ "$status" -ne 0 ] && ! grep -q '^not ok' "$file"; then
		failed=$((failed + 1))
		failures+=("$name: exit status $status; see $file")
	fi
}

run_one() {
	local name=$1 limit=$2
	shift 2
	case $name in *"$pattern"*) ;; *) return ;; esac
	local file=$log/${name//\//_}.tap start=$SECONDS status
	CMOCKA_MESSAGE_OUTPUT=TAP FLATPAUSE_OUT=$out timeout --kill-after=20 "$limit" "$@" \
		>"$file" 2>"$file.err" </dev/null
	status=$?
	sum_up "$name" "$status" "$file"
	printf '  %-46s %4ds  status %d\n' "$name" $((SECONDS - start)) "$status"
}

for bin in $(cd "$out" && find tests/unit tests/fuzz tests/sim -type f -perm -u+x 2>/dev/null | sort); do
	run_one "${bin#tests/}" 300 "$out/$bin"
done
for script in tests/unit/*.sh tests/replay/test_*.sh tests/live/test_*.sh tests/faults/test_*.sh \
	tests/lab/test_*.sh tests/vm/test_*.sh; do
	[ -x "$script" ] && run_one "${script#tests/}" 900 "$script"
done

[ ${#skips[@]} -gt 0 ] && printf 'skipped: %s\n' "${skips[@]}"
[ ${#failures[@]} -gt 0 ] && printf 'FAILED: %s\n' "${failures[@]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
