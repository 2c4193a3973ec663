// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Marks: the line, the stamp, and the socket with its lock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "user/capture/marks.h"
#include "user/trace/reader.h"

#define NOW 1000000000000ull

static int parse(const char *text, struct rec_mark *m, bool *implausible)
{
	return mark_parse(text, strlen(text), NOW, m, implausible);
}

static void test_lines(void **state)
{
	struct rec_mark m;
	bool implausible;

	assert_int_equal(parse("begin vm1\n", &m, &implausible), 0);
	assert_int_equal(m.kind, REC_MARK_BEGIN);
	assert_string_equal(m.label, "vm1");
	assert_int_equal(m.ts_ns, NOW);
	assert_false(implausible);
	assert_int_equal(parse("end", &m, &implausible), 0);
	assert_int_equal(m.kind, REC_MARK_END);
	assert_string_equal(m.label, "");
	assert_int_equal(parse("end  two words \r\n", &m, &implausible), 0);
	assert_string_equal(m.label, "two words");
}

static void test_stamps(void **state)
{
	struct rec_mark m;
	bool implausible;

	assert_int_equal(parse("@999999000000 begin x\n", &m, &implausible), 0);
	assert_int_equal(m.ts_ns, 999999000000ull);
	assert_false(implausible);
	/* the future, long ago, and another clock: the time of arrival counts */
	assert_int_equal(parse("@1000000000001 end x\n", &m, &implausible), 0);
	assert_true(implausible);
	assert_int_equal(m.ts_ns, NOW);
	assert_int_equal(parse("@900000000000 end x\n", &m, &implausible), 0);
	assert_true(implausible);
	assert_int_equal(parse("@1795000000000000000 end x\n", &m, &implausible), 0);
	assert_true(implausible);
}

static void test_refused_lines(void **state)
{
	static const char *const bad[] = {
		"",
		"\n",
		"start x",
		"beginx",
		"begin\x1b[31m",
		"@ begin x",
		"@-5 begin x",
		"@12x begin x",
		"@99999999999999999999999 begin x",
		"@12",
		"begin 123456789012345678901234567890123456789012345678"
	};
	struct rec_mark m;
	bool implausible;
	char longest[MARK_LINE_MAX + 1];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(bad[i], &m, &implausible) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
	memset(longest, 'x', sizeof(longest));
	assert_int_equal(mark_parse(longest, sizeof(longest), NOW, &m, &implausible), -EINVAL);
	assert_int_equal(mark_parse("begin\0x", 7, NOW, &m, &implausible), -EINVAL);
	/* the longest label that fits, to the byte */
	assert_int_equal(
		parse("begin 12345678901234567890123456789012345678901234567", &m, &implausible),
		0);
	assert_int_equal(strlen(m.label), MARK_LABEL_MAX);
}

struct place {
	char dir[64];
	char trace[80];
};

static int make_place(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	if (!p)
		return -1;
	snprintf(p->dir, sizeof(p->dir), "/tmp/test-marks-XXXXXX");
	if (!mkdtemp(p->dir))
		return -1;
	snprintf(p->trace, sizeof(p->trace), "%s/x.fpt", p->dir);
	setenv("FLATPAUSE_RUN_DIR", p->dir, 1);
	*state = p;
	return 0;
}

static int drop_place(void **state)
{
	struct place *p = *state;
	char lock[80];

	snprintf(lock, sizeof(lock), "%s/mark.lock", p->dir);
	unlink(lock);
	unlink(p->trace);
	assert_int_equal(rmdir(p->dir), 0); /* the socket went with marks__close */
	free(p);
	return 0;
}

static void send_line(const char *line)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	assert_int_equal(marks_path(addr.sun_path, sizeof(addr.sun_path)), 0);
	assert_int_equal(sendto(fd, line, strlen(line), 0, (struct sockaddr *)&addr, sizeof(addr)),
			 strlen(line));
	close(fd);
}

static void test_socket_to_trace(void **state)
{
	struct place *p = *state;
	struct trace_writer_opts opts = { .cpus_cnt = 1 };
	const struct rec_mark *mark;
	struct trace_reader *r;
	struct trace_writer *w;
	struct marks *m;
	size_t size;

	assert_int_equal(trace_writer__open(&w, p->trace, &opts), 0);
	assert_int_equal(marks__open(&m), 0);
	send_line("begin a\n");
	send_line("nonsense\n");
	send_line("end a\n");
	assert_int_equal(marks__receive(m, w), 0);
	assert_int_equal(marks__cnt(m), 2);
	assert_int_equal(marks__receive(m, w), 0); /* nothing more, and no empty chunk */
	marks__close(m);
	assert_int_equal(trace_writer__finish(w, 1, 0), 0);

	assert_int_equal(trace_reader__open(&r, p->trace), 0);
	mark = trace_reader__chunk(r, REC_MARKS, 0, &size);
	assert_non_null(mark);
	assert_int_equal(size, 2 * sizeof(*mark));
	assert_int_equal(mark[0].kind, REC_MARK_BEGIN);
	assert_int_equal(mark[1].kind, REC_MARK_END);
	assert_int_equal(mark[1].pid, getpid());
	assert_true(mark[0].ts_ns <= mark[1].ts_ns);
	assert_null(trace_reader__chunk(r, REC_MARKS, 1, &size));
	trace_reader__close(r);
}

static void test_second_recorder_is_refused(void **state)
{
	struct marks *first, *second;

	assert_int_equal(marks__open(&first), 0);
	assert_int_equal(marks__open(&second), -EBUSY);
	marks__close(first);
	assert_int_equal(marks__open(&second), 0);
	marks__close(second);
}

/* What SIGKILL leaves: a socket that nobody listens on, and a lock that nobody holds. */
static void test_stale_socket_is_replaced(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct marks *m;
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	assert_int_equal(marks_path(addr.sun_path, sizeof(addr.sun_path)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	assert_int_equal(marks__open(&m), 0);
	marks__close(m);
}

static void test_open_directory_is_refused(void **state)
{
	struct place *p = *state;
	struct marks *m;

	assert_int_equal(chmod(p->dir, 0777), 0);
	assert_int_equal(marks__open(&m), -EPERM);
	assert_int_equal(chmod(p->dir, 0755), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_stamps),
		cmocka_unit_test(test_refused_lines),
		cmocka_unit_test_setup_teardown(test_socket_to_trace, make_place, drop_place),
		cmocka_unit_test_setup_teardown(test_second_recorder_is_refused, make_place,
						drop_place),
		cmocka_unit_test_setup_teardown(test_stale_socket_is_replaced, make_place,
						drop_place),
		cmocka_unit_test_setup_teardown(test_open_directory_is_refused, make_place,
						drop_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
