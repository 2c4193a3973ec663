// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "log.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *tool_name = "flatpause";
static enum log_level level_now = LOG_NORMAL;
static bool progress_drawn;
static bool never_wait;
static unsigned int unread; /* messages */

void log_init(const char *tool, enum log_level level)
{
	tool_name = tool;
	level_now = level;
}

enum log_level log_level(void)
{
	return level_now;
}

void log_never_wait(void)
{
	never_wait = true;
}

static bool has_room(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) != 0; /* an error is for the write to find */
}

static void say(const char *kind, const char *fmt, va_list ap, int err)
{
	flockfile(stderr);
	if (never_wait && !has_room(STDERR_FILENO)) {
		unread++;
		funlockfile(stderr);
		return;
	}
	log_progress_end();
	if (unread)
		fprintf(stderr, "%s: warning: messages before this one that nobody read: %u\n",
			tool_name, unread);
	unread = 0;
	fprintf(stderr, "%s: %s", tool_name, kind);
	vfprintf(stderr, fmt, ap);
	if (err < 0)
		fprintf(stderr, ": %s", strerror(-err));
	fputc('\n', stderr);
	funlockfile(stderr);
}

int log_err(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("error: ", fmt, ap, err);
	va_end(ap);
	return err;
}

void log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("warning: ", fmt, ap, 0);
	va_end(ap);
}

void log_info(const char *fmt, ...)
{
	va_list ap;

	if (level_now < LOG_NORMAL)
		return;
	va_start(ap, fmt);
	say("", fmt, ap, 0);
	va_end(ap);
}

void log_verbose(const char *fmt, ...)
{
	va_list ap;

	if (level_now < LOG_VERBOSE)
		return;
	va_start(ap, fmt);
	say("", fmt, ap, 0);
	va_end(ap);
}

void log_vdebug(const char *fmt, va_list ap)
{
	if (level_now >= LOG_DEBUG)
		say("debug: ", fmt, ap, 0);
}

void log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vdebug(fmt, ap);
	va_end(ap);
}

static bool env_set(const char *name)
{
	const char *v = getenv(name);

	return v && *v;
}

/* Precedence as users of other tools know it: NO_COLOR, then FORCE_COLOR, then the terminal. */
bool log_use_color(int fd)
{
	const char *term = getenv("TERM");

	if (env_set("NO_COLOR"))
		return false;
	if (env_set("FORCE_COLOR") || env_set("CLICOLOR_FORCE"))
		return true;
	return isatty(fd) && term && strcmp(term, "dumb") != 0;
}

void log_progress(const char *label, unsigned int done, unsigned int total, const char *tail)
{
	char bar[21];
	unsigned int filled;

	if (level_now < LOG_NORMAL || !isatty(STDERR_FILENO) || !total)
		return;
	filled = done >= total ? 20 : done * 20 / total;
	memset(bar, '-', 20);
	memset(bar, '#', filled);
	bar[20] = '\0';
	fprintf(stderr, "\r\033[K%s [%s] %u/%u %s", label, bar, done, total, tail ? tail : "");
	fflush(stderr);
	progress_drawn = true;
}

void log_progress_end(void)
{
	if (!progress_drawn)
		return;
	fputs("\r\033[K", stderr);
	progress_drawn = false;
}
