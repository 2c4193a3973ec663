// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Facts from trees that stand in for / : what is there, what is missing, what is hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "user/host/cgroup.h"
#include "user/host/disk.h"
#include "user/host/facts.h"
#include "user/host/read.h"

static char root[64];

static void make_dirs(char *path)
{
	for (char *s = path + strlen(root) + 1; (s = strchr(s, '/')); s++) {
		*s = '\0';
		mkdir(path, 0755);
		*s = '/';
	}
}

static void put_bytes(const char *name, const char *text, size_t size)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s%s", root, name);
	make_dirs(path);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

static void put(const char *name, const char *text)
{
	put_bytes(name, text, strlen(text));
}

static void put_link(const char *name, const char *target)
{
	char path[512];

	snprintf(path, sizeof(path), "%s%s", root, name);
	make_dirs(path);
	assert_int_equal(symlink(target, path), 0);
}

static int make_root(void **state)
{
	snprintf(root, sizeof(root), "/tmp/test-facts-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static int drop_root(void **state)
{
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void assert_fact(const struct facts *f, const char *name, const char *value)
{
	const char *got = facts__get(f, name);

	if (!got || strcmp(got, value) != 0)
		fail_msg("%s is '%s', expected '%s'", name, got ? got : "(absent)", value);
}

static void test_host(void **state)
{
	struct facts f = { .cnt = 0 };

	put("/proc/sys/kernel/osrelease", "6.1.0-test\n");
	put("/proc/cpuinfo", "processor\t: 0\nmodel name\t: Testium 3000\n\n"
			     "processor\t: 1\nmodel name\t: Testium 3000\n");
	put("/proc/meminfo", "MemTotal:       24684000 kB\nDirty:   12 kB\nOther: 1 kB\n");
	put("/sys/devices/cpu_core/cpus", "0-7\n");
	put("/sys/devices/cpu_atom/cpus", "8-15\n");
	put("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	put("/proc/sys/kernel/perf_event_paranoid", "4\n");
	put("/proc/sys/kernel/kptr_restrict", "1\n");
	put("/sys/kernel/btf/vmlinux", "\x9f\xeb");
	put("/proc/sys/vm/dirty_ratio", "20\n");
	put("/proc/sys/vm/dirty_bytes", "0\n");
	facts__host(&f, root);
	assert_int_equal(f.err, 0);
	assert_fact(&f, "kernel", "6.1.0-test");
	assert_fact(&f, "cpus", "2");
	assert_fact(&f, "cpu.model", "Testium 3000");
	assert_fact(&f, "cpu.hybrid", "P 0-7, E 8-15");
	assert_fact(&f, "memory.total", "24684000 kB");
	assert_fact(&f, "memory.dirty", "12 kB");
	assert_fact(&f, "lockdown", "integrity");
	assert_fact(&f, "perf_event_paranoid", "4");
	assert_fact(&f, "btf", "/sys/kernel/btf/vmlinux");
	assert_fact(&f, "dirty.ratio", "20");
	facts__free(&f);
}

/* What is not there is absent; nothing is made up, nothing fails. */
static void test_empty_host(void **state)
{
	struct facts f = { .cnt = 0 };

	facts__host(&f, root);
	assert_int_equal(f.err, 0);
	assert_null(facts__get(&f, "kernel"));
	assert_null(facts__get(&f, "cpus"));
	assert_null(facts__get(&f, "cpu.hybrid"));
	assert_null(facts__get(&f, "lockdown"));
	assert_null(facts__get(&f, "btf"));
	facts__free(&f);
}

static void put_disk(void)
{
	put("/proc/self/mountinfo",
	    "22 27 0:21 / /proc rw - proc proc rw\n"
	    "30 27 8:2 / /srv/vm rw,noatime shared:1 - ext4 /dev/sda2 rw,errors=remount-ro\n"
	    "31 27 8:2 / /other rw - ext4 /dev/sda2 rw\n");
	put_link("/sys/dev/block/8:2", "../../devices/pci0/block/sda/sda2");
	put("/sys/devices/pci0/block/sda/sda2/partition", "2\n");
	put("/sys/devices/pci0/block/sda/dev", "8:0\n");
	put("/sys/devices/pci0/block/sda/device/model", "WDC WD10EZEX    \n");
	put("/sys/devices/pci0/block/sda/queue/rotational", "1\n");
	put("/sys/devices/pci0/block/sda/queue/scheduler", "[mq-deadline] none\n");
	put("/sys/devices/pci0/block/sda/queue/wbt_lat_usec", "75000\n");
	put("/sys/class/bdi/8:0/max_bytes", "600000000\n");
	put("/sys/class/bdi/8:0/strict_limit", "1\n");
	put("/proc/fs/ext4/sda2/options", "rw\nbsddf\ndata=ordered\ndelalloc\n");
}

static void test_partition(void **state)
{
	struct disks d = { .cnt = 0 };
	struct facts f = { .cnt = 0 };

	put_disk();
	disks__add(&d, makedev(8, 2));
	disks__add(&d, makedev(8, 2)); /* each once */
	assert_int_equal(d.cnt, 1);
	facts__disks(&f, root, &d, 0);
	assert_fact(&f, "disk.sda2.dev", "8:2");
	assert_fact(&f, "disk.sda2.mount", "/srv/vm");
	assert_fact(&f, "disk.sda2.fs_type", "ext4");
	assert_fact(&f, "disk.sda2.mount_options", "rw,noatime");
	assert_fact(&f, "disk.sda2.super_options", "rw,errors=remount-ro");
	assert_fact(&f, "disk.sda2.ext4_options", "rw,bsddf,data=ordered,delalloc");
	assert_fact(&f, "disk.sda2.model", "WDC WD10EZEX");
	assert_fact(&f, "disk.sda2.rotational", "1");
	assert_fact(&f, "disk.sda2.scheduler", "[mq-deadline] none");
	assert_fact(&f, "disk.sda2.wbt_lat_usec", "75000");
	assert_fact(&f, "disk.sda2.bdi.max_bytes", "600000000");
	assert_fact(&f, "disk.sda2.bdi.strict_limit", "1");
	assert_null(facts__get(&f, "disk.sda2.loop.backing_file"));
	facts__free(&f);
}

/* A loop device over a device mapper over a disk: each is described. */
static void test_stacking(void **state)
{
	struct disks d = { .cnt = 0 };
	struct facts f = { .cnt = 0 };

	put_disk();
	put_link("/sys/dev/block/7:3", "../../devices/virtual/block/loop3");
	put("/sys/devices/virtual/block/loop3/loop/backing_file", "/srv/image\n");
	put_link("/sys/dev/block/253:0", "../../devices/virtual/block/dm-0");
	put("/sys/devices/virtual/block/dm-0/slaves/sda2/dev", "8:2\n");
	disks__add(&d, makedev(7, 3));
	disks__add(&d, makedev(253, 0));
	facts__disks(&f, root, &d, 0);
	assert_fact(&f, "disk.loop3.loop.backing_file", "/srv/image");
	assert_fact(&f, "disk.dm-0.below", "sda2");
	assert_fact(&f, "disk.sda2.rotational", "1");
	assert_int_equal(d.cnt, 3); /* what lies below joined, so that it is not described twice */
	facts__free(&f);
}

static void test_device_without_a_disk(void **state)
{
	struct disks d = { .cnt = 0 };
	struct facts f = { .cnt = 0 };

	put("/proc/self/mountinfo", "22 27 0:40 / /dev/shm rw - tmpfs tmpfs rw,size=1k\n");
	disks__add(&d, makedev(0, 40));
	facts__disks(&f, root, &d, 0);
	assert_fact(&f, "disk.0:40.fs_type", "tmpfs");
	assert_null(facts__get(&f, "disk.0:40.rotational"));
	facts__free(&f);
}

/* /dev/null is opened for writing by everybody, and is no disk. */
static void test_pseudo_file_systems_are_left_out(void **state)
{
	struct disks d = { .cnt = 0 };
	struct facts f = { .cnt = 0 };

	put("/proc/self/mountinfo", "22 27 0:6 / /dev rw - devtmpfs devtmpfs rw\n");
	disks__add(&d, makedev(0, 6));
	disks__add(&d, makedev(0, 99)); /* a pipe: mounted nowhere */
	facts__disks(&f, root, &d, 0);
	assert_int_equal(f.cnt, 0);
	facts__free(&f);
}

static void test_many_disks_are_bounded(void **state)
{
	struct disks d = { .cnt = 0 };
	struct facts f = { .cnt = 0 };

	for (unsigned int i = 0; i < 3 * DISKS_MAX; i++)
		disks__add(&d, makedev(8, i));
	assert_int_equal(d.cnt, DISKS_MAX);
	facts__disks(&f, root, &d, 0);
	assert_non_null(facts__get(&f, "disks.more"));
	facts__free(&f);
}

static void test_cgroup_v2(void **state)
{
	struct facts f = { .cnt = 0 };

	put("/proc/self/mountinfo", "40 27 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
	put("/proc/77/comm", "firecracker\n");
	put("/proc/77/cgroup", "0::/vm.slice/vm1\n");
	put("/sys/fs/cgroup/vm.slice/vm1/cpu.max", "50000 100000\n");
	put("/sys/fs/cgroup/vm.slice/vm1/memory.high", "max\n");
	put("/sys/fs/cgroup/vm.slice/vm1/memory.max", "268435456\n");
	put("/sys/fs/cgroup/vm.slice/vm1/io.max", "7:3 rbps=max wbps=20971520\n");
	facts__process(&f, root, 77);
	assert_fact(&f, "target.77.comm", "firecracker");
	assert_fact(&f, "target.77.cgroup", "/vm.slice/vm1");
	assert_fact(&f, "target.77.cpu.max", "50000 100000");
	assert_null(facts__get(&f, "target.77.memory.high")); /* no limit is no fact */
	assert_fact(&f, "target.77.memory.max", "268435456");
	assert_fact(&f, "target.77.io.max", "7:3 rbps=max wbps=20971520");
	facts__free(&f);
}

static void test_cgroup_v1(void **state)
{
	struct facts f = { .cnt = 0 };

	put("/proc/self/mountinfo",
	    "40 27 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
	    "41 27 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
	put("/proc/77/cgroup", "4:memory:/vm1\n3:cpu,cpuacct:/vm1\n2:freezer:/\n");
	put("/sys/fs/cgroup/cpu/vm1/cpu.cfs_quota_us", "50000\n");
	put("/sys/fs/cgroup/memory/vm1/memory.limit_in_bytes", "9223372036854771712\n");
	facts__process(&f, root, 77);
	assert_fact(&f, "target.77.cgroup.memory", "/vm1");
	assert_fact(&f, "target.77.cpu.cfs_quota_us", "50000");
	assert_null(facts__get(&f, "target.77.memory.limit_in_bytes"));
	assert_null(facts__get(&f, "target.77.cgroup.freezer"));
	facts__free(&f);
}

static int collect_pid(void *ctx, pid_t pid)
{
	*(long *)ctx = *(long *)ctx * 1000 + pid;
	return 0;
}

static void test_cgroup_pids(void **state)
{
	char dir[128];
	long pids = 0;

	put("/cg/cgroup.procs", "7\n0\nx\n8\n");
	put("/cg/below/cgroup.procs", "9\n");
	snprintf(dir, sizeof(dir), "%s/cg", root);
	assert_int_equal(cgroup__each_pid(dir, collect_pid, &pids), 0);
	assert_int_equal(pids, 7008009);
	snprintf(dir, sizeof(dir), "%s/none", root);
	assert_int_equal(cgroup__each_pid(dir, collect_pid, &pids), -ENOENT);
}

/* Files that no kernel writes: binary, huge, broken, endless. */
static void test_hostile_files(void **state)
{
	static char big[200000];
	struct facts f = { .cnt = 0 };
	struct disks d = { .cnt = 0 };
	char text[16];

	memset(big, 'A', sizeof(big));
	put_bytes("/proc/self/mountinfo", big, sizeof(big));
	put_bytes("/proc/cpuinfo", big, sizeof(big));
	put_bytes("/proc/meminfo", "MemTotal:", 9);
	put_bytes("/proc/sys/kernel/osrelease", "a\0b\xff\x01\xc3\xa9\n", 8);
	put_bytes("/sys/kernel/security/lockdown", "[integrity", 10);
	put_bytes("/proc/sys/vm/dirty_ratio", big, sizeof(big));
	put("/proc/77/cgroup", "\n:::\nx\n4:\n0:\n::\n");
	put_link("/sys/dev/block/8:0", "self");
	facts__host(&f, root);
	disks__add(&d, makedev(8, 0));
	facts__disks(&f, root, &d, 0);
	facts__process(&f, root, 77);
	assert_int_equal(f.err, 0);
	assert_fact(&f, "kernel", "a");
	assert_null(facts__get(&f, "lockdown"));
	for (size_t i = 0; i < f.cnt; i++)
		assert_true(strlen(f.v[i].value) < 1024);
	facts__free(&f);
	assert_int_equal(read_text(root, text, sizeof(text), "/proc/cpuinfo"), 15);
}

static void test_values_are_printable(void **state)
{
	struct facts f = { .cnt = 0 };

	facts__add(&f, "x", "%s",
		   "a\xff"
		   "b\x1b[31m\xc3\xa9\n\xed\xa0\x80");
	assert_fact(&f, "x", "a?b?[31m\xc3\xa9 ???");
	facts__free(&f);
}

#define WITH_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, drop_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_ROOT(test_host),
		WITH_ROOT(test_empty_host),
		WITH_ROOT(test_partition),
		WITH_ROOT(test_stacking),
		WITH_ROOT(test_device_without_a_disk),
		WITH_ROOT(test_pseudo_file_systems_are_left_out),
		WITH_ROOT(test_many_disks_are_bounded),
		WITH_ROOT(test_cgroup_v2),
		WITH_ROOT(test_cgroup_v1),
		WITH_ROOT(test_cgroup_pids),
		WITH_ROOT(test_hostile_files),
		cmocka_unit_test(test_values_are_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
