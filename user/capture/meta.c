// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "meta.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "../../bpf/abi.h"
#include "../cli/verb.h"
#include "../host/cgroup.h"
#include "../host/disk.h"
#include "../log.h"
#include "output.h"
#include "visible.h"

int collect_facts(struct facts *f, const struct recorder_opts *opts, const struct targets *t,
		  struct disks *disks)
{
	int err;

	disks->cnt = 0;
	facts__host(f, "");
	facts__causes(f);
	for (size_t i = 0; i < opts->disks_cnt; i++) {
		err = disks__add_path(disks, opts->disks[i]);
		if (err)
			return log_err(err, "--disk %s", opts->disks[i]);
	}
	for (size_t i = 0; i < targets__cnt(t); i++) {
		facts__process(f, "", targets__pid(t, i));
		disks__add_process(disks, targets__pid(t, i));
	}
	if (opts->command) /* it starts in our directory and control group */
		disks__add_path(disks, ".");
	facts__disks(f, "", disks, 0);
	return f->err ? log_err(f->err, "facts of the host") : 0;
}

json_t *facts_json(const struct facts *f)
{
	json_t *o = json_object();

	for (size_t i = 0; o && i < f->cnt; i++) {
		if (json_object_set_new(o, f->v[i].name, json_string(f->v[i].value))) {
			json_decref(o);
			return NULL;
		}
	}
	return o;
}

json_t *hooks_json(const struct capture *c)
{
	json_t *a = json_array();
	size_t cnt;
	const struct capture_hook *h = capture__hooks(c, &cnt);

	for (size_t i = 0; a && i < cnt; i++) {
		json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s}", "probe", h[i].probe, "hook",
				      h[i].hook, "rung", h[i].rung, "lost", h[i].lost ?: "", "gain",
				      h[i].gain ?: "");

		if (!o || json_array_append_new(a, o)) {
			json_decref(a);
			return NULL;
		}
	}
	return a;
}

json_t *json_text(const char *text)
{
	char *copy = text ? strdup(text) : NULL;
	json_t *s;

	if (!copy)
		return NULL;
	make_printable(copy);
	s = json_string(copy);
	free(copy);
	return s;
}

static json_t *options_json(const struct recorder_opts *o)
{
	return json_pack("{s:I, s:I, s:I, s:b, s:b, s:b, s:I, s:b, s:I, s:o*, s:o*, s:o*}",
			 "ring_bytes", (json_int_t)o->capture.ring_bytes, "min_sleep_ns",
			 (json_int_t)o->capture.min_sleep_ns, "sample_hz",
			 (json_int_t)o->capture.sample_hz, "syscalls", o->capture.syscalls, "wakes",
			 o->capture.wakes, "upper_rungs", o->capture.upper_rungs, "min_other_ns",
			 (json_int_t)o->capture.min_other_ns, "compress", o->compress, "timeout_ns",
			 (json_int_t)o->timeout_ns, "pause_from", json_text(o->pause_from), "comm",
			 json_text(o->comm_glob), "cgroup", json_text(o->cgroup));
}

static json_t *command_json(char *const *command)
{
	json_t *a = json_array();

	for (; a && command && *command; command++) {
		if (json_array_append_new(a, json_text(*command))) {
			json_decref(a);
			return NULL;
		}
	}
	return a;
}

static json_t *targets_json(const struct targets *t)
{
	json_t *a = json_array();

	for (size_t i = 0; a && i < targets__cnt(t); i++) {
		if (json_array_append_new(a, json_integer(targets__pid(t, i)))) {
			json_decref(a);
			return NULL;
		}
	}
	return a;
}

json_t *build_meta(const struct recorder_opts *opts, const struct capture *c,
		   const struct targets *t, const struct facts *f)
{
	return json_pack("{s:{s:s, s:s}, s:o, s:o, s:o, s:o, s:o, s:o}", "tool", "name",
			 "flatpause", "version", FLATPAUSE_VERSION, "host", facts_json(f),
			 "options", options_json(opts), "hooks", hooks_json(c), "window",
			 json_text(opts->window ?: "auto"), "command", command_json(opts->command),
			 "targets", targets_json(t));
}

json_t *build_late_meta(const struct capture *c, struct disks *described)
{
	struct facts facts = { .cnt = 0 };
	size_t cnt, before = described->cnt;
	const uint32_t *devs = capture__written_devices(c, &cnt);
	json_t *o = NULL;

	for (size_t i = 0; i < cnt; i++)
		disks__add(described, makedev(devs[i] >> 20, devs[i] & 0xfffff));
	facts__disks(&facts, "", described, before);
	if (facts.cnt && !facts.err)
		o = json_pack("{s:o}", "host", facts_json(&facts));
	facts__free(&facts);
	return o;
}

static bool opened_for_writing_on(const struct capture *c, dev_t dev)
{
	size_t cnt;
	const uint32_t *devs = capture__written_devices(c, &cnt);

	for (size_t i = 0; i < cnt; i++)
		if (devs[i] == FP_DEV(major(dev), minor(dev)))
			return true;
	return false;
}

bool warn_of_shared_disk(const struct recorder_opts *opts, const struct targets *t,
			 const struct capture *c)
{
	struct stat st;
	bool shared;
	dev_t dev;

	if (output__device(opts->output, &dev))
		return false;
	shared = c && opened_for_writing_on(c, dev);
	for (size_t i = 0; i < targets__cnt(t) && !shared; i++)
		shared = process_writes_to(targets__pid(t, i), dev);
	for (size_t i = 0; i < opts->disks_cnt && !shared; i++)
		shared = !stat(opts->disks[i], &st) && st.st_dev == dev;
	if (shared)
		log_warn("the trace %s is on a file system that targets write to; "
			 "-o on another disk or a tmpfs disturbs them less",
			 opts->output);
	return shared;
}
