// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "reports/flame.h"
#include "reports/flamegraph.h"
#include "reports/folded.h"
#include "tests/unit/render.h"
#include "tests/unit/sample_findings.h"

#define STACK(...)                            \
	(const char *const[]){ __VA_ARGS__ }, \
		sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)

static struct flame *small_flame(void)
{
	struct flame *f = flame__new();

	assert_non_null(f);
	assert_int_equal(flame__add(f, STACK("z", "b_[k]"), FLAME_BLOCKED, 3000000), 0);
	assert_int_equal(flame__add(f, STACK("a", "main", "-", "f_[k]"), FLAME_RUN_KERNEL, 1500),
			 0);
	assert_int_equal(flame__add(f, STACK("a", "main"), FLAME_RUN_USER, 2600), 0);
	assert_int_equal(flame__add(f, STACK("a", "main"), FLAME_RUNNABLE, 1000), 0);
	assert_int_equal(flame__add(f, STACK("z", "b_[k]"), FLAME_BLOCKED, 1000000), 0);
	flame__finish(f);
	return f;
}

static void test_tree(void **state)
{
	struct flame *f = small_flame();
	const struct flame_node *root = flame__root(f), *a, *main_node;

	assert_int_equal(root->total_ns, 4005100);
	assert_int_equal(root->state_ns[FLAME_BLOCKED], 4000000);
	assert_int_equal(root->children_cnt, 2);
	a = root->children[0];
	assert_string_equal(a->name, "a");
	assert_string_equal(root->children[1]->name, "z");
	main_node = a->children[0];
	assert_int_equal(main_node->total_ns, 5100);
	assert_int_equal(main_node->self_ns[FLAME_RUN_USER], 2600);
	assert_int_equal(main_node->state_ns[FLAME_RUN_KERNEL], 1500);
	assert_int_equal(main_node->self_ns[FLAME_RUN_KERNEL], 0);
	flame__free(f);
	flame__free(NULL);
}

/* The same names below other parents are other nodes; wide fans keep their totals. */
static void test_many(void **state)
{
	struct flame *f = flame__new();
	char thread[32], frame[32];

	for (int i = 0; i < 20000; i++) {
		snprintf(thread, sizeof(thread), "t%d", i % 10);
		snprintf(frame, sizeof(frame), "f%d", i % 1000);
		assert_int_equal(flame__add(f, STACK(thread, frame, "leaf"), FLAME_BLOCKED, 1), 0);
	}
	flame__finish(f);
	assert_int_equal(flame__root(f)->total_ns, 20000);
	assert_int_equal(flame__root(f)->children_cnt, 10);
	assert_int_equal(flame__root(f)->children[0]->children_cnt, 100);
	assert_int_equal(flame__root(f)->children[0]->children[0]->total_ns, 20);
	flame__free(f);
}

static void test_depth_is_bounded(void **state)
{
	const char *frames[5000];
	struct flame *f = flame__new();
	struct flamegraph_opts opts = { .title = "deep", .id = "x" };
	char *text;

	for (size_t i = 0; i < 5000; i++)
		frames[i] = "again";
	assert_int_equal(flame__add(f, frames, 5000, FLAME_RUN_USER, 7000), 0);
	flame__finish(f);
	assert_int_equal(flame__root(f)->total_ns, 7000);
	text = RENDER(flame__write_folded(out, f));
	assert_int_equal(count_of(text, "again"), FLAME_DEPTH_MAX);
	free(text);
	text = RENDER(flame__write_svg(out, f, &opts));
	assert_int_equal(count_of(text, "<svg class=\"f\""), FLAME_DEPTH_MAX + 1);
	free(text);
	flame__free(f);
}

static void test_folded(void **state)
{
	struct flame *f = small_flame();
	char *text = RENDER(flame__write_folded(out, f));

	/* 3600 + 1500 + 4000000 ns: what rounding leaves is carried, 4005.1 us in all. */
	assert_string_equal(text, "a;main 3\na;main;-;f_[k] 2\nz;b_[k] 4000\n");
	free(text);
	flame__free(f);
	text = RENDER(flame__write_folded(out, NULL));
	assert_string_equal(text, "");
	free(text);
}

static void test_folded_sum(void **state)
{
	struct flame *f = flame__new();
	unsigned long long sum = 0, n;
	char frame[32], *text;

	for (int i = 0; i < 999; i++) {
		snprintf(frame, sizeof(frame), "f%03d", i);
		assert_int_equal(flame__add(f, STACK("t", frame), FLAME_BLOCKED, 1999), 0);
	}
	flame__finish(f);
	text = RENDER(flame__write_folded(out, f));
	for (char *save, *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		assert_int_equal(sscanf(strrchr(line, ' '), " %llu", &n), 1);
		sum += n;
	}
	assert_int_equal(sum, 999ull * 1999 / 1000);
	free(text);
	flame__free(f);
}

static void test_svg(void **state)
{
	struct flame *f = small_flame();
	struct flamegraph_opts opts = { .title = "t <1>", .id = "x" };
	char *text = RENDER(flame__write_svg(out, f, &opts));

	assert_non_null(strstr(text, "data-total-ns=\"4005100\""));
	assert_non_null(strstr(text, "t &lt;1&gt;"));
	/* a and what is below it are a thousandth: drawn at 1/4000, not at 1/100 */
	assert_int_equal(count_of(text, "<svg class=\"f\""), 7);
	assert_int_equal(count_of(text, "<script>"), 1);
	free(text);
	opts.min_fraction = 0.01;
	opts.embedded = true;
	text = RENDER(flame__write_svg(out, f, &opts));
	assert_int_equal(count_of(text, "<svg class=\"f\""), 3);
	assert_non_null(strstr(text, "1 too thin to draw"));
	assert_null(strstr(text, "<script"));
	free(text);
	flame__free(f);
}

static void test_svg_empty(void **state)
{
	struct flamegraph_opts opts = { .title = "nothing", .id = "x" };
	struct flame *f = flame__new();
	char *text = RENDER(flame__write_svg(out, NULL, &opts));

	assert_non_null(strstr(text, "No stack was recorded"));
	free(text);
	flame__finish(f);
	text = RENDER(flame__write_svg(out, f, &opts));
	assert_non_null(strstr(text, "No stack was recorded"));
	free(text);
	flame__free(f);
}

static void test_long_names_are_cut(void **state)
{
	struct flamegraph_opts opts = { .title = long_name(), .id = "x", .embedded = true };
	struct flame *f = flame__new();
	char *text;

	assert_int_equal(flame__add(f, STACK(long_name()), FLAME_BLOCKED, 1000), 0);
	flame__finish(f);
	text = RENDER(flame__write_svg(out, f, &opts));
	assert_true(strlen(text) < 3000);
	free(text);
	flame__free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tree),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_depth_is_bounded),
		cmocka_unit_test(test_folded),
		cmocka_unit_test(test_folded_sum),
		cmocka_unit_test(test_svg),
		cmocka_unit_test(test_svg_empty),
		cmocka_unit_test(test_long_names_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
