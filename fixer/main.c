// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* flatpause-fixer: the companion controller; `flatpause fix VERB` runs it. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../user/cli/streams.h"
#include "../user/cli/verb.h"
#include "../user/log.h"
#include "verbs.h"

volatile sig_atomic_t exiting;

static const struct verb verbs[] = {
	{ "plan", "what would be done about a trace, and what undoes it", fix_plan },
	{ "apply", "put a mitigation in force for a directory", fix_apply },
	{ "status", "what is in force, and what became of each file", fix_status },
	{ "revert", "undo; nothing is lost, nothing is left behind", fix_revert },
	{ "prealloc", "allocate a memory file before the pause, for orchestrators", fix_prealloc },
	{ "guard", "the same for VMMs that cannot be changed, as they create files", fix_guard },
	{ "memfd", "memory first, disk after: one file, or directories", fix_memfd },
	{ "auto", "sweep, diagnose, apply, sweep again, verify, keep or roll back", fix_auto },
};

#define VERBS_CNT (sizeof(verbs) / sizeof(verbs[0]))

static void print_usage(FILE *out)
{
	fputs("flatpause fix puts mitigations in force, proves them, and undoes them.\n\n"
	      "usage: flatpause fix VERB [options]\n\n",
	      out);
	for (size_t i = 0; i < VERBS_CNT; i++)
		fprintf(out, "  %-10s %s\n", verbs[i].name, verbs[i].summary);
	fputs("\nexamples:\n"
	      "  flatpause fix plan run.fpt\n"
	      "  flatpause fix apply --mitigation memfd /srv/snapshots\n"
	      "  flatpause fix auto --apply --dir /srv/snapshots -n 10 --gap 3s \\\n"
	      "      --pause-from json:.pause_ms -- ./branch.sh\n"
	      "\n`flatpause fix VERB --help` explains a verb.\n",
	      out);
}

static int run_verb(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "--help";

	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
		print_usage(argc > 1 ? stdout : stderr);
		return argc > 1 ? FP_EXIT_OK : FP_EXIT_USAGE;
	}
	if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
		puts("flatpause-fixer " FLATPAUSE_VERSION);
		return FP_EXIT_OK;
	}
	for (size_t i = 0; i < VERBS_CNT; i++)
		if (!strcmp(name, verbs[i].name))
			return verbs[i].run(argc - 1, argv + 1);
	log_err(0, "no verb '%s'; `flatpause fix --help` lists them", name);
	return FP_EXIT_USAGE;
}

int main(int argc, char **argv)
{
	if (streams__open())
		return FP_EXIT_FAILED;
	log_init("flatpause-fixer", LOG_NORMAL);
	return streams__flush(run_verb(argc, argv));
}
