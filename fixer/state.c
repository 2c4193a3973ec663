// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../user/log.h"
#include "beneath.h"
#include "export.h"
#include "name_text.h"

static const char *const names[] = { "none", "fallocate", "memfd", "tune", "memfd-open" };

const char *mitigation_name(enum mitigation m)
{
	return names[m];
}

enum mitigation mitigation_from(const char *name, size_t len)
{
	for (int m = MITIGATION_FALLOCATE; m <= MITIGATION_HELD; m++)
		if (strlen(names[m]) == len && !strncmp(names[m], name, len))
			return (enum mitigation)m;
	return MITIGATION_NONE;
}

int state_dir(char path[PATH_MAX])
{
	const char *dir = getenv("FLATPAUSE_STATE_DIR");
	struct stat st;

	if (!dir || !*dir)
		dir = "/var/lib/flatpause";
	if (strlen(dir) > PATH_MAX - 80)
		return log_err(-ENAMETOOLONG, "FLATPAUSE_STATE_DIR");
	strcpy(path, dir);
	if (mkdir(path, 0700) && errno != EEXIST)
		return log_err(-errno, "cannot make the state directory %s", path);
	if (stat(path, &st))
		return log_err(-errno, "state directory %s", path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 022)
		return log_err(-EPERM,
			       "the state directory %s must belong to us and to nobody else "
			       "(%s)",
			       path, geteuid() ? "are you root?" : "chown root, chmod 0700");
	return 0;
}

int state__path(uint64_t dev, uint64_t ino, char path[PATH_MAX])
{
	int err = state_dir(path);
	size_t len = strlen(path);

	if (err)
		return err;
	snprintf(path + len, PATH_MAX - len, "/%u.%u-%llu.journal", major(dev), minor(dev),
		 (unsigned long long)ino);
	return 0;
}

int state__each(int (*fn)(const char *path, void *arg), void *arg)
{
	char dir[PATH_MAX], path[PATH_MAX + NAME_MAX + 2];
	struct dirent *e;
	int first = state_dir(dir), err = 0;
	DIR *d;

	if (first)
		return first;
	d = opendir(dir);
	if (!d)
		return log_err(-errno, "cannot read %s", dir);
	while (err <= 0 && (e = readdir(d))) {
		const char *dot = strrchr(e->d_name, '.');

		if (!dot || strcmp(dot, ".journal") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		err = fn(path, arg);
		if (!first)
			first = err;
	}
	closedir(d);
	return err > 0 ? err : first;
}

struct finding_dir {
	const char *dir;
	char *path;
};

static int first_conf(const struct journal_rec *rec, json_t *body, void *arg)
{
	if (rec->kind != REC_INTENT)
		return -EBADMSG;
	return conf__from_json(body, arg) ? -EBADMSG : 1;
}

bool state__conf(const char *path, struct fix_conf *conf)
{
	struct journal_read r;
	const char *why;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), err;

	if (fd < 0)
		return false;
	err = journal__read(fd, first_conf, conf, &r, &why);
	close(fd);
	return err == 1;
}

static int is_of_dir(const char *path, void *arg)
{
	struct finding_dir *f = arg;
	struct fix_conf conf;

	if (!state__conf(path, &conf) || strcmp(conf.dir, f->dir) != 0)
		return 0;
	snprintf(f->path, PATH_MAX, "%s", path);
	return 1;
}

int state__find(const char *dir, char path[PATH_MAX])
{
	char real[PATH_MAX];
	struct finding_dir f = { .dir = dir, .path = path };
	struct stat st;
	int err;

	if (realpath(dir, real)) {
		f.dir = real;
		if (!stat(real, &st) && !state__path(st.st_dev, st.st_ino, path) &&
		    !access(path, F_OK))
			return 0;
	}
	err = state__each(is_of_dir, &f);
	return err < 0 ? err : err == 1 ? 0 : -ENOENT;
}

bool path_is_below(const char *dir, const char *path)
{
	size_t len = strlen(dir);

	if (len && dir[len - 1] == '/') /* "/" */
		len--;
	return !strncmp(path, dir, len) && (!path[len] || path[len] == '/');
}

static int overlaps(const char *path, void *arg)
{
	struct finding_dir *f = arg;
	struct fix_conf conf;

	if (!state__conf(path, &conf) ||
	    (conf.mitigation != MITIGATION_FALLOCATE && conf.mitigation != MITIGATION_MEMFD) ||
	    !strcmp(conf.dir, f->dir) ||
	    (!path_is_below(conf.dir, f->dir) && !path_is_below(f->dir, conf.dir)))
		return 0;
	snprintf(f->path, PATH_MAX, "%s", conf.dir);
	return 1;
}

int state__overlap(const char *dir, char other[PATH_MAX])
{
	struct finding_dir f = { .dir = dir, .path = other };

	return state__each(overlaps, &f);
}

int state__lock(const char *path, bool create)
{
	struct stat st;

	for (;;) {
		int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0), 0600);

		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB)) {
			close(fd);
			return -EBUSY;
		}
		/* removed by a revert between our open and our lock? then it locks nothing */
		if (!fstat(fd, &st) && st.st_nlink)
			return fd;
		close(fd);
	}
}

int size_of_file(const char *path, uint64_t *bytes)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || !st.st_size)
		return -EINVAL;
	*bytes = (uint64_t)st.st_size;
	return 0;
}

/* Two paths and two names, none of their bytes UTF-8: five characters each in JSON, \\xNN. */
_Static_assert(5 * 2 * (PATH_MAX + NAME_MAX) + 1024 <= JOURNAL_PAYLOAD_MAX, "an intent fits");

json_t *conf__to_json(const struct fix_conf *c)
{
	return json_pack("{s:s, s:o, s:I, s:I, s:I, s:o, s:o, s:i, s:I, s:o, s:I, s:s, s:s, s:b, "
			 "s:b, s:b, s:I, s:I, s:b}",
			 "mitigation", mitigation_name(c->mitigation), "dir",
			 name_text__to_json(c->dir), "dev", (json_int_t)c->dev, "ino",
			 (json_int_t)c->ino, "fsid", (json_int_t)c->fsid, "match",
			 name_text__to_json(c->match), "name", name_text__to_json(c->name),
			 "size_rule", c->size_rule, "size_bytes", (json_int_t)c->size_bytes,
			 "size_path", name_text__to_json(c->size_path), "memory_bytes",
			 (json_int_t)c->memory_bytes, "id", c->id, "tmp_dir", c->tmp_dir,
			 "no_plant", c->no_plant, "redo", c->redo, "no_readback", c->no_readback,
			 "export_rate_bytes", (json_int_t)c->export_rate_bytes, "export_workers",
			 (json_int_t)c->export_workers, "cover", c->cover);
}

static int copy_text(char *to, size_t size, const char *from)
{
	return (size_t)snprintf(to, size, "%s", from) < size ? 0 : -EINVAL;
}

static int copy_name(char *to, size_t size, const json_t *from)
{
	return json_is_string(from) && !name_text__from_json(from, to, size) ? 0 : -EINVAL;
}

int conf__from_json(json_t *j, struct fix_conf *c)
{
	const char *mitigation, *id, *tmp;
	json_t *dir, *match, *name, *size_path = NULL;
	json_int_t dev, ino, fsid, size, memory, rate = 0, workers = 1;
	int no_plant, redo, no_readback = 0, rule = SIZE_PREVIOUS, cover = 0;

	memset(c, 0, sizeof(*c));
	if (json_unpack(j,
			"{s:s, s:o, s:I, s:I, s:I, s:o, s:o, s?i, s:I, s?o, s:I, s:s, s:s, s:b, "
			"s:b, s?b, s?I, s?I, s?b}",
			"mitigation", &mitigation, "dir", &dir, "dev", &dev, "ino", &ino, "fsid",
			&fsid, "match", &match, "name", &name, "size_rule", &rule, "size_bytes",
			&size, "size_path", &size_path, "memory_bytes", &memory, "id", &id,
			"tmp_dir", &tmp, "no_plant", &no_plant, "redo", &redo, "no_readback",
			&no_readback, "export_rate_bytes", &rate, "export_workers", &workers,
			"cover", &cover))
		return -EINVAL;
	c->mitigation = mitigation_from(mitigation, strlen(mitigation));
	c->dev = (uint64_t)dev;
	c->ino = (uint64_t)ino;
	c->fsid = (uint64_t)fsid;
	if (rule < SIZE_PREVIOUS || rule > SIZE_FTRUNCATE)
		return -EINVAL;
	c->size_rule = (enum size_rule)rule;
	c->size_bytes = (uint64_t)size;
	c->memory_bytes = (uint64_t)memory;
	c->no_plant = no_plant;
	c->redo = redo;
	c->no_readback = no_readback;
	c->cover = cover;
	c->export_rate_bytes = (uint64_t)rate;
	if (workers < 0 || workers > EXPORT_WORKERS_MAX)
		return -EINVAL;
	c->export_workers = (uint32_t)workers;
	if (c->mitigation == MITIGATION_NONE || copy_name(c->dir, sizeof(c->dir), dir) ||
	    copy_name(c->match, sizeof(c->match), match) ||
	    copy_name(c->name, sizeof(c->name), name) || copy_text(c->id, sizeof(c->id), id) ||
	    (size_path && copy_name(c->size_path, sizeof(c->size_path), size_path)) ||
	    copy_text(c->tmp_dir, sizeof(c->tmp_dir), tmp))
		return -EINVAL;
	return c->name[0] && !name_ok(c->name) ? -EINVAL : 0;
}

static int fold_daemon(struct state *s, json_t *body)
{
	const char *boot;
	json_int_t pid, start;

	if (json_unpack(body, "{s:I, s:I, s:s}", "pid", &pid, "start", &start, "boot", &boot))
		return -EBADMSG;
	s->pid = (pid_t)pid;
	s->pid_start = (uint64_t)start;
	s->cover_dev = (dev_t)json_integer_value(json_object_get(body, "cover_dev"));
	return copy_text(s->boot, sizeof(s->boot), boot);
}

/* Later records of a file lie on top of the earlier ones. */
static int fold_file(struct state *s, json_t *body)
{
	json_int_t n;
	char key[24];
	json_t *file;

	if (json_unpack(body, "{s:I}", "n", &n))
		return -EBADMSG;
	snprintf(key, sizeof(key), "%lld", (long long)n);
	file = json_object_get(s->files, key);
	if (!file)
		return json_object_set(s->files, key, body) ? -ENOMEM : 0;
	return json_object_update(file, body) ? -ENOMEM : 0;
}

static int fold(const struct journal_rec *rec, json_t *body, void *arg)
{
	struct state *s = arg;
	json_t *text;

	if ((rec->seq == 1) != (rec->kind == REC_INTENT))
		return -EBADMSG;
	switch (rec->kind) {
	case REC_INTENT:
		return conf__from_json(body, &s->conf) ? -EBADMSG : 0;
	case REC_DAEMON:
		return fold_daemon(s, body);
	case REC_PLANT:
	case REC_FILE:
		return fold_file(s, body);
	case REC_KNOB:
		return json_array_append(s->knobs, body) ? -ENOMEM : 0;
	case REC_NOTE:
		text = json_object_get(body, "text");
		return json_is_string(text) && !json_array_append(s->notes, text) ? 0 : -EBADMSG;
	}
	return -EPROTONOSUPPORT;
}

int state__load(int fd, const char *path, struct state *s)
{
	const char *why = "";
	int err;

	memset(s, 0, sizeof(*s));
	snprintf(s->path, sizeof(s->path), "%s", path);
	s->files = json_object();
	s->notes = json_array();
	s->knobs = json_array();
	if (!s->files || !s->notes || !s->knobs)
		return log_err(-ENOMEM, "journal %s", path);
	err = journal__read(fd, fold, s, &s->read, &why);
	if (err)
		return log_err(err,
			       "refused the journal %s: %s. Nothing was changed; it holds what "
			       "`fix revert` would undo, so keep a copy before you remove it",
			       path, why);
	return 0;
}

void state__free(struct state *s)
{
	json_decref(s->files);
	json_decref(s->notes);
	json_decref(s->knobs);
	s->files = s->notes = s->knobs = NULL;
}

bool state__alive(const struct state *s)
{
	char boot[40];

	boot_id(boot);
	return s->pid > 0 && !strcmp(boot, s->boot) && pid_start_time(s->pid) == s->pid_start;
}

dev_t state__cover_dev(const struct state *s)
{
	char boot[40];

	boot_id(boot);
	return strcmp(boot, s->boot) ? 0 : s->cover_dev;
}
