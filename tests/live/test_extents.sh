#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A preallocation that is undone, kept or not a target's: what a recording holds of it is enough for
# the verdict to say who, how much, and by what call.
. "$(dirname "$0")/../tap.sh"
. "$(dirname "$0")/recording.sh"
need_recording "preallocation"

lab=$(realpath "${FLATPAUSE_OUT:-$(dirname "$0")/../../.output}")/lab
flatpause=$(realpath "$flatpause")
mnt=$scratch/small
sock=$scratch/vmm.sock
memory=$((16 << 20))

cd "$scratch" || exit 1
mkdir "$mnt"
truncate -s 400M img && mkfs.ext4 -q -F img && mount -o loop img "$mnt" || {
	skip "preallocation" "no loop device with ext4 here"
	done_testing
}
"$lab/labvmm" --api-sock "$sock" --memory 16M --pidfile vmm.pid >vmm.log 2>&1 &
started+=($!)
wait_until '[ -s vmm.pid ]' || exit 1
vmm=$(<vmm.pid)
"$lab/branch" --api-sock "$sock" --root "$mnt" --mode full >/dev/null || exit 1
mv "$mnt/snap-1/memory.bin" "$mnt/base.bin" && rm -r "$mnt/snap-1" && sync -f "$mnt"
branch=("$lab/branch" --api-sock "$sock" --root "$mnt" --base "$mnt/base.bin" --keep 3)

sweep() { # NAME BRANCH-OPTION...
	local name=$1
	shift
	"$flatpause" sweep -n 3 --gap "${GAP:-100ms}" -p "$vmm" --pause-from json:.pause_ms -o "$name.fpt" -- \
		"${branch[@]}" "$@" >/dev/null 2>&1 && diagnose "$name"
}
diagnose() { # NAME
	"$flatpause" diagnose --json "$1.fpt" >"$1.json"
}
text_has() { # NAME REGEXP
	jq -r .verdict.text "$1.json" | grep -qE "$2" || {
		jq -r .verdict.text "$1.json" >&2
		return 1
	}
}
no_text() { # NAME REGEXP
	! text_has "$1" "$2" 2>/dev/null
}
evidence_has() { jq -r '.verdict.evidence[]' "$1.json" | grep -E "$2" >&2; }
# of the memory file that each window was made for, snap-1 in the first one's if no FIRST is given
each_memory() { # NAME CONDITION [FIRST]
	jq -e "[.windows[] | . as \$w | .files[]
		| select(.path | endswith(\"/snap-\" + (\$w.index + ${3:-1} - 1 | tostring) + \"/memory.bin\"))]
		| length == 3 and all(.[]; $2)" "$1.json" >/dev/null || {
		jq -c '.windows[].files[] | select(.preallocated) | del(.sizes)' "$1.json" >&2
		return 1
	}
}

# As forkd #152: fallocate, then std::fs::copy, which opens with O_TRUNC
check "a sweep that preallocates, and undoes it by its own copy" sweep undone --mode diff --fallocate
check "the verdict says who undid it, by which call, and for how many windows" text_has undone \
	'memory\.bin was preallocated \(16\.0 MiB by branch/[0-9]+\) and that was undone by O_TRUNC at open by branch/[0-9]+ \((copy_file_range|sendfile|write)\) (before|in) window [12], and so for [23] of 3 windows\.'
# where the copy began late, the window ended before anything was undone
check "each window knows its own file" each_memory undone \
	".preallocated_bytes == $memory and ((.extents_kept and .first_written == null)
	or (.extents_why == \"undone by O_TRUNC at open\" and .preallocated.at_ns < .undone.at_ns
	and (.first_written == null or .undone.at_ns <= .first_written.at_ns)
	and (.undone.by | test(\"^branch/\"))))"
check "the evidence says what was allocated again" evidence_has undone \
	'memory\.bin was preallocated .* for 3 windows; undone for [23] by .* allocated in the windows'

# As Firecracker opens: without O_TRUNC
check "a sweep whose VMM keeps what it finds" sweep kept --mode full --fallocate
check "nothing is said to be undone" no_text kept 'undone'
check "each file kept it, and nothing but extents' metadata was allocated" each_memory kept \
	".extents_kept == true and .undone == null and .preallocated_bytes == $memory
	and (.preallocated.by | test(\"^branch/\")) and (.first_written.by | test(\"^labvmm/\"))
	and .first_written.call == \"write\" and .alloc_bytes <= 65536" 4
check "the evidence says that they were kept" evidence_has kept 'memory\.bin was preallocated .*kept for 3, '

# Nobody is preallocating here
check "a sweep without preallocation" sweep none --mode diff
check "nothing is said of what was not done" no_text none 'preallocated'
check "null is what is not known" jq -e '[.windows[].files[] | .extents_kept, .preallocated, .undone, .alloc_bytes]
	| length > 0 and all(. == null)' none.json

# The same by an orchestrator that is no target: its calls are not recorded, only what they did
"$flatpause" record -p "$vmm" -o foreign.fpt >/dev/null 2>&1 &
recorder=$!
started+=("$recorder")
check "a recording of the VMM alone begins" wait_until "is_recording foreign.fpt"
for _ in 1 2 3; do "${branch[@]}" --mode diff --fallocate >/dev/null; done
kill -INT "$recorder"
wait "$recorder"
diagnose foreign
check "a stranger is named, with his call, though he is no target" text_has foreign \
	'memory\.bin was preallocated \(16\.0 MiB by branch/[0-9]+\) and that was undone by O_TRUNC at open by branch/[0-9]+ \((copy_file_range|sendfile|write)\)'
check "his file has the last names of its path" jq -e 'any(.windows[].files[];
	.path | test("^snap-[0-9]+/memory.bin$"))' foreign.json

# The guard makes again what the copy's O_TRUNC undoes: what it says of its files, the recording shows
fixer=${flatpause}-fixer
export FLATPAUSE_STATE_DIR=$scratch/state
guard_says() { # the names of the memory files that it kept
	jq -r '.guards[].files[] | select(.at_first_write == "kept" and .at_close == "kept")
		| "\(.dir)/\(.name)"' status.json
}
shown_as_kept() {
	local file
	[ -n "$(guard_says)" ] || { cat status.json guard.log >&2; return 1; }
	for file in $(guard_says); do
		jq -e --arg file "/$file" 'any(.windows[].files[]; (.path | endswith($file))
			and .extents_kept and (.preallocated.by | startswith("flatpause-fixer/"))
			and .preallocated_bytes == '$memory')' guarded.json >/dev/null || {
			echo "$file is kept, and not shown so" >&2
			jq -c '.windows[].files[] | select(.preallocated) | del(.sizes)' guarded.json >&2
			return 1
		}
	done
}
rm -rf "$mnt"/snap-*
"$fixer" guard --size-from 16M "$mnt" >/dev/null 2>guard.log &
guard=$!
started+=("$guard")
wait_until 'grep -q "guarding" guard.log'
if grep -qs FAN_PRE_ACCESS guard.log state/*.log; then
	skip "a guarded sweep" "this kernel asks nobody before the first write: FAN_PRE_ACCESS, 6.14 and later"
else
	wait_until '[ -e "$mnt/.flatpause/spare" ]'
	check "a guarded sweep" eval 'GAP=1s sweep guarded --mode diff'
	"$fixer" status --json >status.json
	check "what the guard kept is shown as kept, and by whom it was allocated" shown_as_kept
	check "what it made again behind the copy's O_TRUNC is told as that" jq -e 'any(.windows[].files[];
		.extents_kept and .undone.how == "O_TRUNC at open" and (.undone.by | startswith("branch/"))
		and .undone.at_ns < .preallocated.at_ns)' guarded.json
fi
kill -INT "$guard"
wait "$guard"

# ftruncate is no O_TRUNC
"$flatpause" sweep -n 1 -o ftruncate.fpt --window exec -- sh -c \
	"fallocate -l 4M $mnt/x && truncate -s 0 $mnt/x && dd if=/dev/zero of=$mnt/x bs=1M count=4 conv=notrunc,fsync status=none" \
	>/dev/null 2>&1
diagnose ftruncate
check "ftruncate is told from O_TRUNC" text_has ftruncate \
	'x was preallocated \(4\.0 MiB by fallocate/[0-9]+\) and that was undone by ftruncate to 0 by truncate/[0-9]+ \(write by dd/[0-9]+\) in window 1'

# No space: an fallocate that fails has preallocated nothing
"$flatpause" sweep -n 1 -o full.fpt --window exec -- sh -c \
	"fallocate -l 4G $mnt/y; dd if=/dev/zero of=$mnt/y bs=1M count=2 status=none" >/dev/null 2>&1
diagnose full
check "an fallocate that fails is none" jq -e 'all(.windows[].files[] | select(.path | endswith("/y")); .preallocated == null)' full.json

done_testing
