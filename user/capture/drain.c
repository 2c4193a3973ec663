// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* From the rings to the trace. Rings are read on a timer: a wake-up per record would triple cost. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../bpf/config.h"
#include "flatpause.skel.h"

#include "../log.h"
#include "capture_internal.h"

static int note_frames(struct capture *c, const struct ev_stack *s, size_t size)
{
	if (size < sizeof(*s) || size - sizeof(*s) < s->frames_cnt * sizeof(s->frames[0]))
		return 0;
	for (unsigned int i = 0; i < s->frames_cnt; i++) {
		int err = frame_set__add(&c->frames, s->tgid, s->frames[i]);

		if (err)
			return err;
	}
	return 0;
}

/*
 * False only where it can be seen: what was closed again before the ring was read counts. VMMs in a
 * jail open devices, and sockets live, on the disk that the jail is on.
 */
static bool may_be_regular(const struct ev_open *o)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%u/fd/%d", o->h.tid, o->fd);
	return stat(path, &st) || st.st_ino != o->ino || S_ISREG(st.st_mode);
}

/*
 * Which disks a recording is about is known for sure only once the targets write to them. What is
 * appended to is a log.
 */
static void note_device(struct capture *c, const struct ev_open *o, size_t size)
{
	if (size < sizeof(*o) || !o->ino || (o->oflags & O_ACCMODE) == O_RDONLY ||
	    (o->oflags & O_APPEND))
		return;
	for (size_t i = 0; i < c->devices_cnt; i++)
		if (c->devices[i] == o->dev)
			return;
	if (c->devices_cnt < CAPTURE_DEVICES && may_be_regular(o))
		c->devices[c->devices_cnt++] = o->dev;
}

static int on_record(void *ctx, void *data, size_t size)
{
	const struct cpu_ring *ring = ctx;
	struct capture *c = ring->capture;
	const struct ev_hdr *h = data;
	int err;

	if (size < sizeof(*h) || h->size != size || !c->writer)
		return 0;
	if (h->kind == EV_STACK) {
		err = note_frames(c, data, size);
		if (err)
			return err;
	} else if (h->kind == EV_OPEN) {
		note_device(c, data, size);
	}
	return trace_writer__event(c->writer, ring->cpu, data, size);
}

/* "0-3,8" in the kernel's way; a CPU that comes later has no ring, which is counted as loss. */
static int mark_online(struct capture *c)
{
	FILE *f = fopen("/sys/devices/system/cpu/online", "re");
	unsigned int from, to;
	int n;

	if (!f)
		return log_err(-errno, "cannot read /sys/devices/system/cpu/online");
	while (fscanf(f, "%u", &from) == 1) {
		to = from;
		n = fgetc(f);
		if (n == '-' && fscanf(f, "%u", &to) == 1)
			n = fgetc(f);
		for (; from <= to && from < c->cpus_cnt; from++)
			c->rings[from].fd = 0;
		if (n != ',')
			break;
	}
	fclose(f);
	return 0;
}

static int open_ring(struct capture *c, uint32_t cpu)
{
	struct cpu_ring *r = &c->rings[cpu];
	int err;

	r->fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "fp_ring", 0, 0, c->opts.ring_bytes, NULL);
	if (r->fd < 0)
		return log_err(-errno, "cannot make a ring of %llu bytes for CPU %u",
			       (unsigned long long)c->opts.ring_bytes, cpu);
	if (bpf_map_update_elem(bpf_map__fd(c->skel->maps.rings), &cpu, &r->fd, BPF_ANY))
		return log_err(-errno, "cannot hand over the ring of CPU %u", cpu);
	if (!c->reader) {
		c->reader = ring_buffer__new(r->fd, on_record, r, NULL);
		return c->reader ? 0 : log_err(-errno, "cannot map the ring of CPU %u", cpu);
	}
	err = ring_buffer__add(c->reader, r->fd, on_record, r);
	return err ? log_err(err, "cannot map the ring of CPU %u", cpu) : 0;
}

int capture_open_rings(struct capture *c)
{
	int err;

	c->rings = calloc(c->cpus_cnt, sizeof(*c->rings));
	if (!c->rings)
		return log_err(-ENOMEM, "no memory for %u rings", c->cpus_cnt);
	for (uint32_t i = 0; i < c->cpus_cnt; i++)
		c->rings[i] = (struct cpu_ring){ c, i, -1 };
	err = mark_online(c);
	for (uint32_t i = 0; !err && i < c->cpus_cnt; i++)
		if (c->rings[i].fd == 0)
			err = open_ring(c, i);
	return err;
}

void capture_close_rings(struct capture *c)
{
	ring_buffer__free(c->reader);
	for (uint32_t i = 0; c->rings && i < c->cpus_cnt; i++)
		if (c->rings[i].fd > 0)
			close(c->rings[i].fd);
	free(c->rings);
}

int capture__drain(struct capture *c)
{
	return c->reader ? ring_buffer__consume(c->reader) : 0;
}

static int read_cpu(const struct capture *c, uint32_t cpu, struct cpu_state *state)
{
	return bpf_map_lookup_elem(bpf_map__fd(c->skel->maps.cpus), &cpu, state) ? -errno : 0;
}

/* What was lost last had no record behind it to be told with. */
int capture_tell_last_loss(struct capture *c, uint64_t end_ns)
{
	for (uint32_t cpu = 0; cpu < c->cpus_cnt; cpu++) {
		struct cpu_state state;
		struct ev_lost lost = { .h = { .ts_ns = end_ns,
					       .size = sizeof(lost),
					       .kind = EV_LOST,
					       .ctx = EV_CTX_UNKNOWN } };
		int err = read_cpu(c, cpu, &state);

		if (err)
			return err;
		if (!state.lost_pending)
			continue;
		lost.from_ns = state.lost_from_ns;
		lost.records = state.lost_pending;
		err = trace_writer__event(c->writer, cpu, &lost, sizeof(lost));
		if (err)
			return err;
	}
	return 0;
}

uint32_t capture__cpus(const struct capture *c)
{
	return c->cpus_cnt;
}

void capture__loss(const struct capture *c, struct capture_loss *loss)
{
	for (uint32_t cpu = 0; cpu < c->cpus_cnt; cpu++) {
		struct cpu_state state;

		loss[cpu] = (struct capture_loss){ 0 };
		if (read_cpu(c, cpu, &state))
			continue;
		loss[cpu].records = state.lost_total;
		loss[cpu].first_ns = state.lost_first_ns;
		loss[cpu].last_ns = state.lost_last_ns;
	}
}
