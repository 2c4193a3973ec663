// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What a guard that was killed behind its own "durable" left: nothing may go before it has come home. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixer/beneath.h"
#include "fixer/export.h"
#include "fixer/link.h"
#include "fixer/recover.h"

/* root/vm/memory.bin is the file, memory/1/memory.bin its copy in memory. */
struct places {
	char dir[32];
	char memory[64], target[96];
	int rootfd, vmfd, tmpfd;
	struct seen seen;
	bool never_compared; /* of what was recovered last */
};

static void write_file(int dirfd, const char *name, const char *text)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, 4), 4);
	close(fd);
}

static int truncateat(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_WRONLY | O_TRUNC);

	return fd < 0 ? -1 : close(fd);
}

static int open_dir(const char *dir, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(mkdir(path, 0700), 0);
	return open(path, O_RDONLY | O_DIRECTORY);
}

static int set_up(void **state)
{
	struct places *p = calloc(1, sizeof(*p));

	snprintf(p->dir, sizeof(p->dir), "/tmp/test-recover.XXXXXX");
	if (!mkdtemp(p->dir))
		return -1;
	p->rootfd = open_dir(p->dir, "root");
	p->vmfd = open_dir(p->dir, "root/vm");
	p->tmpfd = open_dir(p->dir, "memory");
	assert_int_equal(mkdirat(p->tmpfd, "1", 0700), 0);
	snprintf(p->memory, sizeof(p->memory), "%s/memory", p->dir);
	snprintf(p->target, sizeof(p->target), "%s/1/memory.bin", p->memory);
	write_file(p->tmpfd, "1/memory.bin", "same");
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct places *p = *state;
	char command[64];

	close(p->rootfd);
	close(p->vmfd);
	close(p->tmpfd);
	snprintf(command, sizeof(command), "rm -rf %s", p->dir);
	free(p);
	return system(command);
}

static enum recovered_state recover_as(struct places *p, ino_t committed, const char *said,
				       bool settled)
{
	json_t *file = json_pack("{s:i, s:s, s:s, s:s, s:s, s:I, s:I, s:b}", "n", 1, "dir", "vm",
				 "name", "memory.bin", "planted_name", "memory.bin", "state", said,
				 "commit_ino", (json_int_t)committed, "resumed_ns", (json_int_t)1,
				 "settled", settled);
	struct recovered r;
	enum recovered_state state;

	assert_non_null(file);
	seen__to_json(&p->seen, file);
	assert_int_equal(recover__file(file, p->rootfd, p->tmpfd, p->memory, &r), 0);
	state = r.state;
	p->never_compared = recovered__never_compared(&r);
	assert_true(state == RECOVERED_DONE || r.settled == settled);
	if (state == RECOVERED_DURABLE)
		assert_int_equal(recovered__give_names(&r, p->rootfd), 0);
	recovered__close(&r);
	json_decref(file);
	return state;
}

static enum recovered_state recover_durable(struct places *p, ino_t committed)
{
	return recover_as(p, committed, "durable", false);
}

/* The file as it was exported. */
static void exported(struct places *p)
{
	struct stat m, f;

	write_file(p->vmfd, "memory.bin", "same");
	assert_int_equal(fstatat(p->tmpfd, "1/memory.bin", &m, 0), 0);
	assert_int_equal(fstatat(p->vmfd, "memory.bin", &f, 0), 0);
	seen__take(&p->seen, &m, &f);
}

static ino_t ino_of(int dirfd, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_ino;
}

/* The other names of the link are given last: they led nowhere when the memory went before that. */
static void its_other_names_are_given(void **state)
{
	struct places *p = *state;

	exported(p);
	assert_int_equal(symlinkat(p->target, p->vmfd, "second"), 0);
	assert_int_equal(recover_durable(p, ino_of(p->vmfd, "memory.bin")), RECOVERED_DURABLE);
	assert_int_equal(ino_of(p->vmfd, "second"), ino_of(p->vmfd, "memory.bin"));
}

/* Taken back while it was compared: the journal does not know yet. */
static void a_link_that_came_back_is_in_memory(void **state)
{
	struct places *p = *state;

	assert_int_equal(symlinkat(p->target, p->vmfd, "memory.bin"), 0);
	assert_int_equal(recover_durable(p, 12345), RECOVERED_LINKED);
	assert_int_equal(faccessat(p->tmpfd, "1/memory.bin", F_OK, 0), 0);
}

/* A writer that had followed the link before the rename, and wrote when the lease went with us. */
static void what_was_written_later_is_the_file(void **state)
{
	struct places *p = *state;

	exported(p);
	write_file(p->tmpfd, "1/memory.bin", "new ");
	assert_int_equal(recover_durable(p, ino_of(p->vmfd, "memory.bin")), RECOVERED_LINKED);
}

static void without_its_memory_it_is_done(void **state)
{
	struct places *p = *state;

	write_file(p->vmfd, "memory.bin", "same");
	assert_int_equal(unlinkat(p->tmpfd, "1/memory.bin", 0), 0);
	assert_int_equal(recover_durable(p, ino_of(p->vmfd, "memory.bin")), RECOVERED_DONE);
}

/* Whether what nobody can compare any more was compared before. */
static void what_can_be_compared_no_more_is_told(void **state)
{
	struct places *p = *state;
	ino_t ino;

	exported(p);
	ino = ino_of(p->vmfd, "memory.bin");
	assert_int_equal(recover_as(p, ino, "being renamed", false), RECOVERED_DURABLE);
	assert_false(p->never_compared); /* its memory is there */
	assert_int_equal(unlinkat(p->tmpfd, "1/memory.bin", 0), 0);
	assert_int_equal(recover_as(p, ino, "being renamed", false), RECOVERED_DURABLE);
	assert_true(p->never_compared);
	assert_int_equal(recover_as(p, ino, "being renamed", true), RECOVERED_DURABLE);
	assert_false(p->never_compared);
	assert_int_equal(recover_as(p, ino, "durable", false), RECOVERED_DONE);
	assert_true(p->never_compared);
	assert_int_equal(recover_as(p, ino, "durable", true), RECOVERED_DONE);
	assert_false(p->never_compared);
	/* and only once */
	assert_int_equal(recover_as(p, ino, RECOVERED_NEVER_COMPARED, false), RECOVERED_DONE);
	assert_false(p->never_compared);
}

/* Of a journal that knows no "settled": what the last record of a file says of its reading back. */
static void an_earlier_version_is_understood(void **state)
{
	static const struct {
		const char *said;
		bool read_back, settled;
	} cases[] = { { "durable", true, true },
		      { "durable", false, false },
		      { "being renamed", true, false } };
	struct places *p = *state;
	ino_t ino;

	exported(p);
	ino = ino_of(p->vmfd, "memory.bin");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *file = json_pack("{s:i, s:s, s:s, s:s, s:s, s:I, s:b}", "n", 1, "dir", "vm",
					 "name", "memory.bin", "planted_name", "memory.bin",
					 "state", cases[i].said, "commit_ino", (json_int_t)ino,
					 "read_back", cases[i].read_back);
		struct recovered r;

		seen__to_json(&p->seen, file);
		assert_int_equal(recover__file(file, p->rootfd, p->tmpfd, p->memory, &r), 0);
		assert_int_equal(r.state, RECOVERED_DURABLE);
		assert_int_equal(r.settled, cases[i].settled);
		recovered__close(&r);
		/* and without its memory */
		assert_int_equal(recover__file(file, p->rootfd, -1, p->memory, &r), 0);
		assert_int_equal(recovered__never_compared(&r), !cases[i].settled);
		recovered__close(&r);
		json_decref(file);
	}
}

/* Neither its owner's bytes nor a late writer's go for the other's. */
static void what_both_have_changed_is_kept_twice(void **state)
{
	struct places *p = *state;
	ino_t ino;
	int fd;

	exported(p);
	ino = ino_of(p->vmfd, "memory.bin");
	write_file(p->vmfd, "memory.bin", "mine");
	fd = openat(p->tmpfd, "1/memory.bin", O_WRONLY);
	assert_int_equal(write(fd, "late", 4), 4);
	assert_int_equal(recover_durable(p, ino), RECOVERED_BOTH);
	assert_int_equal(ino_of(p->vmfd, "memory.bin"), ino);
	close(fd);
	assert_int_equal(recover_durable(p, ino), RECOVERED_BOTH);
	assert_int_equal(ino_of(p->vmfd, "memory.bin"), ino);
	assert_int_equal(faccessat(p->tmpfd, "1/memory.bin", F_OK, 0), 0);
}

/* Exported, and not compared: it is known by its handle. */
static json_t *record_of_exported(struct places *p)
{
	char handle[HANDLE_HEX_MAX];
	json_t *file;
	int fd;

	exported(p);
	fd = link__open(p->vmfd, "memory.bin");
	if (handle__get(fd, handle))
		skip();
	close(fd);
	file = json_pack("{s:i, s:s, s:s, s:s, s:s, s:I, s:s}", "n", 1, "dir", "vm", "name",
			 "memory.bin", "planted_name", "memory.bin", "state", "durable",
			 "commit_ino", (json_int_t)ino_of(p->vmfd, "memory.bin"), "commit_handle",
			 handle);
	seen__to_json(&p->seen, file);
	return file;
}

/* By its owner, while nobody had compared it. */
static void a_file_that_was_renamed_is_found(void **state)
{
	struct places *p = *state;
	struct recovered r;
	json_t *file;

	file = record_of_exported(p);
	assert_int_equal(renameat(p->vmfd, "memory.bin", p->rootfd, "renamed"), 0);
	assert_int_equal(recover__file(file, p->rootfd, p->tmpfd, p->memory, &r), 0);
	assert_int_equal(r.state, RECOVERED_DURABLE);
	assert_string_equal(r.name, "renamed");
	recovered__close(&r);
	/* written to in memory since: the link comes back, where the file is now */
	write_file(p->tmpfd, "1/memory.bin", "new ");
	assert_int_equal(recover__file(file, p->rootfd, p->tmpfd, p->memory, &r), 0);
	assert_int_equal(r.state, RECOVERED_LINKED);
	assert_true(export__is_link(p->rootfd, "renamed", p->target));
	recovered__close(&r);
	json_decref(file);
}

/* It is compared by itself; its memory goes only when it has no name at all any more. */
static void a_file_that_left_the_tree_is_found(void **state)
{
	struct places *p = *state;
	struct recovered r;
	struct stat st;
	json_t *file;
	int out;

	file = record_of_exported(p);
	out = open_dir(p->dir, "out");
	assert_int_equal(renameat(p->vmfd, "memory.bin", out, "away"), 0);
	assert_int_equal(recover__file(file, p->rootfd, p->tmpfd, p->memory, &r), 0);
	assert_int_equal(r.state, RECOVERED_DURABLE);
	assert_false(r.settled);
	assert_int_equal(fstat(r.filefd, &st), 0);
	assert_int_equal(st.st_ino, ino_of(out, "away"));
	recovered__close(&r);
	/* written to in memory since: there is no place for a link, so both stay */
	write_file(p->tmpfd, "1/memory.bin", "new ");
	assert_int_equal(recover__file(file, p->rootfd, p->tmpfd, p->memory, &r), 0);
	assert_int_equal(r.state, RECOVERED_BOTH);
	recovered__close(&r);
	assert_int_equal(unlinkat(out, "away", 0), 0);
	close(out);
	assert_int_equal(recover__file(file, p->rootfd, p->tmpfd, p->memory, &r), 0);
	assert_int_equal(r.state, RECOVERED_REMOVED);
	recovered__close(&r);
	json_decref(file);
}

/* Its owner has put another file there since, or has deleted it. */
static void what_its_owner_did_since_stays(void **state)
{
	struct places *p = *state;
	ino_t other;

	assert_int_equal(recover_durable(p, 12345), RECOVERED_REMOVED);
	write_file(p->vmfd, "memory.bin", "mine");
	other = ino_of(p->vmfd, "memory.bin");
	assert_int_equal(recover_durable(p, other + 1), RECOVERED_REMOVED);
	assert_int_equal(ino_of(p->vmfd, "memory.bin"), other);
}

/* Its writer has it open and has written nothing yet; its owner has renamed it. */
static void an_empty_file_is_looked_for(void **state)
{
	struct places *p = *state;
	char handle[HANDLE_HEX_MAX];
	struct recovered r;
	json_t *file;
	int fd;

	assert_int_equal(symlinkat(p->target, p->vmfd, "memory.bin"), 0);
	fd = link__open(p->vmfd, "memory.bin");
	assert_int_equal(handle__get(fd, handle), 0);
	close(fd);
	assert_int_equal(renameat(p->vmfd, "memory.bin", p->rootfd, "renamed"), 0);
	assert_int_equal(truncateat(p->tmpfd, "1/memory.bin"), 0);
	file = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s}", "n", 1, "dir", "vm", "name",
			 "memory.bin", "planted_name", "memory.bin", "state", "planted",
			 "link_handle", handle);
	assert_int_equal(recover__file(file, p->rootfd, p->tmpfd, p->memory, &r), 0);
	assert_int_equal(r.state, RECOVERED_LINKED);
	assert_string_equal(r.name, "renamed");
	recovered__close(&r);
	/* and without a handle */
	json_object_del(file, "link_handle");
	assert_int_equal(recover__file(file, p->rootfd, p->tmpfd, p->memory, &r), 0);
	assert_int_equal(r.state, RECOVERED_LINKED);
	recovered__close(&r);
	json_decref(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_empty_file_is_looked_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(its_other_names_are_given, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_link_that_came_back_is_in_memory, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_was_written_later_is_the_file, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(without_its_memory_it_is_done, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_file_that_left_the_tree_is_found, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_file_that_was_renamed_is_found, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_can_be_compared_no_more_is_told, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_its_owner_did_since_stays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_earlier_version_is_understood, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_both_have_changed_is_kept_twice, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
