# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Sourced by the tests in emulated machines: which kernels, and a script in one of them.
. "$(dirname "$0")/../tap.sh"

here=$(dirname "$0")
out=${FLATPAUSE_OUT:-$here/../../.output}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Older ones of the distribution. In one ext4 is a module, in the other it is built in.
kernels=(linux-image-amd64 linux-image-6.12-cloud-amd64)

# in_vm WHAT PACKAGE SCRIPT FILE...: true where the guest ran its script to the end: then its results are
# in $results, and $name is for the tests' names. Else that is a failed test, or a skip that says why.
in_vm() {
	local what=$1 package=$2 status=0 dir
	results=$scratch/$package
	dir=$("$here/vm.sh" kernel "$package" "$out/vm/kernels" 2>"$scratch/why") || status=$?
	[ "$status" -ne 0 ] || "$here/vm.sh" run "$dir" "$results" "${@:3}" 2>"$scratch/why" || status=$?
	cat "$scratch/why" >&2
	if [ "$status" -eq 77 ]; then
		skip "$package: $what" "$(tail -1 "$scratch/why")"
		return 1
	fi
	check "$package: the guest boots and runs to its end" test "$status" -eq 0
	[ "$status" -eq 0 ] || return 1
	name="linux $(cat "$results/kernel")"
	cat "$results/script.out" >&2
}
