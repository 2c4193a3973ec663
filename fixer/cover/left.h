/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Covers that were taken away here and are left elsewhere: a mount namespace that is made while a
 * cover is up gets a mount of its own, and umount does not reach it unless it asked for that. It is
 * served on, without memory files, until the namespace ends: whoever writes there has his bytes on
 * disk. It is not unmounted from here: in a container the cover may be all there is below its point,
 * and he would go on into a directory that nobody knows. Nor is its connection ended: he would get
 * errors in the middle of a file.
 */
#ifndef FLATPAUSE_FIXER_COVER_LEFT_H
#define FLATPAUSE_FIXER_COVER_LEFT_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* One in a namespace. */
struct left_cover {
	dev_t dev;
	uint64_t mnt_ns;
	char point[PATH_MAX];
	pid_t pid; /* the first process that is in it */
	char comm[64];
	unsigned int processes;
	pid_t server; /* of ours; 0 = none: whoever uses it gets an error */
	bool stopped; /* ... and he waits */
	bool known; /* as ours: by its server, or by a journal; else anybody may have mounted it */
};

struct left_covers {
	struct left_cover *v;
	size_t cnt;
};

/*
 * All that are mounted in some namespace and not in this one; asks none of them. `root`: "" = this
 * host. 0 or -errno.
 */
int left_covers__find(struct left_covers *l, const char *root);
void left_covers__free(struct left_covers *l);

/* A line for people: "POINT: a cover that ... for sleep (pid 123) ...: what that means". */
void left_cover__print(const struct left_cover *c, FILE *to);
json_t *left_cover__to_json(const struct left_cover *c);

/* Warns of those of one cover, which was taken away from `dir`. */
void left_covers__warn(dev_t dev, const char *dir);

#endif
