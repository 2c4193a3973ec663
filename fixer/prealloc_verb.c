// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * `fix prealloc`: the one system call that an orchestrator can make before a BRANCH, made right: exact
 * size, blocks really there, and all or nothing. A new file appears only once it is whole; an
 * existing one keeps its bytes, and what could not be allocated to the end is given back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../user/cli/params.h"
#include "../user/log.h"
#include "beneath.h"
#include "prealloc.h"
#include "verbs.h"

struct prealloc_cfg {
	const char *size, *size_of;
	bool json;
};

struct place {
	const char *path;
	const char *name; /* its last component */
	int dirfd;
	struct stat dir;
	bool unsupported; /* the file system cannot allocate ahead: size only */
};

static int usage(const char *text)
{
	log_err(0, "%s; see `flatpause fix prealloc --help`", text);
	return -EINVAL;
}

static int wanted_bytes(const struct prealloc_cfg *cfg, uint64_t *bytes)
{
	struct stat st;

	if (!cfg->size == !cfg->size_of)
		return usage("fix prealloc takes --size BYTES or --size-of FILE");
	if (cfg->size_of) {
		if (stat(cfg->size_of, &st))
			return log_err(-errno, "cannot read the size of %s", cfg->size_of);
		if (!S_ISREG(st.st_mode))
			return usage("--size-of takes a regular file");
		if (!st.st_size)
			return usage("--size-of: that file is empty");
		*bytes = (uint64_t)st.st_size;
	} else if (parse_size_bytes(cfg->size, bytes)) {
		return usage("--size takes bytes, or a number with a unit such as 512M");
	}
	if (!*bytes || *bytes > INT64_MAX)
		return usage("the size must be above 0 and below 2^63");
	return 0;
}

static int open_parent(struct place *t)
{
	const char *slash = strrchr(t->path, '/');
	char dir[PATH_MAX];
	int err;

	t->name = slash ? slash + 1 : t->path;
	if (!name_ok(t->name))
		return usage("PATH must end with the file's name");
	if (!slash)
		strcpy(dir, ".");
	else if ((size_t)snprintf(dir, sizeof(dir), "%.*s", (int)(slash - t->path) + 1, t->path) >=
		 sizeof(dir))
		return log_err(-ENAMETOOLONG, "%s", t->path);
	t->dirfd = dir__open(dir);
	if (t->dirfd >= 0 && !fstat(t->dirfd, &t->dir))
		return 0;
	err = t->dirfd < 0 ? t->dirfd : -errno;
	if (err == -ELOOP)
		return log_err(err, "a symbolic link is on the way to %s; give its real path",
			       t->path);
	return log_err(err, "cannot open the directory of %s", t->path);
}

/* ---- a file that is not there yet ---- */

static int fill_new(struct place *t, int fd, uint64_t bytes)
{
	if (fallocate(fd, 0, 0, (off_t)bytes)) {
		if (errno != EOPNOTSUPP)
			return -errno;
		t->unsupported = true;
		if (ftruncate(fd, (off_t)bytes))
			return -errno;
	}
	if (fchmod(fd, 0644))
		return -errno;
	/* as what its writer would have made there */
	if (!geteuid() && fchown(fd, t->dir.st_uid, t->dir.st_gid))
		return -errno;
	return 0;
}

/* It has no name until it is whole: a crash leaves nothing. */
static int make_new(struct place *t, uint64_t bytes)
{
	int fd = openat(t->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), err;
	char self[64];

	if (fd < 0)
		return -errno;
	err = fill_new(t, fd, bytes);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (!err && linkat(AT_FDCWD, self, t->dirfd, t->name, AT_SYMLINK_FOLLOW))
		err = -errno;
	close(fd);
	return err;
}

/* For file systems without O_TMPFILE: under a name of ours first. */
static int make_named(struct place *t, uint64_t bytes)
{
	char tmp[NAME_MAX + 1];
	int fd, err;

	snprintf(tmp, sizeof(tmp), ".%s%s", t->name, EXPORT_SUFFIX);
	fd = beneath__open(t->dirfd, tmp, O_CREAT | O_EXCL | O_RDWR, 0600);
	if (fd < 0)
		return fd;
	err = fill_new(t, fd, bytes);
	close(fd);
	if (!err && renameat2(t->dirfd, tmp, t->dirfd, t->name, RENAME_NOREPLACE))
		err = -errno;
	if (err)
		unlinkat(t->dirfd, tmp, 0);
	return err;
}

/* ---- a file that is there ---- */

#define HOLES_MAX 4096

struct hole {
	off_t begin, end;
};

/* What has no data, in order. The number of holes, or -errno. */
static int find_holes(int fd, off_t size, struct hole *v)
{
	off_t at = 0;
	int cnt = 0;

	while (at < size && cnt < HOLES_MAX) {
		off_t begin = lseek(fd, at, SEEK_HOLE), end;

		if (begin < 0)
			return -errno;
		if (begin >= size)
			break;
		end = lseek(fd, begin, SEEK_DATA);
		if (end < 0)
			end = size;
		v[cnt++] = (struct hole){ begin, end };
		at = end;
	}
	return cnt;
}

/* Back to what it was: only where there is no data now either, so that a writer loses nothing. */
static void give_back(int fd, off_t size, const struct hole *v, int cnt)
{
	struct stat st;

	if (!fstat(fd, &st) && st.st_size > size && lseek(fd, size, SEEK_DATA) < 0 &&
	    ftruncate(fd, size))
		log_warn("its size could not be brought back to %lld", (long long)size);
	for (int i = 0; i < cnt; i++) {
		off_t data = lseek(fd, v[i].begin, SEEK_DATA);
		off_t end = data >= 0 && data < v[i].end ? data : v[i].end;

		if (end > v[i].begin && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
						  v[i].begin, end - v[i].begin))
			break;
	}
}

static int fill_existing(struct place *t, int fd, off_t size, uint64_t bytes)
{
	struct hole *holes = calloc(HOLES_MAX, sizeof(*holes));
	int cnt = holes ? find_holes(fd, size, holes) : -ENOMEM, err = 0;

	if (cnt < 0) {
		free(holes);
		return cnt;
	}
	if (fallocate(fd, 0, 0, (off_t)bytes)) {
		err = -errno;
		if (err == -EOPNOTSUPP) {
			t->unsupported = true;
			err = ftruncate(fd, (off_t)bytes) ? -errno : 0;
		} else {
			give_back(fd, size, holes, cnt);
		}
	}
	free(holes);
	return err;
}

static int use_existing(struct place *t, uint64_t bytes)
{
	int fd = beneath__open(t->dirfd, t->name, O_RDWR | O_NONBLOCK, 0), err;
	struct stat st;

	if (fd == -ELOOP)
		return log_err(fd, "%s is a symbolic link; it is not followed", t->path);
	if (fd < 0)
		return log_err(fd, "cannot open %s", t->path);
	if (fstat(fd, &st))
		err = log_err(-errno, "%s", t->path);
	else if (!S_ISREG(st.st_mode))
		err = log_err(-EINVAL, "%s is no regular file", t->path);
	else if (st.st_nlink != 1)
		err = log_err(-EPERM, "%s has %u names: another file could be meant", t->path,
			      (unsigned int)st.st_nlink);
	else if (st.st_uid != geteuid() && st.st_uid != t->dir.st_uid)
		err = log_err(-EPERM,
			      "%s belongs to user %u, neither to us nor to its directory's owner",
			      t->path, st.st_uid);
	else if ((uint64_t)st.st_size > bytes)
		err = log_err(-EFBIG, "%s has %lld bytes already; nothing is cut off", t->path,
			      (long long)st.st_size);
	else if ((err = fill_existing(t, fd, st.st_size, bytes)))
		log_err(err, "cannot allocate %llu bytes for %s; it is as it was",
			(unsigned long long)bytes, t->path);
	close(fd);
	return err;
}

/* ---- the verb ---- */

static int prealloc(struct place *t, uint64_t bytes)
{
	struct stat st;
	int err;

	if (!fstatat(t->dirfd, t->name, &st, AT_SYMLINK_NOFOLLOW))
		return use_existing(t, bytes);
	err = make_new(t, bytes);
	if (err == -EOPNOTSUPP || err == -EISDIR || err == -ENOENT)
		err = make_named(t, bytes);
	if (err == -EEXIST)
		return log_err(err, "somebody made %s meanwhile; it was left alone", t->path);
	return err ? log_err(err, "cannot allocate %llu bytes for %s; nothing was left there",
			     (unsigned long long)bytes, t->path)
		   : 0;
}

static void tell(const struct place *t, uint64_t bytes, bool json)
{
	int fd = beneath__open(t->dirfd, t->name, O_RDONLY | O_NONBLOCK, 0);
	struct extents e = { 0 };
	char size[32];

	if (fd >= 0) {
		extents__read(fd, 0, &e);
		close(fd);
	}
	if (t->unsupported)
		log_warn("the file system of %s cannot allocate ahead: the file has its size, and "
			 "its blocks come when they are written",
			 t->path);
	if (json)
		printf("{\"schema_version\": 1, \"size_bytes\": %llu, \"allocated_bytes\": %llu, "
		       "\"extents\": %u, \"supported\": %s}\n",
		       (unsigned long long)bytes, (unsigned long long)e.mapped_bytes, e.cnt,
		       t->unsupported ? "false" : "true");
	else
		printf("%s: %s%s\n", t->path, format_bytes(bytes, size, sizeof(size)),
		       t->unsupported ? ", not allocated" : ", allocated");
}

static const struct param prealloc_params[] = {
	PARAM(struct prealloc_cfg, size, "size", 0, PARAM_STRING, "BYTES", "its exact size"),
	PARAM(struct prealloc_cfg, size_of, "size-of", 0, PARAM_STRING, "FILE",
	      "as large as that file is"),
	PARAM(struct prealloc_cfg, json, "json", 0, PARAM_FLAG, NULL, "as JSON"),
	{ 0 },
};

int fix_prealloc(int argc, char **argv)
{
	static const struct params_spec spec = {
		.verb = "fix prealloc",
		.summary = "Allocates the memory file of the next BRANCH before the pause: exact "
			   "size, no "
			   "write. The writer must open it without O_TRUNC (Firecracker does); for "
			   "others there is `fix apply --mitigation fallocate`. Nothing is left "
			   "behind "
			   "where the space does not suffice. A file system that cannot allocate "
			   "ahead\n"
			   "is warned of, and no error.",
		.usage = "flatpause fix prealloc PATH --size BYTES | --size-of FILE",
		.examples = "  flatpause fix prealloc /srv/s7/memory.bin --size-of "
			    "/srv/s6/memory.bin\n"
			    "  flatpause fix prealloc /srv/s7/memory.bin --size 2G\n",
		.params = prealloc_params,
	};
	struct prealloc_cfg cfg = { 0 };
	struct place t = { .dirfd = -1 };
	struct params_result res;
	uint64_t bytes;
	int err = params__parse(&spec, argc, argv, &cfg, &res);

	if (err)
		return err == PARAMS_HELP ? FP_EXIT_OK : FP_EXIT_USAGE;
	if (res.rest.cnt != 1)
		return exit_code(usage("fix prealloc takes one path"));
	t.path = res.rest.v[0];
	err = wanted_bytes(&cfg, &bytes);
	if (err)
		return err == -EINVAL ? FP_EXIT_USAGE : FP_EXIT_FAILED;
	err = open_parent(&t);
	if (err == -EINVAL)
		return FP_EXIT_USAGE;
	if (!err)
		err = prealloc(&t, bytes);
	if (!err)
		tell(&t, bytes, cfg.json);
	if (t.dirfd >= 0)
		close(t.dirfd);
	return err ? FP_EXIT_FAILED : FP_EXIT_OK;
}
