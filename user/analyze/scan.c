// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The first pass: targets, losses, stacks, and the signals of pauses. */
#include "scan.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>

#include "../log.h"
#include "signals.h"

#define MAX_OPEN_FILES 4096
#define MAX_CPUS       65536 /* more say what they lost only in damaged input */

/* ---- targets ---- */

struct scan_tid *scan__tid(const struct scan *s, uint32_t tid)
{
	struct scan_tid *t = NULL;

	HASH_FIND(hh, s->tids, &tid, sizeof(tid), t);
	return t;
}

static struct scan_tid *add_tid(struct scan *s, uint32_t tid)
{
	struct scan_tid *t = scan__tid(s, tid);

	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t) {
		s->no_memory = true;
		return NULL;
	}
	t->tid = tid;
	HASH_ADD(hh, s->tids, tid, sizeof(t->tid), t);
	if (t->hh.tbl)
		return t;
	s->no_memory = true;
	free(t);
	return NULL;
}

bool scan__is_target(const struct scan *s, uint32_t tid)
{
	const struct scan_tid *t = scan__tid(s, tid);

	return t && t->target;
}

bool scan__is_command(const struct scan *s, uint32_t tid)
{
	const struct scan_tid *t = scan__tid(s, tid);

	return t && t->command;
}

uint32_t scan__tgid(const struct scan *s, uint32_t tid)
{
	const struct scan_tid *t = scan__tid(s, tid);

	return t && t->tgid ? t->tgid : tid;
}

static void set_target(struct scan *s, uint32_t tid, uint32_t tgid, bool command)
{
	struct scan_tid *t = tid ? add_tid(s, tid) : NULL;

	if (!t)
		return;
	t->target = true;
	t->command = t->command || command;
	if (tgid)
		t->tgid = tgid;
}

static void on_fork(struct scan *s, const struct ev_task *ev)
{
	const struct scan_tid *parent = scan__tid(s, ev->h.tid);

	if (parent && parent->target)
		set_target(s, ev->tid, ev->tgid, parent->command);
	else if (ev->tgid != ev->tid && scan__is_target(s, ev->tgid))
		set_target(s, ev->tid, ev->tgid, scan__is_command(s, ev->tgid));
}

/* ---- losses ---- */

static int compare_lost(const void *a, const void *b)
{
	const struct lost_range *x = a, *y = b;

	if (x->cpu != y->cpu)
		return x->cpu < y->cpu ? -1 : 1;
	return x->from_ns < y->from_ns ? -1 : x->from_ns > y->from_ns;
}

static void add_lost(struct scan *s, uint32_t cpu, uint64_t from, uint64_t to, uint64_t records)
{
	struct lost_range *l;

	if (to <= from)
		to = from + 1;
	l = VEC_PUSH(&s->lost_cpu, struct lost_range);
	if (!l) {
		s->no_memory = true;
		return;
	}
	*l = (struct lost_range){ .from_ns = from, .to_ns = to, .records = records, .cpu = cpu };
}

/* Ranges of one CPU that touch become one: sorted, apart from each other, so that they can be searched. */
static void merge_lost(struct vec *ranges)
{
	size_t cnt = vec__cnt(ranges), kept = 0;
	struct lost_range *all;

	if (!cnt)
		return;
	all = VEC_AT(ranges, struct lost_range, 0);
	qsort(all, cnt, sizeof(*all), compare_lost);
	for (size_t i = 1; i < cnt; i++) {
		struct lost_range *last = &all[kept];

		if (all[i].cpu != last->cpu || all[i].from_ns > last->to_ns) {
			all[++kept] = all[i];
			continue;
		}
		last->to_ns = all[i].to_ns > last->to_ns ? all[i].to_ns : last->to_ns;
		last->records += all[i].records;
	}
	ranges->end = ranges->head + kept + 1;
}

/* The first range of `cpu` that ends after `ns`, or the place where it would stand. */
static size_t lost_after(const struct vec *v, uint32_t cpu, uint64_t ns)
{
	size_t lo = 0, hi = vec__cnt(v);

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct lost_range *l = VEC_AT(v, struct lost_range, mid);

		if (l->cpu < cpu || (l->cpu == cpu && l->to_ns <= ns))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* What was lost at the very end has no record behind it that says so: the totals do. */
static void add_final_loss(struct scan *s, const struct rec_loss *loss, size_t told)
{
	uint64_t seen = 0, last = loss->first_ns;

	for (size_t i = lost_after(&s->lost_cpu, loss->cpu, 0); i < told; i++) {
		const struct lost_range *l = VEC_AT(&s->lost_cpu, struct lost_range, i);

		if (l->cpu != loss->cpu)
			break;
		seen += l->records;
		last = l->to_ns > last ? l->to_ns : last;
	}
	if (loss->records > seen)
		add_lost(s, loss->cpu, last, loss->last_ns > last ? loss->last_ns : s->end_ns,
			 loss->records - seen);
}

static void add_final_losses(struct scan *s, struct trace_reader *r)
{
	size_t size, told = vec__cnt(&s->lost_cpu), all = 0;
	const struct rec_loss *loss;

	for (uint32_t n = 0; (loss = trace_reader__chunk(r, REC_LOSS, n, &size)); n++)
		for (size_t i = 0; i < size / sizeof(*loss) && all++ < MAX_CPUS; i++)
			add_final_loss(s, &loss[i], told);
}

static void sort_losses(struct scan *s, struct trace_reader *r)
{
	merge_lost(&s->lost_cpu);
	add_final_losses(s, r);
	merge_lost(&s->lost_cpu);
	for (size_t i = 0; i < vec__cnt(&s->lost_cpu); i++) {
		struct lost_range *l = VEC_PUSH(&s->lost, struct lost_range);

		if (!l) {
			s->no_memory = true;
			return;
		}
		*l = *VEC_AT(&s->lost_cpu, struct lost_range, i);
		l->cpu = UINT32_MAX;
		s->lost_records += l->records;
	}
	merge_lost(&s->lost);
}

const struct lost_range *scan__lost(const struct scan *s, uint32_t cpu, uint64_t ns, uint64_t to)
{
	const struct vec *v = cpu == UINT32_MAX ? &s->lost : &s->lost_cpu;
	size_t i = lost_after(v, cpu, ns);
	const struct lost_range *l = i < vec__cnt(v) ? VEC_AT(v, struct lost_range, i) : NULL;

	return l && l->cpu == cpu && l->from_ns < to ? l : NULL;
}

/* ---- files ---- */

/* The run that `ns` lies in; -1 = none. One command runs at a time. */
static int run_index(const struct scan *s, uint64_t ns)
{
	uint32_t lo = 0, hi = s->runs_cnt;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (s->runs[mid].begin_ns <= ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && ns < s->runs[lo - 1].end_ns ? (int)lo - 1 : -1;
}

static void note_activity(struct scan *s, uint32_t tid, uint64_t begin, uint64_t end)
{
	int i = run_index(s, begin);
	struct activity *a;

	if (i < 0)
		return;
	a = scan__is_command(s, tid) ? &s->command_activity[i] : &s->vmm_activity[i];
	if (!a->first_ns || begin < a->first_ns)
		a->first_ns = begin;
	if (end > a->last_ns)
		a->last_ns = end;
}

static bool glob_matches(const char *glob, const char *path)
{
	const char *base = strrchr(path, '/');

	/* A pattern without a slash is one of names, as in a shell's `find -name`. */
	if (!strchr(glob, '/') && base)
		path = base + 1;
	return fnmatch(glob, path, 0) == 0;
}

static bool has_another(const struct scan *s, const struct open_file *f)
{
	for (size_t i = 0; i < vec__cnt(&s->open_files); i++) {
		const struct open_file *o = VEC_AT(&s->open_files, struct open_file, i);

		if (o != f && o->opening == f->opening)
			return true;
	}
	return false;
}

static void end_file(struct scan *s, uint32_t tgid, int32_t fd, uint32_t tid, uint64_t ns,
		     bool open)
{
	for (size_t i = 0; i < vec__cnt(&s->open_files); i++) {
		struct open_file *f = VEC_AT(&s->open_files, struct open_file, i);

		if (f->tgid != tgid || f->fd != fd)
			continue;
		note_activity(s, tid, f->begin_ns, ns);
		if (f->match && ns > f->begin_ns && !has_another(s, f))
			signals__add(s, SIGNAL_FILE,
				     &(struct signal){ .begin_ns = f->begin_ns,
						       .end_ns = ns,
						       .closer_tid = tid,
						       .tgid = tgid,
						       .open = open },
				     f->label);
		*f = *VEC_LAST(&s->open_files, struct open_file);
		s->open_files.end--;
		return;
	}
}

static void on_open(struct scan *s, const struct ev_open *ev)
{
	uint32_t tgid = scan__tgid(s, ev->h.tid);
	struct open_file *f;

	if (ev->fd < 0)
		return;
	end_file(s, tgid, ev->fd, ev->h.tid, ev->enter_ns, false); /* its close was not seen */
	if ((ev->oflags & O_ACCMODE) == O_RDONLY)
		return;
	note_activity(s, ev->h.tid, ev->enter_ns, ev->h.ts_ns);
	if (vec__cnt(&s->open_files) >= MAX_OPEN_FILES)
		return;
	f = VEC_PUSH(&s->open_files, struct open_file);
	if (!f) {
		s->no_memory = true;
		return;
	}
	f->tgid = tgid;
	f->tid = ev->h.tid;
	f->fd = ev->fd;
	f->opening = ++s->openings;
	f->begin_ns = ev->enter_ns;
	f->match = glob_matches(s->glob, ev->path);
	snprintf(f->label, sizeof(f->label), "%s",
		 strrchr(ev->path, '/') ? strrchr(ev->path, '/') + 1 : ev->path);
}

/* What the new descriptor led to before is closed by it. */
static void on_dup(struct scan *s, uint32_t tgid, const struct ev_syscall *ev)
{
	struct open_file *f, copy;

	if (ev->ret < 0 || ev->ret == ev->fd)
		return;
	end_file(s, tgid, (int32_t)ev->ret, ev->h.tid, ev->enter_ns, false);
	for (size_t i = 0; i < vec__cnt(&s->open_files); i++) {
		copy = *VEC_AT(&s->open_files, struct open_file, i);
		if (copy.tgid != tgid || copy.fd != ev->fd)
			continue;
		if (vec__cnt(&s->open_files) >= MAX_OPEN_FILES)
			return;
		copy.fd = (int32_t)ev->ret;
		f = VEC_PUSH(&s->open_files, struct open_file);
		if (f)
			*f = copy;
		else
			s->no_memory = true;
		return;
	}
}

/* A process that ends closes everything, by no call that is recorded. */
static void on_exit_thread(struct scan *s, const struct ev_task *ev)
{
	if (ev->tid != ev->tgid)
		return;
	for (size_t i = vec__cnt(&s->open_files); i > 0; i--) {
		const struct open_file *f = VEC_AT(&s->open_files, struct open_file, i - 1);

		if (f->tgid == ev->tgid)
			end_file(s, f->tgid, f->fd, ev->tid, ev->h.ts_ns, false);
	}
}

static void on_syscall(struct scan *s, const struct ev_syscall *ev)
{
	uint32_t tgid = scan__tgid(s, ev->h.tid);

	switch (ev->cls) {
	case FP_SYS_CLOSE:
		if (vec__cnt(&s->open_files))
			end_file(s, tgid, ev->fd, ev->h.tid, ev->h.ts_ns, false);
		break;
	case FP_SYS_DUP:
		if (vec__cnt(&s->open_files))
			on_dup(s, tgid, ev);
		break;
	case FP_SYS_WRITE:
	case FP_SYS_SEND:
		signals__reply(s, tgid, ev);
		break;
	case FP_SYS_FSYNC:
	case FP_SYS_FDATASYNC:
	case FP_SYS_FTRUNCATE:
	case FP_SYS_FALLOCATE:
		note_activity(s, ev->h.tid, ev->enter_ns, ev->h.ts_ns);
		break;
	default:
		break;
	}
}

/* ---- the pass ---- */

static int take(struct scan *s, const struct trace_event *e, struct stacks *stacks)
{
	const void *rec = e->hdr;

	switch (e->hdr->kind) {
	case EV_STACK:
		return stacks__add(stacks, rec);
	case EV_LOST: {
		const struct ev_lost *l = rec;

		add_lost(s, e->cpu, l->from_ns, l->h.ts_ns, l->records);
		break;
	}
	case EV_TASK: {
		const struct ev_task_state *t = rec;

		if (t->flags & FP_TASK_TARGET)
			set_target(s, t->h.tid, t->tgid, scan__is_command(s, t->tgid));
		break;
	}
	case EV_FORK:
		on_fork(s, rec);
		break;
	case EV_EXIT:
		on_exit_thread(s, rec);
		break;
	case EV_FUTEX:
		set_target(s, e->hdr->tid, 0, false);
		break;
	case EV_SYSCALL:
	case EV_SYSCALL_ARGS:
		set_target(s, e->hdr->tid, 0, false);
		on_syscall(s, rec);
		break;
	case EV_OPEN:
		set_target(s, e->hdr->tid, 0, false);
		on_open(s, rec);
		break;
	case EV_API:
		set_target(s, e->hdr->tid, 0, false);
		signals__request(s, scan__tgid(s, e->hdr->tid), rec);
		break;
	default:
		break;
	}
	return s->no_memory ? -ENOMEM : 0;
}

static int compare_runs(const void *a, const void *b)
{
	const struct rec_run *x = a, *y = b;

	return x->begin_ns < y->begin_ns ? -1 : x->begin_ns > y->begin_ns;
}

/* Runs may come in one chunk or in many. */
static int load_runs(struct scan *s, struct trace_reader *r)
{
	const struct rec_run *part;
	size_t size;

	for (uint32_t n = 0; (part = trace_reader__chunk(r, REC_RUNS, n, &size)); n++)
		for (size_t i = 0; i < size / sizeof(*part); i++) {
			struct rec_run *run = VEC_PUSH(&s->run_list, struct rec_run);

			if (!run)
				return -ENOMEM;
			*run = part[i];
		}
	s->runs_cnt = vec__cnt(&s->run_list);
	s->runs = s->runs_cnt ? VEC_AT(&s->run_list, struct rec_run, 0) : NULL;
	if (s->runs_cnt)
		qsort(VEC_AT(&s->run_list, struct rec_run, 0), s->runs_cnt, sizeof(*s->runs),
		      compare_runs);
	s->vmm_activity = calloc(s->runs_cnt + 1, sizeof(s->vmm_activity[0]));
	s->command_activity = calloc(s->runs_cnt + 1, sizeof(s->command_activity[0]));
	if (!s->vmm_activity || !s->command_activity)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->runs_cnt; i++)
		if (s->runs[i].pid > 0)
			set_target(s, s->runs[i].pid, s->runs[i].pid, true);
	return 0;
}

static void end_of_trace(struct scan *s)
{
	while (vec__cnt(&s->open_files)) {
		const struct open_file *f = VEC_LAST(&s->open_files, struct open_file);

		end_file(s, f->tgid, f->fd, f->tid, s->end_ns, true);
	}
}

int scan__trace(struct scan *s, struct trace_reader *r, struct stacks *stacks, const char *glob)
{
	const struct trace_info *info = trace_reader__info(r);
	struct trace_event ev;
	int err;

	memset(s, 0, sizeof(*s));
	s->glob = glob;
	s->start_ns = info->file->start_ns;
	err = load_runs(s, r);
	if (err)
		return log_err(err, "looking for windows");
	err = trace_reader__rewind(r, 0);
	if (err)
		return err;
	while ((err = trace_reader__next(r, &ev)) == 1) {
		if (ev.hdr->ts_ns > s->end_ns)
			s->end_ns = ev.hdr->ts_ns;
		err = take(s, &ev, stacks);
		if (err)
			return log_err(err, "looking for windows");
	}
	if (err < 0)
		return err;
	if (info->complete && info->end.end_ns > s->end_ns)
		s->end_ns = info->end.end_ns;
	end_of_trace(s);
	sort_losses(s, r);
	err = signals__finish(s, r);
	return s->no_memory ? log_err(-ENOMEM, "looking for windows") : err;
}

void scan__free(struct scan *s)
{
	struct scan_tid *t, *next;

	HASH_ITER (hh, s->tids, t, next) {
		HASH_DEL(s->tids, t);
		free(t);
	}
	vec__free(&s->lost);
	vec__free(&s->lost_cpu);
	for (int i = 0; i < SIGNALS; i++)
		vec__free(&s->signals[i]);
	vec__free(&s->open_files);
	vec__free(&s->run_list);
	vec__free(&s->pauses);
	free(s->vmm_activity);
	free(s->command_activity);
	memset(s, 0, sizeof(*s));
}
