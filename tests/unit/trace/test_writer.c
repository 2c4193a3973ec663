// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* How a trace is made, and how it ends when the disk is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../bpf/abi.h"
#include "../../../user/trace/reader.h"
#include "../../../user/trace/writer.h"

#define S 1000000000ull

static char dir[] = "/tmp/flatpause-writer-XXXXXX";
static char path[128];

static const struct trace_writer_opts plain = { .cpus_cnt = 2, .start_ns = 1 };
static const struct trace_writer_opts deflating = { .cpus_cnt = 2,
						    .start_ns = 1,
						    .compress = true };

static struct trace_writer *open_writer(const struct trace_writer_opts *opts)
{
	struct trace_writer *w;

	unlink(path);
	assert_int_equal(trace_writer__open(&w, path, opts), 0);
	return w;
}

static int put(struct trace_writer *w, uint32_t cpu, uint64_t ns, uint32_t tid)
{
	/* Not all alike, or a deflated trace never fills a disk. */
	struct ev_wake e = { .h = { ns, tid, sizeof(e), EV_WAKE, EV_CTX_TASK },
			     .wakee_tid = tid,
			     .cause = tid * 0x9e3779b97f4a7c15ull };

	return trace_writer__event(w, cpu, &e, sizeof(e));
}

static uint64_t count_events(struct trace_reader *r)
{
	struct trace_event ev;
	uint64_t cnt = 0;

	assert_int_equal(trace_reader__rewind(r, 0), 0);
	while (trace_reader__next(r, &ev) > 0)
		cnt++;
	return cnt;
}

static void an_existing_file_is_left_alone(void **state)
{
	struct trace_writer *w;
	struct stat st;
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT, 0644);
	assert_int_equal(write(fd, "mine", 4), 4);
	close(fd);
	assert_int_equal(trace_writer__open(&w, path, &plain), -EEXIST);
	assert_null(w);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 4);
}

static void a_symbolic_link_is_not_followed(void **state)
{
	struct trace_writer *w;
	char target[160];
	struct stat st;

	snprintf(target, sizeof(target), "%s.target", path);
	unlink(path);
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(trace_writer__open(&w, path, &plain), -EEXIST);
	assert_int_equal(stat(target, &st), -1);
}

static void what_cannot_be_made_is_an_error(void **state)
{
	const struct trace_writer_opts none = { .cpus_cnt = 0 }, many = { .cpus_cnt = 1u << 30 };
	struct trace_writer *w;

	unlink(path);
	assert_int_equal(trace_writer__open(&w, "/nowhere/at/all", &plain), -ENOENT);
	assert_int_equal(trace_writer__open(&w, path, &none), -EINVAL);
	assert_int_equal(trace_writer__open(&w, path, &many), -EINVAL);
	assert_int_equal(access(path, F_OK), -1);
}

static void a_trace_is_for_its_owner_only(void **state)
{
	struct trace_writer *w = open_writer(&plain);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	trace_writer__abandon(w);
}

static void malformed_records_are_refused(void **state)
{
	struct trace_writer *w = open_writer(&plain);
	struct ev_wake e = { .h = { 1, 1, sizeof(e), EV_WAKE, 0 } };

	assert_int_equal(trace_writer__event(w, 2, &e, sizeof(e)), -EINVAL);
	assert_int_equal(trace_writer__event(w, 0, &e, sizeof(e) - 8), -EINVAL);
	assert_int_equal(trace_writer__event(w, 0, &e, 0), -EINVAL);
	e.h.size = sizeof(e) - 4;
	assert_int_equal(trace_writer__event(w, 0, &e, sizeof(e) - 4), -EINVAL);
	assert_int_equal(trace_writer__events(w), 0);
	assert_int_equal(put(w, 0, 1, 1), 0);
	assert_int_equal(trace_writer__events(w), 1);
	assert_int_equal(trace_writer__finish(w, 2, 0), 0);
}

static void a_full_buffer_goes_out(void **state)
{
	struct trace_writer *w = open_writer(&plain);
	uint64_t begin = trace_writer__bytes(w);

	for (uint32_t i = 0; i < (64u << 10) / sizeof(struct ev_wake); i++)
		assert_int_equal(put(w, 1, i, i), 0);
	assert_int_equal(trace_writer__bytes(w), begin);
	assert_int_equal(put(w, 1, 9999, 1), 0);
	assert_true(trace_writer__bytes(w) > begin + (64u << 10));
	trace_writer__abandon(w);
}

/* One CPU falls silent: the other's records carry the time, or the caller does. */
static void an_old_buffer_goes_out(void **state)
{
	struct trace_writer *w = open_writer(&plain);
	uint64_t begin = trace_writer__bytes(w);

	assert_int_equal(put(w, 0, 10 * S, 1), 0);
	assert_int_equal(put(w, 1, 10 * S + S / 2, 1), 0);
	assert_int_equal(trace_writer__tick(w, 10 * S + S / 2), 0);
	assert_int_equal(trace_writer__bytes(w), begin);
	assert_int_equal(put(w, 1, 11 * S, 1), 0);
	assert_int_not_equal(trace_writer__bytes(w), begin);
	begin = trace_writer__bytes(w);
	assert_int_equal(trace_writer__tick(w, 12 * S), 0);
	assert_int_not_equal(trace_writer__bytes(w), begin);
	begin = trace_writer__bytes(w);
	assert_int_equal(trace_writer__flush(w), 0); /* nothing is left */
	assert_int_equal(trace_writer__bytes(w), begin);
	trace_writer__abandon(w);
}

static void a_chunk_that_is_too_large_is_refused(void **state)
{
	struct trace_writer *w = open_writer(&plain);
	struct trace_part part = { "", REC_MAX_CHUNK + 1ull };

	assert_int_equal(trace_writer__chunk(w, REC_META, &part, 1), -E2BIG);
	assert_int_equal(trace_writer__finish(w, 1, 0), 0); /* and hurts nothing */
}

static void the_largest_record_fits(void **state)
{
	struct trace_writer *w = open_writer(&plain);
	struct ev_hdr *big = calloc(1, 65528);
	struct trace_reader *r;
	struct trace_event ev;

	assert_non_null(big);
	*big = (struct ev_hdr){ 5, 1, 65528, EV_KIND_END, 0 };
	assert_int_equal(put(w, 0, 4, 1), 0);
	assert_int_equal(trace_writer__event(w, 0, big, 65528), 0);
	assert_int_equal(put(w, 0, 6, 1), 0);
	free(big);
	assert_int_equal(trace_writer__finish(w, 7, 0), 0);
	assert_int_equal(trace_reader__open(&r, path), 0);
	/* A kind of a newer writer: skipped, and nothing around it. */
	assert_int_equal(trace_reader__next(r, &ev), 1);
	assert_int_equal(ev.hdr->ts_ns, 4);
	assert_int_equal(trace_reader__next(r, &ev), 1);
	assert_int_equal(ev.hdr->ts_ns, 6);
	assert_int_equal(trace_reader__next(r, &ev), 0);
	assert_int_equal(trace_reader__bad_records(r), 0);
	trace_reader__close(r);
}

/* Writes until there is no room, then what makes a trace readable; checks what is left. */
static void fill(const char *file, const struct trace_writer_opts *opts)
{
	static const char meta[] = "{\"window\":\"auto\"}";
	struct trace_part part = { meta, sizeof(meta) - 1 };
	struct trace_writer *w;
	struct trace_reader *r;
	uint64_t written = 0;
	size_t size;
	int err;

	unlink(file);
	assert_int_equal(trace_writer__open(&w, file, opts), 0);
	do
		err = put(w, written % 2, written, (uint32_t)written);
	while (!err && ++written < 1000000);
	assert_int_equal(err, -ENOSPC);
	assert_true(trace_writer__full(w));
	assert_int_equal(put(w, 0, written, 1), -ENOSPC);
	assert_int_equal(trace_writer__chunk(w, REC_META, &part, 1), 0);
	assert_int_equal(trace_writer__finish(w, written, REC_REASON_DONE), -ENOSPC);

	assert_int_equal(trace_reader__open(&r, file), 0);
	assert_true(trace_reader__info(r)->complete);
	assert_int_equal(trace_reader__info(r)->end.reason, REC_REASON_NO_SPACE);
	assert_int_equal(trace_reader__info(r)->bad_chunks, 0);
	assert_int_equal(trace_reader__info(r)->bytes_used, trace_reader__info(r)->bytes);
	assert_string_equal(trace_reader__chunk(r, REC_META, 0, &size), meta);
	/* What was taken is there: the tail's room also holds the buffers. */
	assert_int_equal(count_events(r), written);
	assert_int_equal(trace_reader__info(r)->end.events_cnt, written);
	trace_reader__close(r);
}

/* In a mount namespace of its own, so that nothing can stay behind. 77 = not allowed. */
static int in_small_tmpfs(const char *size, void (*test)(const char *mount_point))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("none", dir, "tmpfs", 0, size))
			_exit(77);
		test(dir); /* an assertion that fails ends it with a signal or a status */
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void fill_tmpfs(const char *mount_point)
{
	char file[160];

	snprintf(file, sizeof(file), "%s/trace", mount_point);
	fill(file, &plain);
	fill(file, &deflating);
}

static void find_no_room(const char *mount_point)
{
	struct trace_writer *w;
	char file[160];

	snprintf(file, sizeof(file), "%s/trace", mount_point);
	assert_int_equal(trace_writer__open(&w, file, &plain), -ENOSPC);
	assert_int_equal(access(file, F_OK), -1);
}

static void a_full_disk_leaves_a_readable_trace(void **state)
{
	int status = in_small_tmpfs("size=2m", fill_tmpfs);

	if (status == 77) {
		print_message("mounting a small tmpfs wants root\n");
		skip();
	}
	assert_int_equal(status, 0);
}

static void a_disk_that_is_full_already_is_told_at_once(void **state)
{
	int status = in_small_tmpfs("size=64k", find_no_room);

	if (status == 77) {
		print_message("mounting a small tmpfs wants root\n");
		skip();
	}
	assert_int_equal(status, 0);
}

/* The other way in which a write ends half way: no room was allocated ahead, and it is cut off. */
static void a_limit_on_file_size_leaves_whole_chunks(void **state)
{
	struct rlimit old, limit;
	struct trace_writer *w = open_writer(&plain);
	struct trace_reader *r;
	uint64_t written = 0;
	struct stat st;
	int err;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = old;
	limit.rlim_cur = 300000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	do
		err = put(w, 0, written, 1);
	while (!err && ++written < 1000000);
	assert_int_equal(err, -ENOSPC);
	/* Now, not only at the end: a recording may be killed before it comes to one. */
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, trace_writer__bytes(w));
	trace_writer__finish(w, written, REC_REASON_DONE);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);

	assert_int_equal(trace_reader__open(&r, path), 0);
	assert_int_equal(trace_reader__info(r)->bad_chunks, 0);
	assert_int_equal(trace_reader__info(r)->bytes_used, trace_reader__info(r)->bytes);
	assert_true(count_events(r) >= 4 * 2048);
	trace_reader__close(r);
}

static int make_dir(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/trace.fpt", dir);
	return 0;
}

static int remove_dir(void **state)
{
	char command[160];

	snprintf(command, sizeof(command), "rm -r '%s'", dir);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_existing_file_is_left_alone),
		cmocka_unit_test(a_symbolic_link_is_not_followed),
		cmocka_unit_test(what_cannot_be_made_is_an_error),
		cmocka_unit_test(a_trace_is_for_its_owner_only),
		cmocka_unit_test(malformed_records_are_refused),
		cmocka_unit_test(a_full_buffer_goes_out),
		cmocka_unit_test(an_old_buffer_goes_out),
		cmocka_unit_test(a_chunk_that_is_too_large_is_refused),
		cmocka_unit_test(the_largest_record_fits),
		cmocka_unit_test(a_full_disk_leaves_a_readable_trace),
		cmocka_unit_test(a_disk_that_is_full_already_is_told_at_once),
		cmocka_unit_test(a_limit_on_file_size_leaves_whole_chunks),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
