// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The whole way: a trace on disk, alone and named by a summary, to what the renderers write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <libgen.h>
#include <unistd.h>

#include "reports/folded.h"
#include "reports/html.h"
#include "tests/unit/render.h"
#include "tests/unit/trace_builder.h"
#include "user/cli/report_input.h"

#define WINDOWS 6

static const struct analyze_opts opts = { .window = "mark", .flames = true, .max_loss_percent = 1 };

/* One thread that writes, and in the later windows waits for the disk's throttle. */
static struct trace_builder *build_trace(void)
{
	struct trace_builder *b = tb__open(NULL, 1);

	assert_non_null(b);
	tb_thread(b, 100, 100, "fc_api", FP_TASK_TARGET);
	tb_at(b, TB_MS);
	tb_run_thread(b, 100);
	for (int w = 1; w <= WINDOWS; w++) {
		uint64_t begin = (uint64_t)w * 1000 * TB_MS;

		tb_at(b, begin);
		tb_mark(b, REC_MARK_BEGIN, "");
		tb_pass(b, 5 * TB_MS);
		tb_block(b, 100, TB_UNINTERRUPTIBLE);
		tb_pass(b, (w < 4 ? 5 : 500) * TB_MS);
		tb_wake_io(b, 100, 7);
		tb_resume(b, 100, "io_schedule;rq_qos_wait;wbt_wait;__rq_qos_throttle", 0);
		tb_syscall(b, 100, FP_SYS_FSYNC, begin + 5 * TB_MS, 5, 0);
		tb_pass(b, TB_MS);
		tb_mark(b, REC_MARK_END, "");
	}
	tb_pass(b, TB_MS);
	tb_block(b, 100, TB_INTERRUPTIBLE);
	assert_int_equal(tb__finish(b), 0);
	return b;
}

static void check_findings(const struct findings *f)
{
	char *text;

	assert_non_null(f);
	assert_int_equal(f->windows_cnt, WINDOWS);
	for (size_t i = 0; i < f->windows_cnt; i++) {
		uint64_t sum = 0;

		for (size_t k = 0; k < f->windows[i].ledger_cnt; k++)
			sum += f->windows[i].ledger[k].ns;
		assert_int_equal(sum, f->windows[i].duration_ns);
	}
	assert_non_null(f->flame_slow);
	text = RENDER(flame__write_folded(out, f->flame_slow));
	assert_non_null(strstr(text, "fc_api;"));
	assert_non_null(strstr(text, "wbt_wait_[k];"));
	free(text);
}

static void test_trace(void **state)
{
	struct trace_builder *b = build_trace();
	struct report *r = calloc(1, sizeof(*r));
	char *text;

	assert_int_equal(report_input__add(r, tb__path(b), &opts), 0);
	assert_int_equal(r->comparisons_cnt, 1);
	assert_int_equal(r->comparisons[0].arms_cnt, 1);
	check_findings(r->comparisons[0].arms[0].findings);
	text = RENDER(report__write_html(out, r));
	assert_non_null(strstr(text, "wbt_wait_[k]"));
	assert_non_null(strstr(text, "class=\"f\""));
	free(text);
	report__free(r);
	tb__free(b);
}

static void write_summary(const char *path, const char *trace)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fprintf(f,
		"{ \"scenarios\": { \"s\": { \"arms\": {"
		" \"memfd\": { \"values_ms\": [11, 12, 11, 12, 11, 12] },"
		" \"before\": { \"trace\": \"%s\" } },"
		" \"kept\": \"memfd\", \"flattened\": true } } }\n",
		trace);
	assert_int_equal(fclose(f), 0);
}

static void test_summary_names_it(void **state)
{
	struct trace_builder *b = build_trace();
	struct report *r = calloc(1, sizeof(*r));
	char path[4096], copy[4096];
	const struct arm *arms;

	snprintf(path, sizeof(path), "%s.summary.json", tb__path(b));
	snprintf(copy, sizeof(copy), "%s", tb__path(b));
	write_summary(path, basename(copy));
	assert_int_equal(report_input__add(r, path, &opts), 0);
	assert_int_equal(r->comparisons_cnt, 1);
	arms = r->comparisons[0].arms;
	assert_int_equal(r->comparisons[0].arms_cnt, 2);
	assert_string_equal(arms[0].label, "before");
	check_findings(arms[0].findings);
	/* Without values_ms the pauses are those of the trace. */
	assert_int_equal(arms[0].curve.windows, WINDOWS);
	assert_true(arms[0].curve.values_ms[5] > 500);
	assert_null(arms[1].findings);
	assert_true(arms[1].ratio_to_before > 20);
	report__free(r);
	unlink(path);
	tb__free(b);
}

/* The findings are shown, and that they are not to be trusted is the exit code. */
static void test_trace_with_loss(void **state)
{
	struct trace_builder *b = tb__open(NULL, 1);
	struct report *r = calloc(1, sizeof(*r));

	tb_thread(b, 100, 100, "fc_api", FP_TASK_TARGET);
	tb_at(b, TB_MS);
	tb_mark(b, REC_MARK_BEGIN, "");
	tb_run_thread(b, 100);
	tb_pass(b, 50 * TB_MS);
	tb_block(b, 100, TB_INTERRUPTIBLE);
	tb_mark(b, REC_MARK_END, "");
	tb_loss(b, 0, 1000, 2 * TB_MS, 40 * TB_MS);
	assert_int_equal(tb__finish(b), 0);
	assert_int_equal(report_input__add(r, tb__path(b), &opts), -EOVERFLOW);
	assert_int_equal(r->comparisons_cnt, 1);
	assert_true(r->comparisons[0].arms[0].findings->loss.events >= 1000);
	report__free(r);
	tb__free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trace),
		cmocka_unit_test(test_summary_names_it),
		cmocka_unit_test(test_trace_with_loss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
