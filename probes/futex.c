// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Waits for another thread: futexes, sockets, pipes, polls. Mostly a consequence, seldom a cause. */
#include "registry.h"

static bool futex_evidence(const struct probe_context *ctx)
{
	return no_frames(ctx) && ctx->in_syscall && ctx->cls == FP_SYS_FUTEX;
}

static bool ipc_evidence(const struct probe_context *ctx)
{
	return no_frames(ctx) && ctx->in_syscall && !ctx->iowait &&
	       (ctx->cls == FP_SYS_POLL || ctx->cls == FP_SYS_RECV || ctx->cls == FP_SYS_SEND ||
		ctx->cls == FP_SYS_READ);
}

static bool child_evidence(const struct probe_context *ctx)
{
	return no_frames(ctx) && ctx->in_syscall && ctx->cls == FP_SYS_WAIT;
}

static bool sleep_evidence(const struct probe_context *ctx)
{
	return no_frames(ctx) && ctx->in_syscall && ctx->cls == FP_SYS_SLEEP;
}

static const struct cause causes[] = {
	/* The partition says "wait": whose fault it is, only the path can tell. */
	{ .id = "futex.wait",
	  .title = "parked on a futex",
	  .group = "futex",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "futex_wait_queue", "futex_wait_queue_me", "futex_do_wait", "__futex_wait",
			"futex_wait", "futex_lock_pi", "futex_wait_requeue_pi",
			"__x64_sys_futex" } } },
	{ .id = "futex.wait",
	  .title = "parked on a futex",
	  .group = "futex",
	  .kind = CAUSE_BLOCKED,
	  .match = futex_evidence },
	{ .id = "futex.contended",
	  .title = "waiting for the holder of a futex",
	  .group = "futex",
	  .kind = CAUSE_BLOCKED },
	{ .id = "kvm.halt",
	  .title = "the guest's CPU is idle",
	  .group = "kvm",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "kvm_vcpu_halt", "kvm_vcpu_block" } } },
	{ .id = "wait.child",
	  .title = "waiting for a child process",
	  .group = "ipc",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "do_wait", "kernel_wait4", "kernel_waitid", "wait_for_vfork_done" } } },
	{ .id = "wait.child",
	  .title = "waiting for a child process",
	  .group = "ipc",
	  .kind = CAUSE_BLOCKED,
	  .match = child_evidence },
	{ .id = "ipc.wait",
	  .title = "waiting for a message",
	  .group = "ipc",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "ep_poll", "do_epoll_wait", "do_sys_poll", "do_select", "eventfd_read",
			"pipe_read", "anon_pipe_read", "unix_stream_read_generic", "io_cqring_wait",
			"poll_schedule_timeout" } } },
	{ .id = "ipc.wait",
	  .title = "waiting for a message",
	  .group = "ipc",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "unix_stream_data_wait", "unix_stream_sendmsg", "unix_wait_for_peer",
			"sock_alloc_send_pskb", "tcp_recvmsg", "inet_csk_accept", "unix_accept",
			"__skb_wait_for_more_packets", "pipe_write", "anon_pipe_write" } } },
	{ .id = "ipc.wait",
	  .title = "waiting for a message",
	  .group = "ipc",
	  .kind = CAUSE_BLOCKED,
	  .match = ipc_evidence },
	{ .id = "timer.sleep",
	  .title = "sleeping for a set time",
	  .group = "timer",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "hrtimer_nanosleep", "do_nanosleep", "msleep", "usleep_range_state" } } },
	{ .id = "timer.sleep",
	  .title = "sleeping for a set time",
	  .group = "timer",
	  .kind = CAUSE_BLOCKED,
	  .match = sleep_evidence },
	{ .id = "signal.stop",
	  .title = "stopped by a signal or a freezer",
	  .group = "signal",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "do_signal_stop", "ptrace_stop", "__refrigerator", "do_freezer_trap" } } },
	{ 0 },
};

const struct probe probe_futex = {
	.name = "futex",
	.summary = "who waits for whom: futexes by address and waker, sockets, pipes",
	.rungs = {
		{ .hook = "tp_btf/sys_enter + sys_exit (futex), sched_waking",
		  .programs = { "sys_enter", "sys_exit", "sched_waking", "sched_switch" },
		  .lost = "",
		  .gain = "" },
		{ .hook = "tp_btf/sched_switch + sched_waking",
		  .programs = { "sched_switch", "sched_waking" },
		  .lost = "the address of a futex",
		  .gain = "record with syscalls (leave out --no-syscalls)" },
		{ .hook = "tp_btf/sched_switch",
		  .programs = { "sched_switch" },
		  .lost = "who woke a thread: waits are not walked to their reason",
		  .gain = "record with wakes (leave out --no-wakes)" },
	},
	.causes = causes,
};
