/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* CRC32C (Castagnoli): what guards the journal and compares an export with the memory copy. */
#ifndef FLATPAUSE_CRC32C_H
#define FLATPAUSE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 to begin) over more bytes. Uses the processor's instruction where it has one. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

/* The same without the instruction, so that a test can hold one against the other. */
uint32_t crc32c_table(uint32_t crc, const void *data, size_t len);

/* Continues `crc` over `len` zero bytes without looking at them: a hole of 100 GB costs nothing. */
uint32_t crc32c_zeros(uint32_t crc, uint64_t len);

#endif
