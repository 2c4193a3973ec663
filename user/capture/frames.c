// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "frames.h"

#include <errno.h>
#include <stdlib.h>

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

	if (f->cnt == f->room) {
		size_t room = f->room ? f->room * 2 : 1024;
		struct frame *v = reallocarray(f->v, room, sizeof(*v));

		if (!v)
			return -ENOMEM;
		f->v = v;
		f->room = room;
	}
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
	struct ksyms *k = NULL;
	int err = ksyms__load(&k);

	if (err) /* said by ksyms__load; the trace is good without names */
		return 0;
	err = ksyms__write(k, w, addrs, cnt);
	ksyms__free(k);
	return err;
}

/* The frames of one address space, sorted: [from, to) of f, duplicates dropped. */
static size_t gather(const struct frames *f, size_t from, uint64_t *addrs, size_t *cnt)
{
	size_t to = from;

	*cnt = 0;
	for (; to < f->cnt && f->v[to].tgid == f->v[from].tgid; to++)
		if (to == from || f->v[to].addr != f->v[to - 1].addr)
			addrs[(*cnt)++] = f->v[to].addr;
	return to;
}

int write_symbols(struct capture *c, struct targets *t, struct trace_writer *w)
{
	struct frames f = { .cnt = 0 };
	uint64_t *addrs = NULL;
	size_t from, to, cnt;
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
		uint32_t tgid = f.v[from].tgid;

		to = gather(&f, from, addrs, &cnt);
		err = tgid ? targets__write_symbols(t, tgid, addrs, cnt, w)
			   : write_kernel(addrs, cnt, w);
	}
out:
	if (err == -ENOMEM)
		log_err(err, "symbols of %zu frames", f.cnt);
	free(addrs);
	free(f.v);
	return err;
}
