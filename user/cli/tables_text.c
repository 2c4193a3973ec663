// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "tables_text.h"

#include <errno.h>
#include <string.h>

#include "../../reports/table_sums.h"
#include "params.h"
#include "wrap.h"

#define NUM	   32
#define ROWS_MAX   16
#define PATH_WIDTH 44

/* A name in a column: cut at its front, where paths are alike, and safe for a terminal. */
static void print_name(FILE *out, const char *head, const char *name, size_t width)
{
	size_t len = strlen(name);
	char text[256];

	snprintf(text, sizeof(text), "%s%s", len > width ? "..." : "",
		 len > width ? name + len - width + 3 : name);
	print_line(out, head, text);
}

static void print_futex(FILE *out, const struct finding_futex *x)
{
	char wait[NUM], path[NUM], head[96], line[640];

	snprintf(head, sizeof(head), "  %10s %10s %7u  %-11s  ",
		 format_ns(x->wait_ns, wait, sizeof(wait)),
		 format_ns(x->path_ns, path, sizeof(path)), x->waits, futex_class_name(x->class));
	snprintf(line, sizeof(line), "%s (%u)", x->comm, x->tid);
	print_wrapped(out, line, head, "      ");
	if (x->waker_tid)
		snprintf(line, sizeof(line), "released by %s (%u); 0x%llx %s in %s",
			 x->waker_comm[0] ? x->waker_comm : "?", x->waker_tid,
			 (unsigned long long)x->uaddr, x->op, x->mapping);
	else
		snprintf(line, sizeof(line), "released by nobody seen; 0x%llx %s in %s",
			 (unsigned long long)x->uaddr, x->op, x->mapping);
	print_wrapped(out, line, "      ", "        ");
}

static void print_futexes(FILE *out, const struct finding_window *w, const char *bold,
			  const char *off)
{
	size_t shown = 0;
	char ns[NUM];

	if (!w->futexes_cnt)
		return;
	fprintf(out, "\n%sfutexes%s of window %u.%u, the slowest (%s)\n", bold, off, w->sweep,
		w->index, format_ns(w->duration_ns, ns, sizeof(ns)));
	fprintf(out, "  %10s %10s %7s  %-11s  %s\n", "waited", "charged", "waits", "class",
		"waiter");
	for (size_t i = 0; i < w->futexes_cnt && shown < ROWS_MAX; i++) {
		if (!futex_is_long(w, &w->futexes[i]))
			continue;
		print_futex(out, &w->futexes[i]);
		shown++;
	}
	if (shown < w->futexes_cnt)
		fprintf(out, "  ... and %zu shorter ones (--json has all)\n",
			w->futexes_cnt - shown);
}

static int print_states(FILE *out, const struct findings *f, const char *bold, const char *off)
{
	struct state_table t;
	int err = state_table__build(f, &t);

	if (!err && t.cnt) {
		fprintf(out, "\n%sthreads%s, mean number by innermost kernel function\n", bold,
			off);
		fprintf(out, "  %8s %8s  %s\n", t.of.fast_windows ? "slow" : "all",
			t.of.fast_windows ? "fast" : "", "function (cause)");
	}
	for (size_t i = 0; !err && i < t.cnt && i < ROWS_MAX; i++) {
		const struct state_row *r = &t.rows[i];
		char head[64], fast[NUM] = "", line[512];

		if (t.of.fast_windows)
			snprintf(fast, sizeof(fast), "%.3f", r->fast_threads);
		snprintf(head, sizeof(head), "  %8.3f %8s  ", r->slow_threads, fast);
		snprintf(line, sizeof(line), r->cause[0] ? "%s (%s)" : "%s", r->frame, r->cause);
		print_wrapped(out, line, head, "                     ");
	}
	if (!err && t.cnt > ROWS_MAX)
		fprintf(out, "  ... and %zu more (--json has all)\n", t.cnt - ROWS_MAX);
	state_table__free_inside(&t);
	return err;
}

/* Only the buckets that hold something: "<= 4 KiB 1998, > 1 MiB 10". */
static void print_buckets(FILE *out, const uint64_t *buckets, const char *head)
{
	char line[512];
	size_t at = 0;

	for (unsigned int i = 0; i < SIZE_BUCKETS; i++)
		if (buckets[i] && at < sizeof(line))
			at += (size_t)snprintf(line + at, sizeof(line) - at, "%s%s: %llu",
					       at ? ", " : "", size_bucket_name(i),
					       (unsigned long long)buckets[i]);
	if (at)
		print_wrapped(out, line, head, head);
}

static void print_size_rows(FILE *out, const char *title, const struct finding_sizes *v, size_t cnt,
			    const char *bold, const char *off)
{
	char bytes[NUM];

	if (cnt)
		fprintf(out, "\n%ssizes of calls%s, %s\n", bold, off, title);
	for (size_t i = 0; i < cnt; i++) {
		fprintf(out, "  %-16s %9llu calls %12s\n", v[i].op, (unsigned long long)v[i].calls,
			format_bytes(v[i].bytes, bytes, sizeof(bytes)));
		print_buckets(out, v[i].buckets, "      ");
	}
}

static int print_sizes(FILE *out, const struct findings *f, const char *bold, const char *off)
{
	struct size_table slow;
	int err = size_table__build(f, true, &slow);

	print_size_rows(out, "in the slow windows", slow.rows, slow.cnt, bold, off);
	size_table__free_inside(&slow);
	if (!err)
		print_size_rows(out, "in the whole recording", f->sizes, f->sizes_cnt, bold, off);
	return err;
}

static void print_files(FILE *out, const struct finding_window *w, const char *bold,
			const char *off)
{
	if (!w->files_cnt)
		return;
	fprintf(out, "\n%sfiles%s of window %u.%u\n", bold, off, w->sweep, w->index);
	fprintf(out, "  %10s %10s %9s  %s\n", "written", "read", "fsync", "file");
	for (size_t i = 0; i < w->files_cnt && i < ROWS_MAX; i++) {
		const struct finding_file *x = &w->files[i];
		char written[NUM], read[NUM], fsync[NUM], head[96], inode[NUM];

		snprintf(head, sizeof(head), "  %10s %10s %9s  ",
			 format_bytes(x->bytes_written, written, sizeof(written)),
			 format_bytes(x->bytes_read, read, sizeof(read)),
			 format_ns(x->fsync_ns, fsync, sizeof(fsync)));
		snprintf(inode, sizeof(inode), "inode %llu", (unsigned long long)x->ino);
		print_name(out, head, x->path[0] ? x->path : inode, PATH_WIDTH);
	}
	if (w->files_cnt > ROWS_MAX)
		fprintf(out, "  ... and %zu more\n", w->files_cnt - ROWS_MAX);
}

static void print_devices(FILE *out, const struct findings *f, const char *bold, const char *off)
{
	if (!f->devices_cnt)
		return;
	fprintf(out, "\n%sdevices%s, from issue to completion\n", bold, off);
	fprintf(out, "  %-8s %-8s%-5s %8s %9s %8s %8s %8s %8s\n", "device", "class", "", "requests",
		"bytes", "p50", "p90", "p99", "max");
	for (size_t i = 0; i < f->devices_cnt; i++) {
		const struct finding_latency *l = &f->devices[i];
		char dev[NUM], bytes[NUM], ns[4][NUM];

		snprintf(dev, sizeof(dev), "%u:%u", l->dev >> 20, l->dev & 0xfffff);
		fprintf(out, "  %-8s %-8s%-5s %8llu %9s %8s %8s %8s %8s\n", dev, l->class,
			regime_name(l->regime), (unsigned long long)l->requests,
			format_bytes(l->bytes, bytes, NUM), format_ns(l->p50_ns, ns[0], NUM),
			format_ns(l->p90_ns, ns[1], NUM), format_ns(l->p99_ns, ns[2], NUM),
			format_ns(l->max_ns, ns[3], NUM));
	}
}

int tables__print(FILE *out, const struct findings *f, const char *bold, const char *off)
{
	const struct finding_window *w = slowest_window(f);
	int err;

	if (w)
		print_futexes(out, w, bold, off);
	err = print_states(out, f, bold, off);
	if (!err)
		err = print_sizes(out, f, bold, off);
	if (w)
		print_files(out, w, bold, off);
	print_devices(out, f, bold, off);
	return err;
}

/* ---- rounds ---- */

#define ROUND_ROWS 6

static void print_round_row(FILE *out, const struct finding_round_row *row)
{
	char ns[NUM] = "", count[NUM] = "", head[160];

	if (row->ns)
		format_ns(row->ns, ns, sizeof(ns));
	if (row->count)
		snprintf(count, sizeof(count), "%llu", (unsigned long long)row->count);
	snprintf(head, sizeof(head), row->note[0] ? "   %7s %8s  %-24.48s " : "   %7s %8s  %.48s",
		 count, ns, row->name);
	print_wrapped(out, row->note, head, "                                                 ");
}

static void print_round(FILE *out, size_t number, const struct finding_round *r, const char *bold,
			const char *off)
{
	char head[96];

	fprintf(out, "\n%zu  %s%s%s\n", number, bold, r->name, off);
	print_wrapped(out, r->method, "   ", "   ");
	for (size_t i = 0; i < r->rows_cnt && i < ROUND_ROWS; i++)
		print_round_row(out, &r->rows[i]);
	/* "[remainder]" and "[empty]" stand last, and are half of the story */
	if (r->rows_cnt > ROUND_ROWS && r->rows[r->rows_cnt - 1].name[0] == '[')
		print_round_row(out, &r->rows[r->rows_cnt - 1]);
	snprintf(head, sizeof(head), "   => %s: ", r->cause[0] ? r->cause : "nothing");
	print_wrapped(out, r->conclusion, head, "      ");
	if (r->why[0])
		print_wrapped(out, r->why, r->agrees ? "   agrees: " : "   misleads: ", "      ");
}

void rounds__print(FILE *out, const struct findings *f, const char *bold, const char *off)
{
	const struct finding_rounds *r = &f->rounds;
	char ns[NUM], line[256];

	fprintf(out, "\n%swhat each round would have concluded%s\n", bold, off);
	snprintf(line, sizeof(line),
		 "from the %u %swindow%s of this recording, %s; process %s (%u)", r->windows,
		 r->regime == REGIME_SLOW ? "slow " : "", r->windows == 1 ? "" : "s",
		 format_ns(r->window_ns, ns, sizeof(ns)),
		 r->comm && r->comm[0] ? r->comm : "unknown", r->tgid);
	print_wrapped(out, line, "  ", "  ");
	for (size_t i = 0; i < r->cnt; i++)
		print_round(out, i + 1, &r->list[i], bold, off);
}
