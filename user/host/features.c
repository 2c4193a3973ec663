// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "features.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "read.h"

#define CAP_NR_SYS_ADMIN 21
#define CAP_NR_PERFMON	 38
#define CAP_NR_BPF	 39

/* One check: true if the feature is there; `detail` may say more. */
struct check {
	const char *name;
	bool needed;
	const char *why;
	const char *gain;
	bool (*try)(char *detail, size_t size);
};

static unsigned long long effective_caps(void)
{
	char *text, *line;
	unsigned long long caps = 0;

	if (read_whole("", &text, 65536, "/proc/self/status"))
		return 0;
	line = strstr(text, "\nCapEff:");
	if (line)
		caps = strtoull(line + 8, NULL, 16);
	free(text);
	return caps;
}

static bool try_caps(char *detail, size_t size)
{
	unsigned long long caps = effective_caps();
	bool admin = caps >> CAP_NR_SYS_ADMIN & 1;
	bool bpf = caps >> CAP_NR_BPF & 1, perfmon = caps >> CAP_NR_PERFMON & 1;

	if (admin || (bpf && perfmon))
		return true;
	snprintf(detail, size, "not there:%s%s", bpf ? "" : " CAP_BPF",
		 perfmon ? "" : " CAP_PERFMON");
	return false;
}

static bool try_btf(char *detail, size_t size)
{
	if (!access("/sys/kernel/btf/vmlinux", R_OK))
		return true;
	snprintf(detail, size, "/sys/kernel/btf/vmlinux: %s", strerror(errno));
	return false;
}

/* A map of one element: whether bpf() answers at all, whatever the programs will meet. */
static bool try_bpf(char *detail, size_t size)
{
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_ARRAY;
	attr.key_size = 4;
	attr.value_size = 4;
	attr.max_entries = 1;
	fd = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
	if (fd < 0) {
		snprintf(detail, size, "bpf(BPF_MAP_CREATE): %s", strerror(errno));
		return false;
	}
	close(fd);
	return true;
}

static bool try_sampling(char *detail, size_t size)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = 1000000000,
		.disabled = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0) {
		snprintf(detail, size, "perf_event_open: %s", strerror(errno));
		return false;
	}
	close(fd);
	return true;
}

/* Hidden addresses read as 0; so do those of the first per-CPU variables, which come first. */
static bool kallsyms_visible(void)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	bool visible = false;
	char line[512];

	while (f && !visible && fgets(line, sizeof(line), f))
		visible = strtoull(line, NULL, 16) != 0;
	if (f)
		fclose(f);
	return visible;
}

static bool try_kallsyms(char *detail, size_t size)
{
	char text[32];

	if (kallsyms_visible())
		return true;
	if (read_text("", text, sizeof(text), "/proc/sys/kernel/kptr_restrict") > 0)
		snprintf(detail, size, "addresses are hidden (kptr_restrict %.4s)", text);
	else
		snprintf(detail, size, "no /proc/kallsyms");
	return false;
}

static bool try_jit(char *detail, size_t size)
{
	char text[8];

	if (read_text("", text, sizeof(text), "/proc/sys/net/core/bpf_jit_enable") < 0)
		return true; /* CONFIG_BPF_JIT_ALWAYS_ON hides the switch in containers */
	snprintf(detail, size, "bpf_jit_enable is %.4s", text);
	return text[0] != '0';
}

/* Whether the kernel can put a program at a function: fentry needs trampolines, kprobe its option. */
static bool try_kprobes(char *detail, size_t size)
{
	char text[16];

	if (read_text("", text, sizeof(text), "/sys/bus/event_source/devices/kprobe/type") > 0)
		return true;
	snprintf(detail, size, "no kprobe event source");
	return false;
}

static bool try_memlock(char *detail, size_t size)
{
	struct rlimit lim;

	/* Since 5.11 BPF memory is charged to the cgroup; the limit counts before that only. */
	if (getrlimit(RLIMIT_MEMLOCK, &lim) || lim.rlim_cur == RLIM_INFINITY)
		return true;
	snprintf(detail, size, "ulimit -l is %llu KiB (counts before 5.11)",
		 (unsigned long long)lim.rlim_cur / 1024);
	return true;
}

static const struct check checks[] = {
	{ "privileges", true, "loading BPF programs", "run as root, or grant both capabilities",
	  try_caps },
	{ "kernel BTF", true, "reading kernel structures on any kernel",
	  "use a kernel with CONFIG_DEBUG_INFO_BTF=y", try_btf },
	{ "bpf()", true, "everything", "use a kernel with CONFIG_BPF_SYSCALL=y; check seccomp",
	  try_bpf },
	{ "BPF JIT", false, "low cost", "sysctl net.core.bpf_jit_enable=1", try_jit },
	{ "sampling", false, "on-CPU stacks (cpu-clock)",
	  "sysctl kernel.perf_event_paranoid=1, or CAP_PERFMON", try_sampling },
	{ "kernel symbols", false, "naming kernel frames, and with them causes",
	  "sysctl kernel.kptr_restrict=1 and run as root", try_kallsyms },
	{ "kprobes", false, "the middle rung of some probes",
	  "a kernel with CONFIG_KPROBES=y; tracepoints do without", try_kprobes },
	{ "memory lock", false, "BPF maps on kernels before 5.11", "ulimit -l unlimited",
	  try_memlock },
};

size_t features__check(struct feature *out)
{
	size_t n = sizeof(checks) / sizeof(checks[0]);

	_Static_assert(sizeof(checks) / sizeof(checks[0]) <= FEATURES_MAX, "FEATURES_MAX");
	for (size_t i = 0; i < n; i++) {
		const struct check *c = &checks[i];

		out[i] = (struct feature){ .name = c->name, .why = c->why, .gain = c->gain };
		if (c->try(out[i].detail, sizeof(out[i].detail)))
			out[i].state = FEATURE_YES;
		else
			out[i].state = c->needed ? FEATURE_MISSING : FEATURE_NO;
	}
	return n;
}
