/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Messages for people, on stderr. log_err() returns its code, so that a message and the error
 * travel together: `return log_err(-ENOENT, "no such process %d", pid);`
 */
#ifndef FLATPAUSE_LOG_H
#define FLATPAUSE_LOG_H

#include <stdbool.h>
#include <stdarg.h>

enum log_level {
	LOG_QUIET = 0, /* errors only */
	LOG_NORMAL = 1,
	LOG_VERBOSE = 2,
	LOG_DEBUG = 3, /* libbpf's own words too */
};

/* Exit codes of the command line; design: tested and documented in README.md */
enum fp_exit {
	FP_EXIT_OK = 0,
	FP_EXIT_FAILED = 1,
	FP_EXIT_USAGE = 2,
	FP_EXIT_UNSUPPORTED = 3, /* this host cannot do it */
	FP_EXIT_REGRESSION = 4,
	FP_EXIT_INCONCLUSIVE = 5,
	FP_EXIT_LOST = 6, /* too much data lost for a verdict */
	FP_EXIT_ROLLED_BACK = 7,
};

/* The name before every message: "flatpause" or "flatpause-fixer". */
void log_init(const char *tool, enum log_level level);
enum log_level log_level(void);

/*
 * From now on a message that stderr has no room for is left out and counted: a pipe that nobody
 * reads, or a stopped terminal, must not hold up who has writers waiting for it.
 */
void log_never_wait(void);

/* Says "tool: error: ..." with strerror(-err) where err is an errno; returns err. */
int log_err(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_verbose(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_vdebug(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

/* Whether to colour what goes to `fd`: NO_COLOR, FORCE_COLOR, TERM=dumb, isatty. */
bool log_use_color(int fd);

/* A line that is drawn over: "label [####----] 3/10 tail"; nothing unless stderr is a terminal. */
void log_progress(const char *label, unsigned int done, unsigned int total, const char *tail);
void log_progress_end(void);

#endif
