// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "params.h"
#include "wrap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../log.h"

static bool is_heading(const struct param *p)
{
	return p->name[0] == '\0';
}

static bool takes_value(const struct param *p)
{
	return p->type != PARAM_FLAG && p->type != PARAM_NO_FLAG;
}

static void print_param(const struct param *p)
{
	static const char indent[] = "                              ";
	char left[64], first[80];

	snprintf(left, sizeof(left), "%c%c%s --%s%s%s", p->letter ? '-' : ' ',
		 p->letter ? p->letter : ' ', p->letter ? "," : " ", p->name,
		 takes_value(p) ? " " : "", takes_value(p) ? p->arg : "");
	snprintf(first, sizeof(first), strlen(left) > 27 ? "  %s\n" : "  %-27s ", left);
	if (strlen(left) > 27) {
		fputs(first, stdout);
		print_wrapped(stdout, p->help, indent, indent);
	} else {
		print_wrapped(stdout, p->help, first, indent);
	}
}

/* Lines that were broken on purpose stay so. */
static void print_summary(const char *summary)
{
	char line[512];

	for (size_t len; *summary; summary += len + (summary[len] == '\n')) {
		len = strcspn(summary, "\n");
		snprintf(line, sizeof(line), "%.*s", (int)len, summary);
		print_wrapped(stdout, line, "", "");
	}
}

static void print_help(const struct params_spec *spec)
{
	print_summary(spec->summary);
	printf("\nusage: %s\n", spec->usage);
	if (spec->examples)
		printf("\nexamples:\n%s", spec->examples);
	printf("\noptions:\n");
	for (const struct param *p = spec->params; p->name; p++) {
		if (is_heading(p))
			printf("\n%s:\n", p->help);
		else
			print_param(p);
	}
	print_param(&(struct param){ .name = "help", .letter = 'h', .help = "this text" });
}

static const struct param *find_long(const struct params_spec *spec, const char *name, size_t len)
{
	for (const struct param *p = spec->params; p->name; p++)
		if (strlen(p->name) == len && !strncmp(p->name, name, len) && !is_heading(p))
			return p;
	return NULL;
}

static const struct param *find_letter(const struct params_spec *spec, char letter)
{
	for (const struct param *p = spec->params; p->name; p++)
		if (p->letter == letter && !is_heading(p))
			return p;
	return NULL;
}

static int append(struct param_list *list, const char *v)
{
	if (list->cnt == PARAM_LIST_MAX)
		return log_err(-E2BIG, "more than %d values", PARAM_LIST_MAX);
	list->v[list->cnt++] = v;
	return 0;
}

static int check_range(const struct param *p, const char *value, uint64_t v)
{
	if (p->type == PARAM_DURATION && v < p->min) {
		log_err(0, "--%s takes a duration above 0, not %s", p->name, value);
		return -EINVAL;
	}
	if (v < p->min && !p->max) {
		log_err(0, "--%s takes %llu or more, not %s", p->name, (unsigned long long)p->min,
			value);
		return -EINVAL;
	}
	if (p->max && (v < p->min || v > p->max)) {
		log_err(0, "--%s %s is out of range (%llu to %llu)", p->name, value,
			(unsigned long long)p->min, (unsigned long long)p->max);
		return -EINVAL;
	}
	return 0;
}

static int store_number(const struct param *p, void *at, const char *value)
{
	const char *what = "a whole number";
	uint64_t v = 0;
	int err;

	if (p->type == PARAM_DURATION) {
		what = "a duration such as 500ms, 3s or 2m";
		err = parse_duration_ns(value, &v);
	} else if (p->type == PARAM_SIZE) {
		what = "a size such as 64K, 4M or 1G";
		err = parse_size_bytes(value, &v);
	} else {
		err = parse_u64(value, &v);
		if (!err && v > UINT32_MAX)
			err = -ERANGE;
	}
	if (err) {
		log_err(0, "--%s takes %s, not '%s'", p->name, what, value);
		return -EINVAL;
	}
	err = check_range(p, value, v);
	if (err)
		return err;
	if (p->type == PARAM_U32)
		*(uint32_t *)at = (uint32_t)v;
	else
		*(uint64_t *)at = v;
	return 0;
}

static int store_percent(const struct param *p, double *at, const char *value)
{
	char *end;
	double v;

	errno = 0;
	v = strtod(value, &end);
	if (end != value && *end == '%')
		end++;
	if (errno || end == value || *end || !(v >= 0 && v <= 100)) {
		log_err(0, "--%s takes a percentage from 0 to 100, not '%s'", p->name, value);
		return -EINVAL;
	}
	*at = v;
	return 0;
}

static int store(const struct param *p, void *opts, const char *value)
{
	void *at = (char *)opts + p->offset;

	switch (p->type) {
	case PARAM_FLAG:
		*(bool *)at = true;
		return 0;
	case PARAM_NO_FLAG:
		*(bool *)at = false;
		return 0;
	case PARAM_STRING:
		*(const char **)at = value;
		return 0;
	case PARAM_LIST:
		return append(at, value);
	case PARAM_PERCENT:
		return store_percent(p, at, value);
	case PARAM_U32:
	case PARAM_DURATION:
	case PARAM_SIZE:
		return store_number(p, at, value);
	}
	return -EINVAL;
}

static int unknown(const struct params_spec *spec, const char *arg)
{
	log_err(0, "%s: unknown option '%s'; `flatpause %s --help` lists them", spec->verb, arg,
		spec->verb);
	return -EINVAL;
}

/* One option at argv[*i]; *i moves on where its value is the next word. */
static int parse_option(const struct params_spec *spec, int argc, char **argv, int *i, void *opts)
{
	const char *arg = argv[*i], *value = NULL;
	const struct param *p;

	if (arg[1] == '-') {
		const char *eq = strchr(arg, '=');

		p = find_long(spec, arg + 2, eq ? (size_t)(eq - arg - 2) : strlen(arg + 2));
		value = eq ? eq + 1 : NULL;
	} else {
		p = find_letter(spec, arg[1]);
		value = arg[2] ? arg + 2 : NULL;
	}
	if (!p)
		return unknown(spec, arg);
	if (!takes_value(p)) {
		if (!value)
			return store(p, opts, NULL);
		log_err(0, "--%s takes no value", p->name);
		return -EINVAL;
	}
	if (!value) {
		if (*i + 1 >= argc) {
			log_err(0, "--%s needs a value: %s", p->name, p->arg);
			return -EINVAL;
		}
		value = argv[++*i];
	}
	return store(p, opts, value);
}

int params__parse(const struct params_spec *spec, int argc, char **argv, void *opts,
		  struct params_result *res)
{
	int err;

	memset(res, 0, sizeof(*res));
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--")) {
			res->command = argv + i + 1;
			res->command_cnt = argc - i - 1;
			return 0;
		}
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			print_help(spec);
			return PARAMS_HELP;
		}
		if (argv[i][0] == '-' && argv[i][1])
			err = parse_option(spec, argc, argv, &i, opts);
		else
			err = append(&res->rest, argv[i]);
		if (err)
			return -EINVAL;
	}
	return 0;
}
