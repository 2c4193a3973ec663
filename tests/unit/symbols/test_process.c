// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Names taken from living processes: this one, and children that run a copy of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../../user/symbols/proc_maps.h"
#include "../../../user/symbols/symbols.h"
#include "../../../user/trace/writer.h"

static char dir[] = "/tmp/flatpause-symbols-XXXXXX";

/* Not static, or it would have no name in a stripped table. */
int a_function_to_be_found(int x);
__attribute__((noinline)) int a_function_to_be_found(int x)
{
	return x * 7 + 1;
}

static uint64_t addr_of(int (*f)(int))
{
	return (uint64_t)(uintptr_t)f + 3;
}

static struct trace_writer *new_trace(char path[128])
{
	const struct trace_writer_opts opts = { .cpus_cnt = 1 };
	struct trace_writer *w;

	snprintf(path, 128, "%s/trace", dir);
	unlink(path);
	assert_int_equal(trace_writer__open(&w, path, &opts), 0);
	return w;
}

static struct symbols *load_trace(struct trace_writer *w, const char *path)
{
	struct trace_reader *r;
	struct symbols *s;

	assert_int_equal(trace_writer__finish(w, 1, 0), 0);
	assert_int_equal(trace_reader__open(&r, path), 0);
	assert_int_equal(symbols__load(&s, r), 0);
	trace_reader__close(r);
	return s;
}

static void own_functions_have_names(void **state)
{
	uint64_t addrs[] = { addr_of(a_function_to_be_found), (uint64_t)(uintptr_t)qsort + 1,
			     addr_of(a_function_to_be_found) + 1, 0, ~0ull };
	struct proc_maps *m;
	struct trace_writer *w;
	struct symbols *s;
	char path[128];

	assert_int_equal(proc_maps__read(&m, getpid()), 0);
	w = new_trace(path);
	assert_int_equal(proc_maps__write(m, w), 0);
	assert_int_equal(usyms__write(w, m, addrs, 5), 0);
	proc_maps__free(m);
	s = load_trace(w, path);
	assert_string_equal(symbols__user(s, (uint32_t)getpid(), addrs[0]),
			    "a_function_to_be_found");
	assert_string_equal(symbols__user(s, (uint32_t)getpid(), addrs[2]),
			    "a_function_to_be_found");
	/* Not asked for, so not written: only its mapping is known. */
	assert_non_null(strstr(symbols__user(s, (uint32_t)getpid(),
					     (uint64_t)(uintptr_t)own_functions_have_names + 4),
			       "[test_process+0x"));
	assert_string_equal(symbols__user(s, (uint32_t)getpid(), 0), "[unknown]");
	/* Not the address of a variable: sanitizers keep those elsewhere. */
	assert_string_equal(symbols__mapping(s, (uint32_t)getpid(),
					     (uint64_t)(uintptr_t)__builtin_frame_address(0)),
			    "[stack]");
	symbols__free(s);
}

static void syscall_lines_have_a_stack(void **state)
{
	uint64_t sp = 0;

	assert_true(
		parse_syscall_line("202 0x1 0x89 0x0 0x0 0x0 0x0 0x7f00deadbee0 0x7f0012\n", &sp));
	assert_int_equal(sp, 0x7f00deadbee0);
	assert_true(parse_syscall_line("-1 0x7ffd00001000 0x55\n", &sp));
	assert_int_equal(sp, 0x7ffd00001000);
	assert_false(parse_syscall_line("running\n", &sp));
	assert_false(parse_syscall_line("", &sp));
	assert_false(parse_syscall_line("202 0x1 0x2 0x3\n", &sp));
	assert_false(parse_syscall_line("-1 0x0 0x0\n", &sp));
	assert_false(parse_syscall_line("202 zz\n", &sp));
}

static int initialized = 1;
static char zeroes[1 << 20];

struct sleeper {
	int pipe[2];
	pid_t tid;
	void *local;
};

static void *sleep_until_closed(void *arg)
{
	struct sleeper *s = arg;
	char c = 0;

	/* not &c: AddressSanitizer may keep locals elsewhere */
	s->local = __builtin_frame_address(0);
	__atomic_store_n(&s->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	if (read(s->pipe[0], &c, 1) < 0)
		c = 1;
	return NULL;
}

/* What maps cannot tell: .data from .bss, and whose stack it is. */
static void data_and_stacks_are_told_apart(void **state)
{
	struct sleeper sleeper = { .tid = 0 };
	uint32_t tgid = (uint32_t)getpid();
	struct proc_maps *m;
	struct trace_writer *w;
	struct place at;
	struct symbols *s;
	pthread_t thread;
	char path[128];

	assert_int_equal(pipe(sleeper.pipe), 0);
	assert_int_equal(pthread_create(&thread, NULL, sleep_until_closed, &sleeper), 0);
	while (!__atomic_load_n(&sleeper.tid, __ATOMIC_ACQUIRE))
		sched_yield();
	/* until it sleeps: a running thread has no stack in /proc */
	for (int i = 0; i < 5000; i++) {
		assert_int_equal(proc_maps__read(&m, getpid()), 0);
		w = new_trace(path);
		assert_int_equal(proc_maps__write(m, w), 0);
		proc_maps__free(m);
		s = load_trace(w, path);
		symbols__place(s, tgid, (uint64_t)(uintptr_t)sleeper.local, &at);
		if (at.tid)
			break;
		symbols__free(s);
		usleep(1000);
	}
	assert_string_equal(at.kind, "stack");
	assert_int_equal(at.tid, sleeper.tid);
	symbols__place(s, tgid, (uint64_t)(uintptr_t)&initialized, &at);
	assert_string_equal(at.kind, "data");
	assert_non_null(strstr(at.text, "test_process"));
	symbols__place(s, tgid, (uint64_t)(uintptr_t)&zeroes[sizeof(zeroes) / 2], &at);
	assert_string_equal(at.kind, "bss");
	assert_non_null(strstr(at.text, "test_process"));
	symbols__free(s);
	close(sleeper.pipe[1]);
	pthread_join(thread, NULL);
	close(sleeper.pipe[0]);
}

static void the_vdso_has_names(void **state)
{
	uint64_t base = getauxval(AT_SYSINFO_EHDR), vaddr;
	struct proc_maps *m;
	struct trace_writer *w;
	struct elf_file *elf;
	struct elf_func func;
	struct symbols *s;
	char path[128];
	uint64_t addr = 0;

	if (!base)
		skip();
	assert_int_equal(proc_maps__read(&m, getpid()), 0);
	assert_non_null(proc_maps__find(m, base));
	assert_int_equal(elf_file__open_memory(&elf, (const void *)(uintptr_t)base,
					       proc_maps__find(m, base)->rec.end - base),
			 0);
	for (uint64_t off = 0; off < 0x2000 && !addr; off += 16)
		if (elf_file__vaddr(elf, off, &vaddr) && !elf_file__find(elf, vaddr, &func))
			addr = base + off;
	assert_int_not_equal(addr, 0);
	w = new_trace(path);
	assert_int_equal(usyms__write(w, m, &addr, 1), 0);
	proc_maps__free(m);
	s = load_trace(w, path);
	assert_string_equal(symbols__user(s, (uint32_t)getpid(), addr), func.name);
	elf_file__close(elf);
	symbols__free(s);
}

static void code_has_a_build_id(void **state)
{
	const struct proc_map *map;
	struct proc_maps *m;
	uint8_t or_ed = 0;

	assert_int_equal(proc_maps__read(&m, getpid()), 0);
	map = proc_maps__find(m, (uint64_t)(uintptr_t)qsort);
	assert_non_null(map);
	assert_int_equal(map->rec.build_id_len, 20); /* of libc: every distribution has one */
	for (int i = 0; i < 20; i++)
		or_ed |= map->rec.build_id[i];
	assert_int_not_equal(or_ed, 0);
	proc_maps__free(m);
}

static void own_descriptors_have_paths(void **state)
{
	struct trace_writer *w;
	const struct rec_fd *rec;
	struct symbols *s;
	const char *text;
	char path[128], file[128];
	struct stat st;
	int fd;

	snprintf(file, sizeof(file), "%s/a file", dir);
	fd = open(file, O_RDWR | O_CREAT | O_APPEND, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	w = new_trace(path);
	assert_int_equal(proc__write_fds(w, getpid()), 0);
	s = load_trace(w, path);
	rec = symbols__fd(s, (uint32_t)getpid(), fd, &text);
	assert_non_null(rec);
	assert_string_equal(text, file);
	assert_int_equal(rec->ino, st.st_ino);
	assert_int_equal(rec->oflags & (O_ACCMODE | O_APPEND), O_RDWR | O_APPEND);
	symbols__free(s);
	close(fd);
}

/* Runs a copy of this program at `path`, which tells where its function lies and waits. */
static pid_t start_copy(const char *path, uint64_t *addr)
{
	char command[256], line[32] = "";
	int out[2];
	pid_t pid;

	snprintf(command, sizeof(command), "cp /proc/%d/exe '%s'", getpid(), path);
	assert_int_equal(system(command), 0);
	assert_int_equal(pipe(out), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(out[1], 1);
		execl(path, path, "--wait", NULL);
		_exit(127);
	}
	close(out[1]);
	assert_true(read(out[0], line, sizeof(line) - 1) > 0);
	close(out[0]);
	*addr = strtoull(line, NULL, 16);
	return pid;
}

static void a_deleted_program_that_ended_still_has_names(void **state)
{
	struct proc_maps *m;
	struct trace_writer *w;
	struct symbols *s;
	char program[128], path[128];
	uint64_t addr;
	pid_t pid;

	snprintf(program, sizeof(program), "%s/program", dir);
	pid = start_copy(program, &addr);
	assert_int_equal(unlink(program), 0);
	assert_int_equal(proc_maps__read(&m, pid), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (geteuid() != 0 && m->files[0].fd < 0) {
		proc_maps__free(m);
		print_message("a deleted file opens through map_files only, which wants root\n");
		skip();
	}
	w = new_trace(path);
	assert_int_equal(proc_maps__write(m, w), 0);
	assert_int_equal(usyms__write(w, m, &addr, 1), 0);
	proc_maps__free(m);
	s = load_trace(w, path);
	assert_string_equal(symbols__user(s, (uint32_t)pid, addr), "a_function_to_be_found");
	assert_non_null(strstr(symbols__mapping(s, (uint32_t)pid, addr), "/program (deleted)"));
	symbols__free(s);
}

static void a_line_of_maps_is_taken_apart(void **state)
{
	struct rec_map map;
	char line[] = "00400000-00452000 r-xp 00001000 08:02 173521   /usr/bin/a b (deleted)\n";
	const char *path;

	assert_true(parse_map_line(line, &map, &path));
	assert_int_equal(map.start, 0x400000);
	assert_int_equal(map.end, 0x452000);
	assert_int_equal(map.offset, 0x1000);
	assert_int_equal(map.dev, FP_DEV(8, 2));
	assert_int_equal(map.ino, 173521);
	assert_int_equal(map.prot, 5);
	assert_string_equal(path, "/usr/bin/a b (deleted)");
}

static void lines_that_are_no_mapping_are_refused(void **state)
{
	static const char *const lines[] = { "",
					     "x",
					     "1000-2000",
					     "1000-2000 r-xp 0",
					     "2000-1000 r-xp 0 0:0 0 x",
					     "1000-1000 r-xp 0 0:0 0 x" };
	struct rec_map map;
	const char *path;
	char line[64];

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(line, sizeof(line), "%s", lines[i]);
		assert_false(parse_map_line(line, &map, &path));
	}
	snprintf(line, sizeof(line), "1000-2000 rw-s 0 0:0 0");
	assert_true(parse_map_line(line, &map, &path));
	assert_string_equal(path, "");
	assert_int_equal(map.prot, 11);
}

static void a_process_that_ended_is_told_by_esrch(void **state)
{
	struct proc_maps *m;
	struct trace_writer *w;
	char path[128];
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	w = new_trace(path);
	assert_int_equal(proc_maps__read(&m, pid), -ESRCH);
	assert_null(m);
	assert_int_equal(proc__write_fds(w, pid), -ESRCH);
	trace_writer__abandon(w);
}

/* Out of order as modules are, aliases, data, landing pads, a gap that is no function. */
static void kernel_functions_by_a_table(void **state)
{
	static const char table[] = "ffffffff81000100 T second\n"
				    "ffffffff81000000 t local_alias\n"
				    "ffffffff81000000 T first\n"
				    "ffffffff81000000 T other_alias\n"
				    "ffffffff810000f0 t __pfx_second\n"
				    "ffffffff81000180 D data\n"
				    "ffffffff81000200 t third.isra.0\n"
				    "ffffffffc0002000 t of_module\t[ext4]\n"
				    "ffffffffc0001000 t before_module\t[ext4]\n"
				    "no line of a table\n"
				    "ffffffff81900000 t far\n";
	const uint64_t addrs[] = { 0xffffffffc0002010, 0xffffffff810000ff,
				   0xffffffff81000210, 0xffffffff81000000,
				   0xffffffff81000190, 0xffffffff81000210,
				   0xffffffff81500000, 0x1000,
				   0xffffffffffffffff };
	struct trace_writer *w;
	struct symbols *s;
	char path[128], kallsyms[128];
	FILE *f;

	snprintf(kallsyms, sizeof(kallsyms), "%s/kallsyms", dir);
	f = fopen(kallsyms, "w");
	assert_non_null(f);
	assert_int_equal(fputs(table, f) < 0, 0);
	assert_int_equal(fclose(f), 0);
	w = new_trace(path);
	assert_int_equal(ksyms__write(w, kallsyms, addrs, sizeof(addrs) / sizeof(addrs[0])), 0);
	s = load_trace(w, path);
	assert_string_equal(symbols__kernel(s, 0xffffffff81000000), "first");
	assert_string_equal(symbols__kernel(s, 0xffffffff810000ff), "first");
	assert_string_equal(symbols__kernel(s, 0xffffffff81000190), "second");
	assert_string_equal(symbols__kernel(s, 0xffffffff810001ff), "second");
	assert_string_equal(symbols__kernel(s, 0xffffffff81000210), "third");
	assert_null(symbols__kernel(s, 0xffffffff81500000)); /* too far behind third */
	assert_null(symbols__kernel(s, 0xffffffff81900000)); /* far was not wanted */
	assert_string_equal(symbols__kernel(s, 0xffffffffc0002010), "of_module");
	assert_null(symbols__kernel(s, 0xffffffffc0001010));
	assert_null(symbols__kernel(s, 0x1000));
	symbols__free(s);
	w = new_trace(path);
	assert_int_equal(ksyms__write(w, kallsyms, NULL, 0), 0);
	assert_int_equal(trace_writer__bytes(w), sizeof(struct rec_file));
	trace_writer__abandon(w);
	unlink(kallsyms);
}

/* The address of vfs_read; 0 = hidden from this user, or not there. */
static uint64_t kernel_address(void)
{
	FILE *f = fopen(KALLSYMS, "re");
	unsigned long long addr, found = 0;
	char name[256];

	assert_non_null(f);
	while (!found && fscanf(f, "%llx %*c %255s%*[^\n]", &addr, name) == 2)
		if (!strcmp(name, "vfs_read"))
			found = addr;
	fclose(f);
	return found;
}

static void kernel_functions_have_names(void **state)
{
	uint64_t addrs[3] = { 0, ~0ull, kernel_address() };
	struct trace_writer *w;
	struct symbols *s;
	char path[128];

	if (!addrs[2]) {
		print_message("kernel addresses are hidden from this user\n");
		skip();
	}
	w = new_trace(path);
	assert_int_equal(ksyms__write(w, KALLSYMS, addrs, 3), 0);
	assert_true(trace_writer__bytes(w) < 256); /* one symbol, not all */
	s = load_trace(w, path);
	assert_string_equal(symbols__kernel(s, addrs[2]), "vfs_read");
	symbols__free(s);
}

/* As somebody who may not see addresses; 0 = they were seen all the same, by this host's settings. */
static void hidden_kernel_addresses_are_told(void **state)
{
	const uint64_t addr = 0xffffffff81000000;
	char path[128];
	struct trace_writer *w = new_trace(path);
	int status;
	pid_t pid = fork();

	if (!pid) {
		unsigned long long first = 0;
		FILE *f;
		int err;

		if (setgid(65534) || setuid(65534))
			_exit(77);
		f = fopen("/proc/kallsyms", "re");
		if (!f || fscanf(f, "%llx", &first) != 1)
			_exit(77);
		fclose(f);
		err = ksyms__write(w, KALLSYMS, &addr, 1);
		_exit(first ? 77 : err == -EPERM ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	trace_writer__abandon(w);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message(
			"this host shows kernel addresses to everybody, or we may not be nobody\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void damaged_programs_are_no_danger(void **state)
{
	struct elf_file *elf;
	char path[128];
	int out, in = open("/proc/self/exe", O_RDONLY);
	uint8_t id[BUILD_ID_MAX];
	char buf[8192];

	assert_int_equal(read(in, buf, sizeof(buf)), sizeof(buf));
	close(in);
	snprintf(path, sizeof(path), "%s/damaged", dir);
	for (size_t size = 0; size < sizeof(buf); size += 61) {
		struct elf_func func;

		out = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
		buf[size % 512] ^= (char)size;
		assert_int_equal(write(out, buf, size), size);
		if (!elf_file__open(&elf, out)) {
			elf_file__build_id(elf, id);
			elf_file__find(elf, 0x1000, &func);
			elf_file__close(elf);
		}
		buf[size % 512] ^= (char)size;
		close(out);
	}
}

static int make_dir(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r '%s'", dir);
	return system(command);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_functions_have_names),
		cmocka_unit_test(syscall_lines_have_a_stack),
		cmocka_unit_test(data_and_stacks_are_told_apart),
		cmocka_unit_test(the_vdso_has_names),
		cmocka_unit_test(code_has_a_build_id),
		cmocka_unit_test(own_descriptors_have_paths),
		cmocka_unit_test(a_deleted_program_that_ended_still_has_names),
		cmocka_unit_test(a_line_of_maps_is_taken_apart),
		cmocka_unit_test(lines_that_are_no_mapping_are_refused),
		cmocka_unit_test(a_process_that_ended_is_told_by_esrch),
		cmocka_unit_test(kernel_functions_by_a_table),
		cmocka_unit_test(kernel_functions_have_names),
		cmocka_unit_test(hidden_kernel_addresses_are_told),
		cmocka_unit_test(damaged_programs_are_no_danger),
	};

	if (argc > 1 && !strcmp(argv[1], "--wait")) {
		printf("%llx\n", (unsigned long long)addr_of(a_function_to_be_found));
		fflush(stdout);
		alarm(60); /* not for ever, should the test die */
		pause();
		return 0;
	}
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
