// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "sample_findings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/flame.h"

#define MS	 1000000ull
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const char *const hostile_names[] = {
	"</script><script>alert(1)</script>",
	"\"><img src=x onerror=alert(1)>",
	"a;b;c",
	"two\nlines\tand\rmore",
	"not utf-8 \xff\xfe \xc3( \xed\xa0\x80 \xf8\x88",
	"]]><script>alert(1)</script><![CDATA[",
	"--><svg/onload=alert(1)>",
	"| cell | ` code ` **bold** @somebody #1 <details>",
	"control \x01\x02\x1b[31m \x7f",
	"turned \xe2\x80\xae around",
	"%s%n%d {{x}} ${x}",
	"' onmouseover='alert(1)",
	"",
};
const size_t hostile_names_cnt = COUNT(hostile_names);

/* The tests cannot go on without memory, and nothing is learnt from trying. */
static void must(int err)
{
	if (err) {
		fprintf(stderr, "sample_findings: out of memory\n");
		abort();
	}
}

static void *must_have(void *p)
{
	must(!p);
	return p;
}

const char *long_name(void)
{
	static char name[10001];

	memset(name, 'x', sizeof(name) - 1);
	return name;
}

struct part {
	const char *cause;
	double fast_ms, slow_ms;
};

/* Of the window and of the thread that closes it. */
static const struct part parts[] = {
	{ "io.throttle.wbt", 0.2, 3980.123457 },
	{ "jbd2.commit_wait", 1.1, 402.5 },
	{ "io.device_service", 9.7, 380.25 },
	{ "fs.copy", 2.3, 2.6 },
	{ "ext4.alloc", 0.9, 61.000001 },
	{ "cpu.runqueue.other", 0.15, 12.0 },
	{ "user.cpu", 1.0, 1.2 },
	{ "unknown.no_waker", 0.05, 35.7 },
};

static uint64_t part_ns(const struct part *p, const struct finding_window *w)
{
	double ms = w->slow ? p->slow_ms * (0.5 + (w->index * 7 % 5) * 0.12)
			    : p->fast_ms * (1 + w->index % 3 * 0.3);

	return (uint64_t)(ms * 1e6);
}

static void add_ledger(struct finding_window *w)
{
	for (size_t i = 0; i < COUNT(parts); i++) {
		struct finding_share *s = must_have(FINDING_APPEND(&w->ledger, &w->ledger_cnt));

		must(finding_set(&s->cause, parts[i].cause));
		s->ns = part_ns(&parts[i], w);
		s->carry_over_ns = w->slow && i == 0 ? s->ns / 2 : 0;
		w->duration_ns += s->ns;
	}
}

static struct finding_thread *add_thread(struct finding_window *w, uint32_t tid, const char *comm,
					 const char *role)
{
	struct finding_thread *t = must_have(FINDING_APPEND(&w->threads, &w->threads_cnt));

	t->tid = tid;
	t->tgid = 4242;
	t->wall_ns = w->duration_ns;
	must(finding_set(&t->comm, comm));
	must(finding_set(&t->role, role));
	return t;
}

static void add_blocked(struct finding_thread *t, const char *cause, uint64_t ns)
{
	struct finding_share *s = must_have(FINDING_APPEND(&t->blocked, &t->blocked_cnt));

	must(finding_set(&s->cause, cause));
	s->ns = ns;
}

static void add_threads(struct finding_window *w, const char *name)
{
	struct finding_thread *worker = add_thread(w, 4243, name, "worker");
	struct finding_thread *vcpu;
	uint64_t rest = w->duration_ns;

	worker->running_user_ns = part_ns(&parts[6], w);
	worker->running_kernel_ns = part_ns(&parts[3], w) + part_ns(&parts[4], w);
	worker->runnable_ns = part_ns(&parts[5], w);
	worker->unknown_ns = part_ns(&parts[7], w);
	for (size_t i = 0; i < 3; i++)
		add_blocked(worker, parts[i].cause, part_ns(&parts[i], w));
	add_blocked(worker, "unknown.no_waker", worker->unknown_ns);

	for (uint32_t i = 0; i < 2; i++) {
		vcpu = add_thread(w, 4250 + i, i ? "fc_vcpu 1" : "fc_vcpu 0", "vcpu");
		vcpu->passive = true;
		vcpu->running_kernel_ns = 20000 + i * 3000;
		add_blocked(vcpu, "futex.contended", rest - vcpu->running_kernel_ns);
	}
	w->closer_tid = 4243;
}

static void add_futex(struct finding_window *w, const char *name)
{
	struct finding_futex *x = must_have(FINDING_APPEND(&w->futexes, &w->futexes_cnt));

	x->uaddr = 0x7f12a0c04b18ull;
	x->tid = 4250;
	x->waits = 1;
	x->wait_ns = w->duration_ns - 20000;
	x->waker_tid = w->index % 2 ? 4243 : 0;
	must(finding_set(&x->mapping, "[heap]"));
	must(finding_set(&x->op, "WAIT_BITSET_PRIVATE"));
	must(finding_set(&x->comm, "fc_vcpu 0"));
	must(finding_set(&x->waker_comm, x->waker_tid ? name : ""));
	x->kind = "heap";
	x->class = x->waker_tid ? FUTEX_PASSIVE : FUTEX_INDEPENDENT;
}

static void add_sizes(struct finding_sizes **v, size_t *cnt, const char *op, uint64_t bytes,
		      uint64_t calls)
{
	struct finding_sizes *s = must_have(FINDING_APPEND(v, cnt));

	must(finding_set(&s->op, op));
	s->calls = calls;
	s->bytes = bytes * calls;
	s->buckets[size_bucket(bytes)] = calls;
}

static void add_state(struct finding_window *w, const char *frame, const char *cause, uint64_t ns)
{
	struct finding_state *s = must_have(FINDING_APPEND(&w->states, &w->states_cnt));

	must(finding_set(&s->frame, frame));
	must(finding_set(&s->cause, cause));
	s->ns = ns;
}

static void add_device(struct finding_latency **v, size_t *cnt, enum finding_regime regime,
		       const char *class, uint64_t ns)
{
	struct finding_latency *l = must_have(FINDING_APPEND(v, cnt));

	l->dev = 7u << 20 | 3;
	l->regime = regime;
	l->class = class;
	l->requests = 321;
	l->bytes = 321 << 19;
	l->buckets[10] = 321;
	l->p50_ns = ns;
	l->p90_ns = 2 * ns;
	l->p99_ns = 3 * ns;
	l->max_ns = 4 * ns;
}

static void add_window_tables(struct finding_window *w, const char *name)
{
	add_state(w, "futex_do_wait", "futex.wait", 2 * w->duration_ns);
	add_state(w, "rq_qos_wait", "io.throttle.wbt", w->duration_ns / 2);
	add_state(w, name, "", w->duration_ns - w->duration_ns / 2);
	add_sizes(&w->sizes, &w->sizes_cnt, "write", 4096, 100);
	add_sizes(&w->sizes, &w->sizes_cnt, "fsync", 400 << 10, 1);
	add_sizes(&w->files[0].sizes, &w->files[0].sizes_cnt, "write", 4096, 100);
	add_device(&w->devices, &w->devices_cnt, REGIME_ALL, "write", w->slow ? 88 * MS : MS / 3);
}

static void add_file(struct finding_window *w, const char *name)
{
	struct finding_file *x = must_have(FINDING_APPEND(&w->files, &w->files_cnt));

	must(finding_setf(&x->path, "/mnt/lab/snap-%u/%s", w->index, name));
	must(finding_set(&x->extents_why,
			 w->slow ? "undone by O_TRUNC at open"
				 : "not truncated since, 12.0 KiB allocated in the window"));
	must(finding_set(&x->preallocated.by, "branch <0>/671"));
	x->preallocated.at_ns = w->begin_ns - 40 * MS;
	x->preallocated_bytes = 256ull << 20;
	x->alloc_bytes = w->slow ? FINDING_BYTES_NONE : 12 << 10;
	if (w->slow) {
		must(finding_set(&x->undone.by, "branch <0>/672"));
		must(finding_set(&x->undone.how, "O_TRUNC at open"));
		must(finding_set(&x->written.by, "branch <0>/672"));
		must(finding_set(&x->written.how, "copy_file_range"));
		x->undone.at_ns = w->begin_ns - 20 * MS;
		x->written.at_ns = w->begin_ns - 19 * MS;
	}
	x->dev = 7u << 20 | 3;
	x->ino = 12 + w->index;
	x->open_flags = 0101;
	x->bytes_written = 400 << 10;
	x->fsync_ns = w->duration_ns / 10 * 9;
	x->alloc_ns = part_ns(&parts[4], w);
	x->extents = w->slow ? FINDING_EXTENTS_LOST : FINDING_EXTENTS_KEPT;
}

static void add_path(struct finding_window *w, const char *name)
{
	struct finding_blame *b = must_have(FINDING_APPEND(&w->blame, &w->blame_cnt));

	for (size_t i = 0; i < 3; i++) {
		struct finding_segment *s = must_have(FINDING_APPEND(&w->path, &w->path_cnt));

		must(finding_set(&s->cause, parts[i].cause));
		must(finding_setf(&s->actor, "%s/%u", name, 4243));
		must(finding_setf(&s->via, "%sipc.wait of %s/4250", i ? "" : "futex.wait of x/1 > ",
				  name));
		s->begin_ns = i ? s[-1].begin_ns + s[-1].ns : 0;
		s->ns = part_ns(&parts[i], w);
	}
	w->path_rest_cnt = 5;
	w->path_rest_ns = w->duration_ns - w->path[2].begin_ns - w->path[2].ns;
	must(finding_setf(&b->file, "/mnt/lab/snap-%u/%s", w->index - 1, name));
	must(finding_setf(&b->dirtied_by, "%s/99", name));
	b->ns = w->path[0].ns;
}

static void add_stack(struct flame *f, const char *name, const char *kernel, const char *cause,
		      enum flame_state state, uint64_t ns)
{
	const char *frames[24];
	char copy[512];
	size_t cnt = 0;

	frames[cnt++] = name;
	frames[cnt++] = "vmm::builder::save_snapshot";
	frames[cnt++] = "vmm::vstate::memory::dump_dirty";
	frames[cnt++] = "-";
	snprintf(copy, sizeof(copy), "%s", kernel);
	for (char *save, *s = strtok_r(copy, ";", &save); s; s = strtok_r(NULL, ";", &save))
		frames[cnt++] = s;
	if (cause)
		frames[cnt++] = cause;
	must(flame__add(f, frames, cnt, state, ns));
}

static struct flame *sample_flame(const char *name, bool slow)
{
	static const char fsync[] = "entry_SYSCALL_64_[k];do_syscall_64_[k];__x64_sys_fsync_[k];"
				    "do_fsync_[k];ext4_sync_file_[k]";
	struct flame *f = must_have(flame__new());
	uint64_t scale = slow ? 100 : 1;
	char stack[512];

	snprintf(stack, sizeof(stack),
		 "%s;ext4_do_writepages_[k];mpage_submit_folio_[k];"
		 "blk_mq_submit_bio_[k];__rq_qos_throttle_[k];wbt_wait_[k];"
		 "rq_qos_wait_[k];io_schedule_[k]",
		 fsync);
	add_stack(f, name, stack, "[io.throttle.wbt]", FLAME_BLOCKED, 38 * MS * scale);
	snprintf(stack, sizeof(stack), "%s;ext4_do_writepages_[k];ext4_mb_new_blocks_[k]", fsync);
	add_stack(f, name, stack, NULL, FLAME_RUN_KERNEL, MS / 2 * scale);
	snprintf(stack, sizeof(stack), "%s;jbd2_log_wait_commit_[k]", fsync);
	add_stack(f, name, stack, "[jbd2.commit_wait]", FLAME_BLOCKED, 4 * MS * scale);
	add_stack(f, name,
		  "entry_SYSCALL_64_[k];do_syscall_64_[k];__x64_sys_write_[k];"
		  "ext4_buffered_write_iter_[k];copy_page_from_iter_[k]",
		  NULL, FLAME_RUN_KERNEL, 6 * MS + 123);
	add_stack(f, name, "", NULL, FLAME_RUN_USER, 5 * MS + 877);
	add_stack(f, name, "", NULL, FLAME_RUNNABLE, 3 * MS);
	add_stack(f, name, "", "[unknown.no_waker]", FLAME_UNKNOWN, MS);
	add_stack(f, "fc_vcpu 0", "entry_SYSCALL_64_[k];__x64_sys_futex_[k];futex_do_wait_[k]",
		  "[futex.contended]", FLAME_BLOCKED, 50 * MS * scale);
	flame__finish(f);
	return f;
}

static void add_window(struct findings *f, uint32_t sweep, uint32_t index, bool slow,
		       const char *name)
{
	struct finding_window *w = must_have(FINDING_APPEND(&f->windows, &f->windows_cnt));

	w->index = index;
	w->sweep = sweep;
	w->slow = slow;
	w->begin_ns = (uint64_t)f->windows_cnt * 6000 * MS;
	must(finding_set(&w->detector, "api"));
	must(finding_set(&w->label, ""));
	add_ledger(w);
	w->reported_ns = index % 2 ? w->duration_ns + 12000 : FINDING_NS_NONE;
	add_threads(w, name);
	add_futex(w, name);
	add_file(w, name);
	add_path(w, name);
	add_window_tables(w, name);
}

static void fill_curve(struct findings *f, uint32_t sweeps, uint32_t windows, uint32_t step)
{
	struct finding_curve *c = &f->curve;

	c->verdict = step ? CURVE_STEPPED : CURVE_FLAT;
	c->at_window = step;
	c->ratio = step ? 187.4 : 1.02;
	c->ratio_lower95 = step ? 120.3 : 0.91;
	c->ratio_upper95 = step ? 240.8 : 1.13;
	c->p = step ? 0.0001 : 0.61;
	c->sweeps = sweeps;
	c->windows = windows;
	c->values_ms = must_have(calloc((size_t)sweeps * windows, sizeof(double)));
	for (size_t i = 0; i < f->windows_cnt; i++)
		c->values_ms[i] = (double)f->windows[i].duration_ns / 1e6;
	must(finding_set(&c->why, "late windows are slower in every sweep"));
}

static void add_fact(struct findings *f, const char *name, const char *value)
{
	struct finding_fact *x = must_have(FINDING_APPEND(&f->host, &f->host_cnt));

	must(finding_set(&x->name, name));
	must(finding_set(&x->value, value));
}

static void add_rejected(struct findings *f, const char *cause, const char *why)
{
	struct finding_rejected *x =
		must_have(FINDING_APPEND(&f->verdict.rejected, &f->verdict.rejected_cnt));

	must(finding_set(&x->cause, cause));
	must(finding_set(&x->why, why));
}

static void add_string(char ***v, size_t *cnt, const char *text)
{
	must(finding_set(must_have(FINDING_APPEND(v, cnt)), text));
}

static void fill_verdict(struct findings *f)
{
	struct finding_verdict *v = &f->verdict;

	must(finding_set(&v->cause, "io.throttle.wbt"));
	v->basis = VERDICT_GROWTH;
	v->share = 0.823;
	v->confidence = 0.95;
	must(finding_set(
		&v->text,
		"From window 6 on the fsync of the memory file waits in wbt_wait: the disk "
		"is still busy with what the copies of the windows before left dirty."));
	add_string(&v->evidence, &v->evidence_cnt,
		   "wbt_wait was on the stack in 3.2 s of 3.9 s per slow window, in 0.2 ms of a "
		   "fast one");
	add_string(&v->evidence, &v->evidence_cnt,
		   "1.9 s of it is writeback of files that window N-1 dirtied");
	add_rejected(f, "ext4.alloc",
		     "ext4_mb_new_blocks takes 61 ms of 4.9 s: 1.2 % of the growth");
	add_rejected(f, "futex.contended",
		     "the waiters were woken by the worker that is itself on the path: passive");
}

static void fill_advice(struct findings *f)
{
	struct finding_advice *a = must_have(FINDING_APPEND(&f->advice, &f->advice_cnt));

	must(finding_set(&a->mitigation, "memfd"));
	must(finding_set(&a->why, "nothing of the pause is left on the disk"));
	must(finding_set(&a->command, "flatpause fix apply --mitigation memfd /mnt/lab"));
	must(finding_set(&a->undo, "flatpause fix revert"));
}

static void add_round(struct findings *f, const char *round, const char *cause, bool agrees,
		      const char *row)
{
	struct finding_round *r = must_have(FINDING_APPEND(&f->rounds.list, &f->rounds.cnt));
	struct finding_round_row *x = must_have(FINDING_APPEND(&r->rows, &r->rows_cnt));

	must(finding_set(&r->name, round));
	must(finding_setf(&r->method, "how %s is done", round));
	must(finding_set(&r->cause, cause));
	must(finding_setf(&r->conclusion, "98 %% of the pause is %s",
			  cause[0] ? cause : "nothing"));
	must(finding_set(&r->why, "a sleep inside a call counts as nothing"));
	r->agrees = agrees;
	must(finding_set(&x->name, row));
	must(finding_set(&x->note, "wall 3.9 s"));
	x->count = 12;
	x->ns = 6 * MS;
}

static void fill_tables(struct findings *f, bool step, const char *name)
{
	add_sizes(&f->sizes, &f->sizes_cnt, "copy_file_range", 256 << 20, 10);
	add_device(&f->devices, &f->devices_cnt, step ? REGIME_SLOW : REGIME_ALL, "write", 88 * MS);
	if (step)
		add_device(&f->devices, &f->devices_cnt, REGIME_FAST, "write", MS / 3);
	f->rounds.regime = step ? REGIME_SLOW : REGIME_ALL;
	f->rounds.windows = f->windows_cnt;
	f->rounds.window_ns = 4900 * MS;
	f->rounds.tgid = 4242;
	must(finding_set(&f->rounds.comm, name));
	add_round(f, "syscall summary", "user.cpu", false, "fsync");
	add_round(f, "stack poll", "futex.contended", false, name);
	add_round(f, "futex waits", "futex.contended", false, "0x7f12a0c04b18");
	add_round(f, "CPU samples", "", false, name);
	add_round(f, "ledger", step ? "io.throttle.wbt" : "none", true, "io.throttle.wbt");
}

static void fill_hooks(struct findings *f, const char *name)
{
	struct finding_hook *h = must_have(FINDING_APPEND(&f->hooks, &f->hooks_cnt));
	struct finding_cause *c = must_have(FINDING_APPEND(&f->causes, &f->causes_cnt));

	must(finding_set(&h->probe, "wbt"));
	must(finding_set(&h->hook, "blocked kernel stack at sched_switch"));
	must(finding_set(&h->rung, "3 of 3"));
	must(finding_set(&h->lost, "waits shorter than --min-sleep"));
	must(finding_set(&c->id, "io.throttle.wbt"));
	must(finding_set(&c->title, "writeback throttling (wbt)"));
	must(finding_set(&c->group, "io"));
	add_fact(f, "kernel", "6.18.44");
	add_fact(f, "disk.wbt_lat_usec", "75000");
	add_fact(f, "mount.options", name);
}

struct findings *empty_findings(void)
{
	return must_have(findings__new());
}

struct findings *sample_findings(uint32_t sweeps, uint32_t windows, uint32_t step, const char *name)
{
	struct findings *f = empty_findings();

	must(finding_set(&f->tool_version, "0.1.0"));
	must(finding_setf(&f->source, "%s.fpt", name));
	for (uint32_t s = 1; s <= sweeps; s++)
		for (uint32_t w = 1; w <= windows; w++)
			add_window(f, s, w, step && w >= step, name);
	f->loss = (struct finding_loss){ .recorded = 123456, .complete = true };
	fill_curve(f, sweeps, windows, step);
	if (step)
		fill_verdict(f);
	else
		must(finding_set(&f->verdict.cause, "none"));
	if (step)
		fill_advice(f);
	fill_hooks(f, name);
	fill_tables(f, step, name);
	if (step)
		f->flame_slow = sample_flame(name, true);
	f->flame_fast = sample_flame(name, false);
	return f;
}

static struct arm *add_arm(struct comparison *c, const char *label, enum arm_kind kind,
			   uint32_t step, const char *name)
{
	struct arm *a = must_have(FINDING_APPEND(&c->arms, &c->arms_cnt));

	must(finding_set(&a->label, label));
	must(finding_set(&a->text, kind == ARM_MITIGATED ? "compared over windows 6 to 10" : ""));
	a->kind = kind;
	a->findings = sample_findings(1, 10, step, name);
	a->curve = a->findings->curve;
	a->curve.why = NULL;
	must(finding_set(&a->curve.why, a->findings->curve.why));
	a->curve.values_ms = must_have(calloc(10, sizeof(double)));
	for (size_t i = 0; i < 10; i++)
		a->curve.values_ms[i] = a->findings->curve.values_ms[i] *
					(kind == ARM_CONTROL ? 0.8 + i % 4 * 0.05 : 1);
	return a;
}

static void add_scenario(struct report *r, const char *scenario, uint32_t step, const char *name)
{
	struct comparison *c = must_have(FINDING_APPEND(&r->comparisons, &r->comparisons_cnt));
	struct arm *a;

	must(finding_set(&c->name, scenario));
	must(finding_set(&c->kept, "memfd"));
	must(finding_set(&c->text, "Nine of ten parts of the pause were waiting for the disk; with "
				   "memfd the curve is flat and as low as on tmpfs."));
	c->outcome = CURVE_FLATTENED;
	add_arm(c, "before", ARM_BEFORE, step, name);
	a = add_arm(c, "fallocate", ARM_MITIGATED, step + 2, name);
	a->ratio_to_before = 1.04;
	a->ratio_to_control = 177;
	a->outcome = CURVE_NOT_FLATTENED;
	a = add_arm(c, "memfd", ARM_MITIGATED, 0, name);
	a->ratio_to_before = 181;
	a->ratio_to_control = 1.12;
	a->outcome = CURVE_FLATTENED;
	add_arm(c, "control", ARM_CONTROL, 0, name);
}

struct report *sample_report(const char *name)
{
	struct report *r = must_have(calloc(1, sizeof(*r)));

	must(finding_set(&r->title, "Why the pauses grow, and what makes them flat"));
	add_scenario(r, "backlog", 6, name);
	add_scenario(r, "full", 3, name);
	add_scenario(r, "aged", 2, name);
	return r;
}

struct report *report_of(struct findings *f)
{
	struct report *r = must_have(calloc(1, sizeof(*r)));
	struct comparison *c = must_have(FINDING_APPEND(&r->comparisons, &r->comparisons_cnt));
	struct arm *a = must_have(FINDING_APPEND(&c->arms, &c->arms_cnt));
	size_t cnt = (size_t)f->curve.sweeps * f->curve.windows;

	must(finding_set(&r->title, f->source));
	must(finding_set(&c->name, f->source));
	must(finding_set(&c->kept, ""));
	must(finding_set(&c->text, ""));
	must(finding_set(&a->label, "before"));
	must(finding_set(&a->text, ""));
	a->findings = f;
	a->curve = f->curve;
	a->curve.why = NULL;
	must(finding_set(&a->curve.why, f->curve.why));
	a->curve.values_ms = NULL;
	if (f->curve.values_ms) {
		a->curve.values_ms = must_have(calloc(cnt + 1, sizeof(double)));
		memcpy(a->curve.values_ms, f->curve.values_ms, cnt * sizeof(double));
	}
	return r;
}
