#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Every C file stands as .clang-format has it; `make format` mends it.
. "$(dirname "$0")/../tap.sh"
cd "$(dirname "$0")/../.." || exit 1

formatted() { find bpf user probes reports fixer tests -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run -Werror; }

if command -v clang-format >/dev/null; then
	check "all C files are formatted" formatted
else
	skip "all C files are formatted" "clang-format is not installed"
fi
done_testing
