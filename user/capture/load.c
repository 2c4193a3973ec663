// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Loads the BPF object and attaches it program by program. What this kernel does not know is not
 * tried; what it refuses is taken out and the rest is loaded again, so that no single hook sinks
 * the others.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../bpf/config.h"
#include "flatpause.skel.h"

#include "../log.h"
#include "capture_internal.h"
#include "syscall_table.h"

#define LOG_BYTES     (16u << 10)
#define LOG_UNTOUCHED 1 /* the loader clears the buffer of the program that it fails on */

/* Without these there is nothing to analyse. */
static const char *const needed[] = { "sched_switch", "sched_process_fork", "sched_process_exit",
				      "task_walk" };

static bool is_needed(const char *name)
{
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!strcmp(name, needed[i]))
			return true;
	return false;
}

static int print_libbpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	if (log_level() >= LOG_DEBUG)
		log_vdebug(fmt, ap);
	return 0;
}

/* Whether BPF can be used at all, said by what is missing. */
static int check_permission(void)
{
	struct stat st;
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "fp_try", 0, 0, 64 << 10, NULL);

	if (fd < 0 && (errno == EPERM || errno == EACCES))
		return log_err(-ENOTSUP, geteuid()
						 ? "recording needs root (or CAP_BPF, CAP_PERFMON "
						   "and CAP_SYS_PTRACE): try sudo"
						 : "this kernel or container forbids BPF even to "
						   "root; see `flatpause doctor`");
	if (fd < 0 && errno == ENOSYS)
		return log_err(-ENOTSUP,
			       "this kernel has no BPF; boot one with CONFIG_BPF_SYSCALL=y");
	if (fd < 0)
		return log_err(-ENOTSUP,
			       "no BPF ring buffer here (%s): Linux 5.11 or newer is needed",
			       strerror(errno));
	close(fd);
	/* PROC_PID_INIT_INO: thread ids of another namespace are not what the kernel tells us. */
	if (!stat("/proc/self/ns/pid", &st) && st.st_ino != 0xEFFFFFFCu)
		return log_err(-ENOTSUP, "recording must run in the host's PID namespace "
					 "(containers: --pid=host)");
	return 0;
}

static bool is_sampler(const struct bpf_program *p)
{
	return bpf_program__type(p) == BPF_PROG_TYPE_PERF_EVENT;
}

static bool is_wanted(const struct capture *c, const struct bpf_program *p)
{
	const char *name = bpf_program__name(p);

	if (is_sampler(p))
		return c->opts.sample_hz != 0;
	if (!strcmp(name, "sys_enter") || !strcmp(name, "sys_exit"))
		return c->opts.syscalls;
	if (!strcmp(name, "sched_waking") || strstr(name, "timer_expire_"))
		return c->opts.wakes;
	if (!strncmp(bpf_program__section_name(p), "f", 1))
		return c->opts.upper_rungs;
	return true;
}

static bool is_trampoline(const char *section)
{
	return !strncmp(section, "fentry/", 7) || !strncmp(section, "fexit/", 6);
}

/* The first look at each program: is it asked for, does what it hooks exist? */
static int list_programs(struct capture *c)
{
	struct bpf_program *p;
	size_t cnt = 0;

	bpf_object__for_each_program(p, c->skel->obj) cnt++;
	c->programs = calloc(cnt, sizeof(*c->programs));
	if (!c->programs)
		return log_err(-ENOMEM, "no memory for %zu programs", cnt);
	bpf_object__for_each_program(p, c->skel->obj)
	{
		struct loaded_program *l = &c->programs[c->programs_cnt++];

		snprintf(l->section, sizeof(l->section), "%s", bpf_program__section_name(p));
		l->off = !is_wanted(c, p);
		if (l->off)
			l->err = -ECANCELED;
		else if (!kernel_shape__has(&c->shape, l->section))
			l->err = -ENOENT;
		else if (is_trampoline(l->section))
			l->err = c->shape.fentry_err;
	}
	return 0;
}

/* A skeleton can be loaded once only: names and pointers are those of the latest. */
static void rebind_programs(struct capture *c)
{
	struct bpf_program *p;
	size_t i = 0;

	bpf_object__for_each_program(p, c->skel->obj)
	{
		c->programs[i].prog = p;
		c->programs[i].name = bpf_program__name(p);
		bpf_program__set_autoload(p, c->programs[i].err == 0);
		i++;
	}
}

static void set_constants(struct capture *c)
{
	const struct kernel_shape *s = &c->shape;
	struct flatpause_bpf__rodata *ro = c->skel->rodata;

	ro->cfg_min_sleep_ns = c->opts.min_sleep_ns;
	ro->cfg_min_other_ns = c->opts.min_other_ns;
	ro->cfg_jiffy_ns = s->jiffy_ns;
	ro->cfg_own_tgid = getpid();
	ro->cfg_switch_state_arg = s->switch_state_arg;
	ro->cfg_block_queue_arg = s->block_queue_arg;
	ro->cfg_bdp_dtc = s->bdp_dtc;
	ro->cfg_preempt_known = s->preempt_known;
	ro->cfg_preempt_distance = s->preempt_distance;
	memcpy((void *)ro->cfg_own_text, s->own_text, sizeof(s->own_text));
	memcpy((void *)&ro->cfg_sched_text, &s->sched_text, sizeof(s->sched_text));
}

static int open_object(struct capture *c)
{
	int err;

	c->skel = flatpause_bpf__open();
	if (!c->skel)
		return log_err(-errno, "cannot open the BPF object");
	if (!c->programs) {
		err = list_programs(c);
		if (err)
			return err;
		/* The kernel's types take megabytes, and loading takes as many again. */
		kernel_shape__free(&c->shape);
	}
	rebind_programs(c);
	set_constants(c);
	bpf_map__set_max_entries(c->skel->maps.rings, c->cpus_cnt);
	bpf_map__set_max_entries(c->skel->maps.cpus, c->cpus_cnt);
	return 0;
}

/* One attempt. *refused is the program that the kernel did not take, or NULL. */
static int try_load(struct capture *c, struct loaded_program **refused)
{
	char *logs = calloc(c->programs_cnt, LOG_BYTES);
	int err;

	*refused = NULL;
	if (!logs)
		return -ENOMEM;
	for (size_t i = 0; i < c->programs_cnt; i++) {
		logs[i * LOG_BYTES] = LOG_UNTOUCHED;
		bpf_program__set_log_buf(c->programs[i].prog, logs + i * LOG_BYTES, LOG_BYTES);
	}
	err = flatpause_bpf__load(c->skel);
	for (size_t i = 0; err && i < c->programs_cnt && !*refused; i++)
		if (!c->programs[i].err && logs[i * LOG_BYTES] != LOG_UNTOUCHED)
			*refused = &c->programs[i];
	/* The verifier had more to say than the log takes: that is no lack of space. */
	if (*refused && err == -ENOSPC)
		err = -EINVAL;
	if (*refused)
		log_debug("%s refused (%s): %.*s", (*refused)->name, strerror(-err),
			  (int)LOG_BYTES - 1, logs + (*refused - c->programs) * LOG_BYTES);
	for (size_t i = 0; i < c->programs_cnt; i++)
		bpf_program__set_log_buf(c->programs[i].prog, NULL, 0);
	free(logs);
	return err;
}

static int fill_syscall_map(struct capture *c)
{
	struct sys_desc table[FP_MAX_SYSCALL];
	int fd = bpf_map__fd(c->skel->maps.syscall_class);

	fill_syscall_table(table);
	for (uint32_t i = 0; i < FP_MAX_SYSCALL; i++)
		if (bpf_map_update_elem(fd, &i, &table[i], BPF_ANY))
			return log_err(-errno, "cannot fill the syscall table");
	return 0;
}

int capture_load(struct capture *c)
{
	struct loaded_program *refused;
	int err;

	libbpf_set_print(print_libbpf);
	err = check_permission();
	if (err)
		return err;
	err = kernel_shape__read(&c->shape, c->opts.upper_rungs);
	if (err)
		return err;
	for (;;) {
		err = open_object(c);
		if (err)
			return err;
		err = try_load(c, &refused);
		if (!err)
			break;
		if (!refused)
			return log_err(-ENOTSUP,
				       "the BPF object does not load here: %s; "
				       "`flatpause doctor --debug` shows the kernel's words",
				       strerror(-err));
		if (is_needed(refused->name))
			return log_err(-ENOTSUP,
				       "this kernel refuses the BPF program '%s' (%s), without "
				       "which nothing can be recorded",
				       refused->name, strerror(-err));
		refused->err = err;
		flatpause_bpf__destroy(c->skel);
		c->skel = NULL;
	}
	for (size_t i = 0; i < c->programs_cnt; i++)
		if (c->programs[i].err == -ENOENT && is_needed(c->programs[i].name))
			return log_err(-ENOTSUP, "this kernel has no %s, which recording needs",
				       c->programs[i].section);
	return fill_syscall_map(c);
}

static void detach_sampler(struct capture *c)
{
	for (uint32_t cpu = 0; c->sample_links && cpu < c->cpus_cnt; cpu++)
		bpf_link__destroy(c->sample_links[cpu]);
	free(c->sample_links);
	c->sample_links = NULL;
}

static int sample_on(struct capture *c, struct loaded_program *l, uint32_t cpu)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.freq = 1,
		.sample_freq = c->opts.sample_hz,
	};

	int fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	c->sample_links[cpu] = bpf_program__attach_perf_event(l->prog, fd);
	if (c->sample_links[cpu])
		return 0;
	err = -errno;
	close(fd);
	return err;
}

/*
 * A clock on every CPU: a hybrid machine must not hide its slow cores. Where one CPU has none,
 * there is none at all: what it runs would else seem to take no time.
 */
static int attach_sampler(struct capture *c, struct loaded_program *l)
{
	int err = 0;

	c->sample_links = calloc(c->cpus_cnt, sizeof(*c->sample_links));
	if (!c->sample_links)
		return -ENOMEM;
	for (uint32_t cpu = 0; !err && cpu < c->cpus_cnt; cpu++)
		if (c->rings[cpu].fd >= 0)
			err = sample_on(c, l, cpu);
	if (err)
		detach_sampler(c);
	return err;
}

static int attach_one(struct capture *c, struct loaded_program *l)
{
	if (is_sampler(l->prog))
		return attach_sampler(c, l);
	l->link = bpf_program__attach(l->prog);
	return l->link ? 0 : -errno;
}

int capture_attach(struct capture *c)
{
	for (size_t i = 0; i < c->programs_cnt; i++) {
		struct loaded_program *l = &c->programs[i];

		if (l->err || !strncmp(l->section, "iter/", 5))
			continue;
		l->err = attach_one(c, l);
		if (l->err && is_needed(l->name))
			return log_err(-ENOTSUP, "this kernel does not let us attach to %s: %s",
				       l->section, strerror(-l->err));
		if (l->err)
			log_verbose("cannot attach to %s: %s", l->section, strerror(-l->err));
	}
	c->iter_link = bpf_program__attach_iter(c->skel->progs.task_walk, NULL);
	if (!c->iter_link)
		return log_err(-ENOTSUP, "this kernel has no BPF task iterator: %s",
			       strerror(errno));
	return 0;
}

int capture_walk_tasks(struct capture *c, uint32_t mode, uint32_t tgid, uint32_t *found)
{
	char buf[64];
	ssize_t n;
	int fd;

	c->skel->bss->iter_mode = mode;
	c->skel->bss->iter_tgid = tgid;
	c->skel->bss->iter_found = 0;
	fd = bpf_iter_create(bpf_link__fd(c->iter_link));
	if (fd < 0)
		return log_err(-errno, "cannot walk the host's threads");
	do {
		n = read(fd, buf, sizeof(buf));
	} while (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)));
	n = n < 0 ? -errno : 0;
	close(fd);
	if (found)
		*found = c->skel->bss->iter_found;
	return n < 0 ? log_err((int)n, "cannot walk the host's threads") : 0;
}

/* A hook that interrupts itself is not run a second time: the kernel only counts that. */
uint64_t capture_count_misses(const struct capture *c)
{
	uint64_t misses = 0;

	for (size_t i = 0; i < c->programs_cnt; i++) {
		struct bpf_prog_info info = { 0 };
		uint32_t size = sizeof(info);

		if (!c->programs[i].err &&
		    !bpf_obj_get_info_by_fd(bpf_program__fd(c->programs[i].prog), &info, &size))
			misses += info.recursion_misses;
	}
	return misses;
}

void capture_unload(struct capture *c)
{
	for (size_t i = 0; i < c->programs_cnt; i++)
		bpf_link__destroy(c->programs[i].link);
	detach_sampler(c);
	bpf_link__destroy(c->iter_link);
	free(c->programs);
	flatpause_bpf__destroy(c->skel);
	kernel_shape__free(&c->shape);
}
