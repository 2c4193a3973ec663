// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* `fix apply`: the intent into the journal, the first spare, the guard; or nothing at all. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "../user/cli/params.h"
#include "../user/log.h"
#include "beneath.h"
#include "guard.h"
#include "prealloc.h"
#include "verbs.h"

int exit_code(int err)
{
	if (!err)
		return FP_EXIT_OK;
	if (err == -EINVAL)
		return FP_EXIT_USAGE;
	return err == -EPERM || err == -EOPNOTSUPP || err == -ENOSYS ? FP_EXIT_UNSUPPORTED
								     : FP_EXIT_FAILED;
}

static int usage_err(const char *text)
{
	log_err(0, "%s", text);
	return -EINVAL;
}

static int fill_dir(struct fix_conf *conf, const char *dir)
{
	struct statfs fs;
	struct stat st;
	uint64_t fsid;

	if (realpath(dir, conf->dir) && cover__clear_dead(conf->dir))
		log_info("the cover of %s, whose guard is dead, was taken away", dir);
	if (!realpath(dir, conf->dir) || stat(conf->dir, &st) || statfs(conf->dir, &fs))
		return log_err(-errno, "cannot guard %s", dir);
	if (!S_ISDIR(st.st_mode))
		return log_err(-ENOTDIR, "cannot guard %s", dir);
	if (cover__is_on(conf->dir)) {
		log_err(0,
			"%s is guarded already (memfd, by a cover); `flatpause fix revert %s` "
			"ends that",
			dir, dir);
		return -EBUSY;
	}
	if (!strcmp(conf->dir, "/"))
		return usage_err("'/' is never guarded: give the directory that snapshots go to");
	memcpy(&fsid, &fs.f_fsid, sizeof(fsid));
	conf->dev = st.st_dev;
	conf->ino = st.st_ino;
	conf->fsid = fsid;
	return 0;
}

static int fill_cover(struct fix_conf *conf, const struct apply_cfg *cfg)
{
	char given[PATH_MAX], state[PATH_MAX];
	const char *why;
	int err;

	if (!cfg->cover && !cfg->cover_or_links)
		return 0;
	err = state_dir(given);
	if (err)
		return err;
	if (!realpath(given, state))
		return log_err(-errno, "state directory %s", given);
	err = cover__check(conf->dir, &why);
	if (!err && path_is_below(conf->dir, state)) { /* what serves it would wait for itself */
		why = "what we write down is below it";
		err = -EBUSY;
	}
	if (err && cfg->cover)
		return log_err(err, "%s cannot be covered: %s", conf->dir, why);
	if (err)
		log_warn(
			"%s cannot be covered: %s. Links are planted into new directories instead; "
			"a writer with O_EXCL gets EEXIST from one",
			conf->dir, why);
	conf->cover = !err;
	return 0;
}

static int fill_size(struct fix_conf *conf, const char *from)
{
	if (!strcmp(from, "previous"))
		return 0;
	if (!strcmp(from, "ftruncate")) {
		conf->size_rule = SIZE_FTRUNCATE;
		conf->no_plant = true; /* nobody knows its size before the writer does */
		return 0;
	}
	conf->size_rule = SIZE_BYTES;
	if (parse_size_bytes(from, &conf->size_bytes)) {
		conf->size_rule = SIZE_FILE;
		if (!realpath(from, conf->size_path) ||
		    size_of_file(conf->size_path, &conf->size_bytes))
			return usage_err("--size-from takes 'previous', 'ftruncate', a size such "
					 "as 512M, or a file of that size");
	}
	if (!conf->size_bytes || conf->size_bytes > INT64_MAX)
		return usage_err("--size-from: the size must be above 0 and below 2^63");
	return 0;
}

static int fill_id(struct fix_conf *conf)
{
	unsigned char raw[8];
	int n = 0;

	if (getrandom(raw, sizeof(raw), 0) != sizeof(raw))
		return log_err(-EIO, "getrandom");
	for (size_t i = 0; i < sizeof(raw); i++)
		n += snprintf(conf->id + n, sizeof(conf->id) - (size_t)n, "%02x", raw[i]);
	if (conf->mitigation == MITIGATION_MEMFD)
		snprintf(conf->tmp_dir, sizeof(conf->tmp_dir), "/dev/shm/flatpause-%s", conf->id);
	return 0;
}

/* Settings are named one by one, and those of the whole host twice over. */
static int check_tune(enum mitigation m, const struct apply_cfg *cfg)
{
	bool empty = tune_conf__is_empty(&cfg->tune);

	if (m != MITIGATION_TUNE)
		return empty ? 0
			     : usage_err(
				       "--max-bytes, --wbt-lat-usec and --background-bytes belong "
				       "to --mitigation tune");
	if (empty)
		return usage_err("tune: which setting? `flatpause fix plan RUN.fpt` says what the "
				 "evidence asks for");
	if (cfg->tune.background_bytes != TUNE_LEAVE && !cfg->global)
		return usage_err("--background-bytes is a setting of the whole host: add --global");
	return 0;
}

static int fill_conf(struct fix_conf *conf, const struct apply_cfg *cfg)
{
	struct sysinfo si;
	int err;

	memset(conf, 0, sizeof(*conf));
	conf->mitigation = cfg->mitigation
				   ? mitigation_from(cfg->mitigation, strlen(cfg->mitigation))
				   : MITIGATION_NONE;
	if (conf->mitigation == MITIGATION_NONE || conf->mitigation == MITIGATION_HELD)
		return usage_err("--mitigation takes fallocate, memfd or tune");
	if (check_tune(conf->mitigation, cfg))
		return -EINVAL;
	if (export__check_mode())
		return -EINVAL;
	if (strchr(cfg->match, '/') || strlen(cfg->match) > NAME_MAX - NAME_ROOM)
		return usage_err("--match takes a file name or a pattern, without '/'");
	snprintf(conf->match, sizeof(conf->match), "%s", cfg->match);
	if (name_is_literal(cfg->match)) {
		if (!name_ok(cfg->match))
			return usage_err("--match: this is no file name");
		snprintf(conf->name, sizeof(conf->name), "%s", cfg->match);
	}
	if (cfg->cover && conf->mitigation != MITIGATION_MEMFD)
		return usage_err("--cover belongs to --mitigation memfd");
	conf->no_plant = cfg->no_plant;
	conf->redo = cfg->redo;
	conf->no_readback = cfg->no_readback;
	conf->export_rate_bytes = cfg->export_rate_bytes;
	conf->export_workers = cfg->export_workers;
	conf->memory_bytes = cfg->memory_bytes;
	if (!conf->memory_bytes && !sysinfo(&si))
		conf->memory_bytes = (uint64_t)(si.freeram + si.bufferram) * si.mem_unit / 2;
	err = fill_dir(conf, cfg->dir);
	if (!err)
		err = fill_cover(conf, cfg);
	if (!err)
		err = fill_size(conf, cfg->size_from);
	return err ? err : fill_id(conf);
}

/* ---- what is made before the guard starts, and undone where it cannot ---- */

static void undo(const struct fix_conf *conf, const char *journal, int fd)
{
	int dirfd = dir__open(conf->dir);

	if (dirfd >= 0) {
		spare__remove(dirfd, HIDDEN_DIR);
		close(dirfd);
	}
	if (conf->tmp_dir[0])
		rmdir(conf->tmp_dir);
	unlink(journal);
	close(fd);
}

static bool is_tmpfs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

static int make_hidden(int dirfd)
{
	struct stat st;

	if (mkdirat(dirfd, HIDDEN_DIR, 0700) && errno != EEXIST)
		return log_err(-errno, "cannot make %s", HIDDEN_DIR);
	if (fstatat(dirfd, HIDDEN_DIR, &st, AT_SYMLINK_NOFOLLOW) || !S_ISDIR(st.st_mode) ||
	    st.st_uid != geteuid())
		return log_err(-EPERM, "%s in the guarded directory is not ours", HIDDEN_DIR);
	return 0;
}

/* The first spare, so that the very next BRANCH finds one, and no space is an error of `apply`. */
static int first_spare(struct fix_conf *conf, int dirfd, struct previous *prev, uint64_t *bytes)
{
	uint64_t want = conf->size_rule == SIZE_FTRUNCATE ? 0
			: conf->size_bytes		  ? conf->size_bytes
							  : prev->bytes;
	int hidden, err;

	*bytes = 0;
	if (is_tmpfs(conf->dir)) {
		log_warn("%s is on tmpfs: preallocation changes nothing there; going on without",
			 conf->dir);
		conf->no_plant = true;
		return 0;
	}
	if (!want && conf->size_rule == SIZE_PREVIOUS)
		log_warn("no file like '%s' in %s yet: the first one goes without preallocation "
			 "(--size-from BYTES would help)",
			 conf->match, conf->dir);
	if (!want || conf->no_plant)
		return 0;
	hidden = beneath__open(dirfd, HIDDEN_DIR, O_RDONLY | O_DIRECTORY, 0);
	if (hidden < 0)
		return log_err(hidden, "cannot open %s/%s", conf->dir, HIDDEN_DIR);
	unlinkat(hidden, "spare", 0); /* without a journal it is nobody's */
	err = spare__make(hidden, "spare", want, prev->mode, prev->uid, prev->gid);
	close(hidden);
	if (err == -EOPNOTSUPP) {
		log_warn("the file system of %s cannot preallocate; going on without", conf->dir);
		conf->no_plant = true;
		return 0;
	}
	if (err)
		return log_err(err,
			       "cannot preallocate %llu bytes in %s; nothing was left there. Free "
			       "some space, or use --mitigation memfd",
			       (unsigned long long)want, conf->dir);
	*bytes = want;
	return 0;
}

static int has_leases(const char *dir)
{
	char path[PATH_MAX];
	int fd, err = 0;

	snprintf(path, sizeof(path), "%s/probe", dir);
	fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_SETLEASE, F_RDLCK))
		err = -EOPNOTSUPP;
	close(fd);
	unlink(path);
	return err;
}

/* 0711 and a name that cannot be guessed: a writer's user passes through, and lists nothing. */
static int make_memory(const struct fix_conf *conf)
{
	char probe[PATH_MAX];
	struct stat st;
	int err;

	if (!is_tmpfs("/dev/shm"))
		return log_err(-EOPNOTSUPP, "/dev/shm is no tmpfs; mount one there");
	if ((mkdir(conf->tmp_dir, 0711) && errno != EEXIST) || lstat(conf->tmp_dir, &st))
		return log_err(-errno, "cannot make %s", conf->tmp_dir);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		return log_err(-EPERM, "%s is not ours", conf->tmp_dir);
	if (chmod(conf->tmp_dir, 0711))
		return log_err(-errno, "cannot make %s", conf->tmp_dir);
	snprintf(probe, sizeof(probe), "%s/probe", conf->tmp_dir);
	unlink(probe); /* of an `apply` that was killed */
	err = has_leases(conf->tmp_dir);
	if (err)
		return log_err(err, "no file leases on tmpfs here (/proc/sys/fs/leases-enable)");
	if (is_tmpfs(conf->dir))
		log_warn("%s is on tmpfs already: memory-backed files change nothing there",
			 conf->dir);
	return 0;
}

static int prepare(struct fix_conf *conf, struct previous *prev, uint64_t *spare)
{
	int dirfd = dir__open(conf->dir), err;
	char name[NAME_MAX + 1] = "";
	struct stat st;

	*spare = 0;
	if (dirfd < 0 || fstat(dirfd, &st))
		return log_err(dirfd < 0 ? dirfd : -errno, "cannot open %s", conf->dir);
	if (st.st_dev != conf->dev || st.st_ino != conf->ino)
		return log_err(-ESTALE, "%s is another directory now", conf->dir);
	*prev = (struct previous){ .mode = 0644, .uid = st.st_uid, .gid = st.st_gid };
	previous__find(dirfd, conf->match, prev, name);
	if (!conf->name[0])
		snprintf(conf->name, sizeof(conf->name), "%s", name);
	if (conf->mitigation == MITIGATION_MEMFD) {
		err = make_memory(conf);
	} else {
		err = make_hidden(dirfd);
		if (!err)
			err = first_spare(conf, dirfd, prev, spare);
	}
	close(dirfd);
	return err;
}

static int lock_new(const struct fix_conf *conf, char path[PATH_MAX])
{
	char by[64] = "it is being begun or ended";
	struct state s;
	int err = state__path(conf->dev, conf->ino, path), fd;

	if (err)
		return err;
	fd = state__lock(path, true);
	if (fd == -EBUSY) {
		int ro = open(path, O_RDONLY | O_CLOEXEC);

		err = ro < 0 ? -errno : state__load(ro, path, &s);
		if (!err && s.pid)
			snprintf(by, sizeof(by), "%s, pid %d", mitigation_name(s.conf.mitigation),
				 (int)s.pid);
		log_err(0, "%s is guarded already (%s); `flatpause fix revert %s` ends that",
			conf->dir, by, conf->dir);
		if (ro >= 0) {
			state__free(&s);
			close(ro);
		}
		return -EBUSY;
	}
	if (fd < 0)
		return log_err(fd, "cannot lock %s", path);
	return fd;
}

/*
 * A writer below both would have two guards, and a cover that is taken away takes what is mounted
 * below it along. Looked for when ours is in its journal: of two at once, one sees the other.
 */
static int refuse_overlap(const struct fix_conf *conf)
{
	char other[PATH_MAX];
	int err = state__overlap(conf->dir, other);

	if (err <= 0)
		return err;
	log_err(0, "%s is guarded already, and %s is %s it; `flatpause fix revert %s` ends that",
		other, conf->dir, path_is_below(other, conf->dir) ? "below" : "above", other);
	return -EBUSY;
}

/* The intent into a new journal; or behind what a guard that was killed has left in it. */
static int begin_journal(struct fix_conf *conf, const char *path, int fd, struct journal *j,
			 bool *resumed)
{
	struct state s = { 0 };
	struct stat st;
	int err;

	*resumed = !fstat(fd, &st) && st.st_size > (off_t)sizeof(struct journal_header);
	if (*resumed) {
		err = state__load(fd, path, &s);
		if (!err)
			err = resume__conf(conf, &s);
		if (!err)
			err = journal__continue(j, fd, s.read.seq, s.read.end);
		state__free(&s);
		return err;
	}
	if (ftruncate(fd, 0)) /* a header without an intent: nothing was begun */
		return log_err(-errno, "cannot write the journal %s", path);
	err = journal__begin(j, fd);
	if (!err)
		err = journal__append(j, REC_INTENT, conf__to_json(conf), 1);
	return err ? log_err(err, "cannot write the journal %s", path) : 0;
}

/* Nothing runs for these: the journal alone stands for them until they are reverted. */
static int set_knobs(const struct fix_conf *conf, const struct tune_conf *tune, struct journal *j)
{
	struct knob knobs[KNOBS_MAX];
	int cnt = tune__knobs(tune, conf->dev, "", knobs);

	if (cnt < 0)
		return cnt;
	if (!cnt)
		return log_err(-EALREADY, "every setting has that value already");
	return tune__set(j, knobs, cnt, "");
}

int apply__run(const struct apply_cfg *cfg)
{
	char path[PATH_MAX];
	struct previous prev;
	struct fix_conf conf;
	struct journal j;
	uint64_t spare;
	bool resumed;
	int err, fd;

	if (geteuid())
		return log_err(-EPERM, "a mitigation needs root (fanotify, leases)");
	err = fill_conf(&conf, cfg);
	if (err)
		return err;
	fd = lock_new(&conf, path);
	if (fd < 0)
		return fd;
	err = begin_journal(&conf, path, fd, &j, &resumed);
	if (err && resumed) {
		close(fd);
		return err;
	}
	if (!err && !resumed && conf.mitigation != MITIGATION_TUNE)
		err = refuse_overlap(&conf);
	if (!err && conf.mitigation == MITIGATION_TUNE)
		err = set_knobs(&conf, &cfg->tune, &j);
	else if (!err)
		err = prepare(&conf, &prev, &spare);
	if (!err && conf.mitigation != MITIGATION_TUNE)
		err = daemon__run(&conf, fd, j.seq, j.end, &prev, spare, cfg->foreground);
	if (err && !resumed)
		undo(&conf, path, fd);
	else
		close(fd);
	return err;
}
