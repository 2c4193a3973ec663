// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "flamegraph.h"

#include <errno.h>

#include "escape.h"
#include "numbers.h"

#define ROW_PX	     18
#define FRAME_PX     17
#define NAME_MAX_CPS 300
#define LETTER_PX    7.3  /* of the font in flamegraph.css; the script measures it */
#define WIDTH_PX     1200 /* what texts are cut for without a script */

static const char css[] =
#include "reports/flamegraph.css.inc"
	;
static const char js[] =
#include "reports/flamegraph.js.inc"
	;

static const char *const state_names[FLAME_STATES] = {
	[FLAME_RUN_USER] = "running, user",
	[FLAME_RUN_KERNEL] = "running, kernel",
	[FLAME_RUNNABLE] = "waiting for a CPU",
	[FLAME_BLOCKED] = "blocked",
	[FLAME_UNKNOWN] = "unknown",
};

struct drawing {
	FILE *out;
	uint64_t total_ns;
	double min_ns;
	int top_px;
	unsigned int left_out;
};

const char *flamegraph_css(void)
{
	return css;
}

const char *flamegraph_js(void)
{
	return js;
}

const char *flame_state_title(enum flame_state state)
{
	return state_names[state];
}

/* The state that nine tenths of the time are in, or -1. */
static int main_state(const struct flame_node *node)
{
	for (int s = 0; s < FLAME_STATES; s++)
		if ((double)node->state_ns[s] >= 0.9 * (double)node->total_ns)
			return s;
	return -1;
}

static void write_title(const struct drawing *d, const struct flame_node *node)
{
	char time[NUMBER_SIZE], part[NUMBER_SIZE];

	fputs("<title>", d->out);
	escape_xml_short(d->out, node->name, NAME_MAX_CPS);
	fprintf(d->out, "\n%s (%s)", number_ns(time, node->total_ns),
		number_percent(part, (double)node->total_ns, (double)d->total_ns));
	for (int s = 0; s < FLAME_STATES; s++)
		if (node->state_ns[s])
			fprintf(d->out, "\n%s %s", state_names[s],
				number_ns(time, node->state_ns[s]));
	fputs("</title>", d->out);
}

/* A strip at the bottom of a frame whose time is in several states. */
static void write_strip(const struct drawing *d, const struct flame_node *node)
{
	double x = 0;

	for (int s = 0; s < FLAME_STATES; s++) {
		double width = 100.0 * (double)node->state_ns[s] / (double)node->total_ns;

		if (width >= 0.5)
			fprintf(d->out,
				"<rect class=\"s%d\" x=\"%.2f%%\" y=\"13\" width=\"%.2f%%\" "
				"height=\"4\"/>",
				s, x, width);
		x += width;
	}
}

static void write_frame(const struct drawing *d, const struct flame_node *node, int depth, double x)
{
	double width = 100.0 * (double)node->total_ns / (double)d->total_ns;
	double letters = (width / 100 * WIDTH_PX - 7) / LETTER_PX;
	int state = main_state(node);

	fprintf(d->out,
		"<svg class=\"f\" data-d=\"%d\" x=\"%.4f%%\" y=\"%d\" width=\"%.4f%%\" "
		"height=\"%d\">",
		depth, x, d->top_px + depth * ROW_PX, width, FRAME_PX);
	write_title(d, node);
	if (state >= 0) {
		fprintf(d->out, "<rect class=\"b s%d\" width=\"100%%\" height=\"17\" rx=\"2\"/>",
			state);
	} else {
		fputs("<rect class=\"b mix\" width=\"100%\" height=\"17\" rx=\"2\"/>", d->out);
		write_strip(d, node);
	}
	if (letters >= 3) {
		fputs("<text x=\"4\" y=\"12.5\">", d->out);
		escape_xml_short(d->out, node->name, (size_t)letters - 1);
		fputs("</text>", d->out);
	}
	fputs("</svg>\n", d->out);
}

static void draw(struct drawing *d, const struct flame_node *node, int depth, double x)
{
	write_frame(d, node, depth, x);
	for (size_t i = 0; i < node->children_cnt; i++) {
		const struct flame_node *child = node->children[i];

		if (child->total_ns && (double)child->total_ns >= d->min_ns)
			draw(d, child, depth + 1, x);
		else
			d->left_out++;
		x += 100.0 * (double)child->total_ns / (double)d->total_ns;
	}
}

static int depth_of(const struct flame_node *node, double min_ns)
{
	int deepest = 0;

	for (size_t i = 0; i < node->children_cnt; i++) {
		const struct flame_node *child = node->children[i];
		int depth = child->total_ns && (double)child->total_ns >= min_ns
				    ? depth_of(child, min_ns)
				    : 0;

		if (depth > deepest)
			deepest = depth;
	}
	return deepest + 1;
}

static void write_legend(const struct drawing *d, const struct flame_node *root, int y)
{
	char part[NUMBER_SIZE];

	for (int s = 0; s < FLAME_STATES; s++) {
		fprintf(d->out,
			"<svg x=\"%d%%\" y=\"%d\" width=\"20%%\" height=\"18\">"
			"<rect class=\"s%d\" y=\"3\" width=\"12\" height=\"12\" rx=\"2\"/>"
			"<text class=\"soft\" x=\"18\" y=\"13.5\">%s %s</text></svg>\n",
			s * 20, y, s, state_names[s],
			number_percent(part, (double)root->state_ns[s], (double)d->total_ns));
	}
}

static void write_head(const struct drawing *d, const struct flamegraph_opts *opts, int height)
{
	fprintf(d->out,
		"<svg class=\"fp-flame\" id=\"%s\" xmlns=\"http://www.w3.org/2000/svg\" "
		"width=\"%s\" "
		"height=\"%d\" data-total-ns=\"%llu\" role=\"group\" aria-label=\"",
		opts->id, opts->embedded ? "100%" : "1200", height,
		(unsigned long long)d->total_ns);
	escape_xml_short(d->out, opts->title, NAME_MAX_CPS);
	fputs("\">\n", d->out);
	if (opts->embedded)
		return;
	fprintf(d->out, "<style>\n.fp-flame { min-width: 900px }\n%s</style>\n", css);
	fputs("<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n"
	      "<text class=\"head\" x=\"4\" y=\"20\">",
	      d->out);
	escape_xml_short(d->out, opts->title, 100);
	fputs("</text>\n<foreignObject x=\"0\" y=\"32\" width=\"100%\" height=\"32\" "
	      "style=\"color: var(--ink)\"/>\n",
	      d->out);
}

int flame__write_svg(FILE *out, const struct flame *f, const struct flamegraph_opts *opts)
{
	const struct flame_node *root = f ? flame__root(f) : NULL;
	struct drawing d = { .out = out, .total_ns = root ? root->total_ns : 0 };
	int legend_px = 68;

	d.min_ns = (double)d.total_ns * (opts->min_fraction > 0 ? opts->min_fraction : 1.0 / 4000);
	d.top_px = opts->embedded ? 4 : legend_px + 24;
	write_head(&d, opts, d.total_ns ? d.top_px + depth_of(root, d.min_ns) * ROW_PX + 24 : 120);
	if (d.total_ns) {
		if (!opts->embedded)
			write_legend(&d, root, legend_px);
		draw(&d, root, 0, 0);
	} else {
		fputs("<text x=\"4\" y=\"96\">No stack was recorded here.</text>\n", out);
	}
	if (d.left_out)
		fprintf(out,
			"<text class=\"soft\" x=\"100%%\" y=\"%d\" dx=\"-4\" text-anchor=\"end\">"
			"%u too thin to draw</text>\n",
			d.top_px + depth_of(root, d.min_ns) * ROW_PX + 16, d.left_out);
	if (!opts->embedded)
		fprintf(out, "<script><![CDATA[\n%s]]></script>\n", js);
	fputs("</svg>\n", out);
	return ferror(out) ? -EIO : 0;
}
