// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * How often the gate is wrong: whole gates with their second run, simulated, beside the figures to
 * reach; then every cell of the published tables.
 * usage: gate_power [RUNS]     (20000)
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/curve_tables.h"
#include "user/analyze/gate.h"

#define RUNS	   20000
#define SWEEPS_MAX 7 /* three, and twice two more */
#define WINDOWS	   10
#define MORE_MAX   2

struct tally {
	uint32_t regressed; /* in the first look */
	uint32_t outcomes[3];
	uint32_t more;
};

/* `sweeps` sweeps behind those that are there. */
static void add_sweeps(struct curve_input *in, const struct table_cell *c, uint32_t sweeps,
		       struct curve_rng *rng)
{
	struct table_cell part = *c;

	part.sweeps = sweeps;
	table_cell__simulate(&part, rng, in->values_ms + (size_t)in->sweeps * in->windows);
	in->sweeps += sweeps;
}

static int look(struct gate_report *r, const struct table_cell *c, uint32_t *more_left,
		struct curve_rng *rng)
{
	struct gate_look *l = &r->looks[r->looks_cnt++];
	double ms[SWEEPS_MAX * WINDOWS];
	struct curve_input in = { .values_ms = ms, .windows = c->windows };
	int err;

	add_sweeps(&in, c, c->sweeps, rng);
	err = gate_look__judge(l, &in, NULL);
	while (!err && *more_left && gate_look__state(l) == GATE_OPEN) {
		add_sweeps(&in, c, 2, rng);
		l->more_runs++;
		--*more_left;
		err = gate_look__judge(l, &in, NULL);
	}
	return err;
}

static int run_one(const struct table_cell *c, uint32_t more, struct tally *t,
		   struct curve_rng *rng)
{
	struct gate_report r = { .looks_cnt = 0 };
	int err = look(&r, c, &more, rng);

	if (!err && gate_look__state(&r.looks[0]) == GATE_REGRESSED) {
		t->regressed++;
		err = look(&r, c, &more, rng);
	}
	if (!err)
		err = gate__decide(&r, false);
	t->outcomes[r.outcome]++;
	t->more += r.looks[0].more_runs;
	gate_report__free_inside(&r);
	return err;
}

static int simulate(const struct table_cell *c, uint32_t more, uint32_t runs, struct tally *t)
{
	struct curve_rng rng;
	int err = 0;

	memset(t, 0, sizeof(*t));
	curve_rng__init(&rng, 1);
	for (uint32_t i = 0; !err && i < runs; i++)
		err = run_one(c, more, t, &rng);
	return err;
}

static void print_tally(const struct table_cell *c, const struct tally *t, uint32_t runs,
			const char *with, const char *to_reach)
{
	char name[96];

	printf("gate %-30s %-14s one run %8.4f %%  confirmed %8.4f %%  open %6.2f %%%s\n",
	       table_cell__name(c, name), with, 100.0 * t->regressed / runs,
	       100.0 * t->outcomes[GATE_FAIL] / runs, 100.0 * t->outcomes[GATE_INCONCLUSIVE] / runs,
	       to_reach);
}

static int bench_gates(uint32_t runs)
{
	static const struct {
		struct table_cell cell;
		const char *to_reach;
	} gates[] = {
		{ { .sweeps = 3, .windows = WINDOWS, .cv = .3, .ratio = 1 },
		  "  (to reach: confirmed <= 0.1 %)" },
		{ { .sweeps = 3, .windows = WINDOWS, .cv = .2, .ratio = 2, .shape = SHAPE_MID },
		  "  (to reach: confirmed >= 99 %)" },
		{ { .sweeps = 3, .windows = WINDOWS, .cv = .2, .ratio = 2, .shape = SHAPE_EARLY },
		  "  (to reach: confirmed >= 99 %)" },
		{ { .sweeps = 3, .windows = WINDOWS, .cv = .2, .ratio = 2, .shape = SHAPE_RAMP },
		  "" },
		{ { .sweeps = 3,
		    .windows = WINDOWS,
		    .cv = .3,
		    .ratio = 1,
		    .noise = NOISE_AR,
		    .phi = .6 },
		  "" },
	};

	for (size_t i = 0; i < sizeof(gates) / sizeof(gates[0]); i++)
		for (uint32_t more = 0; more <= MORE_MAX; more += MORE_MAX) {
			struct tally t;

			if (simulate(&gates[i].cell, more, runs, &t))
				return -1;
			print_tally(&gates[i].cell, &t, runs, more ? "with --more" : "",
				    gates[i].to_reach);
		}
	return 0;
}

static int bench_table(enum curve_table table, const char *title, uint32_t runs)
{
	uint32_t cells = 0, beyond = 0;
	double worst = 0;
	struct table_cell c;
	char name[96];

	for (size_t i = 0; curve_table__cell(table, i, &c); i++) {
		double rate, part;

		if (c.want < 0)
			continue;
		rate = table_cell__rate(&c, runs, 1000 + i);
		if (rate < 0)
			return -1;
		part = fabs(rate - c.want) / table_cell__tolerance(&c, rate, runs);
		worst = fmax(worst, part);
		cells++;
		if (part <= 1)
			continue;
		beyond++;
		printf("  %s: %.4f here, %.4f in the table\n", table_cell__name(&c, name), rate,
		       c.want);
	}
	printf("table of %-12s %3u cells, %u beyond four standard errors, the farthest at %.2f of "
	       "them\n",
	       title, cells, beyond, 4 * worst);
	return 0;
}

static int bench_levels(uint32_t runs)
{
	uint32_t beyond = 0;
	double worst = 0;

	for (size_t i = 0; i < level_cells_cnt; i++) {
		const struct level_cell *c = &level_cells[i];
		double rate = level_cell__rate(c, runs, 2000 + i), part;

		if (rate < 0)
			return -1;
		part = fabs(rate - c->want) / level_cell__tolerance(c, rate, runs);
		worst = fmax(worst, part);
		if (part <= 1)
			continue;
		beyond++;
		printf("  %u sweeps, CV %.0f %%, offset %.2f, x%.3g: %.4f here, %.4f in the "
		       "table\n",
		       c->sweeps, 100 * c->cv, c->offset, c->ratio, rate, c->want);
	}
	printf("table of %-12s %3zu cells, %u beyond four standard errors, the farthest at %.2f of "
	       "them\n",
	       "levels", level_cells_cnt, beyond, 4 * worst);
	return 0;
}

int main(int argc, char **argv)
{
	uint32_t runs = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : RUNS;

	if (!runs) {
		fprintf(stderr, "usage: gate_power [RUNS]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* it takes minutes: each line as it is there */
	printf("%u runs each\n", runs);
	if (bench_gates(runs) || bench_table(TABLE_FALSE_ALARMS, "false alarms", runs) ||
	    bench_table(TABLE_DETECTION, "detection", runs) ||
	    bench_table(TABLE_FLAT, "flatness", runs) || bench_levels(runs)) {
		fprintf(stderr, "gate_power: out of memory\n");
		return 1;
	}
	return 0;
}
