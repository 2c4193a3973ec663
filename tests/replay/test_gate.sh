#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# `flatpause gate`: pass, fail, inconclusive; the second run and more sweeps; baselines; every form
# of report beside its validator; what it says to bad input and to commands that fail.
set -uo pipefail
cd "$(dirname "$0")/../.."
. tests/tap.sh

fp=$(realpath "${FLATPAUSE_OUT:-.output}")/flatpause
forms=$(realpath tests/replay/gate)
schema=$(realpath reports/schema.json)
checker=$(realpath tests/replay/report/check_json.py)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
unset GITHUB_STEP_SUMMARY
export TMPDIR=$dir/tmp
mkdir "$TMPDIR"
cd "$dir" || exit 1

# sweeps FILE SEED SWEEPS LEVEL STEP RATIO SPREAD: ten windows each, times RATIO from STEP on;
# the generator is our own, for awk's rand() differs between implementations
sweeps() {
	awk -v seed="$2" -v sweeps="$3" -v level="$4" -v step="$5" -v ratio="$6" -v spread="$7" '
		function uniform() { seed = (seed * 16807) % 2147483647; return seed / 2147483647 }
		BEGIN {
			for (i = 0; i < 20; i++) uniform()
			print "sweep,window,pause_ms"
			for (k = 1; k <= sweeps; k++)
				for (w = 1; w <= 10; w++) {
					ms = level * exp(spread * (uniform() + uniform() + uniform() - 1.5))
					printf("%d,%d,%.3f\n", k, w, (step && w >= step) ? ratio * ms : ms)
				}
		}' >"$1"
}
sweeps stepped.csv 1 3 100 6 2.5 0.2
sweeps stepped2.csv 2 3 100 6 2.5 0.2
sweeps flat.csv 3 3 100 0 1 0.2
sweeps flat2.csv 4 3 100 0 1 0.2
sweeps open.csv 5 1 100 0 1 0.8
sweeps base.csv 6 5 100 0 1 0.1
sweeps same.csv 7 5 100 0 1 0.1
sweeps slower.csv 8 5 130 0 1 0.1
sweeps slower2.csv 9 5 130 0 1 0.1
sweeps slower3.csv 10 3 130 0 1 0.1
findings() { # CSV STEP CAUSE [KERNEL]
	jq -Rn --argjson step "$2" --arg cause "$3" --arg kernel "${4:-6.18.1}" -f "$forms/findings.jq" <"$1"
}
findings stepped.csv 6 io.throttle.wbt >stepped.json
findings stepped2.csv 6 io.throttle.wbt >stepped2.json
findings base.csv 99 io.throttle.wbt >base.json
findings slower.csv 1 io.throttle.wbt >slower.json
findings slower2.csv 1 io.throttle.wbt >slower2.json

is() { # WANT QUERY command...
	local want=$1 query=$2 got
	shift 2
	got=$("$@" 2>/dev/null | jq -r "$query")
	[ "$got" = "$want" ] || {
		echo "$query is '$got', expected '$want': $*" >&2
		return 1
	}
}
narrow() { ! "$@" 2>&1 | awk 'length > 79 { print; bad = 1 } END { exit !bad }' >&2; }
silent_on_stdout() { [ -z "$("$@" 2>/dev/null)" ]; }
same_bytes() { cmp <("$fp" "$@" 2>/dev/null) <("$fp" "$@" 2>/dev/null); }
refuses() { # TEXT command...: status 1, the text, and nothing on stdout
	local text=$1
	shift
	exits_with 1 "$@" && says "$text" "$@" && silent_on_stdout "$@"
}

# ---- the rule ----

check "a flat curve passes" exits_with 0 "$fp" gate flat.csv
check "an open one is inconclusive" exits_with 5 "$fp" gate open.csv
check "and says how to go on" says "--more COMMAND records more sweeps" "$fp" gate open.csv
check "a step without a second run is inconclusive" exits_with 5 "$fp" gate stepped.csv
check "and says so" says "no second run has confirmed: STEPPED at window 6" "$fp" gate stepped.csv
check "--no-confirm fails it" exits_with 4 "$fp" gate stepped.csv --no-confirm
check "--no-confirm passes what is flat" exits_with 0 "$fp" gate flat.csv --no-confirm
check "a confirmed step fails" exits_with 4 "$fp" gate stepped.csv --confirm 'cat stepped2.csv'
check "and names both runs" says "second run: STEPPED at window 6" \
	"$fp" gate stepped.csv --confirm 'cat stepped2.csv'
check "a step that does not come back passes" exits_with 0 "$fp" gate stepped.csv --confirm 'cat flat.csv'
check "and says so" says "a second run does not confirm" "$fp" gate stepped.csv --confirm 'cat flat.csv'
check "an open second run decides nothing" exits_with 5 "$fp" gate stepped.csv --confirm 'cat open.csv'
check "a flat curve needs no second run" exits_with 0 "$fp" gate flat.csv --confirm 'touch ran; false'
check "and makes none" [ ! -e ran ]
check "the first run once more is no second one: said" \
	says "it is no independent one" "$fp" gate stepped.csv --confirm 'cat stepped.csv'
check "CSV on stdin" exits_with 0 "$fp" gate - <flat.csv
check "sweeps of several files, of several kinds" is "6 stepped" '"\(.sweeps) \(.verdict)"' \
	"$fp" gate stepped.csv stepped2.json --json --no-confirm

# ---- commands ----

check "{} is where a file goes" exits_with 4 "$fp" gate stepped.csv --confirm 'cp stepped2.csv {}'
check "so is the environment" exits_with 4 "$fp" gate stepped.csv --confirm 'cp stepped2.csv "$FLATPAUSE_GATE_OUT"'
check "a directory there holds a file for each run" is "6" .confirm.sweeps "$fp" gate stepped.csv --json \
	--confirm 'mkdir {} && cp stepped2.csv {}/b && cp stepped2.json {}/a'
check "what is printed beside it is no result" is "3 2" '"\(.confirm.sweeps) \(.schema_version + 1)"' \
	"$fp" gate stepped.csv --json --confirm 'echo hello; cp stepped2.csv {}'
check "the command is told what and how many" says "confirm 3" \
	"$fp" gate stepped.csv --confirm 'echo $FLATPAUSE_GATE_RUN $FLATPAUSE_GATE_SWEEPS >&2; cat stepped2.csv'
check "a command that fails is an error" refuses "command ended with status 3" \
	"$fp" gate stepped.csv --confirm 'cat stepped2.csv; exit 3'
check "one that is killed too" refuses "ended by signal 9" "$fp" gate stepped.csv --confirm 'kill -9 $$'
check "one that is not there too" refuses "ended with status 127" "$fp" gate stepped.csv --confirm ./nothing
check "one that makes nothing too" refuses "neither printed pauses nor wrote them" \
	"$fp" gate stepped.csv --confirm true
check "one that prints no pauses too" refuses "a line is sweep,window,pause_ms" \
	"$fp" gate stepped.csv --confirm 'echo all is well'
check "one with other windows too" refuses "5 windows a sweep, the first 10" \
	"$fp" gate stepped.csv --confirm "awk -F, '\$2 <= 5' stepped2.csv"
check "an empty directory too" refuses "neither printed" "$fp" gate stepped.csv --confirm 'mkdir {}'
"$fp" gate stepped.csv --confirm false --junit none.xml 2>/dev/null
check "no report is left by it" [ ! -e none.xml ]
check "the command has no part in our stdin" exits_with 4 \
	sh -c "'$fp' gate - --confirm 'cat; cat stepped2.csv' <stepped.csv"
interrupted() { # SIGTERM ends the command and us, and leaves nothing
	"$fp" gate stepped.csv --confirm 'echo $$ >pid; exec sleep 60' &
	local gate=$! status=0
	for _ in $(seq 100); do [ -s pid ] && break || sleep 0.1; done
	kill "$gate"
	wait "$gate" || status=$?
	[ "$status" -eq 1 ] && ! kill -0 "$(<pid)" 2>/dev/null && [ -z "$(ls -A "$TMPDIR")" ]
}
check "a signal ends the command and the gate" interrupted
check "a TMPDIR that a shell takes apart is refused" refuses "takes apart" \
	env TMPDIR="$dir/tmp/a b" sh -c "mkdir -p '$dir/tmp/a b'; '$fp' gate stepped.csv --confirm 'cp stepped2.csv {}'"
check "but only where it is used" exits_with 4 \
	env TMPDIR="$dir/tmp/a b" "$fp" gate stepped.csv --confirm 'cp stepped2.csv "$FLATPAUSE_GATE_OUT"'
rmdir "$dir/tmp/a b"

count_runs() { # WANT command...: how often the --more command ran
	local want=$1 got
	shift
	rm -f runs
	"$@" >&2
	got=$(wc -l <runs)
	[ "$got" -eq "$want" ]
}
check "more sweeps are asked for twice at most" count_runs 2 "$fp" gate open.csv \
	--more 'echo x >>runs; cat open.csv'
check "and once where that decides" count_runs 1 "$fp" gate open.csv \
	--more 'echo x >>runs; cat base.csv base.csv | awk "!/sweep/ && ++n <= 50 { print }"'
check "they join the curve" is "6 1 pass" '"\(.sweeps) \(.more_runs) \(.gate)"' "$fp" gate open.csv --json --more 'cat base.csv'
check "two are wanted" says "more 2" "$fp" gate open.csv \
	--more 'echo $FLATPAUSE_GATE_RUN $FLATPAUSE_GATE_SWEEPS >&2; cat base.csv'
check "nothing is left below TMPDIR" [ -z "$(ls -A "$TMPDIR")" ]

# ---- causes ----

check "the cause that grew is named with its shares" says "io.throttle.wbt 3 % -> 60 % in windows 6..10" \
	"$fp" gate stepped.json --confirm 'cat stepped2.json'
check "in JSON too" is "io.throttle.wbt 6 10 true" \
	'.grown[0] | "\(.cause) \(.from_window) \(.to_window) \(.share_after > 0.5 and .share_before < 0.04)"' \
	"$fp" gate stepped.json --json --no-confirm
check "CSV names none" is 0 '.grown | length' "$fp" gate stepped.csv --json --no-confirm

# ---- baselines ----

"$fp" gate base.json --baseline b.json --update-baseline 2>/dev/null
check "a baseline is written" [ -s b.json ]
check "for the kind of host of the files" is "linux-6.18/2-3cpu/8-15G/loop/ext4" '.classes | keys[0]' cat b.json
check "the same level passes" exits_with 0 "$fp" gate same.csv --baseline b.json \
	--host-class linux-6.18/2-3cpu/8-15G/loop/ext4
check "a higher one fails where it is confirmed" exits_with 4 "$fp" gate slower.json --baseline b.json \
	--confirm 'cat slower2.json'
check "and names what grew beside the baseline" \
	says "io.throttle.wbt 3 % -> 22 % in windows 1..10 (before: the" \
	"$fp" gate slower.json --baseline b.json --no-confirm
check "its numbers are in JSON" is "slower 5 5 true" \
	'.level | "\(.verdict) \(.sweeps) \(.baseline_sweeps) \(.p < 0.01 and .ratio > 1.2)"' \
	"$fp" gate slower.json --baseline b.json --json
check "a step fails whatever the level" exits_with 4 "$fp" gate stepped.json --baseline b.json --confirm 'cat stepped2.json'
"$fp" gate slower3.csv --baseline three.json --update-baseline --host-class x 2>/dev/null
sweeps slower4.csv 11 3 170 0 1 0.1
check "three sweeps beside three cannot show it" exits_with 5 "$fp" gate slower4.csv --baseline three.json --host-class x
check "and it says how many can" says "it takes 7" "$fp" gate slower4.csv --baseline three.json --host-class x
"$fp" gate base.csv --baseline b.json --update-baseline --host-class other 2>/dev/null
check "a second kind of host joins the first" is "2" '.classes | length' cat b.json
cp b.json kept.json
check "another kind of host is refused" refuses "no baseline for hosts of class linux-5.10/2-3cpu" \
	sh -c "jq '.host.kernel = \"5.10.0\"' slower.json | '$fp' gate - --baseline b.json"
check "and told which there are" says "it has one for other" "$fp" gate same.csv --baseline b.json --host-class y
check "files of two kinds are refused" refuses "one gate is of one" \
	sh -c "jq '.host.kernel = \"5.10.0\"' slower.json >old.json; '$fp' gate slower.json old.json"
check "a second run of another kind too" refuses "the second run is from a host of class" \
	"$fp" gate stepped.json --confirm "jq '.host.kernel = \"5.10.0\"' stepped2.json"
check "a baseline that is not there is refused" refuses "--update-baseline makes it" \
	"$fp" gate same.csv --baseline nothing.json --host-class x
echo '{"flatpause_baseline":2,"classes":{}}' >v2.json
check "one of another version is refused" refuses "a baseline of version 2" "$fp" gate same.csv --baseline v2.json --host-class x
check "and not written over" refuses "a baseline of version 2" "$fp" gate same.csv --baseline v2.json --update-baseline
head -c 300 b.json >cut.json
check "a damaged one is refused" refuses "cut.json is damaged" "$fp" gate same.csv --baseline cut.json --host-class x
check "and not written over" exits_with 1 "$fp" gate same.csv --baseline cut.json --update-baseline
check "nor is a file that is none" refuses "is no baseline" "$fp" gate same.csv --baseline stepped.json --update-baseline
check "other windows are refused" refuses "has 10 windows a sweep, these sweeps 5" \
	sh -c "awk -F, '\$2 <= 5' same.csv | '$fp' gate - --baseline b.json --host-class other"
check "a refusal changes nothing" cmp b.json kept.json
check "a directory that is not there is an error" exits_with 1 "$fp" gate same.csv --baseline no/such/b.json --update-baseline

# ---- forms ----

junit() { xmllint --noout --schema "$forms/junit.xsd" "$1"; }
evil=$'a"<b>&\']]>\n::error::x\x01\xff'
mkdir evil && cp stepped.csv "evil/$evil"
"$fp" gate "evil/$evil" --name "$evil" --no-confirm --junit fail.xml --code-quality fail.json --summary all.md >fail.txt 2>&1
"$fp" gate flat.csv --junit pass.xml --code-quality pass.json --summary all.md >/dev/null 2>&1
"$fp" gate slower.json --baseline b.json --junit level.xml --no-confirm >/dev/null 2>&1
"$fp" gate open.csv --junit open.xml --code-quality open.json >/dev/null 2>&1
for form in fail pass level open; do
	check "JUnit of $form is valid" junit $form.xml
done
check "the schema refuses what is none" sh -c "! sed 's/ time=\"[0-9.]*\"//' pass.xml | xmllint --noout --schema '$forms/junit.xsd' -"
check "a failure is one" [ "$(xmllint --xpath 'count(//failure)' fail.xml)" = 1 ]
check "a pass has none" [ "$(xmllint --xpath 'count(//failure | //skipped)' pass.xml)" = 0 ]
check "inconclusive is skipped" [ "$(xmllint --xpath 'count(//skipped)' open.xml)" = 1 ]
check "with a baseline there are two cases, one fails" \
	[ "$(xmllint --xpath 'concat(count(//testcase), count(//failure))' level.xml)" = 21 ]
check "GitLab: one issue with what it demands" is "flatpause-gate major 16 1 true" \
	'.[0] | "\(.check_name) \(.severity) \(.fingerprint | length) \(.location.lines.begin) \(.description | length > 20)"' cat fail.json
check "GitLab: a pass is an empty list" is 0 length cat pass.json
check "GitLab: inconclusive is minor" is minor '.[0].severity' cat open.json
check "the summary has both runs" [ "$(grep -c '^### flatpause gate' all.md)" = 2 ]
check "no name begins a line of the text" sh -c "! grep -a '^::' fail.txt"
annotation() { # WANT-COUNT PREFIX command...: lines that GitHub takes for a command, of both streams
	local want=$1 prefix=$2 got
	shift 2
	got=$("$@" 2>&1 | tr '\r' '\n' | grep -ac "^$prefix")
	[ "$got" = "$want" ]
}
check "an annotation is one line" annotation 1 '::error title=flatpause gate::' \
	"$fp" gate stepped.csv stepped2.csv --name "$evil" --no-confirm --annotations
check "and the only one" annotation 1 '::' \
	"$fp" gate stepped.csv stepped2.csv --name "$evil" --no-confirm --annotations
check "a pass is a notice" annotation 1 '::notice ' "$fp" gate flat.csv --annotations
check "inconclusive is a warning" annotation 1 '::warning ' "$fp" gate open.csv --annotations
check "JSON stays JSON beside it" is fail .gate "$fp" gate stepped.csv --no-confirm --json --annotations
GITHUB_STEP_SUMMARY=$dir/step.md "$fp" gate flat.csv --annotations >/dev/null
check "the job's summary is appended" grep -q '^### flatpause gate: PASS' step.md
check "a form that cannot be written is an error" exits_with 1 "$fp" gate flat.csv --junit no/such/dir.xml
"$fp" gate stepped.json --baseline b.json --confirm 'cat stepped2.json' --json >gate1.json 2>/dev/null
"$fp" gate flat.csv --json >gate2.json
check "JSON is valid by the schema" python3 "$checker" "$schema" gate1.json gate2.json
check "JSON: the curve's keys and the gate" is "flat 3 10 30 pass" \
	'"\(.verdict) \(.sweeps) \(.windows) \(.values_ms | length) \(.gate)"' cat gate2.json
check "JSON: no second run is null" is "null null" '"\(.confirm) \(.level)"' cat gate2.json
check "JSON is input again" exits_with 0 "$fp" gate gate2.json
check "the same input gives the same bytes" same_bytes gate stepped.json stepped2.json --no-confirm --json
check "no line is wider than 79" narrow "$fp" gate slower.json --baseline b.json --no-confirm
check "help is no wider than 79" narrow "$fp" gate --help

# ---- bad input ----

printf '1,1,5\n1,2,nan\n' >nan.csv
printf '1,1,5\n1,2,-3\n' >negative.csv
printf '1,1,5\n1,2,1e400\n' >huge.csv
: >empty.csv
check "NaN" refuses "nan.csv:2:" "$fp" gate nan.csv
check "a negative pause" refuses "negative.csv:2:" "$fp" gate negative.csv
check "an infinite one" refuses "huge.csv:2:" "$fp" gate huge.csv
check "an empty file" refuses "is empty" "$fp" gate empty.csv
check "no file" refuses "cannot open" "$fp" gate no-such.csv
check "too many windows" refuses "more than" sh -c "seq 5001 | awk '{ print \"1,\" \$1 \",5\" }' | '$fp' gate -"
check "other windows in another file" refuses "compare like with like" \
	sh -c "awk -F, '\$2 <= 5' flat.csv | '$fp' gate flat2.csv -"
check "a ledger that is none" refuses "no cause with milliseconds" \
	sh -c "jq '.windows[0].ledger[0].ms = -1' stepped.json | '$fp' gate -"
check "a damaged trace" exits_with 1 sh -c "printf 'FLATPAU\n' | '$fp' gate -"
check "nothing: usage" exits_with 2 "$fp" gate
check "both --confirm and --no-confirm: usage" exits_with 2 "$fp" gate flat.csv --confirm x --no-confirm
check "--update-baseline alone: usage" exits_with 2 "$fp" gate flat.csv --update-baseline
check "--update-baseline with a report: usage" exits_with 2 "$fp" gate flat.csv --update-baseline --baseline n --json
check "--host-class without a baseline: usage" exits_with 2 "$fp" gate flat.csv --host-class x
check "a host class with blanks: usage" exits_with 2 "$fp" gate flat.csv --baseline b.json --host-class 'a b'
check "an unknown option: usage" exits_with 2 "$fp" gate flat.csv --strict
check "a full disk is an error" sh -c "! '$fp' gate flat.csv >/dev/full"

done_testing
