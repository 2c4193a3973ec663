// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * branch: an orchestrator that makes one BRANCH of a VM per run, as forkd does: a directory for the
 * snapshot, in diff mode a copy of the previous memory file in the background, pause, snapshot,
 * resume, and the diff put onto the copy. Prints one line of JSON.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/copy.h"
#include "lib/http.h"
#include "user/cli/params.h"
#include "user/log.h"

#define CALL_TIMEOUT_MS 10000

struct cfg {
	const char *api_sock;
	const char *root;
	const char *base;
	const char *diff_dir;
	const char *memory_dir;
	const char *mode;
	uint64_t timeout_ns;
	uint32_t keep;
	bool drop_cache;
	bool fallocate;
};

static const struct param params[] = {
	PARAM(struct cfg, api_sock, "api-sock", 0, PARAM_STRING, "PATH",
	      "control socket of the VMM (required)"),
	PARAM(struct cfg, root, "root", 'r', PARAM_STRING, "DIR",
	      "where snap-1, snap-2, ... are made (required)"),
	PARAM(struct cfg, base, "base", 'b', PARAM_STRING, "FILE",
	      "diff: the memory file to start the chain from"),
	PARAM(struct cfg, memory_dir, "memory-dir", 0, PARAM_STRING, "DIR",
	      "where the memory files are, each in its snap-N (default: --root)"),
	PARAM(struct cfg, diff_dir, "diff-dir", 0, PARAM_STRING, "DIR",
	      "diff: where the VMM writes the diff (default: --root)"),
	PARAM(struct cfg, mode, "mode", 'm', PARAM_STRING, "diff|full",
	      "what is written in the pause (default diff)"),
	PARAM(struct cfg, fallocate, "fallocate", 0, PARAM_FLAG, NULL,
	      "preallocate the memory file before anybody opens it, as forkd #152 does"),
	PARAM(struct cfg, keep, "keep", 'k', PARAM_U32, "N",
	      "snapshots that stay; older ones are deleted after the resume (default: all)"),
	PARAM(struct cfg, drop_cache, "drop-cache", 0, PARAM_FLAG, NULL,
	      "leave the page cache to guests: drop the memory file once the VM runs again"),
	PARAM(struct cfg, timeout_ns, "timeout", 0, PARAM_DURATION, "DURATION",
	      "how long the snapshot may take (default 60s)"),
	{ 0 },
};

static const struct params_spec spec = {
	.verb = "branch",
	.summary = "Makes one BRANCH: pauses a VM, snapshots it, resumes it.",
	.usage = "--api-sock PATH --root DIR [--base FILE] [--mode diff|full]",
	.examples = "  branch --api-sock vmm.sock --root /snapshots --base /snapshots/base.bin\n",
	.params = params,
};

struct branch {
	const struct cfg *cfg;
	bool diff;
	unsigned int index;
	char dir[PATH_MAX];
	char memory[PATH_MAX]; /* DIR/memory.bin */
	char vmstate[PATH_MAX];
	char diff_file[PATH_MAX];
	char previous[PATH_MAX]; /* what the background copy reads */
	pthread_t copier;
	bool copying;
	int copy_err;
	uint64_t copy_ns, pause_ns, create_ns, apply_ns, applied_bytes;
};

static const char *memory_root(const struct cfg *cfg)
{
	return cfg->memory_dir ? cfg->memory_dir : cfg->root;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int path_to(char *path, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int path_to(char *path, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(path, PATH_MAX, fmt, ap);
	va_end(ap);
	return n < 0 || n >= PATH_MAX ? log_err(-ENAMETOOLONG, "a path in --root") : 0;
}

/* ---- the chain of snapshots below --root ---- */

/* N of "snap-N", 0 for any other name */
static unsigned int snap_index(const char *name)
{
	unsigned long n;
	char *end;

	if (strncmp(name, "snap-", 5) || name[5] < '1' || name[5] > '9')
		return 0;
	n = strtoul(name + 5, &end, 10);
	return *end || n > 1000000 ? 0 : (unsigned int)n;
}

static int newest_snapshot(const char *root, unsigned int *newest)
{
	DIR *dir = opendir(root);
	struct dirent *e;

	*newest = 0;
	if (!dir)
		return log_err(-errno, "cannot read --root %s", root);
	while ((e = readdir(dir))) {
		unsigned int n = snap_index(e->d_name);

		if (n > *newest)
			*newest = n;
	}
	closedir(dir);
	return 0;
}

/* The newest memory file that is whole; a BRANCH that was killed may have left a short one. */
static int find_previous(struct branch *b)
{
	struct stat base, st;

	if (!b->cfg->base || stat(b->cfg->base, &base))
		return log_err(b->cfg->base ? -errno : -EINVAL, "diff mode needs --base FILE%s%s",
			       b->cfg->base ? ", but " : "", b->cfg->base ? b->cfg->base : "");
	for (unsigned int n = b->index - 1; n > 0; n--) {
		if (path_to(b->previous, "%s/snap-%u/memory.bin", memory_root(b->cfg), n))
			return -ENAMETOOLONG;
		if (!stat(b->previous, &st) && st.st_size == base.st_size)
			return 0;
	}
	return path_to(b->previous, "%s", b->cfg->base);
}

static void remove_dir(const char *root, unsigned int index)
{
	char dir[PATH_MAX], path[PATH_MAX];
	struct dirent *e;
	DIR *d;

	if (path_to(dir, "%s/snap-%u", root, index))
		return;
	d = opendir(dir);
	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") &&
		    !path_to(path, "%s/%s", dir, e->d_name))
			unlink(path);
	if (d)
		closedir(d);
	if (rmdir(dir) && errno != ENOENT)
		log_warn("cannot remove %s: %s", dir, strerror(errno));
}

static void remove_snapshot(const struct cfg *cfg, unsigned int index)
{
	remove_dir(cfg->root, index);
	if (cfg->memory_dir)
		remove_dir(cfg->memory_dir, index);
}

static void forget_old(const struct branch *b)
{
	DIR *dir = b->cfg->keep ? opendir(b->cfg->root) : NULL;
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		unsigned int n = snap_index(e->d_name);

		if (n && n + b->cfg->keep <= b->index)
			remove_snapshot(b->cfg, n);
	}
	if (dir)
		closedir(dir);
}

/* What is not on disk yet stays: this is no fsync. */
static void drop_from_cache(const struct branch *b)
{
	int fd = b->cfg->drop_cache ? open(b->memory, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

static int write_manifest(const struct branch *b)
{
	json_t *manifest = json_pack("{s:i, s:s, s:s}", "branch", (int)b->index, "mode",
				     b->diff ? "diff" : "full", "previous", b->previous);
	char path[PATH_MAX];
	int err = path_to(path, "%s/snapshot.json", b->dir);

	if (!err && (!manifest || json_dump_file(manifest, path, JSON_INDENT(2))))
		err = log_err(errno ? -errno : -ENOMEM, "cannot write %s", path);
	json_decref(manifest);
	return err;
}

static int make_memory_dir(const struct branch *b)
{
	char dir[PATH_MAX];
	int err;

	if (!b->cfg->memory_dir)
		return 0;
	err = path_to(dir, "%s/snap-%u", b->cfg->memory_dir, b->index);
	if (!err && mkdir(dir, 0755) && errno != EEXIST)
		err = log_err(-errno, "cannot make %s", dir);
	return err;
}

static int prepare(struct branch *b)
{
	int err = newest_snapshot(b->cfg->root, &b->index);

	b->index++;
	if (!err && b->diff)
		err = find_previous(b);
	if (!err)
		err = path_to(b->dir, "%s/snap-%u", b->cfg->root, b->index);
	if (!err)
		err = path_to(b->memory, "%s/snap-%u/memory.bin", memory_root(b->cfg), b->index);
	if (!err)
		err = path_to(b->vmstate, "%s/vmstate.bin", b->dir);
	if (!err)
		err = path_to(b->diff_file, "%s/diff-%u.bin",
			      b->cfg->diff_dir ? b->cfg->diff_dir : b->cfg->root, b->index);
	if (!err && mkdir(b->dir, 0755))
		err = log_err(-errno, "cannot make %s", b->dir);
	return err ? err : make_memory_dir(b);
}

/* To the size of the base, by its own name: the copy and the VMM open it again as they are used to. */
static int preallocate(const struct branch *b)
{
	struct stat base;
	int fd, err = 0;

	if (!b->cfg->fallocate)
		return 0;
	if (!b->cfg->base || stat(b->cfg->base, &base))
		return log_err(-EINVAL, "--fallocate needs the --base FILE for its size");
	fd = open(b->memory, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || fallocate(fd, 0, 0, base.st_size))
		err = log_err(-errno, "cannot preallocate %s", b->memory);
	if (fd >= 0)
		close(fd);
	return err;
}

/* ---- the VMM ---- */

static int call_vmm(const struct branch *b, const char *method, const char *path, const char *body,
		    unsigned int timeout_ms, struct http_reply *reply)
{
	int err = http_call(b->cfg->api_sock, timeout_ms, method, path, body, reply);

	if (err)
		return log_err(err, "no answer from the VMM at %s (%s %s); does it run?",
			       b->cfg->api_sock, method, path);
	if (reply->status < 200 || reply->status > 299)
		return log_err(-EREMOTEIO, "the VMM refused %s %s with %d: %s", method, path,
			       reply->status, reply->body);
	return 0;
}

static int set_state(const struct branch *b, const char *state)
{
	struct http_reply reply;
	char body[64];

	snprintf(body, sizeof(body), "{\"state\":\"%s\"}", state);
	return call_vmm(b, "PATCH", "/vm", body, CALL_TIMEOUT_MS, &reply);
}

/* A VM that an earlier run left paused (it was killed) is set running first. */
static int check_running(const struct branch *b)
{
	struct http_reply reply;
	const char *state;
	json_t *info;
	int err = call_vmm(b, "GET", "/", NULL, CALL_TIMEOUT_MS, &reply);

	if (err)
		return err;
	info = json_loads(reply.body, 0, NULL);
	state = json_string_value(json_object_get(info, "state"));
	if (!state)
		err = log_err(-EPROTO, "the VMM does not say its state: %s", reply.body);
	else if (strcmp(state, "Running")) {
		log_warn("the VM was left %s; resuming it", state);
		err = set_state(b, "Resumed");
	}
	json_decref(info);
	return err;
}

static int create_snapshot(struct branch *b)
{
	json_t *body = json_pack("{s:s, s:s, s:s}", "snapshot_type", b->diff ? "Diff" : "Full",
				 "snapshot_path", b->vmstate, "mem_file_path",
				 b->diff ? b->diff_file : b->memory);
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	uint64_t begin_ns = now_ns();
	struct http_reply reply;
	int err;

	if (text)
		err = call_vmm(b, "PUT", "/snapshot/create", text,
			       (unsigned int)(b->cfg->timeout_ns / 1000000), &reply);
	else
		err = log_err(-ENOMEM, "no memory");
	b->create_ns = now_ns() - begin_ns;
	free(text);
	json_decref(body);
	return err;
}

/* The pause. SIGTERM waits until the VM runs again: it must not stay paused. */
static int pause_and_snapshot(struct branch *b)
{
	sigset_t ending, before;
	uint64_t begin_ns;
	int err, resume_err;

	sigemptyset(&ending);
	sigaddset(&ending, SIGTERM);
	sigaddset(&ending, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ending, &before);
	begin_ns = now_ns();
	err = set_state(b, "Paused");
	if (!err) {
		err = create_snapshot(b);
		resume_err = set_state(b, "Resumed");
		b->pause_ns = now_ns() - begin_ns;
		if (!err)
			err = resume_err;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

/* ---- the background copy ---- */

static void *copier_main(void *arg)
{
	struct branch *b = arg;
	uint64_t begin_ns = now_ns();

	b->copy_err = copy_file(b->previous, b->memory);
	b->copy_ns = now_ns() - begin_ns;
	return NULL;
}

static int start_copy(struct branch *b)
{
	int err = -pthread_create(&b->copier, NULL, copier_main, b);

	b->copying = !err;
	return err ? log_err(err, "cannot start the background copy") : 0;
}

static int join_copy(struct branch *b)
{
	if (!b->copying)
		return 0;
	pthread_join(b->copier, NULL);
	b->copying = false;
	return b->copy_err ? log_err(b->copy_err, "cannot copy %s to %s", b->previous, b->memory)
			   : 0;
}

static int apply(struct branch *b)
{
	uint64_t begin_ns = now_ns();
	int err = apply_diff(b->diff_file, b->memory, &b->applied_bytes);

	b->apply_ns = now_ns() - begin_ns;
	return err ? log_err(err, "cannot apply %s onto %s", b->diff_file, b->memory) : 0;
}

/* ---- one BRANCH ---- */

static double ms(uint64_t ns)
{
	return (double)(ns / 1000) / 1e3;
}

static int print_result(const struct branch *b)
{
	json_t *result = json_pack("{s:i, s:s, s:f, s:f, s:s}", "branch", (int)b->index, "mode",
				   b->diff ? "diff" : "full", "pause_ms", ms(b->pause_ns),
				   b->diff ? "diff_ms" : "full_ms", ms(b->create_ns), "mem_file",
				   b->memory);
	int err = result ? 0 : -ENOMEM;

	if (!err && b->diff) {
		json_object_set_new(result, "copy_ms", json_real(ms(b->copy_ns)));
		json_object_set_new(result, "apply_ms", json_real(ms(b->apply_ns)));
		json_object_set_new(result, "diff_bytes",
				    json_integer((json_int_t)b->applied_bytes));
	}
	if (!err && (json_dumpf(result, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9)) ||
		     putchar('\n') == EOF || fflush(stdout)))
		err = -EIO;
	json_decref(result);
	return err ? log_err(err, "cannot print the result") : 0;
}

static int make_branch(struct branch *b)
{
	int err = prepare(b), copy_err;

	if (err)
		return err;
	err = check_running(b);
	if (!err)
		err = write_manifest(b);
	if (!err)
		err = preallocate(b);
	if (!err && b->diff)
		err = start_copy(b);
	if (!err)
		err = pause_and_snapshot(b);
	copy_err = join_copy(b);
	if (!err)
		err = copy_err;
	if (!err && b->diff)
		err = apply(b);
	if (b->diff && unlink(b->diff_file) && errno != ENOENT)
		log_warn("cannot remove %s: %s", b->diff_file, strerror(errno));
	if (err) {
		remove_snapshot(b->cfg, b->index);
		return err;
	}
	drop_from_cache(b);
	forget_old(b);
	return print_result(b);
}

int main(int argc, char **argv)
{
	struct cfg cfg = { .mode = "diff", .timeout_ns = 60000000000ull };
	struct params_result res = { 0 };
	struct branch b = { .cfg = &cfg };
	int err;

	log_init("branch", LOG_NORMAL);
	err = params__parse(&spec, argc, argv, &cfg, &res);
	if (err == PARAMS_HELP)
		return FP_EXIT_OK;
	if (!err && (!cfg.api_sock || !cfg.root || res.rest.cnt || res.command))
		err = log_err(-EINVAL, "branch needs --api-sock and --root and no other words");
	b.diff = !strcmp(cfg.mode, "diff");
	if (!err && !b.diff && strcmp(cfg.mode, "full"))
		err = log_err(-EINVAL, "--mode is diff or full, not '%s'", cfg.mode);
	if (err)
		return FP_EXIT_USAGE;
	signal(SIGPIPE, SIG_IGN);
	return make_branch(&b) ? FP_EXIT_FAILED : FP_EXIT_OK;
}
