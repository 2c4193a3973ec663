// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "tests/unit/curve_tables.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "user/analyze/curve.h"
#include "user/analyze/curve_level.h"

#define VALUES_MAX    200
#define LEVEL_WINDOWS 10
#define T_MAX	      50.0
#define LEVEL_SWEEPS  6
#define LEVEL_RUNS    500 /* of the table */
#define CNT(a)	      (sizeof(a) / sizeof((a)[0]))

const struct attainable attainables[] = {
	{ 5, 1, .167, 0, 0, 0 },	 { 5, 2, .019, 2.45, 0, 0 },
	{ 5, 3, .0020, 2.33, 2.67, 0 },	 { 5, 5, 0, 2.07, 2.84, 3.36 },
	{ 6, 1, .051, -1, 0, 0 },	 { 6, 2, .0026, 2.16, 2.78, 0 },
	{ 6, 3, 0, 2.14, 2.67, 3.21 },	 { 6, 5, 0, 2.07, 2.69, 3.31 },
	{ 8, 1, .014, 2.02, 0, 0 },	 { 8, 2, 0, 2.25, 2.65, 3.16 },
	{ 8, 3, 0, 2.17, 2.83, 3.27 },	 { 8, 5, 0, 2.20, 2.83, 3.36 },
	{ 10, 1, .0042, 2.17, 2.61, 0 }, { 10, 2, 0, 2.26, 2.77, 3.22 },
	{ 10, 3, 0, 2.30, 2.83, 3.36 },	 { 10, 5, 0, 2.29, 2.85, 3.43 },
	{ 15, 1, 0, 2.32, 2.71, 3.13 },	 { 15, 2, 0, 2.37, 2.86, 3.38 },
	{ 15, 3, 0, 2.40, 2.94, 3.47 },	 { 15, 5, 0, 2.41, 2.97, 3.62 },
	{ 20, 1, 0, 2.39, 2.84, 3.27 },	 { 20, 2, 0, 2.47, 2.96, 3.49 },
	{ 20, 3, 0, 2.47, 3.00, 3.58 },	 { 20, 5, 0, 2.47, 3.03, 3.62 },
	{ 50, 1, 0, 2.59, 3.09, 3.62 },	 { 50, 2, 0, 2.64, 3.14, 3.71 },
	{ 50, 3, 0, 2.66, 3.18, 3.82 },	 { 50, 5, 0, 2.66, 3.20, 3.83 },
};
const size_t attainables_cnt = CNT(attainables);

#define NO (-1) /* a cell that the table leaves out */

/* ---- no step, called STEPPED ---- */

enum { ALARM_COLUMNS = 10 };

/* The table does not say its CV beside outliers and memory: these fit all of its rows. */
static const struct {
	double cv;
	enum table_noise noise;
	double phi;
} alarm_columns[ALARM_COLUMNS] = {
	{ .1, NOISE_IID, 0 },	       { .2, NOISE_IID, 0 },	  { .3, NOISE_IID, 0 },
	{ .5, NOISE_IID, 0 },	       { .3, NOISE_OUTLIERS, 0 }, { .3, NOISE_STUDENT3, 0 },
	{ .2, NOISE_COLD_FIRST, 0 },   { .3, NOISE_AR, .3 },	  { .3, NOISE_AR, .6 },
	{ .2, NOISE_AR_OUTLIERS, .6 },
};

static const struct {
	uint32_t sweeps, windows;
	double rate[ALARM_COLUMNS], runs;
} alarm_rows[] = {
	{ 3, 5, { 0, .0024, .0043, .0037, .0034, .0022, 0, .011, .018, .007 }, 20000 },
	{ 3, 8, { 0, .0024, .0050, .0059, .0061, .0037, 0, .018, .041, .016 }, 20000 },
	{ 3, 10, { 0, .0034, .0065, .0073, .0071, .0046, 0, .026, .050, .025 }, 20000 },
	{ 3, 20, { 0, .0019, .0062, .0066, .0071, .0027, .0001, .027, .070, .028 }, 20000 },
	{ 5, 10, { 0, .0010, .0042, NO, .0067, .0032, 0, .020, .039, .010 }, 6000 },
	{ 8, 10, { 0, .0003, .0013, NO, .0025, 0, 0, .005, .008, .001 }, 6000 },
	{ 1, 10, { .0011, .0069, .0078, .0085, .0083, .0069, 0, .027, .080, .055 }, 20000 },
	{ 1, 20, { .0005, .0060, .0064, .0076, .0117, .0083, .0001, .038, .141, .097 }, 20000 },
};

/* ---- a step, called STEPPED ---- */

enum { FOUND_COLUMNS = 12 };

static const double found_ratios[FOUND_COLUMNS / 3] = { 1.25, 1.5, 2, 4.9 };

static const struct {
	uint32_t sweeps, windows;
	double cv;
	double rate[FOUND_COLUMNS]; /* mid, early, ramp of each ratio */
} found_rows[] = {
	{ 3, 5, .1, { .44, .44, .08, .998, .997, .68, 1, 1, .995, 1, 1, 1 } },
	{ 3, 5, .2, { .15, .16, .06, .61, .63, .24, .99, .99, .70, 1, 1, .999 } },
	{ 3, 8, .2, { .31, .22, .12, .91, .80, .48, 1, .999, .95, 1, 1, 1 } },
	{ 3, 10, .1, { .50, .45, .04, 1, 1, .74, 1, 1, 1, 1, 1, 1 } },
	{ 3, 10, .15, { .50, .36, .13, .996, .979, .70, 1, 1, .998, 1, 1, 1 } },
	{ 3, 10, .2, { .38, .22, .14, .957, .828, .56, 1, 1, .977, 1, 1, 1 } },
	{ 3, 10, .3, { .18, .08, .07, .689, .431, .29, .997, .947, .777, 1, 1, 1 } },
	{ 5, 10, .1, { .53, .50, .01, 1, 1, .72, 1, 1, 1, 1, 1, 1 } },
	{ 5, 10, .15, { .52, .49, .08, 1, 1, .76, 1, 1, 1, 1, 1, 1 } },
	{ 5, 10, .2, { .52, .41, .16, .998, .988, .74, 1, 1, 1, 1, 1, 1 } },
	{ 5, 10, .3, { .38, .18, .14, .937, .755, .52, 1, 1, .969, 1, 1, 1 } },
	{ 3, 20, .2, { .51, .21, .13, .999, .871, .74, 1, 1, .998, 1, 1, 1 } },
	{ 3, 20, .3, { .39, .08, .14, .958, .443, .55, 1, .972, .966, 1, 1, 1 } },
	{ 1, 10, .2, { .12, .03, .05, .46, .14, .15, .92, .49, .38, 1, 1, .80 } },
};

/* ---- no step, called FLAT ---- */

static const struct {
	uint32_t sweeps, windows;
	double limit, rate[3], runs; /* at 10, 20 and 30 % */
} flat_rows[] = {
	{ 3, 10, 1.5, { 1, .974, .682 }, 20000 },    { 5, 10, 1.5, { 1, .999, .926 }, 6000 },
	{ 3, 5, 1.5, { 1, .875, .507 }, 20000 },     { 1, 10, 1.5, { .989, .494, .174 }, 20000 },
	{ 1, 20, 1.5, { .998, .607, .195 }, 20000 }, { 3, 10, 2, { 1, .996, .989 }, 20000 },
};

/* ---- cells ---- */

static bool alarm_cell(size_t i, struct table_cell *c)
{
	size_t row = i / ALARM_COLUMNS, col = i % ALARM_COLUMNS;

	if (row >= CNT(alarm_rows))
		return false;
	c->sweeps = alarm_rows[row].sweeps;
	c->windows = alarm_rows[row].windows;
	c->cv = alarm_columns[col].cv;
	c->noise = alarm_columns[col].noise;
	c->phi = alarm_columns[col].phi;
	c->want = alarm_rows[row].rate[col];
	c->table_runs = alarm_rows[row].runs;
	c->digits = c->want >= .01 || c->sweeps == 8 ? .0005 : .00005;
	return true;
}

static bool found_cell(size_t i, struct table_cell *c)
{
	size_t row = i / FOUND_COLUMNS, col = i % FOUND_COLUMNS;

	if (row >= CNT(found_rows))
		return false;
	c->sweeps = found_rows[row].sweeps;
	c->windows = found_rows[row].windows;
	c->cv = found_rows[row].cv;
	c->shape = (enum table_shape)(SHAPE_MID + col % 3);
	c->ratio = found_ratios[col / 3];
	c->want = found_rows[row].rate[col];
	c->table_runs = 700;
	c->digits = .005;
	return true;
}

static bool flat_cell(size_t i, struct table_cell *c)
{
	size_t row = i / 3, col = i % 3;

	if (row >= CNT(flat_rows))
		return false;
	c->sweeps = flat_rows[row].sweeps;
	c->windows = flat_rows[row].windows;
	c->flat_ratio = flat_rows[row].limit;
	c->cv = .1 * (double)(col + 1);
	c->verdict = CURVE_FLAT;
	c->want = flat_rows[row].rate[col];
	c->table_runs = flat_rows[row].runs;
	c->digits = c->want == 1 ? .005 : .0005;
	return true;
}

bool curve_table__cell(enum curve_table table, size_t i, struct table_cell *out)
{
	*out = (struct table_cell){ .ratio = 1, .verdict = CURVE_STEPPED, .flat_ratio = 1.5 };
	switch (table) {
	case TABLE_FALSE_ALARMS:
		return alarm_cell(i, out);
	case TABLE_DETECTION:
		return found_cell(i, out);
	case TABLE_FLAT:
		break;
	}
	return flat_cell(i, out);
}

const char *table_cell__name(const struct table_cell *c, char buf[96])
{
	static const char *const shapes[] = { "", " mid", " early", " ramp" };
	static const char *const noises[] = { "",	    ", outliers",
					      ", t3",	    ", cold first",
					      ", AR(%.1f)", ", AR(%.1f) outliers" };
	char noise[32];

	snprintf(noise, sizeof(noise), noises[c->noise], c->phi);
	snprintf(buf, 96, "%ux%u CV %.0f %%, x%.3g%s%s", c->sweeps, c->windows, 100 * c->cv,
		 c->ratio, shapes[c->shape], noise);
	return buf;
}

/* ---- simulation ---- */

static double rise(const struct table_cell *c, uint32_t window)
{
	switch (c->shape) {
	case SHAPE_MID:
		return window >= c->windows / 2 ? c->ratio : 1;
	case SHAPE_EARLY:
		return window >= 2 ? c->ratio : 1;
	case SHAPE_RAMP:
		return 1 + (c->ratio - 1) * window / (c->windows - 1);
	case SHAPE_NONE:
		break;
	}
	return 1;
}

static double sigma_of(double cv)
{
	return sqrt(log(1 + cv * cv));
}

static double outlier(struct curve_rng *rng)
{
	return curve_rng__uniform(rng) < 0.05 ? log(4) : 0;
}

/* On logarithms; `last` carries what a sweep remembers. */
static double noise(const struct table_cell *c, struct curve_rng *rng, uint32_t window,
		    double *last)
{
	double sigma = sigma_of(c->cv), z = curve_rng__normal(rng);

	switch (c->noise) {
	case NOISE_OUTLIERS:
		return sigma * z + outlier(rng);
	case NOISE_STUDENT3:
		/* one in millions is longer than a pause may be */
		z /= sqrt(curve_rng__chi2(rng, 3));
		return sigma * fmax(-T_MAX, fmin(T_MAX, z));
	case NOISE_COLD_FIRST:
		return sigma * z + (window == 0 ? log(2.5) : 0);
	case NOISE_AR:
	case NOISE_AR_OUTLIERS:
		*last = window == 0 ? z : c->phi * *last + sqrt(1 - c->phi * c->phi) * z;
		return sigma * *last + (c->noise == NOISE_AR ? 0 : outlier(rng));
	case NOISE_IID:
		break;
	}
	return sigma * z;
}

void table_cell__simulate(const struct table_cell *c, struct curve_rng *rng, double *ms)
{
	for (uint32_t k = 0; k < c->sweeps; k++) {
		double last = 0;

		for (uint32_t i = 0; i < c->windows; i++)
			*ms++ = 100 * rise(c, i) * exp(noise(c, rng, i, &last));
	}
}

double table_cell__rate(const struct table_cell *c, uint32_t runs, uint64_t seed)
{
	struct finding_curve curve = { 0 };
	struct curve_opts opts;
	struct curve_rng rng;
	double ms[VALUES_MAX];
	uint32_t hits = 0, r;

	curve_opts__defaults(&opts);
	opts.min_step_ms = 0; /* the tables were made without the floor */
	opts.flat_ratio = c->flat_ratio;
	curve_rng__init(&rng, seed);
	for (r = 0; r < runs; r++) {
		table_cell__simulate(c, &rng, ms);
		if (curve__judge(ms, c->sweeps, c->windows, &opts, &curve))
			break;
		hits += curve.verdict == c->verdict;
	}
	free(curve.values_ms);
	free(curve.why);
	return r < runs ? -1 : (double)hits / runs;
}

static double four_errors(double want, double table_runs, double rate, double runs)
{
	double p = (rate + want) / 2;

	return 4 * sqrt((p * (1 - p) + 1e-4) * (1 / runs + 1 / table_runs));
}

double table_cell__tolerance(const struct table_cell *c, double rate, uint32_t runs)
{
	return four_errors(c->want, c->table_runs, rate, runs) + c->digits;
}

/* ---- the level ---- */

const struct level_cell level_cells[] = {
	{ 5, .15, 0, 1, 0 },	 { 5, .15, .05, 1, .008 },  { 5, .15, .10, 1, .008 },
	{ 5, .30, 0, 1, .008 },	 { 5, .30, .05, 1, .006 },  { 5, .30, .10, 1, .008 },
	{ 6, .15, 0, 1, 0 },	 { 6, .15, .05, 1, .008 },  { 6, .15, .10, 1, .010 },
	{ 5, .15, 0, 1.2, .99 }, { 5, .15, .05, 1.2, .80 }, { 5, .15, .10, 1.2, .34 },
	{ 5, .30, 0, 1.2, .52 }, { 5, .30, .05, 1.2, .41 }, { 5, .30, .10, 1.2, .27 },
	{ 6, .15, 0, 1.2, 1 },	 { 6, .15, .05, 1.2, .94 }, { 6, .15, .10, 1.2, .51 },
	{ 5, .15, 0, 1.5, 1 },	 { 5, .15, .05, 1.5, 1 },   { 5, .15, .10, 1.5, .98 },
	{ 5, .30, 0, 1.5, 1 },	 { 5, .30, .05, 1.5, .98 }, { 5, .30, .10, 1.5, .92 },
	{ 6, .15, 0, 1.5, 1 },	 { 6, .15, .05, 1.5, 1 },   { 6, .15, .10, 1.5, 1 },
	{ 4, .15, 0, 1, 0 },	 { 4, .15, 0, 1.5, 0 },
};
const size_t level_cells_cnt = CNT(level_cells);

static void simulate_level(const struct level_cell *c, double ratio, struct curve_rng *rng,
			   double *ms)
{
	for (uint32_t k = 0; k < c->sweeps; k++) {
		double offset = c->offset * curve_rng__normal(rng);

		for (int i = 0; i < LEVEL_WINDOWS; i++)
			*ms++ = 100 * ratio *
				exp(offset + sigma_of(c->cv) * curve_rng__normal(rng));
	}
}

double level_cell__rate(const struct level_cell *c, uint32_t runs, uint64_t seed)
{
	double before[LEVEL_SWEEPS * LEVEL_WINDOWS], now[LEVEL_SWEEPS * LEVEL_WINDOWS];
	struct gate_level level;
	struct curve_rng rng;
	uint32_t hits = 0;

	curve_rng__init(&rng, seed);
	for (uint32_t r = 0; r < runs; r++) {
		simulate_level(c, 1, &rng, before);
		simulate_level(c, c->ratio, &rng, now);
		if (level__test(before, c->sweeps, now, c->sweeps, LEVEL_WINDOWS, NULL, &level))
			return -1;
		hits += level.verdict == GATE_LEVEL_SLOWER;
	}
	return (double)hits / runs;
}

double level_cell__tolerance(const struct level_cell *c, double rate, uint32_t runs)
{
	return four_errors(c->want, LEVEL_RUNS, rate, runs) + .005;
}
