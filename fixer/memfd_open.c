// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../user/log.h"
#include "beneath.h"
#include "crc32c.h"
#include "hold.h"
#include "journal.h"
#include "memfile.h"
#include "name_text.h"

/* What has been begun, so that it can be taken back. */
struct opening {
	struct fix_conf conf;
	char journal_path[PATH_MAX];
	struct journal journal;
	int journal_fd, dirfd, go;
	struct stat dir, old; /* old.st_ino = 0: nothing is at the path yet */
	struct memfile memory;
	pid_t holder;
	char target[64];
	bool linked;
};

/* Its absolute path, with no link in it nor in what was given. */
static int name_dir(const char *given, char dir[PATH_MAX])
{
	int fd = dir__open(given), err = 0;
	char self[40];
	ssize_t n;

	if (fd == -ELOOP)
		return log_err(fd, "a symbolic link is on the way to %s; give its real path",
			       given);
	if (fd < 0)
		return log_err(fd, "no directory %s", given);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	n = readlink(self, dir, PATH_MAX - 1);
	if (n <= 0)
		err = log_err(n ? -errno : -ENOENT, "no directory %s", given);
	dir[n > 0 ? n : 0] = '\0';
	close(fd);
	return err;
}

static int split(const char *path, char dir[PATH_MAX], char name[NAME_MAX + 1])
{
	const char *slash = strrchr(path, '/');
	char part[PATH_MAX];

	if (strlen(path) >= PATH_MAX || !name_ok(slash ? slash + 1 : path))
		return log_err(-EINVAL, "'%s' does not end in a file name", path);
	snprintf(name, NAME_MAX + 1, "%s", slash ? slash + 1 : path);
	snprintf(part, sizeof(part), "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	return name_dir(*part ? part : "/", dir);
}

/* One journal for each name: two of the same checksum refuse each other, which is said. */
static int journal_path(uint64_t dev, uint64_t ino, const char *name, char path[PATH_MAX])
{
	int err = state__path(dev, ino, path);
	size_t len = strlen(path);

	if (err)
		return err;
	len -= strlen(".journal");
	snprintf(path + len, PATH_MAX - len, "-%08x.journal", crc32c(0, name, strlen(name)));
	return 0;
}

uint64_t memfd__ident(int dirfd, const char *name)
{
	struct statx x;

	if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_TYPE | STATX_BTIME, &x) ||
	    !S_ISREG(x.stx_mode))
		return 0;
	return ((uint64_t)x.stx_btime.tv_sec * 1000000000ull + x.stx_btime.tv_nsec +
		x.stx_ino * 0x9e3779b97f4a7c15ull) &
	       INT64_MAX;
}

int memfd__journal(const char *path, char journal[PATH_MAX])
{
	char dir[PATH_MAX], name[NAME_MAX + 1];
	struct stat st;
	int err = split(path, dir, name);

	if (!err && stat(dir, &st))
		err = log_err(-errno, "%s", dir);
	return err ? err : journal_path(st.st_dev, st.st_ino, name, journal);
}

/* What could not be replaced by an export, or not without harm to somebody, is refused now. */
static int check_place(struct opening *o, bool link)
{
	const char *dir = o->conf.dir, *name = o->conf.name;
	struct statvfs fs;

	if (!fstatvfs(o->dirfd, &fs) && fs.f_flag & ST_RDONLY)
		return log_err(-EROFS, "%s/%s could never be exported", dir, name);
	if (fstatat(o->dirfd, name, &o->old, AT_SYMLINK_NOFOLLOW)) {
		o->old.st_ino = 0;
		return errno == ENOENT ? 0 : log_err(-errno, "%s/%s", dir, name);
	}
	if (S_ISLNK(o->old.st_mode))
		return log_err(-ELOOP, "%s/%s is a link: give the path that it leads to", dir,
			       name);
	if (!S_ISREG(o->old.st_mode) || link)
		return log_err(-EEXIST, "%s/%s", dir, name);
	if (o->old.st_nlink > 1)
		return log_err(-EMLINK, "%s/%s has other names, which would keep the old file", dir,
			       name);
	if (o->old.st_uid != o->dir.st_uid && o->old.st_uid != geteuid())
		return log_err(-EPERM, "%s/%s belongs to another user", dir, name);
	return 0;
}

static int fill_conf(struct opening *o, const struct memfd_open_cfg *cfg)
{
	struct fix_conf *c = &o->conf;
	unsigned char raw[8];
	int err = split(cfg->path, c->dir, c->name), n = 0;

	if (err)
		return err;
	c->mitigation = MITIGATION_HELD;
	c->size_bytes = cfg->size_bytes;
	c->memory_bytes = cfg->memory_bytes;
	memcpy(c->match, c->name, sizeof(c->match));
	o->dirfd = dir__open(c->dir);
	if (o->dirfd < 0 || fstat(o->dirfd, &o->dir))
		return log_err(o->dirfd < 0 ? o->dirfd : -errno, "cannot open %s", c->dir);
	c->dev = o->dir.st_dev;
	c->ino = o->dir.st_ino;
	if (getrandom(raw, sizeof(raw), 0) != sizeof(raw))
		return log_err(-EIO, "getrandom");
	for (size_t i = 0; i < sizeof(raw); i++)
		n += snprintf(c->id + n, sizeof(c->id) - (size_t)n, "%02x", raw[i]);
	err = check_place(o, cfg->link);
	return err ? err : journal_path(c->dev, c->ino, c->name, o->journal_path);
}

/* ---- the budget of all that are held ---- */

static int add_held(const char *path, void *arg)
{
	uint64_t *sum = arg;
	struct state s = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return 0;
	if (!state__load(fd, path, &s) && s.conf.mitigation == MITIGATION_HELD && state__alive(&s))
		*sum += s.conf.size_bytes;
	state__free(&s);
	close(fd);
	return 0;
}

static bool has_room(const struct memfd_open_cfg *cfg)
{
	uint64_t used = 0, budget = cfg->memory_bytes;
	struct sysinfo si;

	if (!budget && !sysinfo(&si))
		budget = (uint64_t)(si.freeram + si.bufferram) * si.mem_unit / 2;
	state__each(add_held, &used);
	return used <= budget && cfg->size_bytes <= budget - used;
}

/* ---- the journal ---- */

static int refuse(const struct opening *o, const struct state *s)
{
	char path[64];

	hold__path(s->pid, path);
	if (state__alive(s))
		return log_err(-EBUSY, "%s/%s is held already, at %s", o->conf.dir, o->conf.name,
			       path);
	return log_err(-EEXIST,
		       "the holder of %s/%s (pid %d) is gone; `flatpause fix memfd close %s/%s` "
		       "says what became of it",
		       o->conf.dir, o->conf.name, s->pid, o->conf.dir, o->conf.name);
}

static int begin_journal(struct opening *o)
{
	struct state s = { 0 };
	struct stat st;
	int err = 0;

	o->journal_fd = state__lock(o->journal_path, true);
	if (o->journal_fd < 0)
		return log_err(o->journal_fd, "%s/%s is in the hands of another flatpause-fixer",
			       o->conf.dir, o->conf.name);
	if (!fstat(o->journal_fd, &st) && st.st_size > (off_t)sizeof(struct journal_header)) {
		err = state__load(o->journal_fd, o->journal_path, &s);
		if (!err && s.pid)
			err = refuse(o, &s);
		state__free(&s);
		if (err) {
			close(o->journal_fd); /* it is not ours to remove */
			o->journal_fd = -1;
			return err;
		}
	}
	if (ftruncate(o->journal_fd, 0))
		err = -errno;
	if (!err)
		err = journal__begin(&o->journal, o->journal_fd);
	if (!err)
		err = journal__append(&o->journal, REC_INTENT, conf__to_json(&o->conf), 1);
	return err ? log_err(err, "cannot write %s", o->journal_path) : 0;
}

/* All that whoever brings it home needs to know; then only may the holder stay. */
static int record(struct opening *o, bool link)
{
	char boot[40];
	int err;

	boot_id(boot);
	err = journal__append(&o->journal, REC_DAEMON,
			      json_pack("{s:I, s:I, s:s}", "pid", (json_int_t)o->holder, "start",
					(json_int_t)pid_start_time(o->holder), "boot", boot),
			      0);
	if (!err)
		err = journal__append(
			&o->journal, REC_FILE,
			json_pack("{s:i, s:s, s:o, s:s, s:I, s:I, s:b, s:s}", "n", 1, "dir", ".",
				  "name", name_text__to_json(o->conf.name), "state", "in memory",
				  "memory_ino", (json_int_t)o->memory.ino, "old",
				  (json_int_t)(o->old.st_ino ? memfd__ident(o->dirfd, o->conf.name)
							     : 0),
				  "linked", link, "target", o->target),
			1);
	return err ? log_err(err, "cannot write %s", o->journal_path) : 0;
}

static int make(struct opening *o, const struct memfd_open_cfg *cfg)
{
	char name[48];
	int err = memfile__open(&o->memory, o->conf.name, cfg->size_bytes, !cfg->no_seal,
				o->dir.st_uid, o->dir.st_gid);

	if (err)
		return log_err(err, "cannot make %llu bytes of memory",
			       (unsigned long long)cfg->size_bytes);
	o->holder = hold__start(o->memory.fd, &o->go);
	if (o->holder < 0)
		return o->holder;
	hold__path(o->holder, o->target);
	err = record(o, cfg->link);
	if (err)
		return err;
	snprintf(name, sizeof(name), "flatpause-%s", o->conf.id);
	err = fdstore__push(o->memory.fd, name);
	if (err && err != -ENOENT)
		log_warn("the service manager did not take the memory of %s: %s", o->conf.name,
			 strerror(-err));
	if (cfg->link && symlinkat(o->target, o->dirfd, o->conf.name))
		return log_err(-errno, "cannot link %s/%s", o->conf.dir, o->conf.name);
	o->linked = cfg->link;
	return 0;
}

static void take_back(struct opening *o)
{
	if (o->linked)
		unlinkat(o->dirfd, o->conf.name, 0);
	if (o->go >= 0)
		close(o->go); /* a holder that was not confirmed ends by this */
	o->go = -1;
	if (o->holder > 0)
		waitpid(o->holder, NULL, 0);
	if (o->journal_fd >= 0)
		unlink(o->journal_path);
}

/* Who was not told the path cannot write there: then it is not held either, see take_back(). */
static int tell(const struct opening *o, bool link, FILE *out)
{
	if (link)
		fprintf(out, "%s/%s\n", o->conf.dir, o->conf.name);
	else
		fprintf(out, "%s\n", o->target);
	if (!fflush(out) && !ferror(out))
		return 0;
	return log_err(-EIO, "the path of %s could not be told; it is not held", o->conf.name);
}

int memfd__open(const struct memfd_open_cfg *cfg, FILE *out)
{
	struct opening o = { .journal_fd = -1, .dirfd = -1, .go = -1, .memory.fd = -1 };
	int err;

	if (!cfg->size_bytes || cfg->size_bytes > INT64_MAX)
		return log_err(-EINVAL, "--size: 1 byte to 2^63 - 1");
	err = fill_conf(&o, cfg);
	if (!err && !has_room(cfg)) {
		log_warn("%s goes to disk: the memory budget is used up", cfg->path);
		fprintf(out, "%s/%s\n", o.conf.dir, o.conf.name);
		close(o.dirfd);
		return 0;
	}
	if (!err)
		err = begin_journal(&o);
	if (!err)
		err = make(&o, cfg);
	if (!err)
		err = tell(&o, cfg->link, out);
	if (!err)
		err = hold__confirm(o.go);
	if (err)
		take_back(&o);
	if (o.memory.fd >= 0)
		memfile__close(&o.memory); /* the holder's stays */
	for (int i = 0; i < 3; i++) {
		int each[] = { o.journal_fd, o.dirfd, o.go };

		if (each[i] >= 0)
			close(each[i]);
	}
	return err;
}
