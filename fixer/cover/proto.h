/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the FUSE protocol has beyond the headers of Debian 12 (7.38). */
#ifndef FLATPAUSE_FIXER_COVER_PROTO_H
#define FLATPAUSE_FIXER_COVER_PROTO_H

#include <linux/fuse.h>
#include <sys/ioctl.h>

/* "fuse: implement ioctls to manage backing files", 6.9; in init_out.flags2, bits 32 to 63 */
#define COVER_INIT_PASSTHROUGH2 (1u << (37 - 32))
/* "fuse: Use the high bit of request ID for indicating resend requests", 6.9 */
#define COVER_INIT_RESEND2	(1u << (39 - 32))
#define COVER_UNIQUE_RESEND	(1ull << 63)
#define COVER_NOTIFY_RESEND	7

#define COVER_FOPEN_PASSTHROUGH (1u << 7)

struct cover_backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};

#define COVER_BACKING_OPEN  _IOW(229, 1, struct cover_backing_map)
#define COVER_BACKING_CLOSE _IOW(229, 2, uint32_t)

/* The first of fuse_init_out.unused is max_stack_depth there, fuse_open_out.padding backing_id. */
_Static_assert(sizeof(struct fuse_init_out) == 64, "as the kernel reads it");
_Static_assert(sizeof(struct fuse_open_out) == 16, "as the kernel reads it");

#endif
