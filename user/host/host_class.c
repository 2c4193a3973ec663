// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "host_class.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../log.h"
#include "disk.h"
#include "facts.h"

/* The kernel keeps a part of the memory for itself: 7.7 GB are the 8 that were bought. */
#define MEMORY_ROUND_UP 1.08

#define CPUS_MAX	65536
#define MEMORY_KB_MAX	(1ull << 40)

/* Copies what may stand in a name; anything else makes the whole of it '?'. */
static void take_word(char out[HOST_CLASS_NAME_SZ], const char *value)
{
	size_t len = strlen(value);

	if (!len || len >= HOST_CLASS_NAME_SZ)
		goto odd;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)value[i]) && !strchr("._:-", value[i]))
			goto odd;
	memcpy(out, value, len + 1);
	return;
odd:
	strcpy(out, "?");
}

/* The number that a text begins with; 0 where it is none that a host has. */
static uint64_t take_number(const char *value, uint64_t max)
{
	unsigned long long v = isdigit((unsigned char)*value) ? strtoull(value, NULL, 10) : 0;

	return v <= max ? v : 0;
}

static struct host_class_disk *find_disk(struct host_class *h, const char *name, size_t len)
{
	struct host_class_disk *d;

	if (!len || len >= HOST_CLASS_NAME_SZ)
		return NULL;
	for (uint32_t i = 0; i < h->disks_cnt; i++)
		if (strlen(h->disks[i].name) == len && !memcmp(h->disks[i].name, name, len))
			return &h->disks[i];
	if (h->disks_cnt == HOST_CLASS_DISKS)
		return NULL;
	d = &h->disks[h->disks_cnt++];
	memcpy(d->name, name, len);
	return d;
}

/* "disk.vda.fs_type"; the names of disks have no dot. */
static void take_disk(struct host_class *h, const char *rest, const char *value)
{
	const char *dot = strchr(rest, '.');
	struct host_class_disk *d;

	if (!dot || (strcmp(dot, ".dev") && strcmp(dot, ".fs_type") && strcmp(dot, ".rotational")))
		return;
	d = find_disk(h, rest, (size_t)(dot - rest));
	if (!d)
		return;
	if (!strcmp(dot, ".dev"))
		take_word(d->dev, value);
	else if (!strcmp(dot, ".fs_type"))
		take_word(d->fs, value);
	else if ((value[0] == '0' || value[0] == '1') && !value[1])
		d->rotational = value[0];
}

void host_class__take(struct host_class *h, const char *name, const char *value)
{
	if (!strcmp(name, "kernel")) {
		if (sscanf(value, "%5u.%5u", &h->kernel_major, &h->kernel_minor) != 2)
			h->kernel_major = h->kernel_minor = 0;
	} else if (!strcmp(name, "cpus")) {
		h->cpus = take_number(value, CPUS_MAX);
	} else if (!strcmp(name, "memory.total")) {
		h->memory_kb = take_number(value, MEMORY_KB_MAX);
	} else if (!strncmp(name, "disk.", 5)) {
		take_disk(h, name + 5, value);
	}
}

bool host_class__known(const struct host_class *h)
{
	return h->kernel_major || h->cpus;
}

bool is_host_class(const char *s)
{
	size_t len = strlen(s);

	if (!len || len >= HOST_CLASS_SIZE)
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s > '~' || strchr("\"\\", *s))
			return false;
	return true;
}

/* "4-7cpu", "1cpu", "?cpu" */
static void print_bucket(FILE *out, uint64_t n, const char *unit)
{
	uint64_t low = 1;

	if (!n) {
		fprintf(out, "?%s", unit);
		return;
	}
	while (low <= n / 2)
		low *= 2;
	if (low == 1)
		fprintf(out, "1%s", unit);
	else
		fprintf(out, "%llu-%llu%s", (unsigned long long)low,
			(unsigned long long)(low - 1 + low), unit);
}

static const char *disk_kind(const struct host_class_disk *d)
{
	static const struct {
		const char *prefix, *kind;
	} kinds[] = { { "nvme", "nvme" },  { "loop", "loop" },	  { "nbd", "nbd" },
		      { "vd", "virtual" }, { "xvd", "virtual" },  { "dm-", "mapped" },
		      { "md", "raid" },	   { "mmcblk", "flash" }, { "pmem", "pmem" } };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strncmp(d->name, kinds[i].prefix, strlen(kinds[i].prefix)))
			return kinds[i].kind;
	/* "0:27" has no device below it: tmpfs, overlay, FUSE */
	if (!strncmp(d->dev, "0:", 2))
		return "none";
	if (d->rotational)
		return d->rotational == '1' ? "hdd" : "ssd";
	return "?";
}

static const struct host_class_disk *choose_disk(const struct host_class *h, const char *dev)
{
	for (uint32_t i = 0; dev && i < h->disks_cnt; i++)
		if (!strcmp(h->disks[i].dev, dev))
			return &h->disks[i];
	return h->disks_cnt ? &h->disks[0] : NULL;
}

const char *host_class__name(const struct host_class *h, const char *dev, char buf[HOST_CLASS_SIZE])
{
	const struct host_class_disk *d = choose_disk(h, dev);
	FILE *out = fmemopen(buf, HOST_CLASS_SIZE, "w");

	buf[0] = '\0';
	if (!out)
		return buf;
	if (h->kernel_major)
		fprintf(out, "linux-%u.%u/", h->kernel_major, h->kernel_minor);
	else
		fputs("linux-?/", out);
	print_bucket(out, h->cpus, "cpu");
	fputc('/', out);
	print_bucket(out, (uint64_t)((double)h->memory_kb * MEMORY_ROUND_UP / (1 << 20)), "G");
	fprintf(out, "/%s/%s", d ? disk_kind(d) : "?", d && d->fs[0] ? d->fs : "?");
	fclose(out);
	return buf;
}

int host_class__here(const char *path, char buf[HOST_CLASS_SIZE])
{
	struct host_class h = { 0 };
	struct disks disks = { 0 };
	struct facts f = { 0 };
	int err = path ? disks__add_path(&disks, path) : 0;

	if (err)
		return log_err(err, "cannot say which disk %s is on", path);
	facts__host(&f, "");
	facts__disks(&f, "", &disks, 0);
	for (size_t i = 0; i < f.cnt; i++)
		host_class__take(&h, f.v[i].name, f.v[i].value);
	err = f.err;
	facts__free(&f);
	host_class__name(&h, NULL, buf);
	return err ? log_err(err, "cannot describe this host") : 0;
}
