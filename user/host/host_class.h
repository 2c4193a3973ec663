/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What kind of host a recording is from, so coarse that hosts which should agree do: kernel series,
 * CPUs and memory by powers of two, kind of disk, file system: "linux-6.18/2-3cpu/16-31G/loop/ext4".
 * Built from facts as user/host writes them; those of a file are hostile, what is odd becomes '?'.
 */
#ifndef FLATPAUSE_HOST_CLASS_H
#define FLATPAUSE_HOST_CLASS_H

#include <stdbool.h>
#include <stdint.h>

#define HOST_CLASS_SIZE	   128
#define HOST_CLASS_DISKS   16
#define HOST_CLASS_NAME_SZ 24

struct host_class_disk {
	char name[HOST_CLASS_NAME_SZ]; /* "vda", "loop0", "0:27" */
	char dev[HOST_CLASS_NAME_SZ];  /* "7:0" */
	char fs[HOST_CLASS_NAME_SZ];
	char rotational; /* '0', '1'; 0 = not said */
};

struct host_class {
	unsigned int kernel_major, kernel_minor;
	uint64_t cpus;
	uint64_t memory_kb;
	struct host_class_disk disks[HOST_CLASS_DISKS];
	uint32_t disks_cnt;
};

/* Takes one fact; most are of no interest. */
void host_class__take(struct host_class *h, const char *name, const char *value);

/* Whether a kernel or CPUs were among the facts: without either there is no host to speak of. */
bool host_class__known(const struct host_class *h);

/* Whether a text may be such a name: printable, without blanks, quotes and backslashes. */
bool is_host_class(const char *s);

/* `dev` is the disk's "major:minor", NULL or unknown = the first disk; returns buf. */
const char *host_class__name(const struct host_class *h, const char *dev,
			     char buf[HOST_CLASS_SIZE]);

/* Of this machine; `path` lies on the disk that is meant, NULL = none. 0 or -errno (said). */
int host_class__here(const char *path, char buf[HOST_CLASS_SIZE]);

#endif
