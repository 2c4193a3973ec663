// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * How many threads sat in which kernel function: what a poll of /proc/PID/task/N/stack looks for,
 * but from the exact time of every thread. A window's rows sum to the wall time of its threads.
 */
#include "analysis.h"

#include <errno.h>

#define NO_STACK "[asleep, no stack]"

struct state_row {
	const char
		*frame; /* names and causes are compared by address here, by content at the end */
	const char *cause; /* NULL = it ran, or was runnable */
	uint64_t ns;
};

/* A sleep's own functions say that it is one, not of what. */
static bool is_scheduler(const char *name)
{
	static const char *const prefixes[] = { "schedule", "io_schedule", "__schedule",
						"preempt_schedule" };

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

static const char *frame_of_sleep(const struct analysis *a, const struct piece *p)
{
	const char *const *names = NULL;
	uint32_t cnt = 0;

	if (p->seg)
		names = stacks__kernel_names(a->stacks, p->seg->kstack, &cnt);
	for (uint32_t i = 0; i < cnt; i++)
		if (!is_scheduler(names[i]))
			return names[i];
	return cnt ? names[0] : NO_STACK;
}

const char *thread_states__frame(const struct analysis *a, const struct piece *p)
{
	switch (p->kind) {
	case SEG_RUN:
		return p->in_kernel ? "[running, kernel]" : "[running, user]";
	case SEG_RUNNABLE:
		return "[waiting for a CPU]";
	case SEG_BLOCKED:
		return frame_of_sleep(a, p);
	case SEG_UNKNOWN:
	case SEG_NONE:
		break;
	}
	return "[unknown]";
}

int thread_states__add(struct analysis *a, const struct piece *p, const char *cause)
{
	const char *frame = thread_states__frame(a, p);
	struct state_row *row;

	for (size_t i = 0; i < vec__cnt(&a->states); i++) {
		row = VEC_AT(&a->states, struct state_row, i);
		if (row->frame == frame && row->cause == cause) {
			row->ns += p->end - p->begin;
			return 0;
		}
	}
	row = VEC_PUSH(&a->states, struct state_row);
	if (!row)
		return -ENOMEM;
	*row = (struct state_row){ .frame = frame, .cause = cause, .ns = p->end - p->begin };
	return 0;
}

static struct finding_state *state_of(struct finding_window *fw, const char *frame)
{
	for (size_t i = 0; i < fw->states_cnt; i++)
		if (!strcmp(fw->states[i].frame, frame))
			return &fw->states[i];
	return NULL;
}

static int add_state(struct finding_window *fw, const char *frame, const char *cause, uint64_t ns)
{
	struct finding_state *s = state_of(fw, frame);

	if (!s) {
		s = FINDING_APPEND(&fw->states, &fw->states_cnt);
		if (!s || finding_set(&s->frame, frame) || finding_set(&s->cause, cause))
			return -ENOMEM;
	}
	s->ns += ns;
	return 0;
}

static int compare_rows(const void *x, const void *y)
{
	const struct state_row *a = x, *b = y;
	int d = strcmp(a->frame, b->frame);

	if (a->ns != b->ns)
		return a->ns > b->ns ? -1 : 1;
	return d ? d : strcmp(a->cause ? a->cause : "", b->cause ? b->cause : "");
}

static int compare_states(const void *x, const void *y)
{
	const struct finding_state *a = x, *b = y;

	if (a->ns != b->ns)
		return a->ns > b->ns ? -1 : 1;
	return strcmp(a->frame, b->frame);
}

static void sort_states(struct finding_window *fw)
{
	if (fw->states_cnt)
		qsort(fw->states, fw->states_cnt, sizeof(fw->states[0]), compare_states);
}

/* The largest row of a frame comes first, and its cause is the one that is shown. */
int thread_states__window(struct analysis *a, uint32_t w)
{
	struct finding_window *fw = &a->f->windows[w];
	size_t cnt = vec__cnt(&a->states);

	if (cnt)
		qsort(VEC_AT(&a->states, struct state_row, 0), cnt, sizeof(struct state_row),
		      compare_rows);
	for (size_t i = 0; i < cnt; i++) {
		const struct state_row *row = VEC_AT(&a->states, struct state_row, i);

		if (add_state(fw, row->frame, row->cause, row->ns))
			return -ENOMEM;
	}
	vec__drop(&a->states, cnt);
	sort_states(fw);
	return 0;
}

int thread_states__fixup(struct analysis *a, uint32_t w, const struct piece *p, uint64_t ns,
			 const char *cause)
{
	struct finding_window *fw = &a->f->windows[w];
	const char *frame = thread_states__frame(a, p);
	struct finding_state *from = state_of(fw, NO_STACK);

	if (!from || from->ns < ns || !strcmp(frame, NO_STACK))
		return 0;
	from->ns -= ns;
	if (add_state(fw, frame, cause, ns))
		return -ENOMEM;
	sort_states(fw);
	while (fw->states_cnt && !fw->states[fw->states_cnt - 1].ns) {
		struct finding_state *last = &fw->states[--fw->states_cnt];

		free(last->frame);
		free(last->cause);
	}
	return 0;
}
