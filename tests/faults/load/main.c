// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* faultload VERB [KEY=VALUE...]: finds the verb, checks its words and runs it. */
#include "load.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct verb *const tables[] = { file_verbs, cpu_verbs,   thread_verbs, memory_verbs,
					     peer_verbs, noise_verbs, disk_verbs };

static const char *value_of(const struct args *a, const char *key)
{
	size_t n = strlen(key);

	for (int i = 0; i < a->cnt; i++)
		if (!strncmp(a->v[i], key, n) && a->v[i][n] == '=')
			return a->v[i] + n + 1;
	return NULL;
}

const char *arg_str(const struct args *a, const char *key, const char *otherwise)
{
	const char *value = value_of(a, key);

	return value ? value : otherwise;
}

/* 0 = a number */
static int parse_number(const char *text, uint64_t *number)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return -1;
	*number = strtoull(text, &end, 10);
	switch (*end) {
	case 'G':
		*number <<= 10;
		/* fallthrough */
	case 'M':
		*number <<= 10;
		/* fallthrough */
	case 'K':
		*number <<= 10;
		end++;
	}
	return *end ? -1 : 0;
}

uint64_t arg_num(const struct args *a, const char *key, uint64_t otherwise)
{
	const char *value = value_of(a, key);
	uint64_t number;

	if (!value)
		return otherwise;
	if (!parse_number(value, &number))
		return number;
	log_err(0, "%s=%s is no number", key, value);
	exit(FP_EXIT_USAGE);
}

static bool takes(const struct verb *v, const char *word)
{
	const char *equals = strchr(word, '='), *at = v->keys;
	size_t n = equals ? (size_t)(equals - word) : 0;

	for (; n && *at; at += strcspn(at, " "), at += *at == ' ')
		if (!strncmp(at, word, n) && (at[n] == ' ' || !at[n]))
			return true;
	return false;
}

static const struct verb *find_verb(const char *name)
{
	for (size_t t = 0; t < sizeof(tables) / sizeof(*tables); t++)
		for (const struct verb *v = tables[t]; v->name; v++)
			if (!strcmp(v->name, name))
				return v;
	return NULL;
}

static int usage(void)
{
	fprintf(stderr, "usage: faultload VERB [KEY=VALUE...]\n");
	for (size_t t = 0; t < sizeof(tables) / sizeof(*tables); t++)
		for (const struct verb *v = tables[t]; v->name; v++)
			fprintf(stderr, "  %-12s %s\n", v->name, v->keys);
	return FP_EXIT_USAGE;
}

int main(int argc, char **argv)
{
	const struct verb *v = argc > 1 ? find_verb(argv[1]) : NULL;
	struct args a = { .v = argv + 2, .cnt = argc - 2 };

	log_init("faultload", LOG_NORMAL);
	if (!v)
		return usage();
	for (int i = 0; i < a.cnt; i++) {
		if (takes(v, a.v[i]))
			continue;
		log_err(0, "%s takes no '%s' (%s)", v->name, a.v[i], v->keys);
		return FP_EXIT_USAGE;
	}
	return v->run(&a) ? FP_EXIT_FAILED : FP_EXIT_OK;
}
