// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "kernel_shape.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/bpf.h>

#include "../host/read.h"
#include "../log.h"

/* Parameter `pos` (the context pointer is 0) of the function type behind btf_trace_<name> */
static const struct btf_type *tracepoint_param(const struct btf *btf, const char *name, int pos)
{
	const struct btf_type *t;
	char typedef_name[96];
	int id;

	snprintf(typedef_name, sizeof(typedef_name), "btf_trace_%s", name);
	id = btf__find_by_name_kind(btf, typedef_name, BTF_KIND_TYPEDEF);
	if (id < 0)
		return NULL;
	t = btf__type_by_id(btf, btf__type_by_id(btf, id)->type);
	if (t && btf_is_ptr(t))
		t = btf__type_by_id(btf, t->type);
	if (!t || !btf_is_func_proto(t) || pos >= btf_vlen(t))
		return NULL;
	id = btf__resolve_type(btf, btf_params(t)[pos].type);
	return id < 0 ? NULL : btf__type_by_id(btf, id);
}

/* Whether that parameter is a pointer to `struct name` */
static bool param_is_struct(const struct btf *btf, const char *tracepoint, int pos,
			    const char *name)
{
	const struct btf_type *t = tracepoint_param(btf, tracepoint, pos);
	int id;

	if (!t || !btf_is_ptr(t))
		return false;
	id = btf__resolve_type(btf, t->type);
	t = id < 0 ? NULL : btf__type_by_id(btf, id);
	return t && btf_is_struct(t) && !strcmp(btf__name_by_offset(btf, t->name_off), name);
}

/* Offset of a per-CPU variable in its section, or -ENOENT */
static int64_t percpu_offset(const struct btf *btf, const char *name)
{
	int sec = btf__find_by_name_kind(btf, ".data..percpu", BTF_KIND_DATASEC);
	int var = btf__find_by_name_kind(btf, name, BTF_KIND_VAR);
	const struct btf_type *t;
	const struct btf_var_secinfo *info;

	if (sec < 0 || var < 0)
		return -ENOENT;
	t = btf__type_by_id(btf, sec);
	info = btf_var_secinfos(t);
	for (int i = 0; i < btf_vlen(t); i++)
		if (info[i].type == (uint32_t)var)
			return info[i].offset;
	return -ENOENT;
}

/* preempt_count within struct pcpu_hot, which is a union inside */
static int64_t pcpu_hot_member(const struct btf *btf, uint32_t id, const char *name, int depth)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	if (!t || !btf_is_composite(t) || depth > 3)
		return -ENOENT;
	for (int i = 0; i < btf_vlen(t); i++) {
		const struct btf_member *m = &btf_members(t)[i];
		const char *member = btf__name_by_offset(btf, m->name_off);
		int64_t at = btf_member_bit_offset(t, i) / 8, inner;

		if (!strcmp(member, name))
			return at;
		if (*member)
			continue;
		inner = pcpu_hot_member(btf, m->type, name, depth + 1);
		if (inner >= 0)
			return at + inner;
	}
	return -ENOENT;
}

static void find_preempt_count(struct kernel_shape *s, const struct btf *btf)
{
	int64_t rq = percpu_offset(btf, "runqueues");
	int64_t count = percpu_offset(btf, "__preempt_count");

	if (count < 0) {
		int id = btf__find_by_name_kind(btf, "pcpu_hot", BTF_KIND_STRUCT);
		int64_t member = id < 0 ? -ENOENT : pcpu_hot_member(btf, id, "preempt_count", 0);

		count = percpu_offset(btf, "pcpu_hot");
		if (count >= 0)
			count = member < 0 ? member : count + member;
	}
	s->preempt_known = rq >= 0 && count >= 0;
	s->preempt_distance = s->preempt_known ? count - rq : 0;
}

/*
 * Kernel text from the tracepoint to our program: its frames are ours, not the target's; and the
 * scheduler's. Ranges stay empty where addresses are hidden: then own frames stay, and can be told
 * by name, and the scheduler's are missing.
 */
static void find_text(struct kernel_shape *s)
{
	static const char *const starts[FP_OWN_TEXT_RANGES] = { "bpf_trace_run",
								"__traceiter_sched_switch",
								"__bpf_trace_sched_switch", NULL };
	FILE *f = fopen("/proc/kallsyms", "re");
	char line[256], name[128], type;
	uint64_t addr;

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNx64 " %c %127s", &addr, &type, name) != 3 || !addr)
			continue;
		if (!strcmp(name, "__sched_text_start"))
			s->sched_text.begin = addr;
		else if (!strcmp(name, "__sched_text_end"))
			s->sched_text.end = addr;
		for (int i = 0; i < FP_OWN_TEXT_RANGES && starts[i]; i++) {
			struct text_range *r = &s->own_text[i];

			if (strncmp(name, starts[i], strlen(starts[i])))
				continue;
			if (!r->begin || addr < r->begin)
				r->begin = addr;
			/* No size is given: these functions are less than 1 KiB */
			if (addr + 1024 > r->end)
				r->end = addr + 1024;
		}
	}
	fclose(f);
}

/* Where ftrace is switched off, trampolines attach as ever and are never run. */
static bool ftrace_is_off(void)
{
	uint64_t on;

	return !read_number("", &on, "/proc/sys/kernel/ftrace_enabled") && !on;
}

/* A program that does nothing, on a function that we would trace. */
static int try_fentry(const struct btf *btf)
{
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_FENTRY);
	int fd, id = btf__find_by_name_kind(btf, "wbt_wait", BTF_KIND_FUNC);

	if (id < 0)
		id = btf__find_by_name_kind(btf, "bpf_fentry_test1", BTF_KIND_FUNC);
	if (id < 0)
		return -ENOENT;
	if (ftrace_is_off())
		return -EOPNOTSUPP;
	opts.attach_btf_id = id;
	fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "try_fentry", "GPL", insns, 2, &opts);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static void load_module_btf(struct kernel_shape *s, const char *name)
{
	struct btf *btf;
	char path[64];

	snprintf(path, sizeof(path), "/sys/kernel/btf/%s", name);
	if (access(path, R_OK))
		return;
	btf = btf__load_module_btf(name, s->btf[0]);
	if (btf)
		s->btf[s->btf_cnt++] = btf;
}

int kernel_shape__read(struct kernel_shape *s, bool probe_fentry)
{
	struct timespec jiffy = { 0, 4000000 };
	struct btf *btf;

	memset(s, 0, sizeof(*s));
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		return log_err(-ENOTSUP, "this kernel tells no types (/sys/kernel/btf/vmlinux is "
					 "missing); boot one with CONFIG_DEBUG_INFO_BTF=y");
	btf = btf__load_vmlinux_btf();
	if (!btf)
		return log_err(-ENOTSUP, "cannot read this kernel's BTF: %s", strerror(errno));
	s->btf[s->btf_cnt++] = btf;
	load_module_btf(s, "jbd2");
	load_module_btf(s, "ext4");

	if (tracepoint_param(btf, "sched_switch", 4))
		s->switch_state_arg = param_is_struct(btf, "sched_switch", 2, "task_struct") ? 3
											     : 1;
	s->block_queue_arg = param_is_struct(btf, "block_rq_issue", 1, "request_queue");
	s->bdp_dtc = param_is_struct(btf, "balance_dirty_pages", 2, "dirty_throttle_control");
	find_preempt_count(s, btf);
	find_text(s);
	/* The resolution of the coarse clock is the tick. */
	clock_getres(CLOCK_MONOTONIC_COARSE, &jiffy);
	s->jiffy_ns = jiffy.tv_nsec;
	s->fentry_err = probe_fentry ? try_fentry(btf) : -ENOENT;
	return 0;
}

void kernel_shape__free(struct kernel_shape *s)
{
	while (s->btf_cnt > 0)
		btf__free(s->btf[--s->btf_cnt]);
}

bool kernel_shape__has(const struct kernel_shape *s, const char *section)
{
	const char *what = strchr(section, '/');
	int kind = BTF_KIND_FUNC;
	char name[128];

	if (!what)
		return true;
	if (!strncmp(section, "tp_btf/", 7)) {
		kind = BTF_KIND_TYPEDEF;
		snprintf(name, sizeof(name), "btf_trace_%s", what + 1);
	} else if (!strncmp(section, "fentry/", 7) || !strncmp(section, "fexit/", 6)) {
		snprintf(name, sizeof(name), "%s", what + 1);
	} else {
		return true;
	}
	for (int i = 0; i < s->btf_cnt; i++)
		if (btf__find_by_name_kind(s->btf[i], name, kind) > 0)
			return true;
	return false;
}
