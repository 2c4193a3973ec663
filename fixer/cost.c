// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What a mitigation costs: time that moved out of the pause, memory, bytes, time until durable. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../user/cli/params.h"
#include "../user/clock.h"
#include "../user/host/read.h"
#include "beneath.h"
#include "loop.h"

#define SECTOR_BYTES 512
#define FILES_MAX    4096

/* Seventh field of a block device's stat: sectors written. 0 where there is no such disk. */
static uint64_t disk_written(const char *stat_path)
{
	unsigned long long sectors = 0;
	char text[512];

	if (!*stat_path || read_text("", text, sizeof(text), "%s", stat_path) <= 0 ||
	    sscanf(text, "%*u %*u %*u %*u %*u %*u %llu", &sectors) != 1)
		return 0;
	return sectors * SECTOR_BYTES;
}

static void sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	syncfs(fd);
	close(fd);
}

void cost__begin(struct cost *c, const char *dir)
{
	struct stat st;

	*c = (struct cost){ 0 };
	sync_dir(dir);
	if (!stat(dir, &st))
		snprintf(c->stat, sizeof(c->stat), "/sys/dev/block/%u:%u/stat", major(st.st_dev),
			 minor(st.st_dev));
	c->written_bytes = disk_written(c->stat);
	c->begin_ns = now_ns();
}

static void add_to(json_t *arm, const char *key, double value)
{
	double sum = json_number_value(json_object_get(arm, key)) + value;

	json_object_set_new(arm, key, json_real(sum));
}

void cost__end(const struct cost *c, const char *dir, json_t *arm)
{
	uint64_t ns = now_ns() - c->begin_ns, written;

	sync_dir(dir);
	written = disk_written(c->stat);
	add_to(arm, "wall_s", (double)ns / 1e9);
	add_to(arm, "disk_written_bytes",
	       written > c->written_bytes ? (double)(written - c->written_bytes) : 0);
}

struct held {
	json_int_t at_ns;
	json_int_t bytes; /* negative: let go */
};

static int compare_held(const void *x, const void *y)
{
	const struct held *a = x, *b = y;

	if (a->at_ns != b->at_ns)
		return a->at_ns < b->at_ns ? -1 : 1;
	return a->bytes < b->bytes ? -1 : a->bytes > b->bytes;
}

static json_int_t most_held(struct held *v, size_t cnt)
{
	json_int_t now = 0, most = 0;

	if (cnt)
		qsort(v, cnt, sizeof(*v), compare_held);
	for (size_t i = 0; i < cnt; i++) {
		now += v[i].bytes;
		most = now > most ? now : most;
	}
	return most;
}

void cost__files(json_t *arm, const json_t *files)
{
	struct held *v = calloc(2 * FILES_MAX, sizeof(*v));
	double worst = 0, sum = 0;
	size_t durable = 0, pending = 0, cnt = 0;
	const char *key;
	json_t *file;

	json_object_foreach ((json_t *)files, key, file) {
		json_int_t from = json_integer_value(json_object_get(file, "resumed_ns"));
		json_int_t to = json_integer_value(json_object_get(file, "durable_ns"));
		json_int_t bytes = json_integer_value(json_object_get(file, "size"));
		json_int_t made = json_integer_value(json_object_get(file, "made_ns"));

		if (!from || !v || cnt + 2 > 2 * FILES_MAX)
			continue;
		/* its writer needs that memory too, not only who waits for the disk */
		v[cnt++] = (struct held){ .at_ns = made ? made : from, .bytes = bytes };
		if (to <= from) {
			pending++;
			continue;
		}
		v[cnt++] = (struct held){ .at_ns = to, .bytes = -bytes };
		durable++;
		sum += (double)(to - from) / 1e9;
		if ((double)(to - from) / 1e9 > worst)
			worst = (double)(to - from) / 1e9;
	}
	if (durable + pending)
		json_object_set_new(arm, "durability",
				    json_pack("{s:I, s:I, s:f, s:f, s:I}", "files_durable",
					      (json_int_t)durable, "files_pending",
					      (json_int_t)pending, "mean_s",
					      durable ? sum / (double)durable : 0.0, "worst_s",
					      worst, "memory_held_bytes", most_held(v, cnt)));
	free(v);
}

static double ratio(const json_t *arm, const json_t *before, const char *key)
{
	double base = json_number_value(json_object_get(before, key)) /
		      json_number_value(json_object_get(before, "sweeps"));
	double own = json_number_value(json_object_get(arm, key)) /
		     json_number_value(json_object_get(arm, "sweeps"));

	return base > 0 && own > 0 ? own / base : 0;
}

static size_t say(char *text, size_t size, size_t len, const char *fmt, double value)
{
	if (!(value > 0) || len >= size)
		return len;
	if (len)
		len += (size_t)snprintf(text + len, size - len, ", ");
	return len < size ? len + (size_t)snprintf(text + len, size - len, fmt, value) : len;
}

void cost__say(json_t *arm, const json_t *before)
{
	const json_t *d = json_object_get(arm, "durability");
	json_int_t held = json_integer_value(json_object_get(d, "memory_held_bytes"));
	char text[512] = "", bytes[32];
	size_t len = 0;

	len = say(text, sizeof(text), len, "a sweep takes %.2fx as long as without it",
		  ratio(arm, before, "wall_s"));
	len = say(text, sizeof(text), len, "the disk writes %.2fx as much",
		  ratio(arm, before, "disk_written_bytes"));
	len = say(text, sizeof(text), len, "files are durable %.2f s after they were closed",
		  json_number_value(json_object_get(d, "mean_s")));
	len = say(text, sizeof(text), len, "at worst %.2f s",
		  json_number_value(json_object_get(d, "worst_s")));
	if (held > 0 && len < sizeof(text))
		len += (size_t)snprintf(
			text + len, sizeof(text) - len,
			", from their creation until then at most %s of them are in memory",
			format_bytes((uint64_t)held, bytes, sizeof(bytes)));
	say(text, sizeof(text), len, "%.0f of them were not yet when the sweep ended",
	    json_number_value(json_object_get(d, "files_pending")));
	if (*text)
		json_object_set_new(arm, "cost", json_string(text));
}
