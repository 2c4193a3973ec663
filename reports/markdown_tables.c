// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "markdown_tables.h"

#include "escape.h"
#include "numbers.h"
#include "summary.h"
#include "table_sums.h"

#define ROWS_MAX  16
#define BLAME_MAX 3

static void begin_section(FILE *out, const char *title, const char *head)
{
	fprintf(out, "<details><summary>%s</summary>\n\n%s", title, head);
}

static void end_section(FILE *out)
{
	fputs("\n</details>\n\n", out);
}

static void write_cell(FILE *out, const char *text)
{
	fputs("| ", out);
	escape_markdown(out, text_or_empty(text));
	fputc(' ', out);
}

static void write_code_cell(FILE *out, const char *text)
{
	fputs("| ", out);
	if (*text_or_empty(text))
		escape_markdown_code(out, text, true);
	fputc(' ', out);
}

void markdown_rounds(FILE *out, const struct finding_rounds *r)
{
	if (!r->cnt)
		return;
	begin_section(out, "What simpler tools would have concluded from this recording",
		      "| round | would name | conclusion | | why |\n|---|---|---|---|---|\n");
	for (size_t i = 0; i < r->cnt; i++) {
		const struct finding_round *x = &r->list[i];

		write_cell(out, x->name);
		write_code_cell(out, x->cause);
		write_cell(out, x->conclusion);
		fprintf(out, "| %s ", x->agrees ? "agrees" : "**misleads**");
		write_cell(out, x->why);
		fputs("|\n", out);
	}
	end_section(out);
}

static void write_futex(FILE *out, const struct finding_futex *x)
{
	char ns[NUMBER_SIZE], path[NUMBER_SIZE];

	write_cell(out, x->comm);
	fprintf(out, "(%u) | %s | %s | %s ", x->tid, number_ns(ns, x->wait_ns),
		number_ns(path, x->path_ns), futex_class_name(x->class));
	write_cell(out, x->waker_comm);
	fprintf(out, "| `0x%llx` ", (unsigned long long)x->uaddr);
	write_cell(out, x->mapping);
	write_cell(out, x->op);
	fputs("|\n", out);
}

static void write_futexes(FILE *out, const struct finding_window *w)
{
	size_t shown = 0;

	if (!w || !w->futexes_cnt)
		return;
	begin_section(
		out, "Futexes of the slowest window",
		"| waiter | waited | charged | class | released by | address | in | operation |\n"
		"|---|---:|---:|---|---|---|---|---|\n");
	for (size_t i = 0; i < w->futexes_cnt && shown < ROWS_MAX; i++) {
		if (!futex_is_long(w, &w->futexes[i]))
			continue;
		write_futex(out, &w->futexes[i]);
		shown++;
	}
	if (shown < w->futexes_cnt)
		fprintf(out, "\n%zu shorter ones are in the JSON.\n", w->futexes_cnt - shown);
	end_section(out);
}

static int write_states(FILE *out, const struct findings *f)
{
	struct state_table t;
	int err = state_table__build(f, &t);

	if (err || !t.cnt)
		goto out;
	begin_section(out, "Where threads sat, mean number of threads",
		      t.of.fast_windows
			      ? "| kernel function | cause | slow | fast |\n"
				"|---|---|---:|---:|\n"
			      : "| kernel function | cause | threads |\n|---|---|---:|\n");
	for (size_t i = 0; i < t.cnt && i < ROWS_MAX; i++) {
		write_cell(out, t.rows[i].frame);
		write_code_cell(out, t.rows[i].cause);
		fprintf(out, "| %.3f ", t.rows[i].slow_threads);
		if (t.of.fast_windows)
			fprintf(out, "| %.3f ", t.rows[i].fast_threads);
		fputs("|\n", out);
	}
	end_section(out);
out:
	state_table__free_inside(&t);
	return err;
}

static void write_buckets(FILE *out, const uint64_t *buckets)
{
	bool any = false;

	fputs("| ", out);
	for (unsigned int i = 0; i < SIZE_BUCKETS; i++) {
		if (!buckets[i])
			continue;
		fputs(any ? ", " : "", out);
		escape_markdown(out, size_bucket_name(i));
		fprintf(out, ": %llu", (unsigned long long)buckets[i]);
		any = true;
	}
	fputs(" |\n", out);
}

static int write_sizes(FILE *out, const struct findings *f)
{
	struct size_table t;
	int err = size_table__build(f, true, &t);
	char bytes[NUMBER_SIZE];

	if (err || !t.cnt)
		goto out;
	begin_section(out, "Sizes of calls in the slow windows",
		      "| call | calls | bytes | by size |\n|---|---:|---:|---|\n");
	for (size_t i = 0; i < t.cnt; i++) {
		write_cell(out, t.rows[i].op);
		fprintf(out, "| %llu | %s ", (unsigned long long)t.rows[i].calls,
			number_bytes(bytes, t.rows[i].bytes));
		write_buckets(out, t.rows[i].buckets);
	}
	end_section(out);
out:
	size_table__free_inside(&t);
	return err;
}

static void write_devices(FILE *out, const struct findings *f)
{
	if (!f->devices_cnt)
		return;
	begin_section(out, "Latencies of devices, from issue to completion",
		      "| device | class | windows | requests | bytes | p50 | p90 | p99 | max |\n"
		      "|---|---|---|---:|---:|---:|---:|---:|---:|\n");
	for (size_t i = 0; i < f->devices_cnt; i++) {
		const struct finding_latency *l = &f->devices[i];
		char text[5][NUMBER_SIZE];

		fprintf(out, "| %u:%u | %s | %s | %llu | %s | %s | %s | %s | %s |\n", l->dev >> 20,
			l->dev & 0xfffff, l->class, regime_name(l->regime),
			(unsigned long long)l->requests, number_bytes(text[0], l->bytes),
			number_ns(text[1], l->p50_ns), number_ns(text[2], l->p90_ns),
			number_ns(text[3], l->p99_ns), number_ns(text[4], l->max_ns));
	}
	end_section(out);
}

static void write_path(FILE *out, const struct finding_window *w)
{
	char at[NUMBER_SIZE], ns[NUMBER_SIZE];

	if (!w || !w->path_cnt)
		return;
	begin_section(
		out, "Critical path of the slowest window, its longest stretches",
		"| at | for | cause | who | by way of, or held by |\n|---:|---:|---|---|---|\n");
	for (size_t i = 0; i < w->path_cnt; i++) {
		const struct finding_segment *s = &w->path[i];

		if (!path_shows(w, i, ROWS_MAX))
			continue;
		fprintf(out, "| %s | %s ", number_ns(at, s->begin_ns), number_ns(ns, s->ns));
		write_code_cell(out, s->cause);
		write_cell(out, s->actor);
		write_cell(out, s->via);
		fputs("|\n", out);
	}
	for (size_t i = 0; i < w->blame_cnt && i < BLAME_MAX; i++) {
		fprintf(out, "%s* %s while data of ", i ? "" : "\n", number_ns(ns, w->blame[i].ns));
		escape_markdown(out, w->blame[i].file);
		fputs(" was written", out);
		if (*text_or_empty(w->blame[i].dirtied_by)) {
			fprintf(out, ", %s ", blame_by(&w->blame[i]));
			escape_markdown(out, w->blame[i].dirtied_by);
		}
		fputc('\n', out);
	}
	end_section(out);
}

int markdown_tables(FILE *out, const struct findings *f)
{
	int err;

	write_path(out, slowest_window(f));
	write_futexes(out, slowest_window(f));
	err = write_states(out, f);
	if (!err)
		err = write_sizes(out, f);
	write_devices(out, f);
	return err;
}
