// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "path_text.h"

#include <stddef.h>
#include <string.h>

#include "../../reports/numbers.h"
#include "../../reports/summary.h"
#include "../../reports/table_sums.h"
#include "wrap.h"

#define STRETCHES_MAX 8
#define BLAME_MAX     3
#define BELOW	      "                      "

/* "cause of actor, by way of the waits before it, held by whom" */
static void print_stretch(FILE *out, const struct finding_segment *s)
{
	const char *last = path_last_hop(s->via);
	const char *holder = path_hop_is_holder(last) ? last : "";
	int way = (int)(*holder ? last - s->via : (ptrdiff_t)strlen(s->via));
	char at[NUMBER_SIZE], ns[NUMBER_SIZE], head[64], line[1024];

	if (*holder && way)
		way -= (int)strlen(" > ");
	snprintf(head, sizeof(head), "  %8s %8s   ", number_ns(at, s->begin_ns),
		 number_ns(ns, s->ns));
	snprintf(line, sizeof(line), "%s%s%s%s%.*s%s%s", s->cause, s->actor[0] ? " of " : "",
		 s->actor, way ? ", by way of " : "", way, s->via, *holder ? ", " : "", holder);
	print_wrapped(out, line, head, BELOW);
}

static void print_blame(FILE *out, const struct finding_blame *b)
{
	const char *who = b->dirtied_by;
	char ns[NUMBER_SIZE], line[512];

	snprintf(line, sizeof(line), "%s while data of %s was written%s%s%s%s",
		 number_ns(ns, b->ns), b->file, *who ? ", " : "", *who ? blame_by(b) : "",
		 *who ? " " : "", who);
	print_wrapped(out, line, "  ", "    ");
}

void path__print(FILE *out, const struct findings *f, const char *bold, const char *off)
{
	const struct finding_window *w = slowest_window(f);
	uint64_t rest_ns = 0;
	size_t rest = 0;
	char ns[NUMBER_SIZE];

	if (!w || !w->path_cnt)
		return;
	fprintf(out, "\n%spath%s of window %u.%u, its longest stretches (at, for)\n", bold, off,
		w->sweep, w->index);
	for (size_t i = 0; i < w->path_cnt; i++) {
		if (path_shows(w, i, STRETCHES_MAX)) {
			print_stretch(out, &w->path[i]);
			continue;
		}
		rest++;
		rest_ns += w->path[i].ns;
	}
	rest += w->path_rest_cnt;
	if (rest)
		fprintf(out, "  ... and %zu shorter one%s, %s\n", rest, rest == 1 ? "" : "s",
			number_ns(ns, rest_ns + w->path_rest_ns));
	for (size_t i = 0; i < w->blame_cnt && i < BLAME_MAX; i++)
		print_blame(out, &w->blame[i]);
}
