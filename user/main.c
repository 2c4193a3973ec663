// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* flatpause: records BRANCHes, explains every pause, and proves whether a mitigation flattened it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/streams.h"
#include "cli/verb.h"
#include "log.h"

volatile sig_atomic_t exiting;

static const struct verb verbs[] = {
	{ "doctor", "what this host allows, and what each probe can see here", verb_doctor },
	{ "sweep", "run a BRANCH command N times and record what holds each pause", verb_sweep },
	{ "record", "record processes for a time, or while a command runs", verb_record },
	{ "diagnose", "why are the pauses in a trace long, and what to do about it",
	  verb_diagnose },
	{ "mark", "tell a running recorder where a pause begins and ends", verb_mark },
	{ "report", "a trace or a comparison as page, Markdown, flame graph or JSON", verb_report },
	{ "diff", "what went away and what came between two traces", verb_diff },
	{ "curve", "is a pause curve stepped, flat or inconclusive", verb_curve },
	{ "verify", "has a mitigation flattened the curve: before, after, control", verb_verify },
	{ "gate", "pass or fail a change by its pause curve, for a CI", verb_gate },
	{ "fix", "plan, apply, show and undo mitigations (flatpause-fixer)", verb_fix },
};

#define VERBS_CNT (sizeof(verbs) / sizeof(verbs[0]))

static void on_signal(int sig)
{
	(void)sig;
	exiting = 1;
}

static void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal }, old;

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	/* A terminal that closes ends a recording as Ctrl-C does; nohup wants that it does not. */
	if (!sigaction(SIGHUP, NULL, &old) && old.sa_handler != SIG_IGN)
		sigaction(SIGHUP, &sa, NULL);
	/* Where whoever started us ignores it, the end of a command would never be told. */
	signal(SIGCHLD, SIG_DFL);
}

static void print_usage(FILE *out)
{
	fputs("flatpause explains why pauses of a VM snapshot grow, and makes them flat again.\n\n"
	      "usage: flatpause VERB [options]\n\n",
	      out);
	for (size_t i = 0; i < VERBS_CNT; i++)
		fprintf(out, "  %-10s %s\n", verbs[i].name, verbs[i].summary);
	fputs("\nexamples:\n"
	      "  flatpause doctor                          # what will work here\n"
	      "  flatpause sweep -n 10 --gap 3s -p 4242 --pause-from json:.pause_ms \\\n"
	      "                  -o run.fpt -- ./branch.sh # record ten BRANCHes\n"
	      "  flatpause diagnose run.fpt                # why are they slow\n"
	      "  flatpause fix plan run.fpt                # what would be done about it\n"
	      "\n`flatpause VERB --help` explains a verb; exit codes are in the README.\n",
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
		puts("flatpause " FLATPAUSE_VERSION);
		return FP_EXIT_OK;
	}
	catch_signals();
	for (size_t i = 0; i < VERBS_CNT; i++)
		if (!strcmp(name, verbs[i].name))
			return verbs[i].run(argc - 1, argv + 1);
	log_err(0, "no verb '%s'; `flatpause --help` lists them", name);
	return FP_EXIT_USAGE;
}

int main(int argc, char **argv)
{
	if (streams__open())
		return FP_EXIT_FAILED;
	log_init("flatpause", LOG_NORMAL);
	return streams__flush(run_verb(argc, argv));
}
