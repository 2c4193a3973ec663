// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* A gate as the lines that GitHub shows beside a change, and as GitLab's code quality report. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "escape.h"
#include "gate.h"
#include "json_out.h"
#include "summary.h"

/*
 * The message of a workflow command: GitHub decodes these three, so that nothing in it ends the
 * line or begins another command. Other controls have no business in a log.
 */
static void escape_command(FILE *out, const char *s)
{
	uint32_t cp;

	while ((cp = utf8_next(&s)) != 0) {
		if (cp == '%')
			fputs("%25", out);
		else if (cp == '\n')
			fputs("%0A", out);
		else if (cp == '\r')
			fputs("%0D", out);
		else
			utf8_put(out, cp < 0x20 || cp == 0x7f ? UTF8_REPLACEMENT : cp);
	}
}

static const char *annotation_level(enum gate_outcome o)
{
	switch (o) {
	case GATE_FAIL:
		return "error";
	case GATE_INCONCLUSIVE:
		return "warning";
	case GATE_PASS:
		break;
	}
	return "notice";
}

int gate__write_annotation(FILE *out, const struct gate_report *r)
{
	fprintf(out, "::%s title=flatpause gate::", annotation_level(r->outcome));
	if (r->name[0]) {
		escape_command(out, r->name);
		fputs(": ", out);
	}
	escape_command(out, text_or_empty(r->headline));
	for (size_t i = 0; i < r->causes_cnt; i++) {
		char *text = gate_cause_text(r, &r->causes[i]);

		fputs("%0A", out);
		escape_command(out, text_or_empty(text));
		free(text);
	}
	fputc('\n', out);
	return ferror(out) ? -EIO : 0;
}

/* FNV-1a: an id that is the same for the same series, so that GitLab knows an issue again. */
static uint64_t hash_text(uint64_t hash, const char *s)
{
	do
		hash = (hash ^ (unsigned char)*s) * 0x100000001b3ull;
	while (*s++);
	return hash;
}

static void write_issue(struct json_out *j, const struct gate_report *r)
{
	uint64_t hash = hash_text(0xcbf29ce484222325ull, r->name);
	char id[17];

	hash = hash_text(hash, text_or_empty(r->source));
	snprintf(id, sizeof(id), "%016" PRIx64, hash);
	json_out_begin(j, NULL, '{');
	json_out_str(j, "description", text_or_empty(r->headline));
	json_out_str(j, "check_name", "flatpause-gate");
	json_out_str(j, "fingerprint", id);
	json_out_str(j, "severity", r->outcome == GATE_FAIL ? "major" : "minor");
	json_out_begin(j, "location", '{');
	json_out_str(j, "path", text_or_empty(r->source));
	json_out_begin_line(j, "lines", '{');
	json_out_uint(j, "begin", 1);
	json_out_end(j, '}');
	json_out_end(j, '}');
	json_out_end(j, '}');
}

int gate__write_code_quality(FILE *out, const struct gate_report *r)
{
	struct json_out j = { .out = out, .first = true };

	json_out_begin(&j, NULL, '[');
	if (r->outcome != GATE_PASS)
		write_issue(&j, r);
	json_out_end(&j, ']');
	return ferror(out) ? -EIO : 0;
}
