// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixer/guard.h"
#include "fixer/name_text.h"

#define DIR_NAME  "snap \xe4\n"
#define FILE_NAME "a\\x41 \xff.bin"
#define COMM	  "w\xe9\\x41"

static struct guard guard;

static int set_up(void **state)
{
	(void)state;
	memset(&guard, 0, sizeof(guard));
	pthread_mutex_init(&guard.lock, NULL);
	guard.fan = guard.wake = -1;
	guard.tracks[0] = (struct track){ .n = 7, .dir = DIR_NAME, .name = FILE_NAME };
	return journal__begin(&guard.journal, memfd_create("journal", 0)) ||
	       journal__append(&guard.journal, REC_INTENT,
			       conf__to_json(&(struct fix_conf){ .mitigation = MITIGATION_FALLOCATE,
								 .export_workers = 1 }),
			       0);
}

static int tear_down(void **state)
{
	(void)state;
	return close(guard.journal.fd);
}

static void check_text(json_t *file, const char *key, const char *expected)
{
	char text[NAME_MAX + 1];

	assert_true(json_is_string(json_object_get(file, key)));
	assert_int_equal(name_text__from_json(json_object_get(file, key), text, sizeof(text)), 0);
	assert_string_equal(text, expected);
}

/* What the journal says of the file, and of whoever wrote it. */
static void check_record(const char *said)
{
	struct state s;
	json_t *file;

	assert_int_equal(state__load(guard.journal.fd, "/state/1.journal", &s), 0);
	file = json_object_get(s.files, "7");
	assert_non_null(file);
	check_text(file, "dir", DIR_NAME);
	check_text(file, "name", FILE_NAME);
	check_text(file, "writer", COMM);
	assert_string_equal(json_string_value(json_object_get(file, "state")), said);
	state__free(&s);
}

static void names_of_what_was_preallocated(void **state)
{
	struct job job = { .kind = JOB_MADE,
			   .fd = -1,
			   .made = MADE_AT_OPEN,
			   .first_write = true,
			   .lost = "kept",
			   .pid = getpid() };

	(void)state;
	clerk__do(&guard, &job);
	check_record("being written");
}

static void names_of_what_was_closed(void **state)
{
	struct job job = { .kind = JOB_CLOSED, .lost = "lost", .pid = getpid() };

	(void)state;
	job.fd = memfd_create("closed", 0);
	assert_true(job.fd >= 0);
	assert_int_equal(write(job.fd, "x", 1), 1);
	clerk__do(&guard, &job);
	check_record("closed");
	close(job.fd);
}

/* ---- verdicts ---- */

#define M (1u << 20)

struct story {
	const char *what;
	enum made made;
	uint64_t size_bytes; /* known when it was opened; 0 = not */
	off_t ahead_bytes, old_at, old_bytes, written_bytes;
	bool ready, emptied, lost_space, sync;
	const char *first, *last;
};

static const struct story stories[] = {
	{ "all in its space", MADE_AT_OPEN, .size_bytes = M, .ahead_bytes = M, .written_bytes = M,
	  .ready = true, .first = "kept", .last = "kept" },
	{ "the rest of the last block", MADE_AT_OPEN, .size_bytes = 1000, .ahead_bytes = 1000,
	  .written_bytes = 1000, .ready = true, .first = "kept", .last = "kept" },
	{ "larger than its space", MADE_AT_OPEN, .size_bytes = M, .ahead_bytes = M,
	  .written_bytes = 4 * M, .ready = true, .first = "kept", .last = "outgrown" },
	{ "larger, and written back", MADE_SPARE, .size_bytes = M, .ahead_bytes = M,
	  .written_bytes = 4 * M, .sync = true, .first = "kept", .last = "outgrown" },
	{ "an old one that grew", MADE_BEFORE, .size_bytes = M, .old_bytes = M,
	  .written_bytes = 4 * M, .first = "kept", .last = "outgrown" },
	{ "an old one whose hole was filled", MADE_BEFORE, .size_bytes = M, .old_at = 3 * M,
	  .old_bytes = M, .written_bytes = 2 * M, .first = "kept", .last = "outgrown" },
	{ "size not known", MADE_AT_OPEN, .written_bytes = M, .first = "no size known",
	  .last = "no size known" },
	{ "size not known, and written back", MADE_AT_OPEN, .written_bytes = M, .sync = true,
	  .first = "no size known", .last = "no size known" },
	{ "an old one without blocks", MADE_BEFORE, .written_bytes = M, .sync = true,
	  .first = "not preallocated", .last = "not preallocated" },
	{ "late", MADE_AT_OPEN, .size_bytes = M, .written_bytes = M, .lost_space = true,
	  .first = "not in time", .last = "not allocated yet" },
	{ "late, and written back", MADE_AT_OPEN, .size_bytes = M, .written_bytes = M,
	  .lost_space = true, .sync = true, .first = "not in time", .last = "allocated since" },
	{ "late, and nobody saw what the first write met", MADE_AT_OPEN, .size_bytes = M,
	  .written_bytes = M, .sync = true, .first = "not seen", .last = "allocated" },
	{ "an empty one that was truncated", MADE_AT_OPEN, .size_bytes = M, .written_bytes = M,
	  .ready = true, .emptied = true, .first = "undone by O_TRUNC at open",
	  .last = "not allocated yet" },
	{ "truncated, and written back", MADE_SPARE, .size_bytes = M, .written_bytes = M,
	  .emptied = true, .sync = true, .first = "undone by O_TRUNC at open",
	  .last = "allocated since" },
	{ "less than its space", MADE_AT_OPEN, .size_bytes = 4 * M, .ahead_bytes = M,
	  .written_bytes = M, .ready = true, .first = "kept", .last = "less than preallocated" },
};

static int write_zeroes(int fd, off_t at, off_t bytes)
{
	static const char zeroes[64 << 10];

	for (off_t done = 0; done < bytes;) {
		size_t len = bytes - done < (off_t)sizeof(zeroes) ? (size_t)(bytes - done)
								  : sizeof(zeroes);
		ssize_t n = pwrite(fd, zeroes, len, at + done);

		if (n <= 0)
			return -EIO;
		done += n;
	}
	return 0;
}

/* On a disk: a file in memory has no extents. -1 where this one has no fallocate, or delays nothing. */
static int file_on_disk(void)
{
	char path[] = "/var/tmp/flatpause-clerk.XXXXXX";
	int fd = mkstemp(path);
	struct extents e;

	assert_true(fd >= 0);
	unlink(path);
	if (!write_zeroes(fd, 0, 4096) && !extents__read(fd, 0, &e) && e.delalloc_bytes &&
	    !ftruncate(fd, 0) && !fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 4096) && !ftruncate(fd, 0))
		return fd;
	close(fd);
	return -1;
}

static void tell(const struct story *s, int fd)
{
	struct job job = { .kind = JOB_CLOSED,
			   .fd = fd,
			   .made = s->made,
			   .size_bytes = s->size_bytes,
			   .touched = true,
			   .seems_kept = !s->lost_space,
			   .emptied = s->emptied,
			   .ready = s->ready };
	struct track t = { .made = s->made,
			   .found = true,
			   .prealloc_bytes = s->size_bytes,
			   .emptied = s->emptied,
			   .ready = s->ready };

	assert_int_equal(write_zeroes(fd, s->old_at, s->old_bytes), 0);
	assert_int_equal(fsync(fd), 0);
	if (s->ahead_bytes)
		assert_int_equal(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, s->ahead_bytes), 0);
	assert_int_equal(write_zeroes(fd, 0, s->written_bytes), 0);
	if (s->sync)
		assert_int_equal(fsync(fd), 0);
	job.lost = track__how_lost(&t);
	clerk__do(&guard, &job);
}

static void check_said(const char *what, const char *key, const char *expected)
{
	const char *said;
	struct state s;

	assert_int_equal(state__load(guard.journal.fd, "/state/1.journal", &s), 0);
	said = json_string_value(json_object_get(json_object_get(s.files, "7"), key));
	if (!said || strcmp(said, expected) != 0)
		fail_msg("%s, %s: '%s' is not '%s'", what, key, said ? said : "", expected);
	state__free(&s);
}

static void what_became_of_the_space(void **state)
{
	for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
		int fd = file_on_disk();

		if (fd < 0)
			skip();
		tell(&stories[i], fd);
		check_said(stories[i].what, "at_first_write", stories[i].first);
		check_said(stories[i].what, "at_close", stories[i].last);
		close(fd);
		tear_down(state);
		assert_int_equal(set_up(state), 0);
	}
}

/* Its fsync may be seen ahead of its first write. */
static void fsync_of_what_was_not_looked_at(void **state)
{
	struct track *t = &guard.tracks[0];
	struct job job = { .kind = JOB_SYNCED, .fd = file_on_disk() };

	(void)state;
	if (job.fd < 0)
		skip();
	t->made = MADE_AT_OPEN;
	assert_int_equal(write_zeroes(job.fd, 0, M), 0);
	assert_int_equal(fsync(job.fd), 0);
	clerk__do(&guard, &job);
	check_said("no size", "at_fsync", "no size known");
	t->prealloc_bytes = M;
	clerk__do(&guard, &job);
	check_said("late", "at_fsync", "allocated");
	t->ready = t->emptied = true;
	clerk__do(&guard, &job);
	check_said("truncated", "at_fsync", "allocated since");
	t->emptied = false;
	clerk__do(&guard, &job);
	check_said("in time", "at_fsync", "kept");
	close(job.fd);
}

static void how_it_was_lost(void **state)
{
	struct track t = { .made = MADE_AT_OPEN };

	(void)state;
	assert_string_equal(track__how_lost(&t), "not in time");
	t.ready = true;
	assert_string_equal(track__how_lost(&t), "undone by ftruncate");
	t.found = true;
	assert_string_equal(track__how_lost(&t), "undone by O_TRUNC at open");
	t.truncate_seen = true;
	assert_string_equal(track__how_lost(&t), "undone by ftruncate");
	t.made = MADE_SPARE;
	t.found = t.truncate_seen = false;
	assert_string_equal(track__how_lost(&t), "undone by O_TRUNC at open");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names_of_what_was_preallocated, set_up, tear_down),
		cmocka_unit_test_setup_teardown(names_of_what_was_closed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_became_of_the_space, set_up, tear_down),
		cmocka_unit_test_setup_teardown(fsync_of_what_was_not_looked_at, set_up, tear_down),
		cmocka_unit_test(how_it_was_lost),
	};

	prctl(PR_SET_NAME, COMM);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
