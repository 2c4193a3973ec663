// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Who had each CPU, as far as switches tell. A switch is told where either side is followed: where
 * the one that leaves is not the one that came, strangers took turns, and the last of them stands
 * for all. Not so the idle task: while somebody waits for the CPU it does not have it for long.
 */
#include "kernel_work.h"

#define MAX_CPUS 4096 /* more are told of in damaged input only */

static struct cpu *cpu_of(struct cpus *c, uint32_t cpu)
{
	struct cpu *grown;

	if (cpu < c->cnt)
		return &c->cpu[cpu];
	if (cpu >= MAX_CPUS)
		return NULL;
	grown = realloc(c->cpu, (cpu + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	memset(grown + c->cnt, 0, (cpu + 1 - c->cnt) * sizeof(*grown));
	c->cpu = grown;
	c->cnt = cpu + 1;
	return &c->cpu[cpu];
}

void cpus__switch(struct cpus *c, uint32_t cpu, const struct ev_switch *sw, uint64_t keep_ns)
{
	struct cpu *p = cpu_of(c, cpu);
	uint64_t ts = sw->h.ts_ns;
	struct cpu_run *run;

	if (!p || (p->known && ts < p->since_ns))
		return;
	if (p->known && ts > p->since_ns && ts > keep_ns) {
		run = VEC_PUSH(&p->runs, struct cpu_run);
		if (run) /* without it only the fallback names who had the CPU */
			*run = (struct cpu_run){ .begin = p->since_ns,
						 .end = ts,
						 .tid = sw->h.tid ? sw->h.tid : p->tid };
	}
	p->known = true;
	p->since_ns = ts;
	p->tid = sw->next_tid;
}

void cpus__trim(struct cpus *c, uint64_t ns)
{
	for (uint32_t i = 0; i < c->cnt; i++) {
		struct vec *runs = &c->cpu[i].runs;
		size_t n = 0;

		while (n < vec__cnt(runs) && VEC_AT(runs, struct cpu_run, n)->end <= ns)
			n++;
		vec__drop(runs, n);
	}
}

void cpus__free(struct cpus *c)
{
	for (uint32_t i = 0; i < c->cnt; i++)
		vec__free(&c->cpu[i].runs);
	free(c->cpu);
	memset(c, 0, sizeof(*c));
}

bool cpus__at(const struct cpus *c, uint32_t cpu, uint64_t ns, uint32_t *tid, uint64_t *until)
{
	const struct vec *runs = cpu < c->cnt ? &c->cpu[cpu].runs : NULL;
	size_t lo = 0, hi = runs ? vec__cnt(runs) : 0, cnt = hi;
	const struct cpu_run *run;

	while (lo < hi) { /* the first that ends behind ns */
		size_t mid = lo + (hi - lo) / 2;

		if (VEC_AT(runs, struct cpu_run, mid)->end <= ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	run = lo < cnt ? VEC_AT(runs, struct cpu_run, lo) : NULL;
	if (run && run->begin > ns) {
		if (run->begin < *until)
			*until = run->begin;
		return false;
	}
	if (!run)
		return false;
	if (run->end < *until)
		*until = run->end;
	*tid = run->tid;
	return true;
}
