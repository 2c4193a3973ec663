// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Pauses from CSV and JSON that people, other tools or nobody in their right mind wrote. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "user/analyze/curve.h"
#include "user/analyze/curve_input.h"
#include "user/analyze/curve_rng.h"

struct outcome {
	int err;
	char said[1024]; /* on stderr */
	struct curve_input in;
};

/* Runs with stderr in a file, so that messages can be read. */
static struct outcome run(bool json, const char *text, size_t size)
{
	struct outcome o = { 0 };
	FILE *said = tmpfile();
	int keep = dup(STDERR_FILENO);

	assert_non_null(said);
	fflush(stderr);
	assert_true(dup2(fileno(said), STDERR_FILENO) >= 0);
	o.err = (json ? curve_input__add_json : curve_input__add_csv)(&o.in, text, size, "in");
	fflush(stderr);
	dup2(keep, STDERR_FILENO);
	close(keep);
	rewind(said);
	o.said[fread(o.said, 1, sizeof(o.said) - 1, said)] = '\0';
	fclose(said);
	return o;
}

static void accepts(bool json, const char *text, uint32_t sweeps, uint32_t windows)
{
	struct outcome o = run(json, text, strlen(text));

	if (o.err)
		fail_msg("%s: %s", text, o.said);
	assert_string_equal(o.said, "");
	assert_int_equal(o.in.sweeps, sweeps);
	assert_int_equal(o.in.windows, windows);
	curve_input__free_inside(&o.in);
}

static void refuses_bytes(bool json, const char *text, size_t size, const char *message)
{
	struct outcome o = run(json, text, size);

	if (o.err != -EINVAL || !strstr(o.said, message))
		fail_msg("%s: error %d, expected \"%s\" in: %s", text, o.err, message, o.said);
	assert_null(o.in.values_ms);
	/* one line, and nothing in it that a terminal would obey */
	assert_ptr_equal(strchr(o.said, '\n'), o.said + strlen(o.said) - 1);
	for (const char *c = o.said; c[1]; c++)
		assert_true((unsigned char)*c >= 32 && *c != 127);
}

static void refuses(bool json, const char *text, const char *message)
{
	refuses_bytes(json, text, strlen(text), message);
}

static void csv_as_people_write_it(void **state)
{
	accepts(false, "sweep,window,pause_ms\n1,1,25\n1,2,9.5\n", 1, 2);
	accepts(false, "1,1,25\n1,2,9.5", 1, 2); /* no header, no last line end */
	accepts(false, "\xef\xbb\xbfSweep, Window, Pause_ms\r\n1 , 1,\t25\r\n1,2, 9.5\r\n\r\n", 1,
		2);
	accepts(false, "# lab 7\n\nsweep,window,pause_ms\n# first\n1,1,1e3\n2,1,1E-3\n", 2, 1);
	accepts(false, "7,1,1\n7,2,2\n9,2,4\n9,1,3\n", 2, 2); /* names of sweeps, any order */
	accepts(false, "1,1,+5\n1,2,.5\n1,3,5.\n", 1, 3);
}

static void csv_rows_come_in_any_order(void **state)
{
	const char *text = "2,2,4\n1,2,2\n2,1,3\n1,1,1\n";
	struct outcome o = run(false, text, strlen(text));
	const double sorted[] = { 1, 2, 3, 4 };

	assert_int_equal(o.err, 0);
	assert_memory_equal(o.in.values_ms, sorted, sizeof(sorted));
	curve_input__free_inside(&o.in);
}

static void a_bad_line_is_named(void **state)
{
	refuses(false, "sweep,window,pause_ms\n1,1,25\n1,2,x\n", "in:3: 'x' is no number");
	refuses(false, "1,1,25\n1,2\n", "in:2: no window");
	refuses(false, "1,1,25\n1\n", "in:2: no sweep");
	refuses(false, "1,1,25\n1,2,3,4\n", "in:2: more than three fields");
	refuses(false, "1,1,25\nsweep,window,pause_ms\n", "in:2: 'sweep' is no sweep");
	refuses(false, "window,sweep,pause_ms\n1,1,1\n", "in:1: 'window' is no sweep");
	refuses(false, "1;1;25\n", "in:1: no sweep");
	refuses(false, "1,1,2,5\n", "in:1: more than three");
	refuses(false, "1,,25\n", "in:1: '' is no window");
	refuses(false, "1,1,\n", "in:1: '' is no number");
	refuses(false, "\n\n# x\n1,0,25\n", "in:4: '0' is no window");
	refuses(false, "0,1,25\n", "'0' is no sweep");
	refuses(false, "-1,1,25\n", "'-1' is no sweep");
	refuses(false, "1,1.5,25\n", "'1.5' is no window");
	refuses(false, "1,99999999999999999999,25\n", "is no window");
	refuses(false, "1,4294967297,25\n", "is no window"); /* 1 in 32 bits */
}

static void what_is_no_pause_is_named(void **state)
{
	refuses(false, "1,1,nan\n", "in:1: 'nan' is no number");
	refuses(false, "1,1,inf\n", "in:1: 'inf' is no number");
	refuses(false, "1,1,0x10\n", "in:1: '0x10' is no number");
	refuses(false, "1,1,0\n", "in:1: a pause of 0 ms");
	refuses(false, "1,1,-4\n", "in:1: a pause of -4 ms");
	refuses(false, "1,1,1e999\n", "in:1: a pause of 1e999 ms");
	refuses(false, "1,1,1e-999\n", "in:1: a pause of 1e-999 ms");
	refuses(false, "1,1,1e200\n", "in:1: a pause of 1e200 ms");
	refuses(false, "1,1,5 6\n", "in:1: '5 6' is no number");
	refuses(false, "1,1,12ms\n", "in:1: '12ms' is no number");
	refuses(false, "1,1,--5\n", "in:1: '--5' is no number");
}

static void windows_must_be_whole(void **state)
{
	refuses(false, "1,1,5\n1,3,5\n", "in:2: window 3 of sweep 1, but there is no window 2");
	refuses(false, "1,2,5\n1,3,5\n", "in:1: window 2 of sweep 1, but there is no window 1");
	refuses(false, "1,1,5\n1,2,6\n1,1,7\n", "in:3: window 1 of sweep 1 stands in line 1");
	refuses(false, "1,1,5\n1,2,6\n2,1,7\n", "in:3: sweep 2 has 1 windows, sweep 1 has 2");
	refuses(false, "", "no line of");
	refuses(false, "sweep,window,pause_ms\n", "no line of");
	refuses(false, "# only\n\n\n", "no line of");
}

static void hostile_csv(void **state)
{
	static char big[300000];

	refuses_bytes(false, "1,1,5\0006\n", 8, "in:1: a zero byte");
	refuses_bytes(false, "1,1,5\n\0\0\0\0", 10, "in:2: no sweep");
	refuses(false, "\x1b[2J,1,5\n", "in:1: '?[2J' is no sweep");
	refuses(false, "\xff\xfe\x31,1,5\n", "is no sweep");
	memset(big, '1', sizeof(big));
	refuses_bytes(false, big, sizeof(big), "in:1: no sweep");
	big[1] = ',';
	refuses_bytes(false, big, sizeof(big), "in:1: no window");
	big[3] = ',';
	refuses_bytes(false, big, sizeof(big), "in:1: '11111111111111111111...' is no pause_ms");
	memset(big, '\n', sizeof(big));
	refuses_bytes(false, big, sizeof(big), "no line of");
	memset(big, ',', sizeof(big));
	refuses_bytes(false, big, sizeof(big), "in:1: '' is no sweep");
}

/* One row more than a curve may have, all well formed. */
static void csv_without_end(void **state)
{
	size_t room = (size_t)(CURVE_MAX_VALUES + 1) * 16, at = 0;
	char *text = malloc(room);

	assert_non_null(text);
	for (int i = 0; i <= CURVE_MAX_VALUES; i++)
		at += (size_t)snprintf(text + at, room - at, "%d,1,5\n", i % CURVE_MAX_VALUES + 1);
	refuses_bytes(false, text, at, "more than 200000 windows");
	free(text);
}

/* Whatever bytes come: an answer, never a crash (run under sanitizers, it is worth the more). */
static void random_csv_is_answered(void **state)
{
	const char alphabet[] = "0123456789,,,,\n\n\n.e-+ \t\r#x\"nif\0\xff";
	struct curve_rng rng;
	char text[400];
	int accepted = 0;

	curve_rng__init(&rng, 6);
	for (int r = 0; r < 20000; r++) {
		size_t size = curve_rng__below(&rng, sizeof(text));
		struct outcome o;
		size_t at = 0;

		/* half of them are mutations of something good, or none would get far */
		if (r % 2)
			for (int i = 1; at + 20 < size; i++)
				at += (size_t)snprintf(text + at, sizeof(text) - at, "1,%d,%d\n", i,
						       i);
		for (; at < size; at++)
			text[at] = alphabet[curve_rng__below(&rng, sizeof(alphabet))];
		if (r % 4 == 1 && size)
			text[curve_rng__below(&rng, (uint32_t)size)] = (char)curve_rng__next(&rng);
		if (r % 4 == 3)
			while (size && text[size - 1] != '\n')
				size--;
		o = run(false, text, size);
		assert_true(o.err == 0 || (o.err == -EINVAL && o.said[0]));
		assert_int_equal(!o.err, o.in.values_ms != NULL);
		accepted += !o.err;
		curve_input__free_inside(&o.in);
	}
	assert_true(accepted > 100);
}

static void json_as_we_write_it(void **state)
{
	accepts(true, "{\"schema_version\":1,\"curve\":{\"values_ms\":[1,2.5,3],\"sweeps\":1}}", 1,
		3);
	accepts(true, "{\"curve\":{\"values_ms\":[1,2,3,4,5,6],\"sweeps\":2,\"windows\":3}}", 2, 3);
	accepts(true, " {\"schema_version\":1,\"values_ms\":[1,2],\"sweeps\":2}\n", 2, 1);
}

static void hostile_json(void **state)
{
	static char deep[100000];

	refuses(true, "{", "in:1:");
	refuses(true, "{\"curve\":\n[}", "in:2:");
	refuses(true, "[]", "no JSON object");
	refuses(true, "{}", "no pauses in it");
	refuses(true, "{\"curve\":7}", "no pauses in it");
	refuses(true, "{\"values_ms\":[],\"sweeps\":1}", "no pauses in it");
	refuses(true, "{\"values_ms\":{\"a\":1},\"sweeps\":1}", "no pauses in it");
	refuses(true, "{\"values_ms\":[1,2,3]}", "`sweeps` must divide");
	refuses(true, "{\"values_ms\":[1,2,3],\"sweeps\":2}", "`sweeps` must divide");
	refuses(true, "{\"values_ms\":[1,2,3],\"sweeps\":0}", "`sweeps` must divide");
	refuses(true, "{\"values_ms\":[1,2,3],\"sweeps\":-1}", "`sweeps` must divide");
	refuses(true, "{\"values_ms\":[1,2,3],\"sweeps\":\"1\"}", "`sweeps` must divide");
	refuses(true, "{\"values_ms\":[1],\"sweeps\":4294967297}", "`sweeps` must divide");
	refuses(true, "{\"values_ms\":[1,2],\"sweeps\":1,\"windows\":3}", "`windows` times");
	refuses(true, "{\"values_ms\":[1,\"2\"],\"sweeps\":1}", "values_ms[1] is no pause");
	refuses(true, "{\"values_ms\":[1,null],\"sweeps\":1}", "values_ms[1] is no pause");
	refuses(true, "{\"values_ms\":[1,0],\"sweeps\":1}", "values_ms[1] is no pause");
	refuses(true, "{\"values_ms\":[-3],\"sweeps\":1}", "values_ms[0] is no pause");
	refuses(true, "{\"values_ms\":[1e999],\"sweeps\":1}", "in:1:");
	refuses(true, "{\"values_ms\":[NaN],\"sweeps\":1}", "in:1:");
	refuses(true, "{\"schema_version\":2,\"values_ms\":[1],\"sweeps\":1}", "schema_version");
	refuses(true, "{\"schema_version\":\"1\",\"values_ms\":[1],\"sweeps\":1}",
		"schema_version");
	refuses(true, "{\"sweeps\":1,\"sweeps\":2,\"values_ms\":[1]}", "in:1:");
	refuses(true, "{\"arms\":[]}", "no pauses in it");
	memset(deep, '[', sizeof(deep));
	refuses_bytes(true, deep, sizeof(deep), "in:1:");
}

static void files_add_up_if_alike(void **state)
{
	struct curve_input in = { 0 };
	const double both[] = { 1, 2, 3, 4 };

	assert_int_equal(curve_input__add_csv(&in, "1,1,1\n1,2,2\n", 12, "a"), 0);
	assert_int_equal(curve_input__add_json(&in, "{\"values_ms\":[3,4],\"sweeps\":1}", 30, "b"),
			 0);
	assert_int_equal(in.sweeps, 2);
	assert_int_equal(in.windows, 2);
	assert_memory_equal(in.values_ms, both, sizeof(both));
	/* refused, and what was there stays */
	assert_int_equal(curve_input__add_csv(&in, "1,1,1\n", 6, "c"), -EINVAL);
	assert_int_equal(in.sweeps, 2);
	assert_memory_equal(in.values_ms, both, sizeof(both));
	curve_input__free_inside(&in);
}

static void files_that_are_none(void **state)
{
	char path[] = "/tmp/test_curve_input.XXXXXX";
	struct curve_input in = { 0 };
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(curve_input__add(&in, path), -EINVAL); /* empty */
	assert_int_equal(write(fd, "FLATPA", 6), 6);
	assert_int_equal(curve_input__add(&in, path), -EINVAL); /* not even a whole magic */
	assert_int_equal(write(fd, "U\n", 2), 2);
	assert_true(curve_input__add(&in, path) < 0); /* a trace without a header */
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(ftruncate(fd, (64 << 20) + 2), 0);
	assert_int_equal(curve_input__add(&in, path), -EFBIG);
	close(fd);
	unlink(path);
	assert_int_equal(curve_input__add(&in, path), -ENOENT);
	assert_int_equal(curve_input__add(&in, "/tmp"), -EISDIR);
	assert_null(in.values_ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(csv_as_people_write_it),
		cmocka_unit_test(csv_rows_come_in_any_order),
		cmocka_unit_test(a_bad_line_is_named),
		cmocka_unit_test(what_is_no_pause_is_named),
		cmocka_unit_test(windows_must_be_whole),
		cmocka_unit_test(hostile_csv),
		cmocka_unit_test(csv_without_end),
		cmocka_unit_test(random_csv_is_answered),
		cmocka_unit_test(json_as_we_write_it),
		cmocka_unit_test(hostile_json),
		cmocka_unit_test(files_add_up_if_alike),
		cmocka_unit_test(files_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
