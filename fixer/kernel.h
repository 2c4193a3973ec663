/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What newer kernels have and the headers of Debian 12 do not. */
#ifndef FLATPAUSE_FIXER_KERNEL_H
#define FLATPAUSE_FIXER_KERNEL_H

#include <stdint.h>

/* "fanotify: introduce FAN_PRE_ACCESS permission event", 6.14 */
#ifndef FAN_PRE_ACCESS
#define FAN_PRE_ACCESS 0x00100000
#endif
#ifndef FAN_EVENT_INFO_TYPE_RANGE
#define FAN_EVENT_INFO_TYPE_RANGE 6
#endif

/* "fs: add RWF_UNCACHED", 6.14 */
#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x00000080
#endif

/* comes behind the metadata of a FAN_PRE_ACCESS */
struct range_info {
	uint8_t type, pad;
	uint16_t len;
	uint32_t zero;
	uint64_t offset;
	uint64_t count; /* 0: ftruncate */
};

_Static_assert(sizeof(struct range_info) == 24, "as the kernel writes it");

#endif
