#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The whole story, three times: pauses grow, why, what flattens them, and the proof by a control.
# usage: tests/lab/demo.sh OUTPUT-DIR [SCENARIO...]     (default: backlog full aged; as root)
#
# All that is said about pauses comes from the tools; this script only calls them in turn.
# Leaves OUTPUT-DIR/demo: report.html, summary.json, one .fpt per sweep.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

title() {
	printf '\n%s\n' "$1"
	printf '%.0s-' $(seq ${#1})
	printf '\n\n'
}

fail() {
	echo "demo: error: $*" >&2
	exit "${2:-1}"
}

# ---- between two arms: what the last one showed, what comes now, a fresh file system ----

say_arm() { # NAME SUMMARY
	case $1 in
	before) title "$SCENARIO: ten BRANCHes as they are" ;;
	control) title "$SCENARIO: the same with the memory files on tmpfs (control)" ;;
	*) title "$SCENARIO: the same with $1 in force" ;;
	esac
}

say_verdict() {
	title "$SCENARIO: what holds the pauses"
	local text status=0
	text=$("$FLATPAUSE" diagnose "$OUT/before.fpt") || status=$?
	[ $status -eq 0 ] || [ $status -eq 6 ] || fail "no diagnosis of $OUT/before.fpt"
	# one screen: without the sections that repeat in numbers what the text says
	awk '/^(not the cause|evidence|recording)/ { skip = 1 } /^(advice|warnings)/ { skip = 0 } !skip' <<<"$text" | cat -s
}

if [ "${1:-}" = --between ]; then # called back by `flatpause fix auto`
	[ -e "$OUT/before.fpt" ] && [ ! -e "$OUT/.said" ] && {
		say_verdict
		touch "$OUT/.said"
	}
	"$here/lab.sh" reset "$LAB" || exit
	say_arm "$FLATPAUSE_ARM"
	exit 0
fi

# ---- one scenario ----

# One number per line from the tools' own JSON: the comparison of all arms.
say_comparison() { # SUMMARY
	title "$SCENARIO: all arms"
	jq -r --arg s "$SCENARIO" '
		def ms: if . == null then "-" elif . < 10 then (. * 10 | round / 10 | tostring) else (round | tostring) end;
		def median: sort | if length == 0 then null
			elif length % 2 == 1 then .[length / 2 | floor]
			else (.[length / 2 - 1] + .[length / 2]) / 2 end;
		.scenarios[$s] as $v
		| ($v.arms.before.values_ms // [] | .[2:] | median) as $before
		| ($v.arms | to_entries[]
			| .key as $arm | (.value.values_ms // []) as $values
			| ($values | .[2:] | median) as $late
			| "\($arm)\t\($values | map(ms) | join(" "))\t\($late | ms)\t"
			  + (if $arm == "before" or $late == null or $late == 0 then "" else
				"\($before / $late * 10 | round / 10)x lower" end)
			  + ({flattened: ", flat now", not_flattened: ", not flattened",
			      inconclusive: ", not decided"}[.value.outcome // ""] // "")),
		  "\n\t\($v.kept)\t\($v.flattened)"' "$1" |
		awk -F'\t' '
			NF >= 4 { printf "%-10s %s\n%-10s median of windows 3-10: %s ms%s\n", $1, $2, "", $3, ($4 == "" ? "" : ", " $4); next }
			$1 == "" && NF == 3 { print ""; print ($3 == "true" ? "The curve is flat now; kept: " $2 "." : "No mitigation flattened this curve on this run; kept: " $2 ".") }'
}

# What became of the memory files: were the extents still there, how long until durable.
say_texts() { # SUMMARY
	jq -r --arg s "$SCENARIO" '.scenarios[$s].arms | to_entries[] | select(.value.text)
		| "\(.key): \(.value.text)"' "$1" | fold -s -w 78
}

run_scenario() { # NAME
	local status
	export SCENARIO=$1 OUT=$DEMO/$1 LAB
	LAB=$(mktemp -d "${TMPDIR:-/tmp}/flatpause-demo.XXXXXX") || fail "cannot make a directory"
	rm -rf "$OUT"
	title "$SCENARIO: building the lab"
	"$here/lab.sh" up "$SCENARIO" "$LAB" || exit
	"$here/lab.sh" control "$LAB" || exit
	# shellcheck disable=SC1091
	. "$LAB/control.env"
	local control="${BRANCH[*]}" control_pid=$VMM_PID
	# shellcheck disable=SC1091
	. "$LAB/env"
	mkdir -p "$OUT"
	"$FLATPAUSE" fix auto --apply --try-all --dir "$MNT" --scenario "$SCENARIO" -o "$OUT" \
		-n 10 --gap "$GAP" -p "$VMM_PID" --pause-from json:.pause_ms --timeout 60s \
		--control-command "$control" --control-pid "$control_pid" \
		--between "$here/demo.sh --between" --drop "rm -rf $MNT/snap-*" -- "${BRANCH[@]}"
	status=$?
	# 5: could not be judged, 7: nothing helped. Both are results, and said as such.
	case $status in 0 | 5 | 7) ;; *) exit $status ;; esac
	[ -s "$OUT/summary.json" ] || fail "fix auto left no summary"
	say_comparison "$OUT/summary.json"
	say_texts "$OUT/summary.json"
	remove_lab || fail "the lab could not be removed"
}

remove_lab() {
	[ -n "${LAB:-}" ] || return 0
	if [ -n "${MNT:-}" ]; then
		rm -rf "$MNT"/snap-* # nobody needs them on disk any more
		timeout 120 "$FLATPAUSE" fix revert "$MNT" >/dev/null ||
			echo "demo: \`flatpause fix revert --all\` once more, please" >&2
	fi
	"$here/lab.sh" down "$LAB" && LAB= MNT=
}

merge() {
	jq -s '{schema_version: 1, scenarios: (map(.scenarios | to_entries[]
		| .key as $s | .value.arms |= map_values(if .trace then .trace = "\($s)/\(.trace)" else . end))
		| from_entries)}' "$@" >"$DEMO/summary.json" || fail "cannot merge the summaries"
	"$FLATPAUSE" report "$DEMO/summary.json" --html "$DEMO/report.html" || fail "no report"
}

[ $# -ge 1 ] || {
	sed -n '4,5s/^# //p' "${BASH_SOURCE[0]}" >&2
	exit 2
}
out=$(realpath -m "$1")
shift
[ $# -gt 0 ] || set -- backlog full aged
export FLATPAUSE=$out/flatpause LAB_BIN=$out/lab DEMO=$out/demo
[ -x "$FLATPAUSE" ] || fail "$FLATPAUSE is not built; run \`make all tools\`"
[ "$(id -u)" -eq 0 ] || fail "the demo needs root: it records with BPF and makes a disk" 3
command -v jq >/dev/null || fail "jq is not installed (\`make deps\` as root)" 3

mkdir -p "$DEMO" || exit
exec 9>"$DEMO/.lock"
flock -n 9 || fail "another demo writes to $DEMO"
trap 'code=$?; trap "" INT TERM; remove_lab 9>&-; exit $code' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

summaries=()
for scenario; do
	run_scenario "$scenario" 9>&-
	summaries+=("$OUT/summary.json")
done
merge "${summaries[@]}"
title "done in $((SECONDS / 60)) min $((SECONDS % 60)) s"
echo "traces and summary: $DEMO"
echo "all of it on one page: $DEMO/report.html"
