// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * JUnit XML has no standard but its readers. This stays within what the strict ones ask for: all
 * attributes of Ant's schema, no element that Jenkins does not know.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "escape.h"
#include "gate.h"
#include "summary.h"

#define CASE_NAME_MAX 200

/* One case: the step of the curve, or the level beside the baseline. */
struct junit_case {
	const char *name;
	const char *type; /* of a failure */
	enum gate_outcome outcome;
};

static void write_attribute(FILE *out, const char *name, const char *value)
{
	fprintf(out, " %s=\"", name);
	escape_xml_short(out, value, SIZE_MAX); /* a line break in an attribute is lost anyway */
	fputc('"', out);
}

static void write_property(FILE *out, const char *name, const char *value)
{
	fputs("      <property", out);
	write_attribute(out, "name", name);
	write_attribute(out, "value", value);
	fputs("/>\n", out);
}

/* What the whole came to, for the case that it is about; else what the first look shows. */
static enum gate_outcome outcome_of(const struct gate_report *r, bool regressed, bool fine)
{
	if (regressed)
		return r->outcome;
	return fine ? GATE_PASS : GATE_INCONCLUSIVE;
}

static size_t fill_cases(const struct gate_report *r, struct junit_case cases[2])
{
	enum curve_verdict curve = r->looks[0].curve.verdict;
	enum gate_level_verdict level = r->looks[0].level.verdict;

	cases[0] = (struct junit_case){
		"the pause curve has no step",
		"step",
		outcome_of(r, curve == CURVE_STEPPED, curve == CURVE_FLAT),
	};
	if (level == GATE_LEVEL_NONE)
		return 1;
	cases[1] = (struct junit_case){
		"the pauses are no longer than those of the baseline",
		"level",
		outcome_of(r, level == GATE_LEVEL_SLOWER, level == GATE_LEVEL_SAME),
	};
	return 2;
}

static void write_details(FILE *out, const struct gate_report *r)
{
	escape_xml(out, text_or_empty(r->text));
	for (size_t i = 0; i < r->causes_cnt; i++) {
		char *text = gate_cause_text(r, &r->causes[i]);

		fputc('\n', out);
		escape_xml(out, text_or_empty(text));
		free(text);
	}
}

static void write_case(FILE *out, const struct gate_report *r, const struct junit_case *c)
{
	fputs("    <testcase classname=\"flatpause.gate", out);
	if (r->name[0]) {
		fputc('.', out);
		escape_xml_short(out, r->name, CASE_NAME_MAX);
	}
	fputc('"', out);
	write_attribute(out, "name", c->name);
	fprintf(out, " time=\"%.3f\"", r->took_s);
	if (c->outcome == GATE_PASS) {
		fputs("/>\n", out);
		return;
	}
	fputs(c->outcome == GATE_FAIL ? ">\n      <failure" : ">\n      <skipped", out);
	if (c->outcome == GATE_FAIL)
		write_attribute(out, "type", c->type);
	write_attribute(out, "message", text_or_empty(r->headline));
	fputc('>', out);
	write_details(out, r);
	fputs(c->outcome == GATE_FAIL ? "</failure>\n" : "</skipped>\n", out);
	fputs("    </testcase>\n", out);
}

static void write_suite_head(FILE *out, const struct gate_report *r, const struct junit_case *cases,
			     size_t cnt)
{
	char host[256] = "localhost", when[32];
	unsigned int failures = 0, skipped = 0;
	time_t now = time(NULL);
	struct tm tm;

	for (size_t i = 0; i < cnt; i++) {
		failures += cases[i].outcome == GATE_FAIL;
		skipped += cases[i].outcome == GATE_INCONCLUSIVE;
	}
	if (gethostname(host, sizeof(host) - 1) || !host[0])
		snprintf(host, sizeof(host), "localhost");
	/* the schema takes no zone, so that of the machine cannot be told: UTC */
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", gmtime_r(&now, &tm));
	fputs("  <testsuite name=\"flatpause gate\" package=\"flatpause\" id=\"0\"", out);
	write_attribute(out, "timestamp", when);
	write_attribute(out, "hostname", host);
	fprintf(out, " tests=\"%zu\" failures=\"%u\" errors=\"0\" skipped=\"%u\" time=\"%.3f\">\n",
		cnt, failures, skipped, r->took_s);
}

int gate__write_junit(FILE *out, const struct gate_report *r)
{
	struct junit_case cases[2];
	size_t cnt = fill_cases(r, cases);

	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n", out);
	write_suite_head(out, r, cases, cnt);
	fputs("    <properties>\n", out);
	write_property(out, "gate", gate_outcome_name(r->outcome));
	write_property(out, "source", text_or_empty(r->source));
	if (r->host_class && r->host_class[0])
		write_property(out, "host_class", r->host_class);
	fputs("    </properties>\n", out);
	for (size_t i = 0; i < cnt; i++)
		write_case(out, r, &cases[i]);
	fputs("    <system-out>", out);
	escape_xml(out, text_or_empty(r->headline));
	fputs("</system-out>\n    <system-err></system-err>\n  </testsuite>\n</testsuites>\n", out);
	return ferror(out) ? -EIO : 0;
}
