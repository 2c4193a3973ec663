#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Builds the unit tests and the fuzzers with AddressSanitizer and UndefinedBehaviorSanitizer and
# runs them: one line of TAP for each program.
# usage: tests/unit/test_sanitize.sh [PATTERN]     FLATPAUSE_OUT: where the plain build stands
set -uo pipefail
cd "$(dirname "$0")/../.."
. tests/tap.sh

plain=${FLATPAUSE_OUT:-.output}
out=$plain/sanitize
pattern=${1:-}
log=$out/logs
mkdir -p "$log"

# What the make that runs the tests was told (jobs, O=) is not for this one.
unset MAKEFLAGS MAKELEVEL MFLAGS
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1
export CMOCKA_MESSAGE_OUTPUT=STDOUT
# Of the simulator's programs, and of the simulated curves; the plain build runs all of them.
export PROGRAMS=${PROGRAMS:-1000} SHARE=${SHARE:-10}

if ! echo 'int main(void) { return 0; }' |
	gcc -fsanitize=address,undefined -x c - -o "$log/can-link" 2>"$log/can-link.err"; then
	skip "sanitizers" "this compiler has no sanitizers: $(head -n 1 "$log/can-link.err")"
	done_testing
fi

mapfile -t programs < <(find tests/unit tests/fuzz tests/sim -name 'test_*.c' -o -name 'fuzz_*.c' |
	grep -e "$pattern" | sed 's/\.c$//' | sort)

build() {
	make --no-print-directory --keep-going -j"$(nproc)" O="$out" BPF_O="$plain" \
		SANITIZE=address,undefined CFLAGS='-O1 -g1' "${programs[@]/#/$out/}"
}

# A sanitizer's report ends the program with a status of its own; a test that fails, too.
run() {
	timeout --kill-after=10 300 "$out/$1" >"$log/${1//\//_}.log" 2>&1 </dev/null
	local status=$?
	[ $status -eq 0 ] && return 0
	echo "$1 ended with status $status:"
	grep -e 'ERROR' -e 'runtime error' -e 'FAILED' -e '^not ok' -A 20 \
		"$log/${1//\//_}.log" | head -n 60
	return 1
}

check "builds with SANITIZE=address,undefined" build
for program in "${programs[@]}"; do
	check "$program" run "$program"
done
done_testing
