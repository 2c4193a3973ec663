// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The critical path of a window, and whose dirty data it waited for, as tables of the page. */
#include "html_page.h"
#include "numbers.h"
#include "summary.h"

#define STRETCHES_MAX 24
#define BLAME_MAX     6

static void write_stretch(const struct page *p, const struct finding_segment *s)
{
	char at[NUMBER_SIZE], ns[NUMBER_SIZE];

	fprintf(p->out,
		"<tr><td class=\"n\">%s</td><td class=\"n\">%s</td>"
		"<td class=\"whole\"><code>",
		number_ns(at, s->begin_ns), number_ns(ns, s->ns));
	page_name(p, s->cause);
	fputs("</code></td><td>", p->out);
	page_name(p, s->actor);
	fputs("</td><td class=\"wide\">", p->out);
	page_text(p, s->via);
	fputs("</td></tr>\n", p->out);
}

static void write_blame(const struct page *p, const struct finding_window *w)
{
	char ns[NUMBER_SIZE];

	for (size_t i = 0; i < w->blame_cnt && i < BLAME_MAX; i++) {
		fprintf(p->out, "<p class=\"small\">%s of it while data of <code>",
			number_ns(ns, w->blame[i].ns));
		page_name(p, w->blame[i].file);
		fputs("</code> was written", p->out);
		if (*text_or_empty(w->blame[i].dirtied_by)) {
			fprintf(p->out, ", %s <code>", blame_by(&w->blame[i]));
			page_name(p, w->blame[i].dirtied_by);
			fputs("</code>", p->out);
		}
		fputs("</p>\n", p->out);
	}
}

void page_window_path(const struct page *p, const struct finding_window *w)
{
	uint64_t cnt = w->path_rest_cnt, ns = w->path_rest_ns;
	char rest[NUMBER_SIZE];

	if (!w->path_cnt)
		return;
	fputs("<details><summary class=\"small\">its critical path</summary>\n"
	      "<div class=\"scroll\"><table><thead><tr><th class=\"n\">at</th>"
	      "<th class=\"n\">for</th><th>cause</th><th>who</th><th>by way of, or held by</th>"
	      "</tr></thead><tbody>\n",
	      p->out);
	for (size_t i = 0; i < w->path_cnt; i++) {
		if (path_shows(w, i, STRETCHES_MAX)) {
			write_stretch(p, &w->path[i]);
			continue;
		}
		cnt++;
		ns += w->path[i].ns;
	}
	fputs("</tbody></table></div>\n", p->out);
	if (cnt)
		fprintf(p->out, "<p class=\"small\">and %llu shorter stretch%s: %s</p>\n",
			(unsigned long long)cnt, cnt == 1 ? "" : "es", number_ns(rest, ns));
	write_blame(p, w);
	fputs("</details>\n", p->out);
}
