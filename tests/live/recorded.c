// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "recorded.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "user/trace/reader.h"

struct capture_opts usual_capture(void)
{
	return (struct capture_opts){
		.ring_bytes = 4 << 20, .min_sleep_ns = 100000, .syscalls = true, .wakes = true
	};
}

static void pause_ms(uint32_t ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

static pid_t start_process(const struct recorded_opts *o, void *mem, int *go)
{
	int pipefd[2];
	pid_t pid;
	char c;

	if (pipe(pipefd))
		return -errno;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pipefd[1]);
		if (!o->start_first && read(pipefd[0], &c, 1) != 1)
			_exit(99);
		_exit(o->run(mem));
	}
	close(pipefd[0]);
	*go = pipefd[1];
	return pid < 0 ? -errno : pid;
}

static int follow(struct recorded *r, const struct recorded_opts *o, struct capture *c)
{
	uint32_t waited_ms = 0;
	int err = 0;

	r->status = -1;
	for (; err >= 0; waited_ms++) {
		if (o->stop_after_ms && waited_ms >= o->stop_after_ms)
			break;
		if (waitpid(r->pid, &r->status, WNOHANG) == r->pid)
			break;
		pause_ms(1);
		if (!o->drain_late)
			err = capture__drain(c);
	}
	return err < 0 ? err : 0;
}

static int load_events(struct recorded *r, const char *path)
{
	struct trace_reader *reader = NULL;
	struct trace_event ev;
	size_t size = 1024;
	int err;

	err = trace_reader__open(&reader, path);
	if (err)
		return err;
	r->events = calloc(size, sizeof(*r->events));
	r->cpus = calloc(size, sizeof(*r->cpus));
	err = trace_reader__rewind(reader, 0);
	while (!err && r->events && r->cpus && trace_reader__next(reader, &ev) > 0) {
		if (r->events_cnt == size) {
			size *= 2;
			r->events = realloc(r->events, size * sizeof(*r->events));
			r->cpus = realloc(r->cpus, size * sizeof(*r->cpus));
			if (!r->events || !r->cpus)
				break;
		}
		r->cpus[r->events_cnt] = ev.cpu;
		r->events[r->events_cnt] = malloc(ev.hdr->size);
		if (!r->events[r->events_cnt])
			break;
		memcpy(r->events[r->events_cnt++], ev.hdr, ev.hdr->size);
	}
	r->inversions = trace_reader__inversions(reader);
	trace_reader__close(reader);
	return r->events && r->cpus ? err : -ENOMEM;
}

static uint64_t count_loss(const struct capture *c)
{
	struct capture_loss *loss = calloc(capture__cpus(c), sizeof(*loss));
	uint64_t sum = 0;

	if (!loss)
		return 0;
	capture__loss(c, loss);
	for (uint32_t i = 0; i < capture__cpus(c); i++)
		sum += loss[i].records;
	free(loss);
	return sum;
}

static int record_process(struct recorded *r, const struct recorded_opts *o, const char *path,
			  int go)
{
	struct trace_writer *w = NULL;
	struct capture *c = NULL;
	struct trace_writer_opts wo = { 0 };
	int err;

	err = capture__open(&c, &o->capture);
	if (err)
		return err;
	err = capture__add_target(c, r->pid);
	wo.cpus_cnt = capture__cpus(c);
	if (!err)
		err = trace_writer__open(&w, path, &wo);
	if (!err)
		err = capture__start(c, w);
	if (!err && write(go, "x", 1) != 1 && !o->start_first)
		err = -errno;
	if (!err)
		err = follow(r, o, c);
	if (!err) {
		r->err = capture__stop(c, &r->end_ns);
		const uint32_t *devices = capture__written_devices(c, &r->devices_cnt);

		memcpy(r->devices, devices, r->devices_cnt * sizeof(*devices));
		r->lost = count_loss(c);
		err = trace_writer__finish(w, r->end_ns, 0);
	}
	capture__close(c);
	return err;
}

int record_run(struct recorded *r, const struct recorded_opts *o)
{
	char path[] = "/tmp/flatpause-live-XXXXXX";
	int err, go = -1, fd = mkstemp(path);

	memset(r, 0, sizeof(*r));
	if (fd < 0)
		return -errno;
	close(fd);
	unlink(path); /* the writer makes it itself */
	r->mem = mmap(NULL, RECORDED_SHARED, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (r->mem == MAP_FAILED)
		return -errno;
	r->pid = start_process(o, r->mem, &go);
	if (r->pid < 0)
		return r->pid;
	if (o->start_first)
		pause_ms(100);
	err = record_process(r, o, path, go);
	if (r->status == -1) {
		kill(r->pid, SIGKILL);
		waitpid(r->pid, NULL, 0);
	}
	close(go);
	if (!err)
		err = load_events(r, path);
	unlink(path);
	return err;
}

void recorded__free(struct recorded *r)
{
	for (size_t i = 0; i < r->events_cnt; i++)
		free(r->events[i]);
	free(r->events);
	free(r->cpus);
	if (r->mem)
		munmap(r->mem, RECORDED_SHARED);
	memset(r, 0, sizeof(*r));
}

const void *recorded__next(const struct recorded *r, size_t *pos, uint8_t kind, uint32_t tid)
{
	for (; *pos < r->events_cnt; (*pos)++) {
		const struct ev_hdr *h = r->events[*pos];

		if (h->kind == kind && (!tid || h->tid == tid)) {
			(*pos)++;
			return h;
		}
	}
	return NULL;
}

size_t recorded__count(const struct recorded *r, uint8_t kind, uint32_t tid)
{
	size_t pos = 0, cnt = 0;

	while (recorded__next(r, &pos, kind, tid))
		cnt++;
	return cnt;
}

const struct ev_stack *recorded__stack(const struct recorded *r, uint64_t id)
{
	const struct ev_stack *s;
	size_t pos = 0;

	while ((s = recorded__next(r, &pos, EV_STACK, 0)))
		if (s->id == id)
			return s;
	return NULL;
}

/* What /proc/kallsyms calls the text that each frame lies in: the last symbol at or below it. */
static int name_frames(const struct ev_stack *s, char names[][64])
{
	FILE *f = fopen("/proc/kallsyms", "re");
	uint64_t best[FP_MAX_FRAMES] = { 0 }, addr;
	char line[256], name[64], type;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNx64 " %c %63s", &addr, &type, name) != 3 ||
		    (type != 't' && type != 'T'))
			continue;
		for (int i = 0; i < s->frames_cnt && i < FP_MAX_FRAMES; i++)
			if (addr <= s->frames[i] && addr > best[i]) {
				best[i] = addr;
				memcpy(names[i], name, sizeof(name));
			}
	}
	fclose(f);
	return best[0] ? 0 : -1;
}

int stack_has(const struct ev_stack *s, const char *prefix)
{
	char names[FP_MAX_FRAMES][64] = { 0 };

	if (!s)
		return 0;
	if (name_frames(s, names))
		return -1;
	for (int i = 0; i < s->frames_cnt && i < FP_MAX_FRAMES; i++)
		if (!strncmp(names[i], prefix, strlen(prefix)))
			return 1;
	return 0;
}
