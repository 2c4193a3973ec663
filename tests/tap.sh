# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Sourced by shell tests: TAP on stdout, everything else on stderr.
#
#   . "$(dirname "$0")/../tap.sh"
#   check "what is expected" command args...      # ok if the command succeeds
#   skip "what" "why"
#   done_testing

tap_count=0 tap_failed=0

check() {
	local what=$1
	shift
	tap_count=$((tap_count + 1))
	if "$@" >&2; then
		echo "ok $tap_count - $what"
	else
		echo "not ok $tap_count - $what"
		tap_failed=1
	fi
}

skip() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

# exits_with CODE command args...: true if the command ends with that status
exits_with() {
	local want=$1 got=0
	shift
	"$@" >&2 || got=$?
	[ "$got" -eq "$want" ] || {
		echo "exit status $got, expected $want: $*" >&2
		return 1
	}
}

# says TEXT command args...: true if stdout or stderr contains TEXT
says() {
	local text=$1 output
	shift
	output=$("$@" 2>&1)
	case $output in *"$text"*) return 0 ;; esac
	printf 'expected "%s" in:\n%s\n' "$text" "$output" >&2
	return 1
}

done_testing() {
	echo "1..$tap_count"
	exit $tap_failed
}
