// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "trace_builder_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- lists and errors ---- */

void *list__add(struct trace_builder *b, struct list *l, size_t item_size)
{
	void *grown = realloc(l->items, (l->cnt + 1) * item_size);

	if (!grown) {
		b->err = -ENOMEM;
		return NULL;
	}
	l->items = grown;
	l->item_size = item_size;
	return memset((char *)grown + l->cnt++ * item_size, 0, item_size);
}

void keep_err(struct trace_builder *b, int err)
{
	if (err && !b->err)
		b->err = err;
}

void emit(struct trace_builder *b, const struct ev_hdr *h)
{
	if (!b->err)
		keep_err(b, trace_writer__event(b->w, b->cpu, h, h->size));
}

struct ev_hdr hdr(const struct trace_builder *b, enum ev_kind kind, uint32_t tid, size_t size)
{
	return (struct ev_hdr){ b->now_ns, tid, (uint16_t)size, (uint8_t)kind, EV_CTX_TASK };
}

static void copy_comm(char *to, const char *comm)
{
	snprintf(to, FP_COMM_LEN, "%s", comm);
}

/* ---- life ---- */

static struct trace_builder *open_builder(const char *path, uint32_t cpus_cnt, bool compress)
{
	const struct trace_writer_opts opts = {
		.compress = compress,
		.cpus_cnt = cpus_cnt,
		.start_ns = TB_START_NS,
		.start_real_ns = TB_START_REAL_NS,
	};
	struct trace_builder *b = calloc(1, sizeof(*b));
	const char *dir = getenv("TMPDIR");

	if (!b)
		return NULL;
	b->now_ns = TB_START_NS;
	b->own_path = !path;
	if (path) {
		snprintf(b->path, sizeof(b->path), "%s", path);
	} else {
		int fd;

		snprintf(b->path, sizeof(b->path), "%s/flatpause-XXXXXX", dir ? dir : "/tmp");
		fd = mkstemp(b->path);
		if (fd < 0) {
			free(b);
			return NULL;
		}
		close(fd);
		unlink(b->path); /* the writer insists on making it itself */
	}
	if (trace_writer__open(&b->w, b->path, &opts)) {
		free(b);
		return NULL;
	}
	return b;
}

struct trace_builder *tb__open(const char *path, uint32_t cpus_cnt)
{
	return open_builder(path, cpus_cnt, false);
}

struct trace_builder *tb__open_compressed(const char *path, uint32_t cpus_cnt)
{
	return open_builder(path, cpus_cnt, true);
}

const char *tb__path(const struct trace_builder *b)
{
	return b->path;
}

void tb__free(struct trace_builder *b)
{
	if (!b)
		return;
	trace_writer__abandon(b->w);
	if (b->own_path)
		unlink(b->path);
	free(b->meta);
	free(b->cost);
	free(b->syms.items);
	free(b->stacks.items);
	free(b->maps.items);
	free(b->fds.items);
	free(b->regions.items);
	free(b->runs.items);
	free(b->marks.items);
	free(b->losses.items);
	free(b);
}

/* ---- the cursor ---- */

uint64_t tb_abs(const struct trace_builder *b, uint64_t ns)
{
	return TB_START_NS + ns;
}

void tb_at(struct trace_builder *b, uint64_t ns)
{
	b->now_ns = tb_abs(b, ns);
}

void tb_pass(struct trace_builder *b, uint64_t ns)
{
	b->now_ns += ns;
}

void tb_cpu(struct trace_builder *b, uint32_t cpu)
{
	b->cpu = cpu;
}

uint64_t tb_now(const struct trace_builder *b)
{
	return b->now_ns - TB_START_NS;
}

/* ---- stacks ---- */

static uint64_t sym_addr(struct trace_builder *b, uint32_t tgid, const char *name, size_t len)
{
	struct sym *s = b->syms.items;

	for (size_t i = 0; i < b->syms.cnt; i++)
		if (s[i].tgid == tgid && strlen(s[i].name) == len && !memcmp(s[i].name, name, len))
			return s[i].addr;
	s = list__add(b, &b->syms, sizeof(*s));
	if (!s)
		return 0;
	s->tgid = tgid;
	s->addr = (tgid ? TB_USER_BASE : TB_KERNEL_BASE) + b->syms.cnt * TB_FUNC_BYTES;
	snprintf(s->name, sizeof(s->name), "%.*s", (int)len, name);
	return s->addr;
}

static bool seen_stack(struct trace_builder *b, uint64_t id)
{
	uint64_t *ids = b->stacks.items;

	for (size_t i = 0; i < b->stacks.cnt; i++)
		if (ids[i] == id)
			return true;
	ids = list__add(b, &b->stacks, sizeof(*ids));
	if (ids)
		*ids = id;
	return false;
}

static uint64_t hash_frames(uint32_t tgid, const uint64_t *frames, size_t cnt)
{
	uint64_t h = 0xcbf29ce484222325ull ^ tgid;

	for (size_t i = 0; i < cnt; i++)
		h = (h ^ frames[i]) * 0x100000001b3ull;
	return h ? h : 1;
}

static uint64_t add_stack(struct trace_builder *b, uint32_t tgid, const char *names)
{
	union {
		struct ev_stack ev;
		uint64_t room[sizeof(struct ev_stack) / 8 + FP_MAX_FRAMES];
	} u = { .ev = { .tgid = tgid } };
	uint64_t *frames = u.room + sizeof(struct ev_stack) / 8;
	size_t cnt = 0;

	if (!names || !*names)
		return 0;
	while (*names && cnt < FP_MAX_FRAMES) {
		size_t len = strcspn(names, ";");

		/* A return address points behind the call, never at a function's first byte. */
		frames[cnt++] = sym_addr(b, tgid, names, len) + 0x42;
		names += len + (names[len] == ';');
	}
	u.ev.id = hash_frames(tgid, frames, cnt);
	u.ev.frames_cnt = (uint16_t)cnt;
	u.ev.h = hdr(b, EV_STACK, 0, sizeof(u.ev) + cnt * 8);
	if (!seen_stack(b, u.ev.id))
		emit(b, &u.ev.h);
	return u.ev.id;
}

uint64_t tb_func(struct trace_builder *b, const char *name)
{
	return sym_addr(b, 0, name, strlen(name));
}

uint64_t tb_kstack(struct trace_builder *b, const char *names)
{
	return add_stack(b, 0, names);
}

uint64_t tb_ustack(struct trace_builder *b, uint32_t tgid, const char *names)
{
	return add_stack(b, tgid, names);
}

void tb_sleep_ustack(struct trace_builder *b, uint32_t tid, uint64_t sleep_ns, uint32_t tgid,
		     const char *names)
{
	struct ev_sleep_ustack e = { hdr(b, EV_SLEEP_USTACK, tid, sizeof(e)), tb_abs(b, sleep_ns),
				     tb_ustack(b, tgid, names) };

	emit(b, &e.h);
}

void tb_sample(struct trace_builder *b, uint32_t tid, uint32_t tgid, const char *kstack,
	       const char *ustack)
{
	struct ev_sample e = { hdr(b, EV_SAMPLE, tid, sizeof(e)), tb_kstack(b, kstack),
			       tb_ustack(b, tgid, ustack) };

	emit(b, &e.h);
}

/* ---- threads ---- */

void tb_sleeper(struct trace_builder *b, uint32_t tid, uint32_t tgid, const char *comm,
		uint16_t flags, uint16_t state, const char *kstack)
{
	struct ev_task_state e = { .h = hdr(b, EV_TASK, tid, sizeof(e)),
				   .kstack_id = tb_kstack(b, kstack),
				   .tgid = tgid,
				   .state = state,
				   .flags = flags };

	copy_comm(e.comm, comm);
	emit(b, &e.h);
}

void tb_thread(struct trace_builder *b, uint32_t tid, uint32_t tgid, const char *comm,
	       uint16_t flags)
{
	tb_sleeper(b, tid, tgid, comm, flags, 0, NULL);
}

static void task_event(struct trace_builder *b, enum ev_kind kind, uint32_t current, uint32_t tid,
		       uint32_t tgid, const char *comm)
{
	struct ev_task e = { .h = hdr(b, kind, current, sizeof(e)), .tid = tid, .tgid = tgid };

	copy_comm(e.comm, comm);
	emit(b, &e.h);
}

void tb_fork(struct trace_builder *b, uint32_t parent, uint32_t tid, uint32_t tgid,
	     const char *comm)
{
	task_event(b, EV_FORK, parent, tid, tgid, comm);
}

void tb_exit(struct trace_builder *b, uint32_t tid, uint32_t tgid, const char *comm)
{
	task_event(b, EV_EXIT, tid, tid, tgid, comm);
}

void tb_exec(struct trace_builder *b, uint32_t tid, uint32_t tgid, const char *comm)
{
	task_event(b, EV_EXEC, tid, tid, tgid, comm);
}

/* ---- scheduling ---- */

void tb_switch(struct trace_builder *b, uint32_t prev, uint16_t prev_state, uint32_t next,
	       uint16_t flags, uint64_t kstack_id, uint32_t run_delay_ns)
{
	struct ev_switch e = { .h = hdr(b, EV_SWITCH, prev, sizeof(e)),
			       .next_tid = next,
			       .prev_state = prev_state,
			       .flags = flags,
			       .kstack_id = kstack_id,
			       .run_delay_ns = run_delay_ns };

	emit(b, &e.h);
}

void tb_block(struct trace_builder *b, uint32_t tid, uint16_t state)
{
	tb_switch(b, tid, state, 0, 0, 0, 0);
}

void tb_preempt(struct trace_builder *b, uint32_t prev, uint32_t next)
{
	tb_switch(b, prev, 0, next, EV_SWITCH_PREEMPT, 0, 0);
}

void tb_run_thread(struct trace_builder *b, uint32_t tid)
{
	tb_switch(b, 0, 0, tid, 0, 0, 0);
}

void tb_resume(struct trace_builder *b, uint32_t tid, const char *kstack, uint32_t run_delay_ns)
{
	uint64_t id = tb_kstack(b, kstack);

	tb_switch(b, 0, 0, tid, EV_SWITCH_RUN_DELAY | (id ? EV_SWITCH_STACK_NEXT : 0), id,
		  run_delay_ns);
}

void tb_wake_ctx(struct trace_builder *b, uint32_t current, uint32_t wakee, enum ev_ctx ctx,
		 uint16_t flags, uint64_t cause)
{
	struct ev_wake e = { .h = hdr(b, EV_WAKE, current, sizeof(e)),
			     .wakee_tid = wakee,
			     .target_cpu = (uint16_t)b->cpu,
			     .flags = flags,
			     .cause = cause };

	e.h.ctx = (uint8_t)ctx;
	emit(b, &e.h);
}

void tb_wake(struct trace_builder *b, uint32_t waker, uint32_t wakee)
{
	tb_wake_ctx(b, waker, wakee, EV_CTX_TASK, 0, 0);
}

void tb_wake_io(struct trace_builder *b, uint32_t wakee, uint32_t rq)
{
	tb_wake_ctx(b, 0, wakee, EV_CTX_HARDIRQ, EV_WAKE_BY_IO, rq);
}

/* ---- system calls ---- */

static struct ev_syscall syscall_event(struct trace_builder *b, uint32_t tid, enum fp_sys cls,
				       uint64_t enter_ns, int fd, int64_t ret)
{
	return (struct ev_syscall){ .h = hdr(b, EV_SYSCALL, tid, sizeof(struct ev_syscall)),
				    .enter_ns = tb_abs(b, enter_ns),
				    .ret = ret,
				    .fd = fd,
				    .nr = (uint16_t)cls,
				    .cls = (uint8_t)cls };
}

void tb_syscall(struct trace_builder *b, uint32_t tid, enum fp_sys cls, uint64_t enter_ns, int fd,
		int64_t ret)
{
	struct ev_syscall e = syscall_event(b, tid, cls, enter_ns, fd, ret);

	emit(b, &e.h);
}

void tb_syscall_open(struct trace_builder *b, uint32_t tid, enum fp_sys cls, uint64_t enter_ns,
		     int fd)
{
	struct ev_syscall e = syscall_event(b, tid, cls, enter_ns, fd, 0);

	e.flags = EV_FLAG_OPEN;
	emit(b, &e.h);
}

void tb_syscall_args(struct trace_builder *b, uint32_t tid, enum fp_sys cls, uint64_t enter_ns,
		     int fd, int64_t ret, uint64_t a0, uint64_t a1, uint64_t a2)
{
	struct ev_syscall_args e = { .sys = syscall_event(b, tid, cls, enter_ns, fd, ret),
				     .args = { a0, a1, a2 } };

	e.sys.h.kind = EV_SYSCALL_ARGS;
	e.sys.h.size = sizeof(e);
	emit(b, &e.sys.h);
}

/* A record with a tail: `fixed` bytes, then the parts, padded with zeros to 8. */
static void emit_tail(struct trace_builder *b, struct ev_hdr *fixed, size_t size, const void *tail,
		      size_t tail_size)
{
	uint64_t room[256] = { 0 };

	if (size + tail_size > sizeof(room)) {
		keep_err(b, -E2BIG);
		return;
	}
	fixed->size = (uint16_t)((size + tail_size + 7) & ~(size_t)7);
	memcpy(room, fixed, size);
	memcpy((char *)room + size, tail, tail_size);
	emit(b, (struct ev_hdr *)room);
}

void tb_open(struct trace_builder *b, uint32_t tid, uint64_t enter_ns, const char *path,
	     uint32_t oflags, uint32_t dev, uint64_t ino, int fd)
{
	struct ev_open e = { .h = hdr(b, EV_OPEN, tid, sizeof(e)),
			     .enter_ns = tb_abs(b, enter_ns),
			     .ino = ino,
			     .dev = dev,
			     .fd = fd,
			     .oflags = oflags,
			     .dirfd = -100 };

	emit_tail(b, &e.h, sizeof(e), path, strlen(path) + 1);
}

void tb_futex(struct trace_builder *b, uint32_t tid, uint64_t enter_ns, uint64_t uaddr, uint32_t op,
	      int ret)
{
	struct ev_futex e = { hdr(b, EV_FUTEX, tid, sizeof(e)), tb_abs(b, enter_ns), uaddr, op,
			      ret };

	emit(b, &e.h);
}

void tb_rename(struct trace_builder *b, uint32_t tid, const char *from, const char *to, int ret)
{
	struct ev_path e = { .h = hdr(b, EV_PATH, tid, sizeof(e)),
			     .ret = ret,
			     .old_len = (uint16_t)(strlen(from) + 1),
			     .new_len = (uint16_t)(strlen(to) + 1) };
	char tail[2 * FP_MAX_PATH];

	if (strlen(from) >= FP_MAX_PATH || strlen(to) >= FP_MAX_PATH) {
		keep_err(b, -E2BIG);
		return;
	}
	memcpy(tail, from, e.old_len);
	memcpy(tail + e.old_len, to, e.new_len);
	emit_tail(b, &e.h, sizeof(e), tail, (size_t)e.old_len + e.new_len);
}

void tb_api(struct trace_builder *b, uint32_t tid, int fd, const char *request)
{
	size_t len = strnlen(request, FP_MAX_API);
	struct ev_api e = { .h = hdr(b, EV_API, tid, sizeof(e)), .fd = fd, .len = (uint32_t)len };

	emit_tail(b, &e.h, sizeof(e), request, len);
}

/* ---- subsystems ---- */

void tb_span(struct trace_builder *b, uint32_t tid, enum fp_span op, uint64_t begin_ns,
	     uint32_t dev, uint64_t ino, uint16_t value)
{
	struct ev_span e = { .h = hdr(b, EV_SPAN, tid, sizeof(e)),
			     .begin_ns = tb_abs(b, begin_ns),
			     .ino = ino,
			     .dev = dev,
			     .op = (uint16_t)op,
			     .value_lo = value };

	emit(b, &e.h);
}

void tb_point(struct trace_builder *b, uint32_t tid, enum fp_point op, uint32_t dev, uint64_t id,
	      uint32_t a, uint32_t arg_b)
{
	struct ev_point e = { .h = hdr(b, EV_POINT, tid, sizeof(e)),
			      .id = id,
			      .dev = dev,
			      .op = (uint16_t)op,
			      .a = a,
			      .b = arg_b };

	emit(b, &e.h);
}

void tb_bio(struct trace_builder *b, uint32_t tid, enum fp_bio act, uint32_t id, uint32_t dev,
	    uint64_t sector, uint32_t bytes, uint32_t opf)
{
	struct ev_bio e = { hdr(b, EV_BIO, tid, sizeof(e)), sector, dev, bytes, opf,
			    (uint32_t)act << 28 | FP_ID(id) };

	emit(b, &e.h);
}

void tb_rq(struct trace_builder *b, uint32_t tid, enum fp_rq act, uint32_t id, uint32_t dev,
	   uint64_t sector, uint32_t bytes, uint32_t opf)
{
	struct ev_rq e = { hdr(b, EV_RQ, tid, sizeof(e)),  sector, dev, bytes, opf,
			   (uint32_t)act << 28 | FP_ID(id) };

	emit(b, &e.h);
}

void tb_dirty(struct trace_builder *b, uint32_t tid, uint32_t dev, uint32_t limit_pages,
	      uint32_t dirty_pages, uint32_t bdi_limit_pages, uint32_t bdi_dirty_pages,
	      uint16_t pause_ms)
{
	struct ev_dirty e = { .h = hdr(b, EV_DIRTY, tid, sizeof(e)),
			      .dev = dev,
			      .limit_pages = limit_pages,
			      .dirty_pages = dirty_pages,
			      .bdi_limit_pages = bdi_limit_pages,
			      .bdi_dirty_pages = bdi_dirty_pages,
			      .pause_ms = pause_ms };

	emit(b, &e.h);
}

void tb_lost(struct trace_builder *b, uint64_t from_ns, uint64_t records)
{
	struct ev_lost e = { hdr(b, EV_LOST, 0, sizeof(e)), tb_abs(b, from_ns), records };

	emit(b, &e.h);
}

void tb_event(struct trace_builder *b, void *ev)
{
	struct ev_hdr *h = ev;

	if (!h->ts_ns)
		h->ts_ns = b->now_ns;
	emit(b, h);
}

/* ---- the end ---- */

int tb__finish_reason(struct trace_builder *b, int reason)
{
	int err;

	write_collected(b);
	err = trace_writer__finish(b->w, b->now_ns, reason);
	b->w = NULL;
	keep_err(b, err);
	return b->err;
}

int tb__finish(struct trace_builder *b)
{
	return tb__finish_reason(b, REC_REASON_DONE);
}

int tb__cut(struct trace_builder *b)
{
	keep_err(b, trace_writer__flush(b->w));
	write_collected(b);
	trace_writer__abandon(b->w);
	b->w = NULL;
	return b->err;
}
