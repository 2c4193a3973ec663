// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "frames.h"

#include <errno.h>
#include <stdlib.h>

#include "../grow_list.h"
#include "../log.h"
#include "../symbols/symbols.h"

struct frame {
	uint64_t addr;
	uint32_t tgid; /* 0 = kernel */
};

struct frames {
	struct frame *v;
	size_t cnt, room;
};

static int take_frame(void *ctx, uint32_t tgid, uint64_t addr)
{
	struct frames *f = ctx;

	struct frame *v = grow_list(f->v, f->cnt, &f->room, sizeof(*v));

	if (!v)
		return -ENOMEM;
	f->v = v;
	f->v[f->cnt++] = (struct frame){ .addr = addr, .tgid = tgid };
	return 0;
}

static int compare_frames(const void *a, const void *b)
{
	const struct frame *x = a, *y = b;

	if (x->tgid != y->tgid)
		return x->tgid < y->tgid ? -1 : 1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static int write_kernel(const uint64_t *addrs, size_t cnt, struct trace_writer *w)
{
	int err = ksyms__write(w, KALLSYMS, addrs, cnt);

	/* said; the trace is good without names */
	return err == -EPERM || err == -ENOENT || err == -EACCES ? 0 : err;
}

/* The addresses of one process (or the kernel), sorted, each once. */
struct one_space {
	uint32_t tgid;
	const uint64_t *addrs;
	size_t cnt;
};

typedef int (*space_fn)(const struct one_space *s, struct targets *t, struct trace_writer *w);

static int write_space(const struct one_space *s, struct targets *t, struct trace_writer *w)
{
	return s->tgid ? targets__write_symbols(t, s->tgid, s->addrs, s->cnt, w)
		       : write_kernel(s->addrs, s->cnt, w);
}

static int write_ended_space(const struct one_space *s, struct targets *t, struct trace_writer *w)
{
	if (!s->tgid || !targets__has_maps(t, s->tgid, true))
		return 0;
	return targets__write_symbols(t, s->tgid, s->addrs, s->cnt, w);
}

/* Gathers [from, end) of one address space into addrs; gives the end. */
static size_t gather(const struct frames *f, size_t from, uint64_t *addrs, size_t *cnt)
{
	size_t to = from;

	*cnt = 0;
	for (; to < f->cnt && f->v[to].tgid == f->v[from].tgid; to++)
		if (to == from || f->v[to].addr != f->v[to - 1].addr)
			addrs[(*cnt)++] = f->v[to].addr;
	return to;
}

static int each_space(struct capture *c, space_fn fn, struct targets *t, struct trace_writer *w)
{
	struct frames f = { .cnt = 0 };
	uint64_t *addrs = NULL;
	size_t from, to;
	int err = capture__each_frame(c, take_frame, &f);

	if (err || !f.cnt)
		goto out;
	addrs = malloc(f.cnt * sizeof(*addrs));
	if (!addrs) {
		err = -ENOMEM;
		goto out;
	}
	qsort(f.v, f.cnt, sizeof(*f.v), compare_frames);
	for (from = 0; from < f.cnt && !err; from = to) {
		struct one_space s = { .tgid = f.v[from].tgid, .addrs = addrs };

		to = gather(&f, from, addrs, &s.cnt);
		err = fn(&s, t, w);
	}
out:
	if (err == -ENOMEM)
		log_err(err, "symbols of %zu frames", f.cnt);
	free(addrs);
	free(f.v);
	return err;
}

int write_symbols(struct capture *c, struct targets *t, struct trace_writer *w)
{
	return each_space(c, write_space, t, w);
}

int write_ended_symbols(struct capture *c, struct targets *t, struct trace_writer *w)
{
	int err = each_space(c, write_ended_space, t, w);

	targets__drop_ended(t);
	return err;
}
