// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Advice: it follows from the cause, its lines can be run and undone, and it names who is meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "../../../probes/registry.h"

static bool says(const struct findings *f, const char *what)
{
	for (size_t i = 0; i < f->advice_cnt; i++)
		if (strstr(f->advice[i].why, what))
			return true;
	return false;
}

static struct findings *finding_of(const char *cause, const char *path,
				   enum finding_extents extents)
{
	struct findings *f = findings__new();
	struct finding_window *w = FINDING_APPEND(&f->windows, &f->windows_cnt);
	struct finding_file *file = FINDING_APPEND(&w->files, &w->files_cnt);

	w->slow = true;
	finding_set(&f->verdict.cause, cause);
	finding_set(&file->path, path);
	if (extents == FINDING_EXTENTS_LOST) {
		finding_set(&file->undone.how, "O_TRUNC at open");
		finding_set(&file->undone.by, "copier/7");
		finding_set(&file->written.how, "sendfile");
		finding_set(&file->written.by, "helper/8");
		file->undone.at_ns = 1;
	}
	file->extents = extents;
	file->alloc_bytes = FINDING_BYTES_NONE;
	file->bytes_written = 1;
	assert_int_equal(advise__verdict(f), 0);
	return f;
}

/* What is advised first, and whether preallocation is said to be in vain. */
static void advice_follows_the_cause(void **state)
{
	static const struct {
		const char *cause, *first;
		bool says_no_fallocate;
	} rows[] = {
		{ "io.throttle.wbt", "memfd", true },
		{ "io.throttle.blk", "memfd", true },
		{ "io.tag_wait", "memfd", true },
		{ "writeback.dirty_throttle", "memfd", true },
		{ "ext4.alloc", "fallocate", false },
		{ "ext4.bitmap_io", "fallocate", false },
		{ "ext4.extent_convert", "memfd", true },
		{ "jbd2.commit_wait", "memfd", true },
		{ "jbd2.commit_locked", "memfd", true },
		{ "io.device_service", "memfd", true },
		{ "fs.writeback_wait", "memfd", true },
		{ "other_fs.fuse", "memfd", true },
		{ "lock.inode", "app", true },
		{ "timer.sleep", "app", true },
		{ "mm.memcg", "host", true },
		{ "cpu.runqueue.quota", "host", true },
		{ "none", "", false },
		{ "unknown.lost", "", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct findings *f = finding_of(rows[i].cause, "/mnt/snap-3/memory.bin",
						FINDING_EXTENTS_LOST);

		assert_string_equal(f->advice_cnt ? f->advice[0].mitigation : "", rows[i].first);
		assert_int_equal(says(f, "fallocate will not help"), rows[i].says_no_fallocate);
		findings__free(f);
	}
}

/* Nothing has a name without advice; what is seen of a pause decides what each line can say. */
static void every_cause_has_advice(void **state)
{
	static const char *const nothing_to_do[] = { "unknown", "kvm.halt" };

	for (size_t i = 0; i < cause_tables_cnt; i++)
		for (const struct cause *c = cause_tables[i]; c->id; c++) {
			struct findings *f = finding_of(c->id, "/mnt/snap-3/memory.bin",
							FINDING_EXTENTS_UNKNOWN);
			bool acts = false, fallocate = false;

			for (size_t k = 0; k < f->advice_cnt; k++) {
				acts |= strcmp(f->advice[k].mitigation, "none") != 0;
				fallocate |= !strcmp(f->advice[k].mitigation, "fallocate");
			}
			if (cause_under(c->id, nothing_to_do[0]) ||
			    cause_under(c->id, nothing_to_do[1])) {
				assert_int_equal(f->advice_cnt, 0);
			} else {
				/* Who had the CPU is not known of the last one. */
				if (!acts && strcmp(c->id, "cpu.runqueue") != 0)
					fail_msg("%s: nothing to do", c->id);
				if (!fallocate && !says(f, "fallocate will not help"))
					fail_msg("%s: nothing is said of fallocate", c->id);
			}
			findings__free(f);
		}
}

static void check_lines(const struct finding_advice *a)
{
	static const char fix[] = "flatpause fix apply --mitigation ";

	assert_true(a->why[0] != '\0');
	assert_null(strpbrk(a->why, "{}"));
	assert_null(strpbrk(a->command, "{}"));
	assert_null(strpbrk(a->undo, "{}"));
	if (!strncmp(a->command, fix, strlen(fix))) {
		assert_memory_equal(a->command + strlen(fix), a->mitigation, strlen(a->mitigation));
		assert_string_equal(a->undo, "flatpause fix revert /mnt");
	}
	if (!strcmp(a->mitigation, "none") || !strcmp(a->mitigation, "app"))
		assert_true(!strcmp(a->mitigation, "app") || !a->command[0]);
	else if (strcmp(a->mitigation, "host") != 0)
		assert_true(a->command[0] && a->undo[0]);
	if (a->undo[0])
		assert_true(a->command[0] != '\0');
}

static void lines_are_whole(void **state)
{
	for (size_t i = 0; i < remedies_cnt; i++) {
		assert_non_null(remedies[i].causes[0]);
		for (const char *const *c = remedies[i].causes; *c; c++) {
			struct findings *f = finding_of(*c, "/mnt/snap-3/memory.bin",
							FINDING_EXTENTS_LOST);

			assert_true(f->advice_cnt > 0);
			for (size_t k = 0; k < f->advice_cnt; k++)
				check_lines(&f->advice[k]);
			findings__free(f);
		}
	}
}

/* Each row is about causes that exist: a leaf, or what leaves lie under. */
static void remedies_know_their_causes(void **state)
{
	for (size_t i = 0; i < remedies_cnt; i++)
		for (const char *const *r = remedies[i].causes; *r; r++) {
			bool any = false;

			for (size_t k = 0; k < cause_tables_cnt; k++)
				for (const struct cause *c = cause_tables[k]; c->id; c++)
					any |= cause_under(c->id, *r);
			if (!any)
				fail_msg("no cause %s", *r);
		}
}

static void add_fact(struct findings *f, const char *name, const char *value)
{
	struct finding_fact *fact = FINDING_APPEND(&f->host, &f->host_cnt);

	assert_non_null(fact);
	finding_set(&fact->name, name);
	finding_set(&fact->value, value);
}

static void advise_again(struct findings *f, const char *cause)
{
	struct findings *other = findings__new();

	/* what was advised before the trace knew more */
	other->advice = f->advice;
	other->advice_cnt = f->advice_cnt;
	f->advice = NULL;
	f->advice_cnt = 0;
	findings__free(other);
	finding_set(&f->verdict.cause, cause);
	assert_int_equal(advise__verdict(f), 0);
}

static void limits_of_control_groups(void **state)
{
	struct findings *f = finding_of("none", "/mnt/snap-3/memory.bin", FINDING_EXTENTS_UNKNOWN);
	struct finding_window *w = &f->windows[0];
	struct finding_thread *t = FINDING_APPEND(&w->threads, &w->threads_cnt);

	t->tid = 71;
	t->tgid = 70;
	w->closer_tid = 71;
	advise_again(f, "cpu.runqueue.quota");
	assert_string_equal(f->advice[0].command, "echo max > /sys/fs/cgroup/GROUP/cpu.max");
	assert_string_equal(f->advice[0].undo, "echo OLD > /sys/fs/cgroup/GROUP/cpu.max");
	add_fact(f, "target.70.cgroup", "/vms/a b");
	add_fact(f, "target.70.cpu.max", "20000 100000");
	advise_again(f, "cpu.runqueue.quota");
	assert_string_equal(f->advice[0].command, "echo max > '/sys/fs/cgroup/vms/a b/cpu.max'");
	assert_string_equal(f->advice[0].undo,
			    "echo '20000 100000' > '/sys/fs/cgroup/vms/a b/cpu.max'");
	advise_again(f, "cpu.runqueue.other");
	assert_string_equal(f->advice[0].command, "renice -n -10 -p 70");
	/* version 1 has a hierarchy for each controller */
	add_fact(f, "target.70.cgroup.memory", "/m");
	add_fact(f, "target.70.cgroup.cpuset,cpu,cpuacct", "/c");
	add_fact(f, "target.70.cpu.cfs_quota_us", "5000");
	finding_set(&f->host[1].name, "target.9.cpu.max");
	advise_again(f, "cpu.runqueue.quota");
	assert_string_equal(f->advice[0].command,
			    "echo -1 > /sys/fs/cgroup/cpuset,cpu,cpuacct/c/cpu.cfs_quota_us");
	assert_string_equal(f->advice[0].undo,
			    "echo 5000 > /sys/fs/cgroup/cpuset,cpu,cpuacct/c/cpu.cfs_quota_us");
	findings__free(f);
}

static void disks_by_their_number(void **state)
{
	struct findings *f = finding_of("none", "/mnt/snap-3/memory.bin", FINDING_EXTENTS_UNKNOWN);

	f->windows[0].files[0].dev = 8 << 20 | 2;
	add_fact(f, "disk.sda2.dev", "8:2");
	add_fact(f, "disk.sda2.nr_requests", "64");
	add_fact(f, "disk.sda2.mount", "/srv/vm s");
	advise_again(f, "io.tag_wait");
	assert_string_equal(f->advice[1].command, "echo 1024 > /sys/block/sda2/queue/nr_requests");
	assert_string_equal(f->advice[1].undo, "echo 64 > /sys/block/sda2/queue/nr_requests");
	advise_again(f, "discard");
	assert_string_equal(f->advice[0].command, "mount -o remount,nodiscard '/srv/vm s'");
	advise_again(f, "io.throttle.blk");
	assert_string_equal(f->advice[1].command,
			    "echo '8:2 rbps=max wbps=max riops=max wiops=max' > "
			    "/sys/fs/cgroup/GROUP/io.max");
	findings__free(f);
}

static void culprits_are_named(void **state)
{
	struct findings *f = finding_of("none", "/mnt/snap-3/memory.bin", FINDING_EXTENTS_UNKNOWN);
	struct finding_window *w = &f->windows[0];
	struct finding_futex *x = FINDING_APPEND(&w->futexes, &w->futexes_cnt);
	struct finding_blame *b = FINDING_APPEND(&w->blame, &w->blame_cnt);
	struct finding_segment *s = FINDING_APPEND(&w->path, &w->path_cnt);

	*x = (struct finding_futex){ .tid = 5, .waker_tid = 6, .path_ns = 1500000 };
	advise_again(f, "futex.contended");
	assert_null(strstr(f->advice[0].why, "fc_vmm")); /* it was no lock of the path */
	x->class = FUTEX_CONTENDED;
	finding_set(&x->comm, "fc_api");
	finding_set(&x->waker_comm, "fc_vmm");
	advise_again(f, "futex.contended");
	assert_non_null(strstr(f->advice[0].why, "(fc_vmm/6: 1.5 ms of fc_api/5)"));
	finding_set(&b->file, "/mnt/memory.bin");
	finding_set(&b->dirtied_by, "forkd/12");
	advise_again(f, "io.device_service");
	assert_non_null(strstr(f->advice[0].why, "(/mnt/memory.bin, dirtied by forkd/12)"));
	finding_set(&b->file, "7:0");
	advise_again(f, "io.device_service");
	assert_non_null(strstr(f->advice[0].why, "(7:0, sent by forkd/12)"));
	finding_set(&s->cause, "lock.inode");
	finding_set(&s->actor, "backup/99");
	finding_set(&s->via, "");
	s->ns = 20000000;
	advise_again(f, "lock.inode");
	assert_non_null(strstr(f->advice[0].why, "(longest: 20.0 ms of backup/99)"));
	finding_set(&s->via, "ipc.wait of a/1 > held by backup/99, which was in io.flush");
	finding_set(&s->actor, "vmm/5"); /* who waits is not who holds it */
	advise_again(f, "lock.inode");
	assert_non_null(strstr(f->advice[0].why, "(longest: 20.0 ms of vmm/5, held by backup/99, "
						 "which was in io.flush)"));
	findings__free(f);
}

static void vain_preallocation_has_its_number(void **state)
{
	struct findings *f = finding_of("none", "/mnt/snap-3/memory.bin", FINDING_EXTENTS_UNKNOWN);
	static const struct {
		const char *cause;
		uint64_t ns;
	} ledger[] = { { "io.throttle.wbt", 2000000000 },
		       { "ext4.alloc", 3000000 },
		       { "ext4.csum", 500000 } };

	for (size_t i = 0; i < 3; i++) {
		struct finding_window *w = &f->windows[0];
		struct finding_share *s = FINDING_APPEND(&w->ledger, &w->ledger_cnt);

		finding_set(&s->cause, ledger[i].cause);
		s->ns = ledger[i].ns;
	}
	advise_again(f, "io.throttle.wbt");
	assert_true(says(f, "the allocator has 3.5 of 2003.5 ms there"));
	findings__free(f);
}

static void advice_names_the_root(void **state)
{
	struct findings *f = finding_of("ext4.alloc", "/mnt/a b/snap-3/memory.bin",
					FINDING_EXTENTS_UNKNOWN);

	assert_string_equal(f->advice[0].command,
			    "flatpause fix apply --mitigation fallocate '/mnt/a b'");
	findings__free(f);
	f = finding_of("ext4.alloc", "/mnt/it's/snap/memory.bin", FINDING_EXTENTS_UNKNOWN);
	assert_string_equal(f->advice[0].command,
			    "flatpause fix apply --mitigation fallocate '/mnt/it'\\''s/snap'");
	findings__free(f);
	f = finding_of("ext4.alloc", "memory.bin", FINDING_EXTENTS_UNKNOWN);
	assert_string_equal(f->advice[0].command, "flatpause fix apply --mitigation fallocate DIR");
	findings__free(f);
	f = finding_of("ext4.alloc", "/mnt/snap-3/memory.bin", FINDING_EXTENTS_LOST);
	assert_non_null(strstr(f->advice[0].why,
			       "O_TRUNC at open by copier/7 (sendfile by helper/8), and would be "
			       "again"));
	assert_string_equal(f->advice[0].command,
			    "flatpause fix apply --mitigation fallocate --redo /mnt");
	findings__free(f);
}

/* Where it held and blocks are allocated all the same, another preallocation is no cure. */
static void kept_is_not_preallocated_again(void **state)
{
	struct findings *f = finding_of("ext4.alloc", "/mnt/snap-3/memory.bin",
					FINDING_EXTENTS_KEPT);

	assert_null(strstr(f->advice[0].why, "kept"));
	f->windows[0].files[0].alloc_bytes = 0;
	advise_again(f, "ext4.alloc");
	assert_true(says(f, "memory.bin was preallocated and kept that: the blocks are another"));
	f->windows[0].files[0].alloc_bytes = 8 << 20;
	advise_again(f, "ext4.alloc");
	assert_true(says(f, "was kept, but 8.0 MiB more were allocated to it in the window"));
	findings__free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(advice_follows_the_cause),
		cmocka_unit_test(every_cause_has_advice),
		cmocka_unit_test(lines_are_whole),
		cmocka_unit_test(remedies_know_their_causes),
		cmocka_unit_test(limits_of_control_groups),
		cmocka_unit_test(disks_by_their_number),
		cmocka_unit_test(culprits_are_named),
		cmocka_unit_test(vain_preallocation_has_its_number),
		cmocka_unit_test(advice_names_the_root),
		cmocka_unit_test(kept_is_not_preallocated_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
