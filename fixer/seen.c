// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "seen.h"

#include "../user/clock.h"

void seen__take(struct seen *s, const struct stat *memory, const struct stat *file)
{
	*s = (struct seen){ .memory_bytes = (uint64_t)memory->st_size,
			    .memory_ctime_ns = timespec_ns(&memory->st_ctim),
			    .file_mtime_ns = timespec_ns(&file->st_mtim) };
}

bool seen__is_current(const struct seen *s, const struct stat *memory, const struct stat *file)
{
	if (s->memory_ctime_ns == timespec_ns(&memory->st_ctim) &&
	    s->memory_bytes == (uint64_t)memory->st_size)
		return true;
	return s->file_mtime_ns != timespec_ns(&file->st_mtim) &&
	       timespec_ns(&file->st_ctim) > timespec_ns(&memory->st_ctim);
}

bool seen__is_his(const struct seen *s, const struct stat *file)
{
	return s->memory_ctime_ns && (s->file_mtime_ns != timespec_ns(&file->st_mtim) ||
				      s->memory_bytes != (uint64_t)file->st_size);
}

void seen__to_json(const struct seen *s, json_t *file)
{
	if (!file)
		return;
	json_object_set_new(file, "memory_bytes", json_integer((json_int_t)s->memory_bytes));
	json_object_set_new(file, "memory_ctime_ns", json_integer((json_int_t)s->memory_ctime_ns));
	json_object_set_new(file, "file_mtime_ns", json_integer((json_int_t)s->file_mtime_ns));
}

static uint64_t number(const json_t *file, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(file, key));
}

void seen__from_json(struct seen *s, const json_t *file)
{
	*s = (struct seen){ .memory_bytes = number(file, "memory_bytes"),
			    .memory_ctime_ns = number(file, "memory_ctime_ns"),
			    .file_mtime_ns = number(file, "file_mtime_ns") };
}
