// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The tables of the page: windows with their threads, futexes and files; advice; host. */
#include <string.h>

#include "html_page.h"
#include "numbers.h"
#include "summary.h"

#define WINDOWS_MAX 24 /* of a trace; the first and the slowest */
#define THREADS_MAX 40
#define BLOCKED_MAX 3

/* The first third of what is shown are the first windows, the rest the slowest ones. */
bool page_shows_window(const struct findings *f, size_t w)
{
	size_t slower = 0;

	if (f->windows_cnt <= WINDOWS_MAX || w < WINDOWS_MAX / 3)
		return true;
	for (size_t i = 0; i < f->windows_cnt; i++)
		slower += f->windows[i].duration_ns > f->windows[w].duration_ns ||
			  (f->windows[i].duration_ns == f->windows[w].duration_ns && i < w);
	return slower < WINDOWS_MAX - WINDOWS_MAX / 3;
}

static void write_part(const struct page *p, const char *class, uint64_t ns, uint64_t whole)
{
	if (ns && whole)
		fprintf(p->out, "<i class=\"fp-key %s\" style=\"width:%.2f%%\"></i>", class,
			100.0 * (double)ns / (double)whole);
}

static uint64_t blocked_ns(const struct finding_thread *t)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < t->blocked_cnt; i++)
		if (strncmp(t->blocked[i].cause, "unknown", 7) != 0)
			sum += t->blocked[i].ns;
	return sum;
}

static void write_partition(const struct page *p, const struct finding_thread *t)
{
	fputs("<td><span class=\"part fp-flame\">", p->out);
	write_part(p, "s0", t->running_user_ns, t->wall_ns);
	write_part(p, "s1", t->running_kernel_ns, t->wall_ns);
	write_part(p, "s2", t->runnable_ns, t->wall_ns);
	write_part(p, "s3", blocked_ns(t), t->wall_ns);
	write_part(p, "s4", t->unknown_ns, t->wall_ns);
	fputs("</span></td>", p->out);
}

static void write_blocked(const struct page *p, const struct finding_thread *t)
{
	char text[NUMBER_SIZE];

	fputs("<td class=\"wide\">", p->out);
	for (size_t i = 0; i < t->blocked_cnt && i < BLOCKED_MAX; i++) {
		fprintf(p->out, "%s<code>", i ? ", " : "");
		page_name(p, t->blocked[i].cause);
		fprintf(p->out, "</code> %s", number_ns(text, t->blocked[i].ns));
	}
	if (t->blocked_cnt > BLOCKED_MAX)
		fprintf(p->out, ", %zu more", t->blocked_cnt - BLOCKED_MAX);
	fputs("</td>", p->out);
}

static void write_thread(const struct page *p, const struct finding_window *w,
			 const struct finding_thread *t)
{
	char text[NUMBER_SIZE];
	const uint64_t cells[] = { t->wall_ns,	   t->running_user_ns, t->running_kernel_ns,
				   t->runnable_ns, blocked_ns(t),      t->unknown_ns };

	fprintf(p->out, "<tr%s><td>", t->passive ? " class=\"passive\"" : "");
	page_name(p, t->comm);
	fprintf(p->out, " <span class=\"small\">%u", t->tid);
	if (*text_or_empty(t->role)) {
		fputs(", ", p->out);
		page_name(p, t->role);
	}
	fputs("</span>", p->out);
	if (t->tid == w->closer_tid)
		fputs(" <span class=\"badge\">closes the window</span>", p->out);
	if (t->passive)
		fputs(" <span class=\"badge unsure\">passive</span>", p->out);
	fputs("</td>", p->out);
	write_partition(p, t);
	write_blocked(p, t);
	for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++)
		fprintf(p->out, "<td class=\"n%s\">%s</td>", cells[i] ? "" : " none",
			number_ns(text, cells[i]));
	fputs("</tr>\n", p->out);
}

static void write_threads(const struct page *p, const struct finding_window *w)
{
	if (!w->threads_cnt)
		return;
	fputs("<div class=\"scroll\"><table class=\"threads\">\n<thead><tr><th>thread</th>"
	      "<th>wall time</th><th>blocked by</th><th class=\"n\">in the<br/>window</th><th "
	      "class=\"n\">running,<br/>user</th>"
	      "<th class=\"n\">running,<br/>kernel</th><th class=\"n\">waiting for<br/>a CPU</th>"
	      "<th class=\"n\">blocked</th><th class=\"n\">unknown</th></tr>"
	      "</thead>\n<tbody>\n",
	      p->out);
	for (size_t i = 0; i < w->threads_cnt && i < THREADS_MAX; i++)
		write_thread(p, w, &w->threads[i]);
	fputs("</tbody></table></div>\n", p->out);
	if (w->threads_cnt > THREADS_MAX)
		fprintf(p->out, "<p class=\"small\">%zu more threads are in the JSON.</p>\n",
			w->threads_cnt - THREADS_MAX);
}

static void write_futex(const struct page *p, const struct finding_futex *x)
{
	static const char *const badges[] = {
		[FUTEX_INDEPENDENT] = "", [FUTEX_PASSIVE] = "unsure", [FUTEX_CONTENDED] = "bad"
	};
	char text[NUMBER_SIZE];

	fputs("<tr><td>", p->out);
	page_name(p, x->comm);
	fprintf(p->out, " <span class=\"small\">%u</span></td><td class=\"n\">%s</td>", x->tid,
		number_ns(text, x->wait_ns));
	fprintf(p->out, "<td class=\"n%s\">%s</td><td class=\"n\">%u</td>",
		x->path_ns ? "" : " none", number_ns(text, x->path_ns), x->waits);
	fprintf(p->out, "<td><span class=\"badge %s\">%s</span></td><td>", badges[x->class],
		futex_class_name(x->class));
	page_name(p, x->waker_comm);
	if (x->waker_tid)
		fprintf(p->out, " <span class=\"small\">%u</span></td>", x->waker_tid);
	else
		fputs("<span class=\"none\">nobody seen</span></td>", p->out);
	fprintf(p->out, "<td class=\"wide\"><code>0x%llx</code> ", (unsigned long long)x->uaddr);
	page_text(p, x->mapping);
	fputs("</td><td>", p->out);
	page_text(p, x->op);
	fputs("</td></tr>\n", p->out);
}

static void write_futexes(const struct page *p, const struct finding_window *w)
{
	if (!w->futexes_cnt)
		return;
	fputs("<h5>Futexes</h5>\n<div class=\"scroll\"><table>\n<thead><tr><th>waiter</th>"
	      "<th class=\"n\">waited</th><th class=\"n\">charged</th><th class=\"n\">times</th>"
	      "<th>class</th><th>released by</th><th>word</th><th>operation</th></tr></thead>\n"
	      "<tbody>\n",
	      p->out);
	for (size_t i = 0; i < w->futexes_cnt && i < THREADS_MAX; i++)
		write_futex(p, &w->futexes[i]);
	fputs("</tbody></table></div>\n", p->out);
}

static void write_extents(const struct page *p, const struct finding_file *x)
{
	static const char *const names[] = {
		[FINDING_EXTENTS_UNKNOWN] = "–",
		[FINDING_EXTENTS_KEPT] = "<span class=\"badge good\">kept</span>",
		[FINDING_EXTENTS_LOST] = "<span class=\"badge bad\">lost</span>",
	};
	char by[HEADLINE_SIZE], text[NUMBER_SIZE];

	fprintf(p->out, "<td>%s ", names[x->extents]);
	if (x->extents == FINDING_EXTENTS_LOST && x->undone.at_ns) {
		fputs("undone by ", p->out);
		page_text(p, undone_by(by, x));
	} else {
		page_text(p, x->extents_why);
	}
	if (x->preallocated.at_ns) {
		fputs("; preallocated: ", p->out);
		if (x->preallocated_bytes)
			fprintf(p->out, "%s by ", number_bytes(text, x->preallocated_bytes));
		page_text(p, text_or_empty(x->preallocated.by));
	}
	fputs("</td></tr>\n", p->out);
}

static void write_files(const struct page *p, const struct finding_window *w)
{
	char text[NUMBER_SIZE];

	if (!w->files_cnt)
		return;
	fputs("<h5>Files</h5>\n<div class=\"scroll\"><table>\n<thead><tr><th>path</th>"
	      "<th>device</th><th class=\"n\">inode</th><th class=\"n\">written</th><th "
	      "class=\"n\">read</th>"
	      "<th class=\"n\">fsync</th><th class=\"n\">allocation</th>"
	      "<th>preallocated extents</th></tr></thead>\n<tbody>\n",
	      p->out);
	for (size_t i = 0; i < w->files_cnt && i < THREADS_MAX; i++) {
		const struct finding_file *x = &w->files[i];

		fputs("<tr><td class=\"path\"><code>", p->out);
		page_text(p, x->path);
		fprintf(p->out, "</code></td><td>%u:%u</td><td class=\"n\">%llu</td>", x->dev >> 20,
			x->dev & 0xfffff, (unsigned long long)x->ino);
		fprintf(p->out, "<td class=\"n\">%s</td>", number_bytes(text, x->bytes_written));
		fprintf(p->out, "<td class=\"n\">%s</td>", number_bytes(text, x->bytes_read));
		fprintf(p->out, "<td class=\"n\">%s</td>", number_ns(text, x->fsync_ns));
		fprintf(p->out, "<td class=\"n\">%s</td>", number_ns(text, x->alloc_ns));
		write_extents(p, x);
	}
	fputs("</tbody></table></div>\n", p->out);
}

static void write_window_summary(const struct page *p, const struct findings *f, size_t i)
{
	const struct finding_window *w = &f->windows[i];
	char text[NUMBER_SIZE];

	fprintf(p->out, "<summary><b>Window %u</b>", w->index);
	if (f->curve.sweeps > 1)
		fprintf(p->out, " of sweep %u", w->sweep);
	if (*text_or_empty(w->label)) {
		fputs(" (", p->out);
		page_name(p, w->label);
		fputs(")", p->out);
	}
	fprintf(p->out, " <span class=\"time\">%s</span>", number_ns(text, w->duration_ns));
	if (w->slow)
		fputs(" <span class=\"badge bad\">slow</span>", p->out);
	if (w->spike)
		fputs(" <span class=\"badge unsure\">spike</span>", p->out);
	if (w->open)
		fputs(" <span class=\"badge unsure\">never closed</span>", p->out);
	if (w->ledger_cnt) {
		fprintf(p->out, " <span class=\"chip\"><i class=\"%s\"></i>",
			palette_class(&p->palette, w->ledger[0].cause));
		page_name(p, w->ledger[0].cause);
		fprintf(p->out, " %s</span>",
			number_percent(text, (double)w->ledger[0].ns, (double)w->duration_ns));
	}
	fputs("</summary>\n", p->out);
}

static void write_window(const struct page *p, const struct findings *f, size_t i, const char *id,
			 bool open)
{
	const struct finding_window *w = &f->windows[i];
	char text[NUMBER_SIZE];

	fprintf(p->out, "<details class=\"window\" id=\"%s-w-%zu\"%s>", id, i,
		open ? " open=\"open\"" : "");
	write_window_summary(p, f, i);
	fputs("<p class=\"small\">found by ", p->out);
	page_text(p, w->detector);
	if (w->reported_ns != FINDING_NS_NONE)
		fprintf(p->out, "; the command reported %s", number_ns(text, w->reported_ns));
	fputs("</p>\n", p->out);
	page_window_path(p, w);
	write_threads(p, w);
	write_futexes(p, w);
	write_files(p, w);
	page_window_states(p, w);
	page_window_devices(p, w);
	fputs("</details>\n", p->out);
}

void page_windows(const struct page *p, const struct findings *f, const char *id)
{
	size_t slowest = 0, shown = 0;

	if (!f->windows_cnt)
		return;
	for (size_t i = 1; i < f->windows_cnt; i++)
		if (f->windows[i].duration_ns > f->windows[slowest].duration_ns)
			slowest = i;
	fputs("<h4>Threads, futexes and files of each window</h4>\n", p->out);
	page_state_legend(p, NULL);
	for (size_t i = 0; i < f->windows_cnt; i++) {
		if (!page_shows_window(f, i))
			continue;
		write_window(p, f, i, id, i == slowest);
		shown++;
	}
	if (shown < f->windows_cnt)
		fprintf(p->out,
			"<p class=\"small\">The first and the slowest: %zu of %zu windows; all are "
			"in "
			"the JSON.</p>\n",
			shown, f->windows_cnt);
}

static void write_command(const struct page *p, const char *label, const char *command)
{
	if (!*text_or_empty(command))
		return;
	fprintf(p->out, "<p class=\"small\">%s</p><pre><code>", label);
	page_text(p, command);
	fputs("</code></pre>\n", p->out);
}

void page_advice(const struct page *p, const struct findings *f)
{
	if (!f->advice_cnt)
		return;
	fputs("<h3>What to do</h3>\n<ol class=\"advice\">\n", p->out);
	for (size_t i = 0; i < f->advice_cnt; i++) {
		fputs("<li>", p->out);
		if (advice_is_to_act(&f->advice[i])) {
			fputs("<b>", p->out);
			page_text(p, f->advice[i].mitigation);
			fputs("</b>: ", p->out);
		}
		page_text(p, f->advice[i].why);
		write_command(p, "run", f->advice[i].command);
		write_command(p, "undo", f->advice[i].undo);
		fputs("</li>\n", p->out);
	}
	fputs("</ol>\n", p->out);
}

void page_rejected(const struct page *p, const struct findings *f)
{
	const struct finding_verdict *v = &f->verdict;

	if (!v->rejected_cnt)
		return;
	fputs("<h3>What it is not</h3>\n<dl class=\"rejected\">\n", p->out);
	for (size_t i = 0; i < v->rejected_cnt; i++) {
		fputs("<dt><code>", p->out);
		page_text(p, v->rejected[i].cause);
		fputs("</code></dt><dd>", p->out);
		page_text(p, v->rejected[i].why);
		fputs("</dd>\n", p->out);
	}
	fputs("</dl>\n", p->out);
}

static void write_fact_table(const struct page *p, const char *title, const struct finding_fact *v,
			     size_t cnt)
{
	if (!cnt)
		return;
	fprintf(p->out, "<h5>%s</h5>\n<div class=\"scroll\"><table class=\"facts\"><tbody>\n",
		title);
	for (size_t i = 0; i < cnt; i++) {
		fputs("<tr><td><code>", p->out);
		page_text(p, v[i].name);
		fputs("</code></td><td>", p->out);
		page_text(p, v[i].value);
		fputs("</td></tr>\n", p->out);
	}
	fputs("</tbody></table></div>\n", p->out);
}

static void write_hooks(const struct page *p, const struct findings *f)
{
	if (!f->hooks_cnt)
		return;
	fputs("<h5>Hooks</h5>\n<div class=\"scroll\"><table>\n<thead><tr><th>probe</th>"
	      "<th>rung</th><th>hook</th><th>what is lost by it</th></tr></thead>\n<tbody>\n",
	      p->out);
	for (size_t i = 0; i < f->hooks_cnt; i++) {
		fputs("<tr><td>", p->out);
		page_text(p, f->hooks[i].probe);
		fputs("</td><td>", p->out);
		page_text(p, f->hooks[i].rung);
		fputs("</td><td class=\"wide\"><code>", p->out);
		page_text(p, f->hooks[i].hook);
		fputs("</code></td><td class=\"wide\">", p->out);
		page_text(p, f->hooks[i].lost);
		fputs("</td></tr>\n", p->out);
	}
	fputs("</tbody></table></div>\n", p->out);
}

static void write_loss(const struct page *p, const struct findings *f)
{
	const struct finding_loss *l = &f->loss;
	bool clean = !l->events && !l->bad_chunks && l->complete;
	char part[NUMBER_SIZE];

	fprintf(p->out, "<p class=\"loss %s\"><b>Loss:</b> %llu of %llu events (%s)",
		clean ? "none" : "some", (unsigned long long)l->events,
		(unsigned long long)(l->events + l->recorded),
		number_percent(part, (double)l->events, (double)l->events + (double)l->recorded));
	if (l->bad_chunks)
		fprintf(p->out, ", %u damaged chunks", l->bad_chunks);
	fputs(l->complete ? "." : ", and the trace is INCOMPLETE.", p->out);
	if (*f->source) {
		fputs(" Trace: <code>", p->out);
		page_text(p, f->source);
		fputs("</code>", p->out);
	}
	if (*f->tool_version) {
		fputs(", flatpause ", p->out);
		page_text(p, f->tool_version);
	}
	fputs("</p>\n", p->out);
}

void page_facts(const struct page *p, const struct findings *f)
{
	write_loss(p, f);
	if (!f->host_cnt && !f->hooks_cnt && !f->cost_cnt)
		return;
	fputs("<details class=\"host\"><summary>Host, hooks and cost of recording</summary>\n",
	      p->out);
	write_fact_table(p, "Host", f->host, f->host_cnt);
	write_hooks(p, f);
	write_fact_table(p, "Cost of recording", f->cost, f->cost_cnt);
	fputs("</details>\n", p->out);
}
