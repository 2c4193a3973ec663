// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What `flatpause diagnose` prints, and its exit codes. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../../user/cli/verb.h"
#include "../../../user/log.h"
#include "stories.h"

#define SECOND (1000 * TB_MS)

/* Runs the verb with its stdout in a file; gives the exit code and the text. */
static int run(char *text, size_t size, int argc, char **argv)
{
	FILE *out = tmpfile();
	int saved = dup(STDOUT_FILENO), code;
	size_t n;

	assert_non_null(out);
	fflush(stdout);
	dup2(fileno(out), STDOUT_FILENO);
	code = verb_diagnose(argc, argv);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	rewind(out);
	n = fread(text, 1, size - 1, out);
	text[n] = '\0';
	fclose(out);
	return code;
}

#define DIAGNOSE(text, ...)                                                           \
	({                                                                            \
		char *_argv[] = { "diagnose", __VA_ARGS__, NULL };                    \
		run(text, sizeof(text), sizeof(_argv) / sizeof(_argv[0]) - 1, _argv); \
	})

static struct trace_builder *sweep(uint64_t lost)
{
	struct trace_builder *b = tb__open(NULL, 4);

	story_begin(b);
	for (int i = 1; i <= 8; i++)
		story_fsync(b, i * SECOND, (i < 3 ? 9 : 400 + i) * TB_MS, WBT_SLEEP);
	tb_at(b, 9 * SECOND);
	if (lost) {
		tb_cpu(b, 3);
		tb_lost(b, 9 * SECOND - TB_MS, lost);
	}
	return b;
}

static char text[1 << 20];

/* The sentence and the headline of the curve speak of one step: they have one number for it. */
static void same_ratio(const char *said)
{
	const char *grew = strstr(said, "Pauses grew "), *step = strstr(said, "STEPPED at window ");
	double sentence = 0, headline = -1;
	unsigned int from = 0, at = 1;

	assert_int_equal(sscanf(grew, "Pauses grew %lfx from window %u on", &sentence, &from), 2);
	assert_int_equal(sscanf(step, "STEPPED at window %u, x%lf", &at, &headline), 2);
	assert_int_equal(from, at);
	assert_true(sentence > 0.99 * headline && sentence < 1.01 * headline);
	assert_non_null(strstr(grew, "(medians: "));
}

static void verdict_comes_first(void **state)
{
	struct trace_builder *b = sweep(0);

	assert_int_equal(tb__finish(b), 0);
	assert_int_equal(DIAGNOSE(text, (char *)tb__path(b)), FP_EXIT_OK);
	assert_int_equal(strncmp(text, "io.throttle.wbt", 15), 0);
	assert_non_null(strstr(text, "Pauses grew"));
	assert_non_null(strstr(text, "STEPPED at window 3"));
	same_ratio(text);
	assert_non_null(strstr(text, "not the cause"));
	assert_non_null(strstr(text, "$ flatpause fix apply --mitigation memfd /mnt"));
	assert_non_null(strstr(text, "$ flatpause fix revert"));
	assert_non_null(strstr(text, "0 lost"));
	assert_null(strstr(text, "INCOMPLETE"));
	assert_null(strstr(text, "p = 0.0000"));
	assert_null(strstr(text, "inf"));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		assert_true(strlen(line) < 80);
		assert_true(line[strlen(line) - 1] != ' ');
	}
	tb__free(b);
}

/* Beside the verdict: what simpler tools would have said, and why they mislead. */
static void rounds_stand_beside_the_verdict(void **state)
{
	static const char *const want[] = {
		"what each round would have concluded",
		"from the 6 slow windows",
		"strace -c on thread 100 (labvmm)",
		"=> user.cpu: only",
		"misleads:",
		"/proc/100/task/*/stack every 30 ms",
		"=> io.throttle.wbt",
		"agrees:",
	};
	struct trace_builder *b = sweep(0);

	assert_int_equal(tb__finish(b), 0);
	assert_int_equal(DIAGNOSE(text, (char *)tb__path(b), "--rounds"), FP_EXIT_OK);
	assert_int_equal(strncmp(text, "io.throttle.wbt", 15), 0);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		if (!strstr(text, want[i]))
			fail_msg("no \"%s\" in:\n%s", want[i], text);
	assert_null(strstr(text, "\nadvice"));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		assert_true(strlen(line) < 80);
	tb__free(b);
}

static void tables_stand_beside_the_verdict(void **state)
{
	static const char *const want[] = {
		"futexes of window 1.8, the slowest",
		"passive",
		"released by labvmm (100)",
		"rq_qos_wait (io.throttle.wbt)",
		"write",
		"<= 512 KiB: 6",
		"/mnt/snap-3/memory.bin",
	};
	struct trace_builder *b = sweep(0);

	assert_int_equal(tb__finish(b), 0);
	assert_int_equal(DIAGNOSE(text, (char *)tb__path(b), "--tables"), FP_EXIT_OK);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		if (!strstr(text, want[i]))
			fail_msg("no \"%s\" in:\n%s", want[i], text);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		assert_true(strlen(line) < 80);
	tb__free(b);
}

/* The text is what is read first: five lines at most, the whole list stands below it. */
static void text_is_short(void **state)
{
	struct trace_builder *b = sweep(0);
	const char *from, *to;
	int lines = 0;

	assert_int_equal(tb__finish(b), 0);
	assert_int_equal(DIAGNOSE(text, (char *)tb__path(b)), FP_EXIT_OK);
	from = strstr(text, "\n\n");
	assert_non_null(from);
	to = strstr(from + 2, "\n\n");
	assert_non_null(to);
	for (const char *p = from + 2; p <= to; p++)
		lines += *p == '\n';
	assert_in_range(lines, 1, 5);
	tb__free(b);
}

/* A name that would move the cursor, clear the screen or colour the rest does not reach it. */
static void hostile_names(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);

	story_begin(b);
	for (int i = 1; i <= 8; i++) {
		story_fsync(b, i * SECOND, (i < 3 ? 9 : 400 + i) * TB_MS, WBT_SLEEP);
		tb_rename(b, API, "/mnt/snap-3/memory.bin", "/mnt/evil\x1b[2J\x9b\xc2\x9b\a\n.bin",
			  0);
	}
	tb_at(b, 9 * SECOND);
	assert_int_equal(tb__finish(b), 0);
	assert_int_equal(DIAGNOSE(text, (char *)tb__path(b)), FP_EXIT_OK);
	assert_non_null(strstr(text, "evil"));
	assert_non_null(strstr(text, "[2J"));
	for (const char *p = text; *p; p++)
		assert_true(*p == '\n' || (unsigned char)*p >= ' ');
	assert_null(strstr(text, "\xc2\x9b"));
	tb__free(b);
}

static void json_sums(void **state)
{
	struct trace_builder *b = sweep(0);
	json_t *root, *w;
	size_t i;

	assert_int_equal(tb__finish(b), 0);
	assert_int_equal(DIAGNOSE(text, "--json", (char *)tb__path(b)), FP_EXIT_OK);
	root = json_loads(text, 0, NULL);
	assert_non_null(root);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(root, "verdict"), "cause")),
		"io.throttle.wbt");
	json_array_foreach (json_object_get(root, "windows"), i, w) {
		double sum = -json_number_value(json_object_get(w, "duration_ms"));
		json_t *row;
		size_t k;

		json_array_foreach (json_object_get(w, "ledger"), k, row)
			sum += json_number_value(json_object_get(row, "ms"));
		assert_true(sum > -1e-6 && sum < 1e-6);
	}
	assert_int_equal(i, 8);
	json_decref(root);
	tb__free(b);
}

static void cut_trace(void **state)
{
	struct trace_builder *b = sweep(0);

	assert_int_equal(tb__cut(b), 0);
	assert_int_equal(DIAGNOSE(text, (char *)tb__path(b)), FP_EXIT_OK);
	assert_non_null(strstr(text, "INCOMPLETE"));
	tb__free(b);
}

static void too_much_lost(void **state)
{
	struct trace_builder *b = sweep(1000);

	assert_int_equal(tb__finish(b), 0);
	assert_int_equal(DIAGNOSE(text, (char *)tb__path(b)), FP_EXIT_LOST);
	assert_int_equal(strncmp(text, "unknown.lost", 12), 0);
	assert_null(strstr(text, "fix apply"));
	assert_int_equal(DIAGNOSE(text, "--max-loss", "100", (char *)tb__path(b)), FP_EXIT_OK);
	assert_int_equal(strncmp(text, "io.throttle.wbt", 15), 0);
	tb__free(b);
}

/* All windows alike: how long is too long is what another recording can tell. */
static void baseline_is_held_against(void **state)
{
	struct trace_builder *fast = tb__open(NULL, 4), *slow = tb__open(NULL, 4);

	for (int k = 0; k < 2; k++) {
		struct trace_builder *b = k ? slow : fast;

		story_begin(b);
		for (int i = 1; i <= 6; i++)
			story_fsync(b, i * SECOND, (k ? 120 + i : 15) * TB_MS, WBT_SLEEP);
		tb_at(b, 7 * SECOND);
		assert_int_equal(tb__finish(b), 0);
	}
	assert_int_equal(DIAGNOSE(text, (char *)tb__path(slow)), FP_EXIT_OK);
	assert_int_equal(strncmp(text, "none", 4), 0);
	assert_int_equal(
		DIAGNOSE(text, "--baseline", (char *)tb__path(fast), (char *)tb__path(slow)),
		FP_EXIT_OK);
	assert_int_equal(strncmp(text, "io.throttle.wbt", 15), 0);
	assert_non_null(strstr(text, "of the difference"));
	assert_non_null(strstr(text, "those of the baseline (on average 12"));
	assert_int_equal(
		DIAGNOSE(text, "--baseline", (char *)tb__path(slow), (char *)tb__path(fast)),
		FP_EXIT_OK);
	assert_int_equal(strncmp(text, "none", 4), 0);
	assert_int_equal(DIAGNOSE(text, "--baseline", "/dev/null", (char *)tb__path(slow)),
			 FP_EXIT_FAILED);
	tb__free(fast);
	tb__free(slow);
}

/* One record is lost in a slow window: little of all, but what lay there has no name. */
static void strict_wants_names(void **state)
{
	struct trace_builder *b = sweep(0), *dark = tb__open(NULL, 4);

	assert_int_equal(tb__finish(b), 0);
	assert_int_equal(DIAGNOSE(text, "--strict", (char *)tb__path(b)), FP_EXIT_OK);
	assert_null(strstr(text, "incomplete"));
	story_begin(dark);
	for (int i = 1; i <= 8; i++) {
		uint64_t end = story_fsync(dark, i * SECOND, (i < 3 ? 9 : 400 + i) * TB_MS,
					   WBT_SLEEP);

		tb_at(dark, end + TB_MS);
		tb_cpu(dark, 1);
		if (i == 5)
			tb_lost(dark, end - 300 * TB_MS, 1);
	}
	tb_at(dark, 9 * SECOND);
	assert_int_equal(tb__finish(dark), 0);
	assert_int_equal(DIAGNOSE(text, "--strict", (char *)tb__path(dark)), FP_EXIT_INCONCLUSIVE);
	assert_int_equal(strncmp(text, "io.throttle.wbt", 15), 0);
	assert_non_null(strstr(text, "incomplete"));
	assert_non_null(strstr(text, "unknown.lost"));
	assert_int_equal(DIAGNOSE(text, (char *)tb__path(dark)), FP_EXIT_OK);
	tb__free(b);
	tb__free(dark);
}

static void bad_words(void **state)
{
	assert_int_equal(DIAGNOSE(text, "/nonexistent/run.fpt"), FP_EXIT_FAILED);
	assert_int_equal(DIAGNOSE(text, "/dev/null"), FP_EXIT_FAILED);
	assert_int_equal(DIAGNOSE(text, "--no-such-option"), FP_EXIT_USAGE);
	assert_int_equal(DIAGNOSE(text, "a.fpt", "b.fpt"), FP_EXIT_USAGE);
	assert_int_equal(DIAGNOSE(text, "--help"), FP_EXIT_OK);
}

/* The same bytes each time: nothing depends on addresses or on the time of day. */
static void same_bytes(void **state)
{
	static char again[sizeof(text)];
	struct trace_builder *b = sweep(0);

	assert_int_equal(tb__finish(b), 0);
	assert_int_equal(DIAGNOSE(text, "--json", (char *)tb__path(b)), FP_EXIT_OK);
	assert_int_equal(DIAGNOSE(again, "--json", (char *)tb__path(b)), FP_EXIT_OK);
	assert_string_equal(text, again);
	tb__free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdict_comes_first),
		cmocka_unit_test(rounds_stand_beside_the_verdict),
		cmocka_unit_test(tables_stand_beside_the_verdict),
		cmocka_unit_test(text_is_short),
		cmocka_unit_test(hostile_names),
		cmocka_unit_test(json_sums),
		cmocka_unit_test(cut_trace),
		cmocka_unit_test(too_much_lost),
		cmocka_unit_test(baseline_is_held_against),
		cmocka_unit_test(strict_wants_names),
		cmocka_unit_test(bad_words),
		cmocka_unit_test(same_bytes),
	};

	setenv("NO_COLOR", "1", 1);
	log_init("flatpause", LOG_QUIET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
