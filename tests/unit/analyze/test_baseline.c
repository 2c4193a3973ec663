// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Baselines: what is written is read again, and what is damaged is refused; noise of a curve. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "user/analyze/baseline.h"
#include "user/analyze/curve_rng.h"

#define CNT(a) (sizeof(a) / sizeof((a)[0]))

static char path[] = "/tmp/test_baseline.XXXXXX";

static void write_text(const char *text, size_t size)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	assert_int_equal(fwrite(text, 1, size, out), size);
	assert_int_equal(fclose(out), 0);
}

static void put(struct baseline *b, const char *host_class, double ms)
{
	struct baseline_entry e = { .sweeps = 2, .windows = 3 };
	struct baseline_share *s = FINDING_APPEND(&e.shares, &e.shares_cnt);

	assert_non_null(s);
	assert_int_equal(finding_set(&s->cause, "io.throttle.wbt"), 0);
	s->share = 0.25;
	s->ms = 3;
	assert_int_equal(finding_set(&e.host_class, host_class), 0);
	assert_int_equal(finding_set(&e.updated, "2026-11-20"), 0);
	assert_int_equal(finding_set(&e.verdict, "flat"), 0);
	e.noise = (struct curve_noise){ .sigma = 0.1, .nu = 4, .phi = -0.5, .phi_pairs = 4 };
	e.values_ms = malloc(6 * sizeof(*e.values_ms));
	assert_non_null(e.values_ms);
	for (int i = 0; i < 6; i++)
		e.values_ms[i] = ms + i;
	assert_int_equal(baseline__put(b, &e), 0);
}

static void save(const struct baseline *b)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	assert_int_equal(baseline__write(out, b), 0);
	assert_int_equal(fclose(out), 0);
}

static void what_is_written_is_read(void **state)
{
	struct baseline b = { 0 }, again;
	const struct baseline_entry *e;

	put(&b, "linux-6.18/2-3cpu/16-31G/loop/ext4", 100);
	put(&b, "a", 50);
	put(&b, "linux-6.18/2-3cpu/16-31G/loop/ext4", 200); /* in the place of the first */
	assert_int_equal(b.cnt, 2);
	assert_string_equal(b.entries[0].host_class, "a");
	save(&b);
	assert_int_equal(baseline__load(&again, path), 0);
	assert_int_equal(again.cnt, 2);
	e = baseline__find(&again, "linux-6.18/2-3cpu/16-31G/loop/ext4");
	assert_non_null(e);
	assert_int_equal(e->sweeps, 2);
	assert_int_equal(e->windows, 3);
	assert_memory_equal(e->values_ms, b.entries[1].values_ms, 6 * sizeof(double));
	assert_string_equal(e->shares[0].cause, "io.throttle.wbt");
	assert_true(fabs(e->noise.phi + 0.5) < 1e-9);
	assert_string_equal(e->updated, "2026-11-20");
	assert_null(baseline__find(&again, "linux"));
	baseline__free_inside(&again);
	baseline__free_inside(&b);
}

static void refuses(const char *text, int want)
{
	struct baseline b;

	write_text(text, strlen(text));
	assert_int_equal(baseline__load(&b, path), want);
	assert_int_equal(b.cnt, 0);
	assert_null(b.entries);
}

#define ENTRY(sweeps, causes)                                                                   \
	"{\"flatpause_baseline\":1,\"classes\":{\"c\":{\"updated\":\"d\",\"verdict\":\"flat\"," \
	"\"noise\":{\"sigma\":0.1,\"nu\":1,\"phi\":0,\"phi_pairs\":1},\"sweeps_ms\":" sweeps    \
	",\"causes\":" causes "}}}"

static void damaged_ones_are_refused(void **state)
{
	struct baseline b;

	refuses("", -EINVAL);
	refuses("{", -EINVAL);
	refuses("[]", -EINVAL);
	refuses("{}", -EINVAL);
	refuses("{\"curve\":{}}", -EINVAL);
	refuses("{\"flatpause_baseline\":2,\"classes\":{}}", -EPROTO);
	refuses("{\"flatpause_baseline\":\"1\",\"classes\":{}}", -EINVAL);
	refuses("{\"flatpause_baseline\":1}", -EINVAL);
	refuses("{\"flatpause_baseline\":1,\"flatpause_baseline\":1,\"classes\":{}}", -EINVAL);
	refuses("{\"flatpause_baseline\":1,\"classes\":{\"a b\":{}}}", -EINVAL);
	refuses("{\"flatpause_baseline\":1,\"classes\":{\"c\":{}}}", -EINVAL);
	refuses("{\"flatpause_baseline\":1,\"classes\":{\"c\":7}}", -EINVAL);
	refuses(ENTRY("[]", "[]"), -EINVAL);
	refuses(ENTRY("[[]]", "[]"), -EINVAL);
	refuses(ENTRY("[[1,2],[1]]", "[]"), -EINVAL);
	refuses(ENTRY("[[1,-2]]", "[]"), -EINVAL);
	refuses(ENTRY("[[1,\"2\"]]", "[]"), -EINVAL);
	refuses(ENTRY("[[1,2]]", "7"), -EINVAL);
	refuses(ENTRY("[[1,2]]", "[{\"cause\":\"a b\",\"share\":0,\"ms\":1}]"), -EINVAL);
	refuses(ENTRY("[[1,2]]", "[{\"cause\":\"a\",\"share\":1.5,\"ms\":1}]"), -EINVAL);
	refuses(ENTRY("[[1,2]]", "[{\"cause\":\"a\",\"share\":0.5,\"ms\":-1}]"), -EINVAL);
	/* and the same entry whole is taken: each of the above is refused for what is said */
	write_text(ENTRY("[[1,2]]", "[{\"cause\":\"a\",\"share\":0.5,\"ms\":1}]"),
		   strlen(ENTRY("[[1,2]]", "[{\"cause\":\"a\",\"share\":0.5,\"ms\":1}]")));
	assert_int_equal(baseline__load(&b, path), 0);
	assert_int_equal(b.cnt, 1);
	baseline__free_inside(&b);
}

/* Cut anywhere or with any byte changed: an answer, never a crash. */
static void broken_files_are_answered(void **state)
{
	struct baseline b = { 0 };
	struct curve_rng rng;
	char text[8192], copy[8192];
	size_t size;
	FILE *in;

	put(&b, "linux-6.18/2-3cpu/16-31G/loop/ext4", 100);
	save(&b);
	baseline__free_inside(&b);
	in = fopen(path, "r");
	assert_non_null(in);
	size = fread(text, 1, sizeof(text), in);
	fclose(in);
	curve_rng__init(&rng, 3);
	for (int i = 0; i < 2000; i++) {
		size_t cut = i % 2 ? size : curve_rng__below(&rng, (uint32_t)size);

		memcpy(copy, text, size);
		if (i % 2)
			copy[curve_rng__below(&rng, (uint32_t)size)] = (char)curve_rng__below(&rng,
											      256);
		write_text(copy, cut);
		if (!baseline__load(&b, path))
			baseline__free_inside(&b);
		else
			assert_null(b.entries);
	}
}

static void what_is_not_there_is_no_error_to_speak_of(void **state)
{
	struct baseline b;

	assert_int_equal(baseline__load(&b, "/no/such/baseline.json"), -ENOENT);
	assert_int_equal(baseline__load(&b, "/tmp"), -EISDIR);
}

static void classes_are_not_without_end(void **state)
{
	struct baseline b = { 0 };
	struct baseline_entry e = { 0 };
	char name[16];

	for (int i = 0; i < BASELINE_CLASSES_MAX; i++) {
		snprintf(name, sizeof(name), "c%03d", i);
		put(&b, name, 1);
	}
	assert_int_equal(finding_set(&e.host_class, "one-more"), 0);
	assert_int_equal(baseline__put(&b, &e), -E2BIG);
	baseline_entry__free_inside(&e);
	baseline__free_inside(&b);
}

/* ---- noise ---- */

static struct curve_noise noise_of(double phi, double step, bool told)
{
	static double ms[40 * 50];
	struct finding_curve c = {
		.sweeps = 40, .windows = 50, .values_ms = ms, .at_window = told ? 26 : 0
	};
	struct curve_noise n;
	struct curve_rng rng;

	curve_rng__init(&rng, 11);
	for (int k = 0; k < 40; k++) {
		double last = 0;

		for (int i = 0; i < 50; i++) {
			double z = curve_rng__normal(&rng);

			last = i ? phi * last + sqrt(1 - phi * phi) * z : z;
			ms[k * 50 + i] = 100 * (i >= 25 ? step : 1) * exp(0.2 * last);
		}
	}
	assert_int_equal(curve_noise__measure(&c, &n), 0);
	return n;
}

static void noise_is_what_was_put_in(void **state)
{
	struct curve_noise n = noise_of(0, 1, false);

	assert_true(fabs(n.sigma - 0.2) < 0.02);
	assert_true(fabs(n.phi) < 0.1);
	assert_int_equal(n.nu, 40 * 49);
	assert_false(curve_noise__is_sticky(&n));
	n = noise_of(0.7, 1, false);
	assert_true(n.phi > 0.55 && n.phi < 0.8);
	assert_true(curve_noise__is_sticky(&n));
	/* a step is no noise where it is known, and looks like memory where it is not */
	n = noise_of(0, 4, true);
	assert_true(fabs(n.sigma - 0.2) < 0.02);
	assert_false(curve_noise__is_sticky(&n));
	n = noise_of(0, 4, false);
	assert_true(curve_noise__is_sticky(&n));
}

static int make_file(void **state)
{
	int fd = mkstemp(path);

	return fd < 0 || close(fd);
}

static int remove_file(void **state)
{
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(damaged_ones_are_refused),
		cmocka_unit_test(broken_files_are_answered),
		cmocka_unit_test(what_is_not_there_is_no_error_to_speak_of),
		cmocka_unit_test(classes_are_not_without_end),
		cmocka_unit_test(noise_is_what_was_put_in),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
