// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* `flatpause doctor`: what this host allows, what each probe gets here, what is lost by it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../capture/meta.h"
#include "../capture/visible.h"
#include "../host/disk.h"
#include "../host/facts.h"
#include "../host/features.h"
#include "../log.h"
#include "capture_options.h"
#include "verb.h"
#include "wrap.h"

#define BELOW_FEATURE "                          "
#define BELOW_HOOK    "      "

struct doctor_opts {
	bool json;
	bool debug;
	struct param_list disks;
};

static const struct param params[] = {
	PARAM(struct doctor_opts, json, "json", 0, PARAM_FLAG, NULL, "everything as JSON"),
	PARAM(struct doctor_opts, disks, "disk", 0, PARAM_LIST, "PATH",
	      "describe the disk behind PATH too (default: .)"),
	PARAM(struct doctor_opts, debug, "debug", 0, PARAM_FLAG, NULL, "libbpf's words too"),
	{ .name = NULL },
};

static const struct params_spec spec = {
	.verb = "doctor",
	.summary = "Says what this host allows, and what each probe can see here.",
	.usage = "flatpause doctor [--disk PATH] [--json]",
	.examples =
		"  flatpause doctor                 # exit status 3: recording cannot work here\n"
		"  flatpause doctor --disk /srv/vms # with the disk that snapshots go to\n",
	.params = params,
};

struct diagnosis {
	struct feature features[FEATURES_MAX];
	size_t features_cnt;
	struct facts facts;
	struct sight sight;	 /* no names: this kernel cannot be asked */
	struct capture *capture; /* NULL: not even the floor works */
};

static void print_features(const struct diagnosis *d)
{
	static const char *const words[] = { "", "yes", "no", "MISSING" };

	printf("this host\n");
	for (size_t i = 0; i < d->features_cnt; i++) {
		const struct feature *f = &d->features[i];

		printf("  %-7s %-15s %s\n", words[f->state], f->name, f->why);
		if (f->state != FEATURE_YES) {
			char text[256];

			print_wrapped(stdout, f->detail, BELOW_FEATURE, BELOW_FEATURE);
			snprintf(text, sizeof(text), "to gain it: %s", f->gain);
			print_wrapped(stdout, text, BELOW_FEATURE, BELOW_FEATURE);
		}
	}
}

static void print_labelled(const char *label, const char *text)
{
	char line[1024];

	if (!text || !text[0])
		return;
	snprintf(line, sizeof(line), "%s: %s", label, text);
	print_wrapped(stdout, line, BELOW_HOOK, BELOW_HOOK);
}

static void print_hooks(const struct capture *c)
{
	size_t cnt;
	const struct capture_hook *h = capture__hooks(c, &cnt);

	printf("\nprobes\n");
	for (size_t i = 0; i < cnt; i++) {
		printf("  %-18s %s\n", h[i].probe, h[i].rung);
		print_wrapped(stdout, h[i].hook && h[i].hook[0] ? h[i].hook : "no hook works here",
			      BELOW_HOOK, BELOW_HOOK);
		print_labelled("lost", h[i].lost);
		print_labelled("to gain it", h[i].gain);
	}
}

/* What each of them needs: a cause that nothing shows is reported as another one. */
static void print_blind(const struct sight *s)
{
	char needs[512];

	for (size_t i = 0; i < cause_tables_cnt; i++)
		for (const struct cause *c = cause_tables[i]; c->id; c++) {
			if (sight__of(s, c) != CAUSE_BLIND)
				continue;
			printf("  %-7s %s\n", "BLIND", c->id);
			sight__needs(c, needs, sizeof(needs));
			print_labelled("to see it", needs);
		}
}

static void print_absent(const struct sight *s)
{
	char list[1024] = "not in this kernel: ";
	size_t none = strlen(list), n = none;

	for (size_t i = 0; i < cause_tables_cnt; i++)
		for (const struct cause *c = cause_tables[i]; c->id; c++)
			if (sight__of(s, c) == CAUSE_ABSENT && n < sizeof(list))
				n += snprintf(list + n, sizeof(list) - n, "%s%s",
					      n == none ? "" : ", ", c->id);
	if (n > none)
		print_wrapped(stdout, list, "  ", "  ");
}

static void print_causes(const struct sight *s)
{
	size_t cnt = 0, seen = 0;

	printf("\ncauses\n");
	if (!s->cnt) {
		print_wrapped(stdout, "this kernel does not say which functions it has", "  ",
			      "  ");
		return;
	}
	for (size_t i = 0; i < cause_tables_cnt; i++)
		for (const struct cause *c = cause_tables[i]; c->id; c++, cnt++)
			seen += sight__of(s, c) == CAUSE_SEEN;
	printf("  %zu of %zu can be seen on this kernel\n", seen, cnt);
	print_blind(s);
	print_absent(s);
}

static void print_facts(const struct facts *f)
{
	printf("\nfacts\n");
	for (size_t i = 0; i < f->cnt; i++) {
		if (strlen(f->v[i].name) <= 32 && strlen(f->v[i].value) + 35 <= WRAP_WIDTH) {
			printf("  %-32s %s\n", f->v[i].name, f->v[i].value);
			continue;
		}
		print_wrapped(stdout, f->v[i].name, "  ", BELOW_HOOK);
		print_wrapped(stdout, f->v[i].value, BELOW_HOOK, BELOW_HOOK);
	}
}

static json_t *features_json(const struct diagnosis *d)
{
	static const char *const words[] = { "", "yes", "no", "missing" };
	json_t *a = json_array();

	for (size_t i = 0; a && i < d->features_cnt; i++) {
		const struct feature *f = &d->features[i];
		json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", f->name, "state",
				      words[f->state], "why", f->why, "gain",
				      f->state == FEATURE_YES ? "" : f->gain, "detail", f->detail);

		if (!o || json_array_append_new(a, o)) {
			json_decref(a);
			return NULL;
		}
	}
	return a;
}

static int print_as_json(const struct diagnosis *d)
{
	json_t *hooks = d->capture ? hooks_json(d->capture) : json_array();

	json_t *causes = d->sight.cnt ? visible__json(&d->sight) : json_null();

	return print_json(json_pack(
		"{s:i, s:{s:s, s:s}, s:b, s:o, s:o, s:o, s:o}", "schema_version", 1, "tool", "name",
		"flatpause", "version", FLATPAUSE_VERSION, "works", d->capture != NULL, "features",
		features_json(d), "hooks", hooks, "causes", causes, "host", facts_json(&d->facts)));
}

static int collect(const struct doctor_opts *o, struct diagnosis *d)
{
	struct disks disks = { .cnt = 0 };
	int err;

	d->features_cnt = features__check(d->features);
	facts__host(&d->facts, "");
	if (!o->disks.cnt)
		disks__add_path(&disks, ".");
	for (size_t i = 0; i < o->disks.cnt; i++) {
		err = disks__add_path(&disks, o->disks.v[i]);
		if (err)
			return log_err(err, "--disk %s", o->disks.v[i]);
	}
	facts__disks(&d->facts, "", &disks, 0);
	return d->facts.err;
}

/* Loads every hook once, as a recording would. -ENOTSUP is an answer, not a failure of doctor. */
static void probe_hooks(struct diagnosis *d)
{
	struct capture_options o;
	struct recorder_opts r = { .pids = NULL };

	capture_options__defaults(&o);
	capture_options__apply(&o, &r);
	if (capture__probe(&d->capture, &r.capture))
		d->capture = NULL;
}

static void print_text(const struct diagnosis *d)
{
	print_features(d);
	if (d->capture)
		print_hooks(d->capture);
	print_causes(&d->sight);
	print_facts(&d->facts);
	fflush(stdout);
	if (!d->capture)
		log_info("recording does not work here: see MISSING above; traces that were "
			 "recorded elsewhere can be diagnosed");
}

int verb_doctor(int argc, char **argv)
{
	struct doctor_opts o = { .json = false };
	struct diagnosis d = { .capture = NULL };
	struct params_result res;
	int err = params__parse(&spec, argc, argv, &o, &res), code;

	if (err)
		return err == PARAMS_HELP ? FP_EXIT_OK : FP_EXIT_USAGE;
	if (res.rest.cnt || res.command) {
		log_err(0, "usage: %s", spec.usage);
		return FP_EXIT_USAGE;
	}
	log_init("flatpause", o.debug ? LOG_DEBUG : LOG_NORMAL);
	code = collect(&o, &d) ? FP_EXIT_FAILED : FP_EXIT_OK;
	if (!code) {
		/* A kernel that cannot be asked is an answer as well; what it lacks was said. */
		visible__check(&d.sight);
		probe_hooks(&d);
		if (!o.json)
			print_text(&d);
		else if (print_as_json(&d))
			code = FP_EXIT_FAILED;
		if (!code && !d.capture)
			code = FP_EXIT_UNSUPPORTED;
	}
	capture__close(d.capture);
	sight__free(&d.sight);
	facts__free(&d.facts);
	return code;
}
