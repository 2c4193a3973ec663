/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * From the memory copy to the real place: a temporary name beside the link, O_DIRECT steps from one
 * pre-faulted buffer (so at most one step of ours is ever queued on the device), fsync, a second
 * reading from the device compared by CRC32C, then a rename over the link.
 */
#ifndef FLATPAUSE_EXPORT_H
#define FLATPAUSE_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORT_STEP_BYTES (256u << 10)

struct export_hooks {
	void (*yield)(void *arg);     /* before each step: returns when the device may be used */
	bool (*cancelled)(void *arg); /* ends the copy with -ECANCELED */
	void *arg;
};

struct export_result {
	uint64_t bytes;	     /* size of the file */
	uint64_t data_bytes; /* of it written: holes stay holes */
	uint32_t crc;	     /* CRC32C of all its bytes */
	uint64_t copy_ns, sync_ns, verify_ns;
	bool direct; /* O_DIRECT was taken, else bounded buffered writes */
};

/*
 * Copies `src` to the new file `tmp` in `dirfd`, with its mode and owner, syncs it and reads it
 * back. On any error nothing is left under `tmp`. -ECANCELED, -ENOSPC, -EBADMSG (what the device
 * gives back is not what was written), -errno. Not said.
 */
int export__copy(int src, int dirfd, const char *tmp, const struct export_hooks *hooks,
		 struct export_result *res);

/*
 * Puts `tmp` in the place of the link `name`, if that still is our link to `target`; syncs the
 * directory. -ENOENT where the link is gone or another's (`tmp` is removed then).
 */
int export__commit(int dirfd, const char *tmp, const char *name, const char *target);

/* Back from export__commit(): the link again in the place of the file. */
int export__relink(int dirfd, const char *tmp, const char *name, const char *target);

/* Whether `name` in `dirfd` is a link to `target`. */
bool export__is_link(int dirfd, const char *name, const char *target);

/* ".NAME.flatpause" */
void export__tmp_name(char *buf, size_t size, const char *name);

#endif
