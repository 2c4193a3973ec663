// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixer/crc32c.h"
#include "fixer/journal.h"

struct seen {
	int cnt;
	char names[8][32];
	uint32_t kinds[8];
};

static int collect(const struct journal_rec *rec, json_t *body, void *arg)
{
	struct seen *s = arg;

	assert_true(s->cnt < 8);
	s->kinds[s->cnt] = rec->kind;
	snprintf(s->names[s->cnt], sizeof(s->names[0]), "%s",
		 json_string_value(json_object_get(body, "name")));
	s->cnt++;
	return 0;
}

static int new_journal(struct journal *j)
{
	int fd = memfd_create("journal", 0);

	assert_true(fd >= 0);
	assert_int_equal(journal__begin(j, fd), 0);
	assert_int_equal(journal__append(j, REC_INTENT, json_pack("{s:s}", "name", "one"), 1), 0);
	assert_int_equal(journal__append(j, REC_PLANT, json_pack("{s:s}", "name", "two"), 0), 0);
	assert_int_equal(journal__append(j, REC_FILE, json_pack("{s:s}", "name", "three"), 0), 0);
	return fd;
}

static size_t slurp(int fd, unsigned char *buf, size_t size)
{
	ssize_t n = pread(fd, buf, size, 0);

	assert_true(n > 0 && (size_t)n < size);
	return (size_t)n;
}

static void roundtrip(void **state)
{
	struct journal j;
	struct journal_read r;
	struct seen s = { 0 };
	const char *why;
	int fd = new_journal(&j);

	(void)state;
	assert_int_equal(journal__read(fd, collect, &s, &r, &why), 0);
	assert_int_equal(s.cnt, 3);
	assert_string_equal(s.names[2], "three");
	assert_int_equal(s.kinds[1], REC_PLANT);
	assert_int_equal(r.seq, 3);
	assert_int_equal(r.torn, 0);
	close(fd);
}

/* Every single bit that turns over anywhere is noticed. */
static void every_flipped_bit_is_refused(void **state)
{
	unsigned char buf[4096];
	struct journal j;
	struct journal_read r;
	const char *why;
	int fd = new_journal(&j);
	size_t n = slurp(fd, buf, sizeof(buf));

	(void)state;
	for (size_t i = 0; i < n * 8; i++) {
		struct seen s = { 0 };
		int err;

		buf[i / 8] ^= (unsigned char)(1 << i % 8);
		err = journal__parse(buf, n, collect, &s, &r, &why);
		assert_true(err == -EBADMSG || err == -EPROTONOSUPPORT);
		buf[i / 8] ^= (unsigned char)(1 << i % 8);
	}
	close(fd);
}

/* A write that was cut leaves whole records before it, never a half one. */
static void cut_anywhere(void **state)
{
	unsigned char buf[4096];
	struct journal j;
	struct journal_read r;
	const char *why;
	int fd = new_journal(&j), whole = 0;
	size_t n = slurp(fd, buf, sizeof(buf));

	(void)state;
	for (size_t cut = 0; cut <= n; cut++) {
		struct seen s = { 0 };
		int err = journal__parse(buf, cut, collect, &s, &r, &why);

		if (cut < sizeof(struct journal_header)) {
			assert_int_equal(err, -EBADMSG);
			continue;
		}
		assert_int_equal(err, 0);
		assert_true(s.cnt == whole || s.cnt == whole + 1);
		whole = s.cnt;
		assert_int_equal(r.torn, cut != n && r.end != cut);
	}
	assert_int_equal(whole, 3);
	close(fd);
}

static void goes_on_behind_a_torn_tail(void **state)
{
	struct journal j;
	struct journal_read r;
	struct seen s = { 0 };
	const char *why;
	int fd = new_journal(&j);
	off_t end = lseek(fd, 0, SEEK_END);

	(void)state;
	assert_int_equal(ftruncate(fd, end - 1), 0);
	assert_int_equal(journal__read(fd, collect, &s, &r, &why), 0);
	assert_int_equal(r.seq, 2);
	assert_int_equal(r.torn, 1);
	assert_int_equal(journal__continue(&j, fd, r.seq, r.end), 0);
	assert_int_equal(journal__append(&j, REC_NOTE, json_pack("{s:s}", "name", "four"), 0), 0);
	s.cnt = 0;
	assert_int_equal(journal__read(fd, collect, &s, &r, &why), 0);
	assert_int_equal(s.cnt, 3);
	assert_string_equal(s.names[2], "four");
	close(fd);
}

/* A disk that is full in the middle of a record: what comes when there is room is read again. */
static void half_a_record_is_cut_off(void **state)
{
	struct rlimit old, limit;
	struct journal_read r;
	struct seen s = { 0 };
	struct journal j;
	const char *why;
	int fd = new_journal(&j);

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = old;
	limit.rlim_cur = j.end + 40; /* its header, and a little of its text */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(journal__append(&j, REC_FILE, json_pack("{s:s}", "name", "lost"), 0),
			 -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(journal__append(&j, REC_FILE, json_pack("{s:s}", "name", "four"), 0), 0);
	assert_int_equal(journal__read(fd, collect, &s, &r, &why), 0);
	assert_int_equal(s.cnt, 4);
	assert_string_equal(s.names[3], "four");
	close(fd);
}

static void newer_versions_are_refused(void **state)
{
	unsigned char buf[4096];
	struct journal_header h;
	struct journal_rec rec;
	struct journal j;
	struct journal_read r;
	struct seen s = { 0 };
	const char *why;
	int fd = new_journal(&j);
	size_t n = slurp(fd, buf, sizeof(buf));

	(void)state;
	memcpy(&rec, buf + sizeof(h), sizeof(rec));
	rec.kind = REC_KIND_END;
	rec.crc = crc32c(0, &rec, offsetof(struct journal_rec, crc));
	memcpy(buf + sizeof(h), &rec, sizeof(rec));
	assert_int_equal(journal__parse(buf, n, collect, &s, &r, &why), -EPROTONOSUPPORT);
	memcpy(&h, buf, sizeof(h));
	h.version++;
	h.crc = crc32c(0, &h, offsetof(struct journal_header, crc));
	memcpy(buf, &h, sizeof(h));
	assert_int_equal(journal__parse(buf, n, collect, &s, &r, &why), -EPROTONOSUPPORT);
	assert_non_null(strstr(why, "another version"));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roundtrip),
		cmocka_unit_test(every_flipped_bit_is_refused),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(goes_on_behind_a_torn_tail),
		cmocka_unit_test(half_a_record_is_cut_off),
		cmocka_unit_test(newer_versions_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
