// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Control requests of three VMMs, as they stand in the first bytes that were read:
 *   Firecracker       PATCH /vm {"state":"Paused"} ... {"state":"Resumed"}, body perhaps later
 *   Cloud Hypervisor  PUT /api/v1/vm.pause ... vm.resume
 *   QEMU (QMP)        {"execute":"stop"} ... {"execute":"cont"}
 * One connection per request is usual, so a pause and its resume are matched by process and order.
 */
#include "signals.h"

#include <errno.h>
#include <stdio.h>

enum request {
	REQUEST_NONE = 0,
	REQUEST_PAUSE,
	REQUEST_RESUME,
	REQUEST_PATCH, /* the state comes with the next read */
};

void signals__add(struct scan *s, enum signal_kind kind, const struct signal *sig,
		  const char *label)
{
	struct signal *n;

	if (sig->end_ns <= sig->begin_ns)
		return;
	n = VEC_PUSH(&s->signals[kind], struct signal);
	if (!n) {
		s->no_memory = true;
		return;
	}
	*n = *sig;
	snprintf(n->label, sizeof(n->label), "%s", label ? label : "");
}

static bool has(const char *data, size_t len, const char *what)
{
	return memmem(data, len, what, strlen(what)) != NULL;
}

/* `"key":"value"`, with or without a space behind the colon */
static bool has_pair(const char *data, size_t len, const char *key, const char *value)
{
	char text[64];

	snprintf(text, sizeof(text), "\"%s\":\"%s\"", key, value);
	if (has(data, len, text))
		return true;
	snprintf(text, sizeof(text), "\"%s\": \"%s\"", key, value);
	return has(data, len, text);
}

static enum request state_asked(const char *data, size_t len)
{
	if (has_pair(data, len, "state", "Paused"))
		return REQUEST_PAUSE;
	if (has_pair(data, len, "state", "Resumed"))
		return REQUEST_RESUME;
	return REQUEST_NONE;
}

static enum request parse_request(const char *data, size_t len, bool body_expected,
				  const char **label)
{
	enum request req;

	if (has(data, len, "PATCH /vm ") || body_expected) {
		*label = "Firecracker API";
		req = state_asked(data, len);
		return req != REQUEST_NONE || body_expected ? req : REQUEST_PATCH;
	}
	*label = "Cloud Hypervisor API";
	if (has(data, len, "/api/v1/vm.pause"))
		return REQUEST_PAUSE;
	if (has(data, len, "/api/v1/vm.resume"))
		return REQUEST_RESUME;
	*label = "QMP";
	if (has_pair(data, len, "execute", "stop"))
		return REQUEST_PAUSE;
	if (has_pair(data, len, "execute", "cont"))
		return REQUEST_RESUME;
	return REQUEST_NONE;
}

static struct pause *pause_of(struct scan *s, uint32_t tgid)
{
	struct pause *p;

	for (size_t i = 0; i < vec__cnt(&s->pauses); i++) {
		p = VEC_AT(&s->pauses, struct pause, i);
		if (p->tgid == tgid)
			return p;
	}
	p = VEC_PUSH(&s->pauses, struct pause);
	if (!p) {
		s->no_memory = true;
		return NULL;
	}
	p->tgid = tgid;
	p->fd = p->patch_fd = -1;
	return p;
}

void signals__request(struct scan *s, uint32_t tgid, const struct ev_api *ev)
{
	struct pause *p = pause_of(s, tgid);
	size_t room = ev->h.size - sizeof(*ev);
	const char *label;

	if (!p)
		return;
	switch (parse_request(ev->data, ev->len < room ? ev->len : room, p->patch_fd == ev->fd,
			      &label)) {
	case REQUEST_PATCH:
		p->patch_fd = ev->fd;
		return;
	case REQUEST_PAUSE:
		if (!p->paused) { /* a second one changes nothing: the VM stands already */
			p->paused = true;
			p->begin_ns = ev->h.ts_ns;
			p->label = label;
		}
		p->resuming = false;
		break;
	case REQUEST_RESUME:
		if (p->paused) {
			p->resuming = true;
			p->fd = ev->fd;
		}
		break;
	case REQUEST_NONE:
		break;
	}
	if (p->patch_fd == ev->fd)
		p->patch_fd = -1;
}

void signals__reply(struct scan *s, uint32_t tgid, const struct ev_syscall *ev)
{
	for (size_t i = 0; i < vec__cnt(&s->pauses); i++) {
		struct pause *p = VEC_AT(&s->pauses, struct pause, i);

		if (p->tgid != tgid || !p->resuming || p->fd != ev->fd || ev->ret < 0)
			continue;
		signals__add(s, SIGNAL_API,
			     &(struct signal){ .begin_ns = p->begin_ns,
					       .end_ns = ev->h.ts_ns,
					       .closer_tid = ev->h.tid,
					       .tgid = tgid },
			     p->label);
		p->paused = p->resuming = false;
	}
}

static void add_open_pauses(struct scan *s)
{
	for (size_t i = 0; i < vec__cnt(&s->pauses); i++) {
		const struct pause *p = VEC_AT(&s->pauses, struct pause, i);

		if (p->paused)
			signals__add(s, SIGNAL_API,
				     &(struct signal){ .begin_ns = p->begin_ns,
						       .end_ns = s->end_ns,
						       .tgid = p->tgid,
						       .open = true },
				     p->label);
	}
}

/* An end belongs to the last begin that is still open: with its label, or to any without one. */
static void add_marks(struct scan *s, const struct rec_mark *marks, size_t cnt)
{
	bool *used = calloc(cnt + 1, sizeof(*used));

	if (!used) {
		s->no_memory = true;
		return;
	}
	for (size_t i = 0; i < cnt; i++) {
		const char *label = marks[i].label;
		size_t b = i;

		if (marks[i].kind != REC_MARK_END)
			continue;
		while (b-- > 0)
			if (!used[b] && marks[b].kind == REC_MARK_BEGIN &&
			    (!label[0] || !strncmp(label, marks[b].label, sizeof(marks[b].label))))
				break;
		if (b == (size_t)-1)
			continue;
		used[b] = true;
		signals__add(s, SIGNAL_MARK,
			     &(struct signal){ .begin_ns = marks[b].ts_ns,
					       .end_ns = marks[i].ts_ns,
					       .closer_tid = marks[i].pid },
			     NULL);
		if (vec__cnt(&s->signals[SIGNAL_MARK]))
			snprintf(VEC_LAST(&s->signals[SIGNAL_MARK], struct signal)->label,
				 sizeof(marks[b].label), "%.*s", (int)sizeof(marks[b].label) - 1,
				 marks[b].label);
	}
	for (size_t b = 0; b < cnt; b++)
		if (!used[b] && marks[b].kind == REC_MARK_BEGIN)
			signals__add(s, SIGNAL_MARK,
				     &(struct signal){ .begin_ns = marks[b].ts_ns,
						       .end_ns = s->end_ns,
						       .open = true },
				     NULL);
	free(used);
}

/* The pause that a command reported has a length but no place: it lies around the file work. */
static void add_reported(struct scan *s, uint32_t i)
{
	const struct rec_run *run = &s->runs[i];
	const struct activity *a = s->vmm_activity[i].last_ns ? &s->vmm_activity[i]
							      : &s->command_activity[i];
	uint64_t len = run->reported_ns, begin;

	if (len == REC_NS_NONE || !len)
		return;
	if (len > run->end_ns - run->begin_ns)
		len = run->end_ns - run->begin_ns;
	begin = run->end_ns - len;
	if (a->last_ns) {
		uint64_t work = a->last_ns - a->first_ns;
		uint64_t slack = len > work ? (len - work) / 2 : 0;

		begin = a->first_ns > run->begin_ns + slack ? a->first_ns - slack : run->begin_ns;
	}
	if (begin > run->end_ns - len)
		begin = run->end_ns - len;
	signals__add(s, SIGNAL_REPORTED,
		     &(struct signal){ .begin_ns = begin,
				       .end_ns = begin + len,
				       .closer_tid = run->pid,
				       .tgid = run->pid },
		     NULL);
}

static void add_runs(struct scan *s)
{
	for (uint32_t i = 0; i < s->runs_cnt; i++) {
		const struct rec_run *run = &s->runs[i];
		bool open = run->status == REC_RUN_INTERRUPT || run->end_ns == 0;
		uint64_t end = run->end_ns ? run->end_ns : s->end_ns;

		signals__add(s, SIGNAL_EXEC,
			     &(struct signal){ .begin_ns = run->begin_ns,
					       .end_ns = end,
					       .closer_tid = run->pid,
					       .tgid = run->pid,
					       .open = open },
			     NULL);
		if (!open && run->end_ns > run->begin_ns)
			add_reported(s, i);
	}
}

static int compare_signals(const void *a, const void *b)
{
	const struct signal *x = a, *y = b;

	if (x->begin_ns != y->begin_ns)
		return x->begin_ns < y->begin_ns ? -1 : 1;
	if (x->end_ns != y->end_ns)
		return x->end_ns < y->end_ns ? -1 : 1;
	return x->closer_tid < y->closer_tid ? -1 : x->closer_tid > y->closer_tid;
}

static void load_marks(struct scan *s, struct trace_reader *r)
{
	struct vec all = { 0 };
	const struct rec_mark *part;
	size_t size;

	for (uint32_t n = 0; (part = trace_reader__chunk(r, REC_MARKS, n, &size)); n++)
		for (size_t i = 0; i < size / sizeof(*part); i++) {
			struct rec_mark *m = VEC_PUSH(&all, struct rec_mark);

			if (m)
				*m = part[i];
			else
				s->no_memory = true;
		}
	if (vec__cnt(&all))
		add_marks(s, VEC_AT(&all, struct rec_mark, 0), vec__cnt(&all));
	vec__free(&all);
}

int signals__finish(struct scan *s, struct trace_reader *r)
{
	add_open_pauses(s);
	load_marks(s, r);
	add_runs(s);
	for (int i = 0; i < SIGNALS; i++)
		if (vec__cnt(&s->signals[i]))
			qsort(VEC_AT(&s->signals[i], struct signal, 0), vec__cnt(&s->signals[i]),
			      sizeof(struct signal), compare_signals);
	return s->no_memory ? -ENOMEM : 0;
}
