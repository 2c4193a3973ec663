// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The line from a trace to findings. The first pass finds the windows, the second keeps what lies
 * in the window at hand and frees it when that is done.
 */
#include "analyze.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <utlist.h>

#include "../cli/params.h"
#include "../log.h"
#include "analysis.h"
#include "critical_path.h"
#include "curve.h"
#include "files.h"
#include "flames.h"
#include "io_sizes.h"
#include "rounds.h"
#include "verdict.h"

/* How long a window waits for sleeps and syscalls that straddle its end. */
#define SETTLE_NS   10000000ull
#define GRACE_NS    2000000000ull
#define CHECK_EVERY 512

/* Samples against time on the CPU: from how many on, and how far apart is too far */
#define SAMPLES_MIN  100
#define SAMPLES_LOW  0.7
#define SAMPLES_HIGH 1.4

/* ---- windows of the second pass ---- */

static int add_finding(struct analysis *a, const struct window *w, const char *spec)
{
	struct finding_window *fw = FINDING_APPEND(&a->f->windows, &a->f->windows_cnt);
	bool file = w->kind == SIGNAL_FILE;

	if (!fw || finding_set(&fw->label, w->label) ||
	    finding_set(&fw->detector,
			file && !strncmp(spec, "file:", 5) ? spec : signal_name(w->kind)))
		return -ENOMEM;
	fw->index = w->index;
	fw->sweep = w->sweep;
	fw->begin_ns = w->begin_ns;
	fw->duration_ns = w->end_ns - w->begin_ns;
	fw->reported_ns = w->reported_ns;
	fw->open = w->open;
	return 0;
}

static int prepare_windows(struct analysis *a, const char *spec)
{
	for (size_t i = 0; i < vec__cnt(&a->windows); i++) {
		if (add_finding(a, WINDOW(a, i), spec) || !VEC_PUSH(&a->evidence, struct evidence))
			return -ENOMEM;
		if (!VEC_PUSH(&a->requests, struct vec) || rounds__add_window(a))
			return -ENOMEM;
		if (a->want_flames && !VEC_PUSH(&a->flames, struct window_flame))
			return -ENOMEM;
	}
	return 0;
}

/* Everything before this is of no interest to any window that is to come. */
static uint64_t horizon(const struct analysis *a)
{
	uint64_t ns = UINT64_MAX;

	if (a->next_window < vec__cnt(&a->windows))
		ns = WINDOW(a, a->next_window)->begin_ns;
	for (size_t i = 0; i < vec__cnt(&a->pending); i++) {
		uint64_t begin = WINDOW(a, VEC_AT(&a->pending, struct pending, i)->index)->begin_ns;

		ns = begin < ns ? begin : ns;
	}
	return ns;
}

static int open_windows(struct analysis *a, uint64_t now_ns)
{
	while (a->next_window < vec__cnt(&a->windows) &&
	       WINDOW(a, a->next_window)->begin_ns <= now_ns) {
		struct pending *p = VEC_PUSH(&a->pending, struct pending);

		if (!p)
			return -ENOMEM;
		p->index = a->next_window++;
		devices__backlog(&a->devices, now_ns, &p->backlog);
	}
	return 0;
}

/* Every thread has moved on since its end: nothing that lies across it is still open. */
static bool settled(const struct analysis *a, const struct window *w)
{
	const struct thread *t;

	if (a->tl.now_ns < w->end_ns + SETTLE_NS)
		return false;
	if (a->tl.now_ns > w->end_ns + GRACE_NS + 2 * (w->end_ns - w->begin_ns))
		return true;
	DL_FOREACH (a->tl.threads, t) {
		if (t->target && t->dead_ns == UINT64_MAX && t->since_ns < w->end_ns &&
		    !(t->kind == SEG_BLOCKED && t->kstack != STACK_NONE))
			return false;
	}
	return true;
}

static int window_devices(const struct finding_window *fw, uint32_t *devs, int max)
{
	int cnt = 0;

	for (size_t i = 0; i < fw->files_cnt && cnt < max; i++) {
		const struct finding_file *x = &fw->files[i];

		/* A file that is only read is no backlog's. */
		if (x->bytes_written || x->fsync_ns || x->alloc_ns || (x->open_flags & O_ACCMODE))
			devs[cnt++] = x->dev;
	}
	return cnt;
}

static int explain_window(struct analysis *a, struct pending *p)
{
	const struct window *w = WINDOW(a, p->index);
	struct evidence *e = EVIDENCE(a, p->index);
	uint32_t devs[DEVICES_MAX];
	struct path path = { 0 };
	struct carry carry;
	int err, cnt;

	err = files__window(a, p);
	if (err)
		return err;
	cnt = window_devices(&a->f->windows[p->index], devs, DEVICES_MAX);
	err = carry__new(&carry, &a->devices, &p->backlog, w->begin_ns, w->end_ns, devs, cnt);
	if (!err)
		err = ledger__window(a, p->index, &carry, &path);
	if (!err)
		err = partition__window(a, p->index);
	if (!err)
		err = passive__mark(a, p->index, &path);
	if (!err)
		err = futexes__window(a, p->index, &path);
	if (!err)
		err = latencies__window(a, p->index);
	if (!err)
		err = rounds__window(a, p->index, &path);
	if (!err && a->want_flames)
		err = flames__window(a, p->index);
	e->journal = path.journal;
	path.journal = (struct tally){ 0 };
	e->carry_dev = carry.dev;
	e->carry_bytes = carry.backlog_bytes;
	e->old_bytes = carry.old_bytes;
	carry__free(&carry);
	path__free_inside(&path);
	return err;
}

static int close_windows(struct analysis *a, bool all)
{
	for (size_t i = 0; i < vec__cnt(&a->pending);) {
		struct pending *p = VEC_AT(&a->pending, struct pending, i);
		int err;

		if (!all && !settled(a, WINDOW(a, p->index))) {
			i++;
			continue;
		}
		err = explain_window(a, p);
		if (err)
			return log_err(err, "window %u", WINDOW(a, p->index)->index);
		*p = *VEC_LAST(&a->pending, struct pending);
		a->pending.end--;
	}
	if (horizon(a) > a->tl.keep_ns) {
		timeline__trim(&a->tl, horizon(a));
		devices__trim(&a->devices, horizon(a));
	}
	return 0;
}

/* ---- the second pass ---- */

/* Kernel threads mark an inode dirty when they write it back, for its extents: not for their data. */
static void note_dirtier(struct analysis *a, const struct ev_point *p)
{
	const struct thread *t = timeline__thread(&a->tl, p->h.tid);
	struct dirtier by = dirtier_of(t, p->h.tid);

	if (!t || !t->kthread)
		dirtiers__note(&a->dirtiers, p->dev, p->id, &by, p->h.ts_ns, true);
}

/* A bio knows the inode that its submitter is writing back. */
static void take_io(struct analysis *a, const struct trace_event *ev)
{
	const struct ev_point *p = (const void *)ev->hdr;
	struct inode_mark inode = { 0 };
	const struct thread *t;

	if (ev->hdr->kind == EV_POINT && p->op == FP_POINT_INODE_DIRTY)
		note_dirtier(a, p);
	if (ev->hdr->kind == EV_BIO) {
		t = timeline__thread(&a->tl, ev->hdr->tid);
		if (t && t->work)
			inode = thread__inode_at(t, ev->hdr->ts_ns);
	}
	devices__event(&a->devices, ev, a->tl.keep_ns, &inode);
}

static int take(struct analysis *a, const struct trace_event *ev)
{
	int err = open_windows(a, ev->hdr->ts_ns);

	if (err)
		return err;
	timeline__event(&a->tl, ev);
	take_io(a, ev);
	files__event(a, ev);
	if (ev->hdr->kind >= EV_SAMPLE && vec__cnt(&a->pending))
		evidence__event(a, ev);
	return a->tl.no_memory || a->devices.no_memory ? -ENOMEM : 0;
}

static int second_pass(struct analysis *a)
{
	struct trace_event ev;
	uint32_t n = 0;
	int err = trace_reader__rewind(a->r, 0);

	if (err)
		return err;
	timeline__init(&a->tl, &a->scan, a->stacks, a->scan.start_ns);
	a->tl.on_fixup = partition__fixup;
	a->tl.ctx = a;
	a->tl.keep_ns = horizon(a);
	while ((err = trace_reader__next(a->r, &ev)) == 1) {
		err = take(a, &ev);
		if (!err && ++n % CHECK_EVERY == 0)
			err = close_windows(a, false);
		if (err)
			return log_err(err, "reading the trace");
	}
	if (err < 0)
		return err;
	a->tl.now_ns = a->scan.end_ns;
	/* Those too that begin behind the last record that was saved: runs and marks are told apart. */
	err = open_windows(a, UINT64_MAX);
	return err ? err : close_windows(a, true);
}

/* ---- what stands around the windows ---- */

static int compare_threads(const void *x, const void *y)
{
	const struct finding_thread *a = x, *b = y;

	if (a->tgid != b->tgid)
		return a->tgid < b->tgid ? -1 : 1;
	return a->tid < b->tid ? -1 : a->tid > b->tid;
}

static void sort_threads(struct findings *f)
{
	for (size_t w = 0; w < f->windows_cnt; w++)
		if (f->windows[w].threads_cnt)
			qsort(f->windows[w].threads, f->windows[w].threads_cnt,
			      sizeof(f->windows[w].threads[0]), compare_threads);
}

static int add_cause(struct findings *f, const char *id)
{
	const struct cause *known = probes__cause(id);
	struct finding_cause *c;

	for (size_t i = 0; i < f->causes_cnt; i++)
		if (!strcmp(f->causes[i].id, id))
			return 0;
	c = FINDING_APPEND(&f->causes, &f->causes_cnt);
	if (!c || finding_set(&c->id, id) || finding_set(&c->title, known ? known->title : id) ||
	    finding_set(&c->group, known ? known->group : "unknown"))
		return -ENOMEM;
	return 0;
}

static int list_causes(struct findings *f)
{
	for (size_t w = 0; w < f->windows_cnt; w++) {
		const struct finding_window *fw = &f->windows[w];

		for (size_t i = 0; i < fw->ledger_cnt; i++)
			if (add_cause(f, fw->ledger[i].cause))
				return -ENOMEM;
		for (size_t t = 0; t < fw->threads_cnt; t++)
			for (size_t i = 0; i < fw->threads[t].blocked_cnt; i++)
				if (add_cause(f, fw->threads[t].blocked[i].cause))
					return -ENOMEM;
	}
	return 0;
}

/* What switches that the kernel did not report mean for the numbers. */
static int warn_of_missed(struct analysis *a)
{
	uint64_t ledger_ns = 0, threads_ns = 0;
	char ledger[32], threads[32];

	for (size_t w = 0; w < a->f->windows_cnt; w++) {
		const struct finding_window *fw = &a->f->windows[w];

		ledger_ns += shares__find(fw->ledger, fw->ledger_cnt, "unknown.missed_switch");
		for (size_t t = 0; t < fw->threads_cnt; t++)
			threads_ns += shares__find(fw->threads[t].blocked,
						   fw->threads[t].blocked_cnt,
						   "unknown.missed_switch");
	}
	return add_warning(a->f,
			   "%llu context switch%s of targets not reported by the kernel: %s of all "
			   "ledgers, %s of all threads' time in the windows is unknown for that",
			   (unsigned long long)a->tl.missed, a->tl.missed == 1 ? "" : "es",
			   format_ns(ledger_ns, ledger, sizeof(ledger)),
			   format_ns(threads_ns, threads, sizeof(threads)));
}

/*
 * As many samples must have hit the targets as their time on the CPU has ticks: a clock that stands
 * still on some CPUs names the wrong code, and a sum cannot show it.
 */
static int warn_of_samples(struct analysis *a)
{
	double expected = 0, seen = 0;

	for (size_t i = 0; i < vec__cnt(&a->windows); i++) {
		expected += EVIDENCE(a, i)->running_ns * a->sample_hz / 1e9;
		seen += EVIDENCE(a, i)->samples;
	}
	if (expected < SAMPLES_MIN ||
	    (seen >= expected * SAMPLES_LOW && seen <= expected * SAMPLES_HIGH))
		return 0;
	return add_warning(a->f,
			   "%.0f samples hit the targets in the windows, where their time on the "
			   "CPU has %.0f ticks: what they ran is not surely known",
			   seen, expected);
}

static int note_loss(struct analysis *a)
{
	const struct trace_info *info = trace_reader__info(a->r);
	struct findings *f = a->f;
	size_t size;
	int err = 0;

	f->loss.events = a->scan.lost_records;
	f->loss.recorded = info->events_cnt;
	f->loss.complete = info->complete;
	f->loss.bad_chunks = info->bad_chunks;
	if (!info->complete)
		err = add_warning(f, "INCOMPLETE trace: %llu of %llu bytes are whole",
				  (unsigned long long)info->bytes_used,
				  (unsigned long long)info->bytes);
	if (!err && !trace_reader__chunk(a->r, REC_KSYMS, 0, &size))
		err = add_warning(f, "the trace has no kernel symbols: causes are named from "
				     "tracepoints and syscalls alone");
	if (!err && info->bad_chunks)
		err = add_warning(f, "%u damaged chunks of the trace were skipped",
				  info->bad_chunks);
	if (!err && trace_reader__bad_records(a->r))
		err = add_warning(f, "%llu damaged records were skipped",
				  (unsigned long long)trace_reader__bad_records(a->r));
	if (!err && a->tl.missed)
		err = warn_of_missed(a);
	if (!err)
		err = warn_of_samples(a);
	if (!err && a->tl.repaired)
		err = add_warning(f, "%llu record%s ran backwards within their thread: repaired",
				  (unsigned long long)a->tl.repaired,
				  a->tl.repaired == 1 ? "" : "s");
	return err;
}

static double lost_percent(const struct finding_loss *l)
{
	return l->events ? 100.0 * l->events / (l->events + (double)l->recorded) : 0;
}

static int say_lost(struct findings *f)
{
	struct finding_verdict *v = &f->verdict;

	v->incomplete = true;
	log_err(0,
		"%.2f %% of the records were lost: no verdict; record with a larger --ring, or "
		"judge it with a larger --max-loss",
		lost_percent(&f->loss));
	if (finding_set(&v->cause, "unknown.lost") ||
	    finding_setf(&v->text,
			 "Too much was lost for a verdict: %llu of %llu records (%.2f %%).",
			 (unsigned long long)f->loss.events,
			 (unsigned long long)(f->loss.events + f->loss.recorded),
			 lost_percent(&f->loss)))
		return -ENOMEM;
	return -EOVERFLOW;
}

/* ---- the line ---- */

static const char *recorded_spec(struct trace_reader *r, char *buf, size_t size)
{
	size_t len;
	const char *text = trace_reader__chunk(r, REC_META, 0, &len);
	json_t *meta = text ? json_loadb(text, strnlen(text, len), 0, NULL) : NULL;
	const char *spec = json_string_value(json_object_get(meta, "window"));

	snprintf(buf, size, "%s", spec && spec[0] ? spec : "auto");
	json_decref(meta);
	return buf;
}

static int open_trace(struct analysis *a, const char *path)
{
	int err = trace_reader__open(&a->r, path);

	if (!err)
		err = symbols__load(&a->symbols, a->r);
	if (!err)
		err = stacks__new(&a->stacks, a->symbols);
	if (!err)
		err = files__new(&a->files);
	a->f = err ? NULL : findings__new();
	if (err)
		return err;
	return a->f ? finding_set(&a->f->source, path) : log_err(-ENOMEM, "%s", path);
}

static int analyze(struct analysis *a, const char *spec)
{
	const char *glob;
	int err = windows__glob(spec, &glob);

	if (!err)
		err = meta__load(a);
	if (!err)
		err = scan__trace(&a->scan, a->r, a->stacks, glob);
	if (!err)
		err = windows__find(&a->scan, spec, a->f, &a->windows);
	if (!err)
		err = prepare_windows(a, spec);
	return err ? err : second_pass(a);
}

static int conclude(struct analysis *a, const struct analyze_opts *opts,
		    const struct findings *baseline)
{
	int err = note_loss(a), lost = 0;

	sort_threads(a->f);
	if (!err)
		err = blind__warn(a);
	if (!err)
		err = verdict__curve(a);
	if (!err)
		err = io_sizes__write(&a->sizes, &a->f->sizes, &a->f->sizes_cnt);
	if (!err)
		err = latencies__finish(a);
	if (!err && lost_percent(&a->f->loss) > opts->max_loss_percent)
		lost = say_lost(a->f);
	if (!err && !lost)
		err = verdict__judge(a, baseline);
	if (!err && !lost)
		err = advise__verdict(a->f);
	if (!err)
		err = rounds__conclude(a);
	if (!err)
		err = list_causes(a->f);
	if (!err && a->want_flames)
		err = flames__finish(a);
	return err ? log_err(err, "findings") : lost;
}

static void free_analysis(struct analysis *a)
{
	while (vec__cnt(&a->pending)) {
		files__drop(VEC_LAST(&a->pending, struct pending));
		a->pending.end--;
	}
	vec__free(&a->pending);
	vec__free(&a->sizes);
	vec__free(&a->states);
	latencies__free(a);
	rounds__free(a);
	flames__free(a);
	timeline__free(&a->tl);
	devices__free(&a->devices);
	dirtiers__free(&a->dirtiers);
	files__free(a->files);
	scan__free(&a->scan);
	stacks__free(a->stacks);
	symbols__free(a->symbols);
	vec__free(&a->windows);
	for (size_t i = 0; i < vec__cnt(&a->evidence); i++)
		tally__free(&EVIDENCE(a, i)->journal);
	vec__free(&a->evidence);
	trace_reader__close(a->r);
	findings__free(a->f);
}

/* The windows of another recording, found in the same way. */
static int read_baseline(const struct analyze_opts *opts, struct findings **out)
{
	struct analyze_opts how = *opts;
	int err;

	*out = NULL;
	if (!opts->baseline)
		return 0;
	how.baseline = NULL;
	how.flames = false;
	err = analyze__trace(opts->baseline, &how, out);
	if (err)
		log_err(0, "%s cannot be the baseline", opts->baseline);
	return err == -EOVERFLOW ? -EINVAL : err;
}

int analyze__trace(const char *path, const struct analyze_opts *opts, struct findings **out)
{
	struct analysis a = { .want_flames = opts->flames };
	struct findings *baseline;
	char spec[512];
	int err = read_baseline(opts, &baseline);

	*out = NULL;
	if (!err)
		err = open_trace(&a, path);
	if (!err)
		err = analyze(&a,
			      opts->window ? opts->window : recorded_spec(a.r, spec, sizeof(spec)));
	if (!err)
		err = conclude(&a, opts, baseline);
	if (!err || err == -EOVERFLOW) {
		*out = a.f;
		a.f = NULL;
	}
	free_analysis(&a);
	findings__free(baseline);
	return err;
}
