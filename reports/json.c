// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json_out.h"
#include "json_tables.h"
#include "summary.h"

static const char schema[] =
#include "reports/schema.json.inc"
	;

static void write_tool(struct json_out *j, const char *version)
{
	json_out_begin_line(j, "tool", '{');
	json_out_str(j, "name", "flatpause");
	json_out_str(j, "version", version);
	json_out_end(j, '}');
}

/* How many facts before this one have its name. */
static size_t same_names_before(const struct finding_fact *v, size_t i)
{
	size_t same = 0;

	for (size_t k = 0; k < i; k++)
		same += !strcmp(v[k].name, v[i].name);
	return same;
}

/* An object of strings; its keys are unique: a name that comes again gets a number, "disk#2". */
static void write_facts(struct json_out *j, const char *key, const struct finding_fact *v,
			size_t cnt)
{
	json_out_begin(j, key, '{');
	for (size_t i = 0; i < cnt; i++) {
		size_t same = same_names_before(v, i);
		char *name;

		if (!same) {
			json_out_str(j, v[i].name, v[i].value);
		} else if (asprintf(&name, "%s#%zu", v[i].name, same + 1) >= 0) {
			json_out_str(j, name, v[i].value);
			free(name);
		}
	}
	json_out_end(j, '}');
}

static void write_strings(struct json_out *j, const char *key, char *const *v, size_t cnt)
{
	json_out_begin(j, key, '[');
	for (size_t i = 0; i < cnt; i++)
		json_out_str(j, NULL, v[i]);
	json_out_end(j, ']');
}

static void write_hooks(struct json_out *j, const struct findings *f)
{
	json_out_begin(j, "hooks", '[');
	for (size_t i = 0; i < f->hooks_cnt; i++) {
		json_out_begin_line(j, NULL, '{');
		json_out_str(j, "probe", f->hooks[i].probe);
		json_out_str(j, "hook", f->hooks[i].hook);
		json_out_str(j, "rung", f->hooks[i].rung);
		json_out_str(j, "lost", f->hooks[i].lost);
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
}

static void write_loss(struct json_out *j, const struct finding_loss *l)
{
	double all = (double)l->events + (double)l->recorded;

	json_out_begin_line(j, "loss", '{');
	json_out_uint(j, "events", l->events);
	json_out_real(j, "percent", all > 0 ? 100.0 * (double)l->events / all : 0);
	json_out_uint(j, "recorded", l->recorded);
	json_out_bool(j, "complete", l->complete);
	json_out_uint(j, "bad_chunks", l->bad_chunks);
	json_out_end(j, '}');
}

static void write_ledger(struct json_out *j, const struct finding_window *w)
{
	json_out_begin(j, "ledger", '[');
	for (size_t i = 0; i < w->ledger_cnt; i++) {
		json_out_begin_line(j, NULL, '{');
		json_out_str(j, "cause", w->ledger[i].cause);
		json_out_ms(j, "ms", w->ledger[i].ns);
		json_out_ms(j, "carry_over_ms", w->ledger[i].carry_over_ns);
		json_out_uint(j, "carry_over_prev_window", w->ledger[i].carry_over_prev_window);
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
}

static void write_thread(struct json_out *j, const struct finding_thread *t)
{
	json_out_begin_line(j, NULL, '{');
	json_out_uint(j, "tid", t->tid);
	json_out_uint(j, "tgid", t->tgid);
	json_out_str(j, "comm", t->comm);
	json_out_str(j, "role", t->role);
	json_out_ms(j, "wall_ms", t->wall_ns);
	json_out_ms(j, "running_user_ms", t->running_user_ns);
	json_out_ms(j, "running_kernel_ms", t->running_kernel_ns);
	json_out_ms(j, "runnable_ms", t->runnable_ns);
	json_out_begin(j, "blocked", '[');
	for (size_t i = 0; i < t->blocked_cnt; i++) {
		json_out_begin(j, NULL, '{');
		json_out_str(j, "cause", t->blocked[i].cause);
		json_out_ms(j, "ms", t->blocked[i].ns);
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
	json_out_ms(j, "unknown_ms", t->unknown_ns);
	json_out_bool(j, "passive", t->passive);
	json_out_end(j, '}');
}

static void write_futex(struct json_out *j, const struct finding_futex *x)
{
	char address[32];

	snprintf(address, sizeof(address), "0x%llx", (unsigned long long)x->uaddr);
	json_out_begin_line(j, NULL, '{');
	json_out_str(j, "uaddr", address);
	json_out_str(j, "mapping", x->mapping);
	json_out_uint(j, "tid", x->tid);
	json_out_ms(j, "wait_ms", x->wait_ns);
	json_out_uint(j, "waits", x->waits);
	json_out_uint(j, "waker_tid", x->waker_tid);
	json_out_str(j, "op", x->op);
	json_out_str(j, "comm", text_or_empty(x->comm));
	json_out_str(j, "waker_comm", text_or_empty(x->waker_comm));
	json_out_str(j, "kind", text_or_empty(x->kind));
	json_out_str(j, "class", futex_class_name(x->class));
	json_out_ms(j, "path_ms", x->path_ns);
	json_out_end(j, '}');
}

static void write_extents(struct json_out *j, enum finding_extents e)
{
	if (e == FINDING_EXTENTS_UNKNOWN)
		json_out_null(j, "extents_kept");
	else
		json_out_bool(j, "extents_kept", e == FINDING_EXTENTS_KEPT);
}

/* null: it was not done, or not seen. `how` NULL = there is only one way. */
static void write_deed(struct json_out *j, const char *key, const struct finding_deed *d,
		       const char *how)
{
	if (!d->at_ns) {
		json_out_null(j, key);
		return;
	}
	json_out_begin(j, key, '{');
	json_out_str(j, "by", text_or_empty(d->by));
	json_out_uint(j, "at_ns", d->at_ns);
	if (how)
		json_out_str(j, how, text_or_empty(d->how));
	json_out_end(j, '}');
}

static void write_bytes(struct json_out *j, const char *key, uint64_t bytes, uint64_t none)
{
	if (bytes == none)
		json_out_null(j, key);
	else
		json_out_uint(j, key, bytes);
}

static void write_file(struct json_out *j, const struct finding_file *x)
{
	char dev[32];

	snprintf(dev, sizeof(dev), "%u:%u", x->dev >> 20, x->dev & 0xfffff);
	json_out_begin_line(j, NULL, '{');
	json_out_str(j, "path", x->path);
	json_out_str(j, "dev", dev);
	json_out_uint(j, "ino", x->ino);
	json_out_uint(j, "open_flags", x->open_flags);
	json_out_uint(j, "bytes_written", x->bytes_written);
	json_out_ms(j, "fsync_ms", x->fsync_ns);
	json_out_ms(j, "alloc_ms", x->alloc_ns);
	write_extents(j, x->extents);
	json_out_str(j, "extents_why", x->extents_why);
	write_deed(j, "preallocated", &x->preallocated, NULL);
	write_bytes(j, "preallocated_bytes", x->preallocated_bytes, 0);
	write_deed(j, "undone", &x->undone, "how");
	write_deed(j, "first_written", &x->written, "call");
	write_bytes(j, "alloc_bytes", x->alloc_bytes, FINDING_BYTES_NONE);
	json_out_uint(j, "bytes_read", x->bytes_read);
	json_sizes(j, "sizes", x->sizes, x->sizes_cnt);
	json_out_end(j, '}');
}

static void write_path(struct json_out *j, const struct finding_window *w)
{
	json_out_begin(j, "path", '[');
	for (size_t i = 0; i < w->path_cnt; i++) {
		json_out_begin_line(j, NULL, '{');
		json_out_ms(j, "begin_ms", w->path[i].begin_ns);
		json_out_ms(j, "ms", w->path[i].ns);
		json_out_str(j, "cause", w->path[i].cause);
		json_out_str(j, "actor", w->path[i].actor);
		json_out_str(j, "via", w->path[i].via);
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
	json_out_uint(j, "path_rest", w->path_rest_cnt);
	json_out_ms(j, "path_rest_ms", w->path_rest_ns);
}

static void write_blame(struct json_out *j, const struct finding_window *w)
{
	json_out_begin(j, "blame", '[');
	for (size_t i = 0; i < w->blame_cnt; i++) {
		json_out_begin_line(j, NULL, '{');
		json_out_str(j, "file", w->blame[i].file);
		json_out_str(j, "dirtied_by", w->blame[i].dirtied_by);
		json_out_ms(j, "ms", w->blame[i].ns);
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
}

static void write_window(struct json_out *j, const struct finding_window *w)
{
	json_out_begin(j, NULL, '{');
	json_out_uint(j, "index", w->index);
	json_out_uint(j, "sweep", w->sweep);
	json_out_uint(j, "begin_ns", w->begin_ns);
	json_out_ms(j, "duration_ms", w->duration_ns);
	if (w->reported_ns == FINDING_NS_NONE)
		json_out_null(j, "reported_ms");
	else
		json_out_ms(j, "reported_ms", w->reported_ns);
	json_out_str(j, "detector", w->detector);
	json_out_str(j, "label", w->label);
	json_out_bool(j, "open", w->open);
	json_out_bool(j, "slow", w->slow);
	json_out_bool(j, "spike", w->spike);
	json_out_uint(j, "closer_tid", w->closer_tid);
	write_ledger(j, w);
	json_out_begin(j, "threads", '[');
	for (size_t i = 0; i < w->threads_cnt; i++)
		write_thread(j, &w->threads[i]);
	json_out_end(j, ']');
	json_out_begin(j, "futexes", '[');
	for (size_t i = 0; i < w->futexes_cnt; i++)
		write_futex(j, &w->futexes[i]);
	json_out_end(j, ']');
	json_out_begin(j, "files", '[');
	for (size_t i = 0; i < w->files_cnt; i++)
		write_file(j, &w->files[i]);
	json_out_end(j, ']');
	write_path(j, w);
	write_blame(j, w);
	json_states(j, "states", w->states, w->states_cnt, w->duration_ns);
	json_sizes(j, "sizes", w->sizes, w->sizes_cnt);
	json_latencies(j, "devices", w->devices, w->devices_cnt, false);
	json_out_end(j, '}');
}

void curve__write_keys(struct json_out *j, const struct finding_curve *c)
{
	size_t cnt = (size_t)c->sweeps * c->windows;

	json_out_str(j, "verdict", curve_verdict_name(c->verdict));
	if (c->at_window)
		json_out_uint(j, "at_window", c->at_window);
	else
		json_out_null(j, "at_window");
	json_out_real(j, "ratio", c->ratio);
	json_out_real(j, "ratio_lower95", c->ratio_lower95);
	json_out_real(j, "ratio_upper95", c->ratio_upper95);
	json_out_real(j, "p", c->p);
	json_out_uint(j, "sweeps", c->sweeps);
	json_out_uint(j, "windows", c->windows);
	json_out_begin_line(j, "values_ms", '[');
	for (size_t i = 0; c->values_ms && i < cnt; i++)
		json_out_real(j, NULL, c->values_ms[i]);
	json_out_end(j, ']');
	json_out_str(j, "why", c->why);
}

static void write_curve(struct json_out *j, const struct finding_curve *c)
{
	json_out_begin(j, "curve", '{');
	curve__write_keys(j, c);
	json_out_end(j, '}');
}

static void write_verdict(struct json_out *j, const struct finding_verdict *v)
{
	json_out_begin(j, "verdict", '{');
	json_out_str(j, "cause", v->cause);
	json_out_str(j, "basis", verdict_basis_name(v->basis));
	json_out_real(j, "share", v->share);
	json_out_real(j, "confidence", v->confidence);
	json_out_real(j, "unknown_share", v->unknown_share);
	json_out_bool(j, "incomplete", v->incomplete);
	json_out_str(j, "text", v->text);
	write_strings(j, "evidence", v->evidence, v->evidence_cnt);
	json_out_begin(j, "rejected", '[');
	for (size_t i = 0; i < v->rejected_cnt; i++) {
		json_out_begin_line(j, NULL, '{');
		json_out_str(j, "cause", v->rejected[i].cause);
		json_out_str(j, "why", v->rejected[i].why);
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
	json_out_end(j, '}');
}

static void write_advice(struct json_out *j, const struct findings *f)
{
	json_out_begin(j, "advice", '[');
	for (size_t i = 0; i < f->advice_cnt; i++) {
		json_out_begin(j, NULL, '{');
		json_out_str(j, "mitigation", f->advice[i].mitigation);
		json_out_str(j, "why", f->advice[i].why);
		json_out_str(j, "command", f->advice[i].command);
		json_out_str(j, "undo", f->advice[i].undo);
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
}

static void write_causes(struct json_out *j, const struct findings *f)
{
	json_out_begin(j, "causes", '[');
	for (size_t i = 0; i < f->causes_cnt; i++) {
		json_out_begin_line(j, NULL, '{');
		json_out_str(j, "id", f->causes[i].id);
		json_out_str(j, "title", f->causes[i].title);
		json_out_str(j, "group", f->causes[i].group);
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
}

static int finish(const struct json_out *j)
{
	return ferror(j->out) ? -EIO : 0;
}

static void begin_document(struct json_out *j)
{
	json_out_begin(j, NULL, '{');
	json_out_uint(j, "schema_version", FINDING_SCHEMA_VERSION);
}

int findings__write_json(FILE *out, const struct findings *f)
{
	struct json_out j = { .out = out, .first = true };

	begin_document(&j);
	write_tool(&j, f->tool_version);
	json_out_str(&j, "source", f->source);
	write_facts(&j, "host", f->host, f->host_cnt);
	write_facts(&j, "cost", f->cost, f->cost_cnt);
	write_hooks(&j, f);
	write_loss(&j, &f->loss);
	write_strings(&j, "warnings", f->warnings, f->warnings_cnt);
	json_out_begin(&j, "windows", '[');
	for (size_t i = 0; i < f->windows_cnt; i++)
		write_window(&j, &f->windows[i]);
	json_out_end(&j, ']');
	write_curve(&j, &f->curve);
	write_verdict(&j, &f->verdict);
	write_advice(&j, f);
	write_causes(&j, f);
	json_size_limits(&j, "size_limits_bytes");
	json_sizes(&j, "sizes", f->sizes, f->sizes_cnt);
	json_latencies(&j, "devices", f->devices, f->devices_cnt, true);
	json_rounds(&j, "rounds", &f->rounds);
	json_out_end(&j, '}');
	return finish(&j);
}

int curve__write_json(FILE *out, const struct finding_curve *c)
{
	struct json_out j = { .out = out, .first = true };

	begin_document(&j);
	curve__write_keys(&j, c);
	json_out_end(&j, '}');
	return finish(&j);
}

static const char *const arm_kinds[] = { "before", "mitigated", "control" };

/* `flattened` is what scripts ask; `outcome` tells what is not shown from what is not so. */
static void write_outcome(struct json_out *j, bool tried, enum curve_outcome outcome)
{
	json_out_bool(j, "flattened", tried && outcome == CURVE_FLATTENED);
	if (tried)
		json_out_str(j, "outcome", curve_outcome_name(outcome));
	else
		json_out_null(j, "outcome");
}

static void write_arm(struct json_out *j, const struct arm *a)
{
	json_out_begin(j, NULL, '{');
	json_out_str(j, "label", a->label);
	json_out_str(j, "kind", arm_kinds[a->kind]);
	write_curve(j, &a->curve);
	json_out_str(j, "cause", a->findings ? a->findings->verdict.cause : "");
	json_out_str(j, "source", a->findings ? a->findings->source : "");
	json_out_real(j, "ratio_to_before", a->ratio_to_before);
	json_out_real(j, "ratio_to_control", a->ratio_to_control);
	write_outcome(j, a->kind == ARM_MITIGATED, a->outcome);
	json_out_str(j, "text", a->text);
	json_out_end(j, '}');
}

static void write_comparison_keys(struct json_out *j, const struct comparison *c)
{
	json_out_str(j, "name", c->name);
	json_out_begin(j, "arms", '[');
	for (size_t i = 0; i < c->arms_cnt; i++)
		write_arm(j, &c->arms[i]);
	json_out_end(j, ']');
	json_out_str(j, "kept", c->kept);
	write_outcome(j, comparison_has_mitigation(c), c->outcome);
	json_out_str(j, "text", c->text);
}

int comparison__write_json(FILE *out, const struct comparison *c)
{
	struct json_out j = { .out = out, .first = true };

	begin_document(&j);
	write_comparison_keys(&j, c);
	json_out_end(&j, '}');
	return finish(&j);
}

int report__write_json(FILE *out, const struct report *r)
{
	struct json_out j = { .out = out, .first = true };

	begin_document(&j);
	json_out_str(&j, "title", r->title);
	json_out_begin(&j, "comparisons", '[');
	for (size_t i = 0; i < r->comparisons_cnt; i++) {
		json_out_begin(&j, NULL, '{');
		write_comparison_keys(&j, &r->comparisons[i]);
		json_out_end(&j, '}');
	}
	json_out_end(&j, ']');
	json_out_end(&j, '}');
	return finish(&j);
}

int json_schema__print(FILE *out)
{
	fputs(schema, out);
	return ferror(out) ? -EIO : 0;
}
