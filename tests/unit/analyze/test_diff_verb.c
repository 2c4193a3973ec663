// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What `flatpause diff` prints, and its exit codes. With FLATPAUSE_GOLDEN=1, from the repository's
 * root, its two traces are written below tests/replay/diff, where test_diff.sh compares them.
 */
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../../user/cli/verb.h"
#include "../../../user/log.h"
#include "stories.h"

#define SECOND (1000 * TB_MS)
#define DIR    "tests/replay/diff/"

static char text[1 << 18];

/* Runs the verb with its stdout in a file; gives the exit code. */
static int run(int argc, char **argv)
{
	FILE *out = tmpfile();
	int saved = dup(STDOUT_FILENO), code;
	size_t n;

	assert_non_null(out);
	fflush(stdout);
	dup2(fileno(out), STDOUT_FILENO);
	code = verb_diff(argc, argv);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	rewind(out);
	n = fread(text, 1, sizeof(text) - 1, out);
	text[n] = '\0';
	fclose(out);
	return code;
}

#define DIFF(...)                                                 \
	({                                                        \
		char *_argv[] = { "diff", __VA_ARGS__, NULL };    \
		run(sizeof(_argv) / sizeof(_argv[0]) - 1, _argv); \
	})

/* Eight BRANCHes; slow from the third on, on that stack. */
static struct trace_builder *sweep(const char *path, uint64_t slow_ms, const char *stack,
				   uint64_t lost)
{
	struct trace_builder *b = tb__open_compressed(path, 4);

	assert_non_null(b);
	story_begin(b);
	for (int i = 1; i <= 8; i++)
		story_fsync(b, i * SECOND, (i < 3 ? 9 : slow_ms + i) * TB_MS, stack);
	tb_at(b, 9 * SECOND);
	if (lost) {
		tb_cpu(b, 3);
		tb_lost(b, 9 * SECOND - TB_MS, lost);
	}
	assert_int_equal(tb__finish(b), 0);
	return b;
}

static struct trace_builder *before(const char *path)
{
	return sweep(path, 400, WBT_SLEEP, 0);
}

static struct trace_builder *after(const char *path)
{
	return sweep(path, 30, WRITEBACK_SLEEP, 0);
}

static void says_what_went(void **state)
{
	struct trace_builder *b = before(NULL), *a = after(NULL);

	assert_int_equal(DIFF((char *)tb__path(b), (char *)tb__path(a)), FP_EXIT_OK);
	assert_non_null(strstr(text, "times shorter"));
	assert_non_null(strstr(text, "What went away: io.throttle.wbt ("));
	assert_non_null(strstr(text, "What came: fs.writeback_wait ("));
	assert_non_null(strstr(text, "from window 3"));
	assert_null(strstr(text, "nan"));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		assert_true(strlen(line) < 80);
		assert_true(line[strlen(line) - 1] != ' ');
	}
	assert_int_equal(DIFF((char *)tb__path(b), (char *)tb__path(b)), FP_EXIT_OK);
	assert_non_null(strstr(text, "The pauses are as before"));
	tb__free(b);
	tb__free(a);
}

static void json_shares_sum_up(void **state)
{
	struct trace_builder *b = before(NULL), *a = after(NULL);
	double shares = 0;
	json_t *root, *row;
	size_t i;

	assert_int_equal(DIFF("--json", (char *)tb__path(b), (char *)tb__path(a)), FP_EXIT_OK);
	root = json_loads(text, 0, NULL);
	assert_non_null(root);
	json_array_foreach (json_object_get(root, "causes"), i, row)
		shares += json_number_value(json_object_get(row, "share"));
	assert_true(i > 2 && shares > 0.99999 && shares < 1.00001);
	json_decref(root);
	tb__free(b);
	tb__free(a);
}

static void bad_words(void **state)
{
	struct trace_builder *b = before(NULL), *dark = sweep(NULL, 400, WBT_SLEEP, 1000);
	char *good = (char *)tb__path(b), *lossy = (char *)tb__path(dark);

	assert_int_equal(DIFF(good), FP_EXIT_USAGE);
	assert_int_equal(DIFF(good, good, good), FP_EXIT_USAGE);
	assert_int_equal(DIFF(good, good, "--no-such-option"), FP_EXIT_USAGE);
	assert_int_equal(DIFF("--help"), FP_EXIT_OK);
	assert_int_equal(DIFF(good, "/nonexistent/run.fpt"), FP_EXIT_FAILED);
	assert_int_equal(DIFF("/dev/null", good), FP_EXIT_FAILED);
	assert_int_equal(DIFF(good, lossy), FP_EXIT_LOST);
	assert_int_equal(DIFF(lossy, good), FP_EXIT_LOST);
	assert_int_equal(DIFF("--max-loss", "100", lossy, good), FP_EXIT_OK);
	tb__free(b);
	tb__free(dark);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_went),
		cmocka_unit_test(json_shares_sum_up),
		cmocka_unit_test(bad_words),
	};

	log_init("flatpause", LOG_QUIET);
	if (getenv("FLATPAUSE_GOLDEN")) {
		tb__free(before(DIR "before.fpt"));
		tb__free(after(DIR "after.fpt"));
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
