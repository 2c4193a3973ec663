/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Marks: any process tells where its pause begins and ends, by one datagram to a unix socket.
 *
 *   begin LABEL\n        or   end LABEL\n          the time is that of arrival
 *   @NS begin LABEL\n                              the sender's own CLOCK_MONOTONIC
 */
#ifndef FLATPAUSE_MARKS_H
#define FLATPAUSE_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "../trace/writer.h"

#define MARK_LABEL_MAX	(sizeof(((struct rec_mark *)0)->label) - 1)
#define MARK_LINE_MAX	128
#define MARK_MAX_AGE_NS 5000000000ull /* a stamp older than that was not taken by the sender now */

/* "/run/flatpause/mark.sock", or below $FLATPAUSE_RUN_DIR. 0 or -ENAMETOOLONG (said). */
int marks_path(char *path, size_t size);

/*
 * Parses one datagram that arrived at `now_ns`. 0 or -EINVAL. *implausible: the stamp lies in the
 * future or too far back, and the time of arrival was taken instead.
 */
int mark_parse(const char *text, size_t size, uint64_t now_ns, struct rec_mark *mark,
	       bool *implausible);

struct marks;

/* Listens. -EBUSY (said, with the next step) while another recorder does. */
int marks__open(struct marks **m);
void marks__close(struct marks *m);
int marks__fd(const struct marks *m);

/* Marks of root, of our own user and of the users added here are taken, others refused. */
void marks__allow_uid(struct marks *m, uid_t uid);

/* Takes what has arrived and writes it to the trace. 0 or -errno. */
int marks__receive(struct marks *m, struct trace_writer *w);

uint64_t marks__cnt(const struct marks *m);

#endif
