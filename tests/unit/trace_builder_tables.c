// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The half of the builder that collects what is no event and writes it at the end. */
#include "trace_builder_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void chunk(struct trace_builder *b, enum rec_type type, const struct trace_part *parts,
		  int cnt)
{
	keep_err(b, trace_writer__chunk(b->w, type, parts, cnt));
}

static void set_json(struct trace_builder *b, char **to, const char *json)
{
	free(*to);
	*to = strdup(json);
	if (!*to)
		keep_err(b, -ENOMEM);
}

void tb_meta(struct trace_builder *b, const char *json)
{
	set_json(b, &b->meta, json);
}

void tb_cost(struct trace_builder *b, const char *json)
{
	set_json(b, &b->cost, json);
}

void tb_run_full(struct trace_builder *b, const struct rec_run *run)
{
	struct rec_run *r = list__add(b, &b->runs, sizeof(*r));

	if (!r)
		return;
	*r = *run;
	r->begin_ns = tb_abs(b, run->begin_ns);
	r->end_ns = tb_abs(b, run->end_ns);
}

void tb_run(struct trace_builder *b, uint32_t sweep, uint32_t index, uint64_t begin_ns,
	    uint64_t end_ns, uint64_t reported_ns)
{
	struct rec_run run = { .sweep = sweep,
			       .index = index,
			       .begin_ns = begin_ns,
			       .end_ns = end_ns,
			       .reported_ns = reported_ns };

	tb_run_full(b, &run);
}

void tb_mark(struct trace_builder *b, enum rec_mark_kind kind, const char *label)
{
	tb_mark_by(b, kind, label, 0);
}

void tb_mark_by(struct trace_builder *b, enum rec_mark_kind kind, const char *label, uint32_t pid)
{
	struct rec_mark *m = list__add(b, &b->marks, sizeof(*m));

	if (!m)
		return;
	m->pid = pid;
	m->ts_ns = b->now_ns;
	m->kind = kind;
	snprintf(m->label, sizeof(m->label), "%s", label);
}

void tb_map(struct trace_builder *b, uint32_t tgid, uint64_t start, uint64_t end, uint32_t prot,
	    uint64_t offset, const char *path)
{
	struct map *m = list__add(b, &b->maps, sizeof(*m));

	if (!m)
		return;
	m->tgid = tgid;
	m->rec = (struct rec_map){ .start = start, .end = end, .offset = offset, .prot = prot };
	snprintf(m->path, sizeof(m->path), "%s", path);
}

void tb_fd(struct trace_builder *b, uint32_t tgid, int fd, uint32_t dev, uint64_t ino,
	   uint32_t oflags, const char *path)
{
	struct open_fd *f = list__add(b, &b->fds, sizeof(*f));

	if (!f)
		return;
	f->tgid = tgid;
	f->rec = (struct rec_fd){ .fd = fd, .dev = dev, .ino = ino, .oflags = oflags };
	snprintf(f->path, sizeof(f->path), "%s", path);
}

void tb_region(struct trace_builder *b, uint32_t tgid, enum rec_region_kind kind, uint64_t start,
	       uint64_t end, uint32_t tid, const char *name)
{
	struct region *r = list__add(b, &b->regions, sizeof(*r));

	if (!r)
		return;
	r->tgid = tgid;
	r->rec = (struct rec_region){ .start = start, .end = end, .kind = kind, .tid = tid };
	snprintf(r->name, sizeof(r->name), "%s", name);
}

void tb_loss(struct trace_builder *b, uint32_t cpu, uint64_t records, uint64_t first_ns,
	     uint64_t last_ns)
{
	struct rec_loss *l = list__add(b, &b->losses, sizeof(*l));

	if (l)
		*l = (struct rec_loss){ .cpu = cpu,
					.records = records,
					.first_ns = tb_abs(b, first_ns),
					.last_ns = tb_abs(b, last_ns) };
}

/* ---- writing what was collected ---- */

/* The items of one process as `head`, records, names. All three kinds begin with their tgid. */
struct table {
	struct list recs, names;
	uint32_t names_size;
};

static uint32_t table__name(struct trace_builder *b, struct table *t, const char *name)
{
	uint32_t at = t->names_size;

	for (const char *c = name;; c++) {
		char *to = list__add(b, &t->names, 1);

		if (!to)
			return 0;
		*to = *c;
		t->names_size++;
		if (!*c)
			return at;
	}
}

static void table__write(struct trace_builder *b, struct table *t, enum rec_type type,
			 const void *head, size_t head_size)
{
	const struct trace_part parts[] = {
		{ head, head_size },
		{ t->recs.items, t->recs.cnt * t->recs.item_size },
		{ t->names.items, t->names.cnt },
	};

	if (t->recs.cnt && !b->err)
		chunk(b, type, parts, 3);
	free(t->recs.items);
	free(t->names.items);
}

static void write_syms(struct trace_builder *b, uint32_t tgid)
{
	const struct sym *s = b->syms.items;
	struct table t = { .names_size = 0 };

	for (size_t i = 0; i < b->syms.cnt; i++) {
		struct rec_sym *r;

		if (s[i].tgid != tgid)
			continue;
		r = list__add(b, &t.recs, sizeof(*r));
		if (r)
			*r = (struct rec_sym){ s[i].addr, TB_FUNC_BYTES,
					       table__name(b, &t, s[i].name) };
	}
	if (tgid) {
		struct rec_syms head = { tgid, (uint32_t)t.recs.cnt, t.names_size, 0 };

		table__write(b, &t, REC_SYMS, &head, sizeof(head));
	} else {
		struct rec_ksyms head = { (uint32_t)t.recs.cnt, t.names_size };

		table__write(b, &t, REC_KSYMS, &head, sizeof(head));
	}
}

static void write_maps(struct trace_builder *b, uint32_t tgid)
{
	const struct map *m = b->maps.items;
	struct table t = { .names_size = 0 };
	struct rec_maps head = { .tgid = tgid, .ts_ns = TB_START_NS };

	for (size_t i = 0; i < b->maps.cnt; i++) {
		struct rec_map *r;

		if (m[i].tgid != tgid)
			continue;
		r = list__add(b, &t.recs, sizeof(*r));
		if (!r)
			break;
		*r = m[i].rec;
		r->path = table__name(b, &t, m[i].path);
	}
	head.maps_cnt = (uint32_t)t.recs.cnt;
	head.names_size = t.names_size;
	table__write(b, &t, REC_MAPS, &head, sizeof(head));
}

static void write_fds(struct trace_builder *b, uint32_t tgid)
{
	const struct open_fd *f = b->fds.items;
	struct table t = { .names_size = 0 };
	struct rec_fds head = { .tgid = tgid, .ts_ns = TB_START_NS };

	for (size_t i = 0; i < b->fds.cnt; i++) {
		struct rec_fd *r;

		if (f[i].tgid != tgid)
			continue;
		r = list__add(b, &t.recs, sizeof(*r));
		if (!r)
			break;
		*r = f[i].rec;
		r->path = table__name(b, &t, f[i].path);
	}
	head.fds_cnt = (uint32_t)t.recs.cnt;
	head.names_size = t.names_size;
	table__write(b, &t, REC_FDS, &head, sizeof(head));
}

static void write_regions(struct trace_builder *b, uint32_t tgid)
{
	const struct region *in = b->regions.items;
	struct table t = { .names_size = 0 };
	struct rec_regions head = { .tgid = tgid, .ts_ns = TB_START_NS };

	for (size_t i = 0; i < b->regions.cnt; i++) {
		struct rec_region *r;

		if (in[i].tgid != tgid)
			continue;
		r = list__add(b, &t.recs, sizeof(*r));
		if (!r)
			break;
		*r = in[i].rec;
		r->name = table__name(b, &t, in[i].name);
	}
	head.regions_cnt = (uint32_t)t.recs.cnt;
	head.names_size = t.names_size;
	table__write(b, &t, REC_REGIONS, &head, sizeof(head));
}

/* Calls `write` once for each tgid that occurs; tgid is the first field of every item. */
static void each_tgid(struct trace_builder *b, const struct list *l,
		      void (*write)(struct trace_builder *b, uint32_t tgid))
{
	for (size_t i = 0; i < l->cnt; i++) {
		const char *items = l->items;
		uint32_t tgid = *(const uint32_t *)(const void *)(items + i * l->item_size);
		bool seen = false;

		for (size_t j = 0; j < i && !seen; j++)
			seen = *(const uint32_t *)(const void *)(items + j * l->item_size) == tgid;
		if (!seen)
			write(b, tgid);
	}
}

static void write_list(struct trace_builder *b, enum rec_type type, const struct list *l)
{
	struct trace_part part = { l->items, l->cnt * l->item_size };

	if (l->cnt && !b->err)
		chunk(b, type, &part, 1);
}

static void write_json(struct trace_builder *b, enum rec_type type, const char *json)
{
	struct trace_part part = { json, json ? strlen(json) : 0 };

	if (json && !b->err)
		chunk(b, type, &part, 1);
}

void write_collected(struct trace_builder *b)
{
	write_json(b, REC_META, b->meta);
	each_tgid(b, &b->maps, write_maps);
	each_tgid(b, &b->fds, write_fds);
	each_tgid(b, &b->regions, write_regions);
	each_tgid(b, &b->syms, write_syms);
	write_list(b, REC_RUNS, &b->runs);
	write_list(b, REC_MARKS, &b->marks);
	write_list(b, REC_LOSS, &b->losses);
	write_json(b, REC_COST, b->cost);
}
