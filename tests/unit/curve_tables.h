/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The error rates that the rule of the pause curve was chosen for, as published with it, and the
 * simulation that they came from: a test runs it briefly, a benchmark at full length. False alarms
 * and FLAT there are from 20,000 runs (6,000 with five sweeps and more), detection from 700, the
 * level from 500.
 */
#ifndef TESTS_UNIT_CURVE_TABLES_H
#define TESTS_UNIT_CURVE_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reports/finding.h"
#include "user/analyze/curve_rng.h"

/* ---- what p can be reached ---- */

struct attainable {
	uint32_t windows, sweeps;
	double min_p;		  /* 0 = too small for the table */
	double at05, at01, at001; /* critical values; 0 = impossible, -1 = of luck */
};

extern const struct attainable attainables[];
extern const size_t attainables_cnt;

/* ---- curves ---- */

enum table_shape { SHAPE_NONE, SHAPE_MID, SHAPE_EARLY, SHAPE_RAMP };

enum table_noise {
	NOISE_IID,
	NOISE_OUTLIERS, /* 5 % of windows times four */
	NOISE_STUDENT3,
	NOISE_COLD_FIRST, /* the first window times 2.5 */
	NOISE_AR,
	NOISE_AR_OUTLIERS,
};

enum curve_table { TABLE_FALSE_ALARMS, TABLE_DETECTION, TABLE_FLAT };

struct table_cell {
	uint32_t sweeps, windows;
	double cv;
	enum table_shape shape;
	double ratio; /* of the step */
	enum table_noise noise;
	double phi; /* of NOISE_AR */
	enum curve_verdict verdict;
	double flat_ratio;
	double want;   /* how often it is the verdict */
	double digits; /* half a unit of the last digit that the table shows */
	double table_runs;
};

/* The i-th cell of a table; false behind the last. */
bool curve_table__cell(enum curve_table table, size_t i, struct table_cell *out);

/* One curve: sweeps * windows pauses of about 100 ms. */
void table_cell__simulate(const struct table_cell *c, struct curve_rng *rng, double *ms);

/* The part of `runs` curves with the cell's verdict; negative on no memory. */
double table_cell__rate(const struct table_cell *c, uint32_t runs, uint64_t seed);

/* How far two rates of the same truth may lie apart: four standard errors, and the digits. */
double table_cell__tolerance(const struct table_cell *c, double rate, uint32_t runs);

/* "3x10 CV 20 %, x1.5 early, outliers" */
const char *table_cell__name(const struct table_cell *c, char buf[96]);

/* ---- the level beside a baseline ---- */

struct level_cell {
	uint32_t sweeps;   /* of either side, ten windows each */
	double cv, offset; /* of a window; of a whole sweep, on logarithms */
	double ratio;
	double want; /* how often it is found slower */
};

extern const struct level_cell level_cells[];
extern const size_t level_cells_cnt;

double level_cell__rate(const struct level_cell *c, uint32_t runs, uint64_t seed);
double level_cell__tolerance(const struct level_cell *c, double rate, uint32_t runs);

#endif
