/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Options as a typed table: one row per option drives parsing, range checks and --help. */
#ifndef FLATPAUSE_PARAMS_H
#define FLATPAUSE_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum param_type {
	PARAM_FLAG,	/* bool, set to true */
	PARAM_NO_FLAG,	/* bool, set to false: --no-x */
	PARAM_STRING,	/* const char * into argv */
	PARAM_LIST,	/* struct param_list: may be given several times */
	PARAM_U32,	/* uint32_t within min..max */
	PARAM_DURATION, /* uint64_t ns; "500ms", "3s", "2m"; bare numbers are seconds */
	PARAM_SIZE,	/* uint64_t bytes; "4M", "1G"; powers of 1024 */
	PARAM_PERCENT,	/* double 0..100 */
};

#define PARAM_LIST_MAX 64

struct param_list {
	const char *v[PARAM_LIST_MAX];
	size_t cnt;
};

struct param {
	const char *name; /* "min-sleep"; NULL ends the table; type ignored if offset is SIZE_MAX */
	char letter;	  /* 0 = none */
	enum param_type type;
	size_t offset;
	uint64_t min, max; /* max 0 = no limit above */
	const char *arg;   /* shown in help: "DURATION" */
	const char *help;
};

#define PARAM(_struct, _field, _name, _letter, _type, _arg, _help)              \
	{                                                                       \
		.name = _name, .letter = _letter, .type = _type,                \
		.offset = offsetof(_struct, _field), .arg = _arg, .help = _help \
	}
#define PARAM_HEADING(_text)              \
	{                                 \
		.name = "", .help = _text \
	}

struct params_spec {
	const char *verb;
	const char *summary;  /* one sentence */
	const char *usage;    /* "sweep [options] -o RUN.fpt -- COMMAND..." */
	const char *examples; /* lines, ready to print; NULL = none */
	const struct param *params;
};

/*
 * Parses argv[1..] into `opts`. Positionals are gathered in *rest (pointers into argv); everything
 * behind "--" is *command. Handles -h/--help (returns PARAMS_HELP after printing to stdout).
 * 0, PARAMS_HELP, or -EINVAL (said; the caller exits with FP_EXIT_USAGE).
 */
#define PARAMS_HELP 1
struct params_result {
	struct param_list rest;
	char **command; /* NULL without "--" */
	int command_cnt;
};
int params__parse(const struct params_spec *spec, int argc, char **argv, void *opts,
		  struct params_result *res);

/* Strict parsers: the whole string or -EINVAL / -ERANGE, silent. */
int parse_u64(const char *s, uint64_t *out);
int parse_duration_ns(const char *s, uint64_t *out);
int parse_size_bytes(const char *s, uint64_t *out);

/* "4.9 s", "12.3 ms", "850 us"; returns buf */
const char *format_ns(uint64_t ns, char *buf, size_t size);
const char *format_bytes(uint64_t bytes, char *buf, size_t size);

#endif
