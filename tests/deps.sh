#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Installs the distribution's packages that building, the lab, the tests or the benchmarks need.
# usage: tests/deps.sh [build] [lab] [check] [bench]     (no argument: all of them)
set -euo pipefail

build=(gcc make clang llvm bpftool pkg-config libbpf-dev libelf-dev zlib1g-dev libjansson-dev
	libiberty-dev uthash-dev)
lab=(nbdkit libnbd-bin fuse3 e2fsprogs util-linux mount jq)
check=(libcmocka-dev clang-format chromium libxml2-utils python3-jsonschema qemu-system-x86 busybox-static
	kmod cpio xz-utils btrfs-progs)
bench=(libbpf-tools bpftrace time jq)

wanted=()
for group in "${@:-all}"; do
	case $group in
	build) wanted+=("${build[@]}") ;;
	lab) wanted+=("${lab[@]}") ;;
	check) wanted+=("${check[@]}") ;;
	bench) wanted+=("${bench[@]}") ;;
	all) wanted+=("${build[@]}" "${lab[@]}" "${check[@]}" "${bench[@]}") ;;
	*)
		echo "deps.sh: no group '$group' (build, lab, check, bench)" >&2
		exit 2
		;;
	esac
done

if ! command -v dpkg-query >/dev/null; then
	echo "deps.sh: this is no Debian; install the like of: ${wanted[*]}" >&2
	exit 0
fi

missing=()
for package in "${wanted[@]}"; do
	dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
		missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "deps.sh: not root; install these first: ${missing[*]}" >&2
	exit 3
fi
echo "installing: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
