// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* `fix status`: what is in force where, and what became of each file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../user/cli/params.h"
#include "../user/cli/wrap.h"
#include "../user/host/read.h"
#include "../user/log.h"
#include "cover/cover.h"
#include "cover/left.h"
#include "export.h"
#include "name_text.h"
#include "verbs.h"

struct status_cfg {
	bool json;
};

#define GUARDS_MAX 1024

struct listing {
	json_t *out;
	struct left_covers left; /* that were taken away here */
	struct known_cover {
		dev_t dev;
		bool up;     /* its guard lives */
	} known[GUARDS_MAX]; /* that journals name */
	size_t known_cnt;
};

static json_int_t count(atomic_uint_fast64_t *n)
{
	return (json_int_t)atomic_load(n);
}

/* Of a guard that runs; NULL where it has none, or has just ended. */
static json_t *export_of(const struct state *s)
{
	struct export_counters n;
	json_t *j, *sizes;

	if (s->conf.mitigation != MITIGATION_MEMFD || !state__alive(s) ||
	    export_counters__of(s->pid, &n))
		return NULL;
	sizes = json_array();
	for (int i = 0; i < EXPORT_SIZE_BUCKETS; i++)
		json_array_append_new(sizes,
				      json_pack("{s:o, s:I}", "up_to_bytes",
						i < EXPORT_SIZE_BUCKETS - 1 ? json_integer(512 << i)
									    : json_null(),
						"writes", count(&n.write_sizes[i])));
	j = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "workers",
		      count(&n.pool.workers), "slot_bytes", (json_int_t)POOL_SLOT_BYTES,
		      "capacity_bytes", count(&n.pool.capacity_bytes), "slots_in_use",
		      count(&n.pool.slots_in_use), "acquires", count(&n.pool.acquires),
		      "backpressure_waits", count(&n.pool.backpressure_waits), "wait_ns",
		      count(&n.pool.wait_ns), "held_back_ns", count(&n.held_back_ns), "files",
		      count(&n.files), "read_back_bytes", count(&n.read_back_bytes), "write_sizes",
		      sizes);
	if (j)
		json_object_set_new(j, "written_bytes", json_integer(count(&n.written_bytes)));
	return j;
}

static const char *text_of(const json_t *file, const char *key)
{
	return json_string_value(json_object_get(file, key));
}

/* It held, and the file became larger: what lies behind it was allocated as the writer went. */
static void add_outgrown(json_t *file)
{
	json_int_t size = json_integer_value(json_object_get(file, "size"));
	json_int_t ahead = json_integer_value(json_object_get(file, "bytes"));
	const char *last = text_of(file, "at_close"), *made = text_of(file, "preallocated");
	char text[256], sizes[2][32];

	if (!last || strcmp(last, "outgrown") != 0)
		return;
	snprintf(text, sizeof(text), "larger than what was allocated: %s, and %s were%s",
		 format_bytes((uint64_t)size, sizes[0], sizeof(sizes[0])),
		 format_bytes((uint64_t)ahead, sizes[1], sizeof(sizes[1])),
		 made && !strcmp(made, "before")
			 ? " there before"
			 : "; say how large it becomes by --size-from BYTES or FILE");
	json_object_set_new(file, "finding", json_string(text));
}

/* A preallocation that did not hold, in a sentence: by what, from whom, and whether it was made again. */
static void add_finding(json_t *file)
{
	const char *first = text_of(file, "at_first_write"), *writer = text_of(file, "writer");
	bool undone = first && !strncmp(first, "undone", 6), redone, late;
	char text[256];
	int n;

	if (!first ||
	    (!undone && strcmp(first, "partly there") != 0 && strcmp(first, "not in time") != 0)) {
		add_outgrown(file);
		return;
	}
	redone = json_is_true(json_object_get(file, "redone"));
	late = json_is_false(json_object_get(file, "in_time"));
	n = snprintf(text, sizeof(text), "preallocation %s", first);
	if (undone && writer && n < (int)sizeof(text))
		n += snprintf(text + n, sizeof(text) - (size_t)n, " from '%s'%s", writer,
			      text_of(file, "writer_call")
				      ? ", which wrote by copy_file_range as Rust's fs::copy does"
				      : "");
	if (redone && n < (int)sizeof(text))
		snprintf(text + n, sizeof(text) - (size_t)n, "; made again %s the first write%s",
			 late ? "beside" : "before", late ? ", which did not wait for it" : "");
	json_object_set_new(file, "finding", json_string(text));
}

/* Under a cover nothing is there ahead of its writer; that he has closed it is not written down. */
static void say_in_memory(json_t *file)
{
	const char *state = text_of(file, "state");

	if (state && !strcmp(state, "planted") &&
	    json_is_true(json_object_get(file, "made_by_writer")))
		json_object_set_new(file, "state", json_string("in memory"));
}

static json_t *one(struct state *s)
{
	json_t *files = json_array(), *file;
	const char *key;

	json_object_foreach (s->files, key, file) {
		json_object_del(file, "handle");
		json_object_del(file, "commit_handle");
		add_finding(file);
		say_in_memory(file);
		json_array_append(files, file);
	}
	return json_pack("{s:o, s:s, s:b, s:b, s:o, s:b, s:i, s:o, s:O, s:o, s:O, s:o*}", "dir",
			 name_text__to_json(s->conf.dir), "mitigation",
			 mitigation_name(s->conf.mitigation), "cover", s->conf.cover, "cover_gone",
			 s->conf.cover && !cover__is_on(s->conf.dir), "match",
			 name_text__to_json(s->conf.match), "alive", state__alive(s), "pid",
			 (int)s->pid, "journal", name_text__to_json(s->path), "notes", s->notes,
			 "files", files, "knobs", s->knobs, "export", export_of(s));
}

static int add(const char *path, void *arg)
{
	struct listing *l = arg;
	struct state s = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), err;

	if (fd < 0) /* reverted meanwhile? */
		return errno == ENOENT ? 0 : log_err(-errno, "cannot open %s", path);
	err = state__load(fd, path, &s);
	if (!err && state__cover_dev(&s) && l->known_cnt < GUARDS_MAX)
		l->known[l->known_cnt++] = (struct known_cover){ state__cover_dev(&s),
								 state__alive(&s) };
	if (!err && json_array_append_new(l->out, one(&s)))
		err = log_err(-ENOMEM, "status");
	state__free(&s);
	close(fd);
	return err;
}

static const struct known_cover *find_known(const struct listing *l, dev_t dev)
{
	for (size_t i = 0; i < l->known_cnt; i++)
		if (l->known[i].dev == dev)
			return &l->known[i];
	return NULL;
}

/* Where `dir` was asked for, those that have its name; a container may have another for it. */
static int add_left(struct listing *l, const char *dir)
{
	struct left_covers *left = &l->left;
	char real[PATH_MAX];
	size_t kept = 0;
	int err = left_covers__find(left, "");

	if (err)
		return log_err(err, "cannot tell which covers are left in other mount namespaces");
	if (dir && !realpath(dir, real))
		snprintf(real, sizeof(real), "%s", dir);
	for (size_t i = 0; i < left->cnt; i++) {
		struct left_cover *c = &left->v[i];
		const struct known_cover *known = find_known(l, c->dev);

		if ((known && known->up) || (dir && strcmp(c->point, real) != 0))
			continue;
		c->known |= known != NULL;
		left->v[kept++] = *c;
	}
	left->cnt = kept;
	return 0;
}

static json_t *left_to_json(const struct left_covers *left)
{
	json_t *all = json_array();

	for (size_t i = 0; all && i < left->cnt; i++)
		if (json_array_append_new(all, left_cover__to_json(&left->v[i])))
			log_warn("a cover that is left elsewhere is missing: no memory");
	return all;
}

static double seconds_between(json_t *file)
{
	json_int_t from = json_integer_value(json_object_get(file, "resumed_ns"));
	json_int_t to = json_integer_value(json_object_get(file, "durable_ns"));

	return from && to > from ? (double)(to - from) / 1e9 : 0;
}

static void say_file(FILE *out, json_t *f)
{
	const char *first = text_of(f, "at_first_write"), *sync = text_of(f, "at_fsync");
	const char *last = text_of(f, "at_close"), *state = text_of(f, "state");
	char size[32];

	fputs(state ? state : "?", out);
	if (first)
		fprintf(out, "; extents at the first write: %s", first);
	if (sync)
		fprintf(out, "; at fsync: %s", sync);
	if (last)
		fprintf(out, "; at close: %s", last);
	if (seconds_between(f) > 0)
		fprintf(out, " %.2f s after the writer closed it, %s, crc32c %s",
			seconds_between(f),
			format_bytes((uint64_t)json_integer_value(json_object_get(f, "size")), size,
				     sizeof(size)),
			text_of(f, "crc32c"));
}

/* A name of any length and bytes first, never broken; then what there is to say, in lines. */
static void print_file(json_t *f)
{
	char head[10 * NAME_MAX], *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	snprintf(head, sizeof(head), "  %s/%s  ", text_of(f, "dir"), text_of(f, "name"));
	if (out) {
		say_file(out, f);
		fclose(out);
	}
	print_wrapped(stdout, text ? text : "no memory to say more", head, "    ");
	free(text);
	if (text_of(f, "finding"))
		print_wrapped(stdout, text_of(f, "finding"), "    finding: ", "      ");
}

static void print_knob(const json_t *item)
{
	struct knob k;
	char present[KNOB_VALUE];

	if (knob__from_json(item, &k))
		return;
	printf("  %s: %s -> %s (%s)", k.path, k.old, k.now, k.why);
	if (read_text("", present, sizeof(present), "%s", k.path) < 0)
		printf("; it is gone");
	else if (strcmp(present, k.now) != 0)
		printf("; somebody made it %s since", present);
	putchar('\n');
}

static const char *by_cover(const json_t *dir)
{
	if (!json_is_true(json_object_get(dir, "cover")))
		return "";
	return json_is_true(json_object_get(dir, "cover_gone")) ? " by a cover, WHICH IS GONE,"
								: " by a cover";
}

static void print_head(json_t *dir)
{
	const char *mitigation = json_string_value(json_object_get(dir, "mitigation"));

	bool held = mitigation_from(mitigation, strlen(mitigation)) == MITIGATION_HELD;

	printf("%s: %s", json_string_value(json_object_get(dir, "dir")), mitigation);
	if (mitigation_from(mitigation, strlen(mitigation)) == MITIGATION_TUNE) {
		printf(", in force until `flatpause fix revert`\n");
		return;
	}
	printf("%s for '%s', ", by_cover(dir), json_string_value(json_object_get(dir, "match")));
	if (json_is_true(json_object_get(dir, "alive")))
		printf("%s pid %lld\n", held ? "holder" : "guard",
		       (long long)json_integer_value(json_object_get(dir, "pid")));
	else if (held)
		puts("THE HOLDER IS DEAD: `flatpause fix memfd close` says what became of it");
	else
		puts("THE GUARD IS DEAD: run `flatpause fix revert` on it");
}

static void print_text(const struct listing *l)
{
	json_t *all = l->out, *dir, *item;
	size_t i, k;

	if (!json_array_size(all))
		puts("no mitigation is in force");
	json_array_foreach (all, i, dir) {
		print_head(dir);
		json_array_foreach (json_object_get(dir, "knobs"), k, item)
			print_knob(item);
		json_array_foreach (json_object_get(dir, "files"), k, item)
			print_file(item);
		json_array_foreach (json_object_get(dir, "notes"), k, item)
			print_wrapped(stdout, json_string_value(item), "  warning: ", "    ");
	}
	for (i = 0; i < l->left.cnt; i++)
		left_cover__print(&l->left.v[i], stdout);
}

/* Of one directory, or of all; one journal that is damaged hides no other. */
static int list(struct listing *l, const char *dir)
{
	char path[PATH_MAX];
	int err;

	if (!dir)
		return state__each(add, l);
	err = state__find(dir, path);
	if (err == -ENOENT)
		return access(dir, F_OK) ? log_err(-errno, "cannot find %s", dir) : 0;
	return err ? err : add(path, l);
}

static int list_with_left(struct listing *l, const char *dir)
{
	int err = list(l, dir), left = add_left(l, dir);

	return err ? err : left;
}

static void print(const struct listing *l, bool json)
{
	json_t *doc;

	if (!json) {
		print_text(l);
		return;
	}
	doc = json_pack("{s:i, s:O, s:o}", "schema_version", 1, "guards", l->out, "left_covers",
			left_to_json(&l->left));
	json_dumpf(doc, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(doc);
}

static const struct param status_params[] = {
	PARAM(struct status_cfg, json, "json", 0, PARAM_FLAG, NULL, "as JSON"),
	{ 0 },
};

int fix_status(int argc, char **argv)
{
	static const struct params_spec spec = {
		.verb = "fix status",
		.summary = "Shows which mitigations are in force and what became of each file.",
		.usage = "flatpause fix status [DIR] [--json]",
		.examples = "  flatpause fix status\n"
			    "  flatpause fix status /srv/snapshots --json | jq '.guards[].files'\n",
		.params = status_params,
	};
	struct status_cfg cfg = { 0 };
	struct params_result res;
	struct listing l = { 0 };
	int err = params__parse(&spec, argc, argv, &cfg, &res);

	if (err)
		return err == PARAMS_HELP ? FP_EXIT_OK : FP_EXIT_USAGE;
	if (res.rest.cnt > 1) {
		log_err(0, "fix status takes one directory, or none for all");
		return FP_EXIT_USAGE;
	}
	l.out = json_array();
	if (!l.out)
		return exit_code(log_err(-ENOMEM, "status"));
	err = list_with_left(&l, res.rest.cnt ? res.rest.v[0] : NULL);
	if (!err || json_array_size(l.out) || l.left.cnt)
		print(&l, cfg.json);
	json_decref(l.out);
	left_covers__free(&l.left);
	return exit_code(err);
}
