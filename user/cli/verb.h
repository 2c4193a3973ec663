/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The verbs of the command line, one file each: verb_<name>.c. They return an exit code. */
#ifndef FLATPAUSE_VERB_H
#define FLATPAUSE_VERB_H

#include <signal.h>

struct verb {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv); /* argv[0] is the verb; an enum fp_exit */
};

int verb_doctor(int argc, char **argv);
int verb_record(int argc, char **argv);
int verb_sweep(int argc, char **argv);
int verb_diagnose(int argc, char **argv);
int verb_report(int argc, char **argv);
int verb_diff(int argc, char **argv);
int verb_curve(int argc, char **argv);
int verb_verify(int argc, char **argv);
int verb_gate(int argc, char **argv);
int verb_mark(int argc, char **argv);
int verb_fix(int argc, char **argv);

/* Set by SIGINT, SIGTERM and SIGHUP: verbs that wait look at it. The one global of the program. */
extern volatile sig_atomic_t exiting;

#define FLATPAUSE_VERSION "0.1.0"

#endif
