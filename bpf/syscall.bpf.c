// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What targets ask of the kernel, when, and how long it took; the user stack of a sleep that
 * lasted; and the requests that a VMM reads from its control socket. Every process pays for these
 * two hooks, so they are attached only when asked for.
 */
#include "stacks.bpf.h"

#define O_CREAT_FLAGS 01101 /* O_WRONLY | O_CREAT | O_TRUNC */

SEC("?tp_btf/sys_enter")
int BPF_PROG(sys_enter, struct pt_regs *regs, long nr)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct sys_desc *desc;
	struct thread *th;
	u32 key = nr;

	if (!(interest_of(task->pid) & INTEREST_TARGET) || recording == REC_ENDING)
		return 0;
	desc = bpf_map_lookup_elem(&syscall_class, &key);
	th = bpf_task_storage_get(&threads, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!desc || !th)
		return 0;
	syscall_args(regs, th->args);
	th->nr = nr;
	th->desc = *desc;
	if (syscall_is_compat(task)) {
		__builtin_memset(&th->desc, 0, sizeof(th->desc));
		th->desc.fd_arg = SYS_NO_ARG;
	}
	th->enter_ns = bpf_ktime_get_ns();
	return 0;
}

/* An argument by a position that is not constant */
static __always_inline u64 thread_arg(const struct thread *th, u32 pos)
{
	switch (pos) {
	case 0:
		return th->args[0];
	case 1:
		return th->args[1];
	case 2:
		return th->args[2];
	case 3:
		return th->args[3];
	case 4:
		return th->args[4];
	case 5:
		return th->args[5];
	}
	return 0;
}

static __always_inline void fill_syscall(struct ev_syscall *e, const struct thread *th, s64 ret)
{
	e->enter_ns = th->enter_ns;
	e->ret = ret;
	e->fd = th->desc.fd_arg == SYS_NO_ARG ? -1 : (s32)thread_arg(th, th->desc.fd_arg);
	e->nr = th->nr;
	e->cls = th->desc.cls;
	e->flags = 0;
}

static __always_inline void emit_syscall(const struct thread *th, u32 tid, s64 ret, u64 ts_ns)
{
	struct ev_syscall *e = ev_reserve(EV_SYSCALL, sizeof(*e), tid, EV_CTX_TASK, ts_ns);

	if (!e)
		return;
	fill_syscall(e, th, ret);
	ev_submit(e);
}

static __always_inline void emit_syscall_args(const struct thread *th, u32 tid, s64 ret, u64 ts_ns)
{
	struct ev_syscall_args *e = ev_reserve(EV_SYSCALL_ARGS, sizeof(*e), tid, EV_CTX_TASK,
					       ts_ns);
	u32 from = th->desc.args_from;

	if (!e)
		return;
	fill_syscall(&e->sys, th, ret);
	e->args[0] = thread_arg(th, from);
	e->args[1] = thread_arg(th, from + 1);
	e->args[2] = thread_arg(th, from + 2);
	ev_submit(e);
}

static __always_inline void emit_futex(const struct thread *th, u32 tid, s64 ret, u64 ts_ns)
{
	struct ev_futex *e = ev_reserve(EV_FUTEX, sizeof(*e), tid, EV_CTX_TASK, ts_ns);

	if (!e)
		return;
	e->enter_ns = th->enter_ns;
	e->uaddr = th->args[0];
	e->op = th->args[1];
	e->ret = ret;
	ev_submit(e);
}

static __always_inline struct inode *inode_of_fd(struct task_struct *task, s32 fd)
{
	struct file *file = NULL, **files;
	struct fdtable *fdt;

	fdt = BPF_CORE_READ(task, files, fdt);
	if (!fdt || fd < 0 || (u32)fd >= BPF_CORE_READ(fdt, max_fds))
		return NULL;
	files = BPF_CORE_READ(fdt, fd);
	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	return file ? BPF_CORE_READ(file, f_inode) : NULL;
}

/* Room for the largest record with a tail; shares the stacks' scratch, which is no smaller. */
#define PATH_ROUND(len) (((len) + 7) & ~7u)
_Static_assert(sizeof(struct scratch) >= sizeof(struct ev_path) + 2 * FP_MAX_PATH + 8, "ev_path");
_Static_assert(sizeof(struct scratch) >= sizeof(struct ev_open) + FP_MAX_PATH + 8, "ev_open");
#define API_MASK 255u
_Static_assert(FP_MAX_API <= API_MASK, "API_MASK");
_Static_assert(sizeof(struct scratch) >= sizeof(struct ev_api) + API_MASK + 8, "ev_api");

static __always_inline u32 open_flags(const struct thread *th)
{
	u64 arg = thread_arg(th, th->desc.path2_arg), flags = 0;

	if (th->desc.flags & SYS_CREAT)
		return O_CREAT_FLAGS;
	if (!(th->desc.flags & SYS_OPEN_HOW))
		return arg;
	bpf_probe_read_user(&flags, sizeof(flags), (void *)arg);
	return flags;
}

static __always_inline void emit_open(const struct thread *th, struct task_struct *task, u32 tid,
				      s64 ret, u64 ts_ns)
{
	struct scratch *s = scratch_get(EV_CTX_TASK);
	struct inode *inode = NULL;
	struct ev_open *e;
	u32 size;
	long len;

	if (!s)
		return;
	e = (void *)s;
	/* Read at the exit: the kernel has just read it, so that it is in memory now. */
	len = bpf_probe_read_user_str(e->path, FP_MAX_PATH,
				      (void *)thread_arg(th, th->desc.path_arg));
	if (len <= 0) {
		e->path[0] = 0;
		len = 1;
	}
	len &= 2 * FP_MAX_PATH - 1;
	*(u64 *)((char *)e->path + len) = 0; /* the padding */
	size = sizeof(*e) + PATH_ROUND((u32)len);
	ev_header(&e->h, EV_OPEN, size, tid, EV_CTX_TASK, ts_ns);
	if (ret >= 0)
		inode = inode_of_fd(task, ret);
	e->enter_ns = th->enter_ns;
	e->ino = inode ? BPF_CORE_READ(inode, i_ino) : 0;
	e->dev = inode ? BPF_CORE_READ(inode, i_sb, s_dev) : 0;
	e->fd = ret;
	e->oflags = open_flags(th);
	e->dirfd = th->desc.fd_arg == SYS_NO_ARG ? -100 /* AT_FDCWD */
						 : (s32)thread_arg(th, th->desc.fd_arg);
	hide_value(size);
	if (size <= sizeof(*e) + FP_MAX_PATH)
		ev_output(e, size, ts_ns);
}

static __always_inline void emit_rename(const struct thread *th, u32 tid, s64 ret, u64 ts_ns)
{
	struct scratch *s = scratch_get(EV_CTX_TASK);
	long old_len, new_len;
	struct ev_path *e;
	u32 size;

	if (!s)
		return;
	e = (void *)s;
	old_len = bpf_probe_read_user_str(e->paths, FP_MAX_PATH,
					  (void *)thread_arg(th, th->desc.path_arg));
	if (old_len <= 0 || old_len > FP_MAX_PATH)
		return;
	hide_value(old_len);
	old_len &= 2 * FP_MAX_PATH - 1;
	if (old_len > FP_MAX_PATH)
		return;
	new_len = bpf_probe_read_user_str(e->paths + old_len, FP_MAX_PATH,
					  (void *)thread_arg(th, th->desc.path2_arg));
	if (new_len <= 0)
		return;
	size = (u32)(old_len + new_len);
	hide_value(size);
	if (size > 2 * FP_MAX_PATH)
		return;
	*(u64 *)((char *)e->paths + size) = 0;
	size = sizeof(*e) + PATH_ROUND(size);
	ev_header(&e->h, EV_PATH, size, tid, EV_CTX_TASK, ts_ns);
	e->ret = ret;
	e->old_len = old_len;
	e->new_len = new_len;
	hide_value(size);
	if (size <= sizeof(*e) + 2 * FP_MAX_PATH)
		ev_output(e, size, ts_ns);
}

/* ---- control requests ---- */

static __always_inline u64 read_buffer(const struct thread *th)
{
	u64 p = th->args[1];

	/* msghdr: name, namelen, iov; iovec: base, len. Only the first part is looked at. */
	if (th->desc.buf == SYS_BUF_MSGHDR &&
	    bpf_probe_read_user(&p, sizeof(p), (void *)(th->args[1] + 16)))
		return 0;
	if (th->desc.buf >= SYS_BUF_IOVEC && bpf_probe_read_user(&p, sizeof(p), (void *)p))
		return 0;
	return p;
}

/* Firecracker, Cloud Hypervisor, QEMU */
static __always_inline bool api_is_request(const char *p)
{
	return STARTS(p, "PATCH /vm") || STARTS(p, "PUT /snap") || STARTS(p, "PUT /api/v1/vm") ||
	       STARTS(p, "{\"execute\"") || STARTS(p, "{ \"execute\"");
}

#define API_SHORTEST 9 /* "PATCH /vm" */

/* The body of a request whose headers came with an earlier read */
#define API_BODY_LOOK 64
static __always_inline bool api_is_body(const char *p)
{
	if (p[0] != '{')
		return false;
	for (int i = 1; i < API_BODY_LOOK; i++)
		if (STARTS(p + i, "Paused") || STARTS(p + i, "Resumed"))
			return true;
	return false;
}

static __always_inline void look_for_request(const struct thread *th, struct task_struct *task,
					     u32 tid, s64 ret, u64 ts_ns)
{
	u32 len = ret > FP_MAX_API ? FP_MAX_API : ret, size;
	u64 from = read_buffer(th);
	struct inode *inode;
	struct scratch *s;
	struct ev_api *e;
	char first = 0;

	/* The cheapest test first: nearly all reads of a VMM end here. */
	if (!from || bpf_probe_read_user(&first, 1, (void *)from) || (first != 'P' && first != '{'))
		return;
	inode = inode_of_fd(task, thread_arg(th, th->desc.fd_arg));
	if (!inode || (BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFSOCK)
		return;
	s = scratch_get(EV_CTX_TASK);
	if (!s)
		return;
	e = (void *)s;
	/* What is beyond the bytes read must not look like what an earlier call left here. */
	__builtin_memset(e->data, 0, FP_MAX_API + 8);
	/* Masked, not compared: up to 6.7 the verifier forgets what a copy was compared with. */
	hide_value(len);
	len &= API_MASK;
	if (bpf_probe_read_user(e->data, len, (void *)from))
		return;
	if (!api_is_request(e->data) && !api_is_body(e->data))
		return;
	size = sizeof(*e) + PATH_ROUND(len);
	ev_header(&e->h, EV_API, size, tid, EV_CTX_TASK, ts_ns);
	e->fd = thread_arg(th, th->desc.fd_arg);
	e->len = len;
	hide_value(size);
	if (size <= sizeof(*e) + FP_MAX_API)
		ev_output(e, size, ts_ns);
}

/* ---- */

/* These read user memory, which may fault: a fault of ours, not of the target. */
static __always_inline void emit_what_was_read(const struct thread *th, struct task_struct *task,
					       u32 tid, s64 ret, u64 ts_ns)
{
	struct cpu_state *cpu = this_cpu();

	if (!cpu)
		return;
	cpu->probing++;
	if (th->desc.cls == FP_SYS_OPEN)
		emit_open(th, task, tid, ret, ts_ns);
	else if (th->desc.cls == FP_SYS_RENAME)
		emit_rename(th, tid, ret, ts_ns);
	else
		look_for_request(th, task, tid, ret, ts_ns);
	cpu->probing--;
}

static __always_inline void emit_call(const struct thread *th, struct task_struct *task, u32 tid,
				      s64 ret, u64 ts_ns)
{
	u8 cls = th->desc.cls;

	if (cls == FP_SYS_FUTEX)
		emit_futex(th, tid, ret, ts_ns);
	else if (th->desc.flags & SYS_ARGS)
		emit_syscall_args(th, tid, ret, ts_ns);
	else if (cls == FP_SYS_OTHER ? ts_ns - th->enter_ns >= cfg_min_other_ns
				     : cls != FP_SYS_OPEN && cls != FP_SYS_RENAME)
		emit_syscall(th, tid, ret, ts_ns);
	if (cls == FP_SYS_OPEN || cls == FP_SYS_RENAME || (th->desc.buf && ret >= API_SHORTEST))
		emit_what_was_read(th, task, tid, ret, ts_ns);
}

/* Here the task is current and its registers are those of the call that slept. */
static __always_inline void take_sleep_ustack(void *ctx, struct thread *th,
					      struct task_struct *task, u32 tid, u64 ts_ns)
{
	u64 id = ustack_current(ctx, task->tgid, tid, EV_CTX_TASK, ts_ns);
	struct ev_sleep_ustack *e;

	if (!id)
		return;
	e = ev_reserve(EV_SLEEP_USTACK, sizeof(*e), tid, EV_CTX_TASK, ts_ns);
	if (!e)
		return;
	e->sleep_ns = th->ustack_ns;
	e->ustack_id = id;
	ev_submit(e);
}

SEC("?tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct thread *th;
	u32 tid = task->pid;
	u64 ts_ns;

	/* A call that returns while the recording is being ended stays open: it is told as such. */
	if (!(interest_of(tid) & INTEREST_TARGET) || recording == REC_ENDING)
		return 0;
	th = bpf_task_storage_get(&threads, task, 0, 0);
	if (!th)
		return 0;
	ts_ns = bpf_ktime_get_ns();
	if (th->ustack_ns) {
		take_sleep_ustack(ctx, th, task, tid, ts_ns);
		th->ustack_ns = 0;
	}
	if (th->enter_ns) {
		emit_call(th, task, tid, ret, ts_ns);
		th->enter_ns = 0;
	}
	return 0;
}
