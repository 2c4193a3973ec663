#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Prints every figure that the README quotes, each beside the figure to reach. Not a test: a noisy
# machine makes a figure worse, never the build red.
# usage: tests/bench/run.sh OUTPUT-DIR [overhead|analysis|curve|gate|guard|memfd|export|lab ...]     (default: all)
set -uo pipefail
cd "$(dirname "$0")/../.."

out=$(realpath "$1")
shift
parts=${*:-overhead analysis curve gate guard memfd export lab}

echo "machine: $(uname -sr), $(nproc) CPUs, $(awk '/MemTotal/ {printf "%.0f GB", $2 / 1e6}' /proc/meminfo)"
for part in $parts; do
	printf '\n== %s ==\n' "$part"
	case $part in
	overhead) tests/bench/overhead.sh "$out" ;;
	analysis) tests/bench/analysis.sh "$out" ;;
	curve) "$out/bench/curve_speed" ;;
	gate) tests/bench/gate.sh "$out" ;;
	guard) tests/bench/guard.sh "$out" ;;
	memfd) tests/bench/memfd.sh "$out" ;;
	export) tests/bench/export.sh "$out" && ROUNDS=3 tests/bench/export_workers.sh "$out" ;;
	lab) tests/bench/lab.sh "$out" ;;
	*)
		echo "run.sh: no part '$part' (overhead, analysis, curve, gate, guard, memfd, export, lab)" >&2
		exit 2
		;;
	esac || echo "bench: $part ended with status $?" >&2
done
