// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "reports/escape.h"
#include "tests/unit/render.h"
#include "tests/unit/sample_findings.h"

static void takes_apart(const char *s, const uint32_t *want)
{
	while (*want)
		assert_int_equal(utf8_next(&s), *want++);
	assert_int_equal(utf8_next(&s), 0);
	assert_int_equal(*s, '\0');
}

static void test_utf8_good(void **state)
{
	takes_apart("aä€😀", (uint32_t[]){ 'a', 0xe4, 0x20ac, 0x1f600, 0 });
	takes_apart("", (uint32_t[]){ 0 });
}

static void test_utf8_bad(void **state)
{
	const uint32_t R = UTF8_REPLACEMENT;

	takes_apart("\xff"
		    "a",
		    (uint32_t[]){ R, 'a', 0 });
	takes_apart("\xc0\xaf", (uint32_t[]){ R, R, 0 });      /* overlong '/' */
	takes_apart("\xe0\x80\xaf", (uint32_t[]){ R, 0 });     /* overlong, three bytes */
	takes_apart("\xed\xa0\x80", (uint32_t[]){ R, 0 });     /* a surrogate */
	takes_apart("\xf4\x90\x80\x80", (uint32_t[]){ R, 0 }); /* above U+10FFFF */
	takes_apart("\xe2\x82", (uint32_t[]){ R, 0 });	       /* cut at the end */
	takes_apart("\xe2\x82<", (uint32_t[]){ R, '<', 0 });   /* cut by what matters */
	takes_apart("\x80\xbf", (uint32_t[]){ R, R, 0 });      /* tails alone */
}

static void expect(char *got, const char *want)
{
	assert_string_equal(got, want);
	free(got);
}

static void test_json(void **state)
{
	expect(RENDER_VOID(escape_json(out, "a\"b\\c\n\t\x01\x7f")),
	       "a\\\"b\\\\c\\n\\t\\u0001\\u007f");
	expect(RENDER_VOID(escape_json(out, "ä\xff")), "ä\xef\xbf\xbd");
	expect(RENDER_VOID(escape_json(out, "\xe2\x80\xa8")), "\\u2028");
}

static void test_xml(void **state)
{
	expect(RENDER_VOID(escape_xml(out, "</script> & \"'")),
	       "&lt;/script&gt; &amp; &quot;&#39;");
	expect(RENDER_VOID(escape_xml(out, "\x1b\x01\xef\xbf\xbf")),
	       "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	expect(RENDER_VOID(escape_xml(out, "a\nb")), "a\nb");
	expect(RENDER_VOID(escape_xml_short(out, "a\nbcdef", 4)), "a bc…");
	expect(RENDER_VOID(escape_xml_short(out, "abcd", 4)), "abcd");
	expect(RENDER_VOID(escape_xml_short(out, "", 0)), "");
}

static void test_markdown(void **state)
{
	expect(RENDER_VOID(escape_markdown(out, "a|b\n`c` <i> @you wbt_wait")),
	       "a\\|b \\`c\\` &lt;i&gt; @\xe2\x80\x8byou wbt\\_wait");
}

static void test_markdown_code(void **state)
{
	expect(RENDER_VOID(escape_markdown_code(out, "a | b", false)), "`a | b`");
	expect(RENDER_VOID(escape_markdown_code(out, "a | b", true)), "`a \\| b`");
	expect(RENDER_VOID(escape_markdown_code(out, "`a` ``b\n", false)), "``` `a` ``b  ```");
	expect(RENDER_VOID(escape_markdown_code(out, "", false)), "` `");
}

static void test_folded(void **state)
{
	expect(RENDER_VOID(escape_folded(out, "a;b\nc")), "a:b c");
	expect(RENDER_VOID(escape_folded(out, "")), "[unknown]");
	expect(RENDER_VOID(escape_folded(out, "<[u8; 4]>::f")), "<[u8: 4]>::f");
	expect(RENDER_VOID(escape_folded(out, "a\xe2\x80\xa8"
					      "b")),
	       "a\xef\xbf\xbd"
	       "b");
}

/* flamegraph.pl reads `^(.*)\s+?(\d+(?:\.\d*)?)$` twice: what ends so is a difference to it. */
static void test_folded_count(void **state)
{
	expect(RENDER_VOID(escape_folded(out, "fc_vcpu 0")), "fc_vcpu_0");
	expect(RENDER_VOID(escape_folded(out, "kworker 1.5")), "kworker_1.5");
	expect(RENDER_VOID(escape_folded(out, "a 12.")), "a_12.");
	expect(RENDER_VOID(escape_folded(out, "a  7")), "a _7");
	expect(RENDER_VOID(escape_folded(out, "a\t7")), "a_7");
	expect(RENDER_VOID(escape_folded(out, " 7")), "_7");
	expect(RENDER_VOID(escape_folded(out, "a b7")), "a b7");
	expect(RENDER_VOID(escape_folded(out, "a .7")), "a .7");
	expect(RENDER_VOID(escape_folded(out, "a 7 ")), "a 7 ");
	expect(RENDER_VOID(escape_folded(out, "42")), "42");
	expect(RENDER_VOID(escape_folded(out, ".")), ".");
}

/* Whatever the name, nothing comes out that could end a string, an attribute or an element. */
static void test_hostile(void **state)
{
	for (size_t i = 0; i < hostile_names_cnt; i++) {
		char *json = RENDER_VOID(escape_json(out, hostile_names[i]));
		char *xml = RENDER_VOID(escape_xml(out, hostile_names[i]));
		char *folded = RENDER_VOID(escape_folded(out, hostile_names[i]));

		assert_null(strpbrk(xml, "<>\"'"));
		assert_null(strpbrk(folded, ";\n\r"));
		for (const char *p = json; *p; p++) {
			assert_true((unsigned char)*p >= 0x20);
			if (*p == '\\')
				p++;
			else
				assert_int_not_equal(*p, '"');
		}
		free(json);
		free(xml);
		free(folded);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8_good), cmocka_unit_test(test_utf8_bad),
		cmocka_unit_test(test_json),	  cmocka_unit_test(test_xml),
		cmocka_unit_test(test_markdown),  cmocka_unit_test(test_markdown_code),
		cmocka_unit_test(test_folded),	  cmocka_unit_test(test_folded_count),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
