#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# What the renderers write, seen by other programs: XML and JSON parsers, a schema, a browser.
# The files come from findings built by hand, with names that break out of careless renderers.
set -uo pipefail
cd "$(dirname "$0")/../.."
. tests/tap.sh

out=${FLATPAUSE_OUT:-.output}
here=tests/replay/report
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# Without its script (and nothing else) the page is well-formed XML; one that is not lets names in.
without_script() {
	sed -e '/^<script>$/,/^<\/script>$/d' -e '/^<!DOCTYPE html>$/d' "$1" >"$1.xml"
	! grep -qi '<script' "$1.xml"
}

count() { # FILE XPATH
	xmllint --xpath "count($2)" "$1" 2>/dev/null
}

well_formed() {
	local f
	for f in "$@"; do
		xmllint --noout "$f" || return 1
	done
}

pages_well_formed() {
	local f
	for f in "$dir"/*.html; do
		without_script "$f" && xmllint --noout "$f.xml" || return 1
	done
}

# No name became an element, a handler or an address; nothing leads outside the page.
pages_closed() {
	local f
	for f in "$dir"/*.html.xml "$dir"/*.svg; do
		[ "$(count "$f" '//@*[starts-with(local-name(), "on")]')" = 0 ] &&
			[ "$(count "$f" '//@src | //*[local-name()="img"]')" = 0 ] &&
			[ "$(count "$f" '//@href[not(starts-with(., "#"))]')" = 0 ] || {
			echo "$f" >&2
			return 1
		}
	done
}

nothing_from_the_network() {
	! grep -hoE '(https?:)?//[a-z0-9.-]+\.[a-z]+[^ "]*|url\([^)]*\)|@import' "$@" |
		grep -vxE 'http://www.w3.org/(2000/svg|1999/xhtml).*'
}

each_link_has_its_target() {
	local page=$dir/story-0.html.xml id
	for id in $(xmllint --xpath '//@href' "$page" | grep -o '#[^"]*' | sort -u); do
		[ "$(count "$page" "//*[@id='${id#\#}']")" = 1 ] || {
			echo "no target, or several: $id" >&2
			return 1
		}
	done
}

folded_lines() {
	! grep -hnvE '^[^;]+(;[^;]+)* [1-9][0-9]*$' "$@" &&
		! grep -hnE '[[:space:]][0-9]+(\.[0-9]*)?[[:space:]]+[0-9]+$' "$@" # flamegraph.pl: a difference
}

same_as_golden() {
	if [ -n "${FLATPAUSE_GOLDEN:-}" ]; then
		cp "$dir/small-0.$1" "$here/small.$1"
	fi
	diff -u "$here/small.$1" "$dir/small-0.$1"
}

# dump URL: the document after its script ran, messages of the browser included
dump() {
	local profile status=0
	profile=$(mktemp -d)
	timeout --kill-after=10 120 chromium --headless --no-sandbox --disable-gpu \
		--disable-background-networking --disable-dev-shm-usage --enable-logging=stderr \
		--user-data-dir="$profile" --dump-dom "$1" >"$dir/dom" 2>"$dir/dom.err" || status=$?
	rm -rf "$profile"
	return $status
}

no_complaints() {
	! grep -E 'CONSOLE.*(Uncaught|Refused|Error|violates)' "$dir/dom.err" >&2
}

search_finds() { # URL HITS
	dump "$1#q=wbt_wait" && no_complaints && grep -q "data-hits=\"$2\"" "$dir/dom"
}

# Clicks on a frame, presses Escape, walks with the arrows, and writes down what it sees.
keyboard_and_zoom() {
	sed 's|</body>||;s|</html>||' "$dir/story-0.html" >"$dir/keys.html"
	cat >>"$dir/keys.html" <<'SCRIPT'
<script>
addEventListener('load', () => {
const svg = document.querySelector('svg.fp-flame'), frames = [...svg.querySelectorAll('svg.f')];
const wbt = frames.find(f => f.querySelector('title').textContent.startsWith('wbt_wait'));
const key = k => svg.dispatchEvent(new KeyboardEvent('keydown', { key: k, bubbles: true }));
const seen = [], before = wbt.getAttribute('width');
wbt.dispatchEvent(new MouseEvent('click', { bubbles: true }));
seen.push(wbt.getAttribute('width'), wbt.querySelector('text').textContent);
key('ArrowDown');
seen.push(svg.querySelector('.cur title').textContent.split('\n')[0]);
key('Escape');
seen.push(wbt.getAttribute('width') === before, svg.querySelectorAll('.cur').length);
svg.scrollIntoView({ behavior: 'instant' });
document.body.dispatchEvent(new KeyboardEvent('keydown', { key: '/', bubbles: true, cancelable: true }));
seen.push(document.activeElement.type);
const room = frames.every(f => { const t = f.querySelector('text');
  return !t || !t.textContent || t.getComputedTextLength() <= f.getBoundingClientRect().width; });
document.body.dataset.seen = seen.concat(room ? 'fits' : 'overflows').join('|');
});
</script></body></html>
SCRIPT
	dump "file://$dir/keys.html"
	grep -oE 'data-seen="[^"]*"' "$dir/dom" >&2
	no_complaints && grep -q 'data-seen="100.0000%|wbt_wait_\[k\]|rq_qos_wait_\[k\]|true|0|search|fits"' "$dir/dom"
}

script_stays_quiet() {
	local f
	for f in "$dir"/hostile-0.html "$dir"/hostile-1.html "$dir"/hostile-5.svg; do
		dump "file://$f" && no_complaints && grep -q 'fp-tools' "$dir/dom" || return 1
	done
}

fits_a_phone() {
	# The page is never wider than its window: only tables and code scroll in themselves.
	sed 's|</body>|<script>document.documentElement.dataset.over = String(document.documentElement.scrollWidth - window.innerWidth)</script></body>|' \
		"$dir/story-0.html" >"$dir/phone.html"
	printf '<iframe style="width:400px;height:900px;border:0" src="phone.html"></iframe>%s' \
		'<script>onload = () => { const w = frames[0]; document.body.dataset.over = w.document.documentElement.scrollWidth - w.innerWidth; }</script>' \
		>"$dir/frame.html"
	local profile
	profile=$(mktemp -d)
	timeout --kill-after=10 120 chromium --headless --no-sandbox --disable-gpu \
		--disable-background-networking --disable-dev-shm-usage --allow-file-access-from-files \
		--user-data-dir="$profile" --dump-dom "file://$dir/frame.html" >"$dir/dom" 2>/dev/null
	rm -rf "$profile"
	grep -oE 'data-over="[^"]*"' "$dir/dom" >&2
	grep -qE '<body[^>]*data-over="(0|-[0-9]+)"' "$dir/dom"
}

check "the samples are written" "$out/tests/unit/reports/test_html" --write "$dir"
check "a page is well-formed whatever the names" pages_well_formed
check "a flame graph is well-formed whatever the names" well_formed "$dir"/*.svg
check "no name becomes an element, a handler or an address" pages_closed
check "nothing comes from the network" nothing_from_the_network "$dir"/story-0.* "$dir"/small-0.html
check "every link of a page has one target" each_link_has_its_target
check "folded stacks are lines of frames and a number" folded_lines "$dir"/*.folded

for kind in json md folded; do
	check "$kind of a small case is as it was (FLATPAUSE_GOLDEN=1 rewrites it)" same_as_golden $kind
done

if python3 -c 'import jsonschema' 2>/dev/null; then
	check "JSON is as the schema says, and ledgers sum exactly" \
		python3 "$here/check_json.py" reports/schema.json "$dir"/*.json
else
	skip "JSON is as the schema says" "python3-jsonschema is not installed"
fi

if command -v chromium >/dev/null; then
	check "the page's search finds a frame in each of its graphs of slow windows" \
		search_finds "file://$dir/story-0.html" 1
	check "the flame graph alone is searched too" search_finds "file://$dir/story-0.svg" 1
	check "a click zooms, the arrows walk, Escape resets, and no text leaves its frame" \
		keyboard_and_zoom
	check "hostile names run nothing and break no script" script_stays_quiet
	check "the page fits a screen of 400 pixels" fits_a_phone
else
	skip "search in a browser" "chromium is not installed"
	skip "search in a flame graph" "chromium is not installed"
	skip "zoom and keyboard in a browser" "chromium is not installed"
	skip "hostile names in a browser" "chromium is not installed"
	skip "the page on a phone" "chromium is not installed"
fi
done_testing
