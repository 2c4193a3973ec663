/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Which causes a kernel can show at all. A function that it inlines or does not have leaves no
 * frame, and a cause of which nothing can be seen would silently be reported as another one.
 */
#ifndef FLATPAUSE_PROBES_SIGHT_H
#define FLATPAUSE_PROBES_SIGHT_H

#include "probe.h"

/* What the tables ask of a kernel, and whether it was met. */
enum sight_what {
	SIGHT_FUNCTION = 1,
	SIGHT_PART = 2, /* any function with this prefix */
	SIGHT_TRACEPOINT = 3,
};

struct sight_name {
	const char *name;
	enum sight_what what;
	bool met;
};

struct sight {
	struct sight_name *names; /* by what, then name; none twice */
	size_t cnt;
	size_t parts, parts_cnt; /* where those of SIGHT_PART stand among them */
};

enum cause_sight {
	CAUSE_SEEN = 0,
	CAUSE_BLIND = 1,  /* it can happen here, and nothing would show it */
	CAUSE_ABSENT = 2, /* this kernel has no such thing (a file system that is not loaded) */
};

/* Fills `s` with all that the tables name, nothing of it met yet. 0 or -ENOMEM. */
int sight__init(struct sight *s);
void sight__free(struct sight *s);

/* The kernel has this function, with or without .isra.0 behind it; or this tracepoint. */
void sight__met_function(struct sight *s, const char *symbol, size_t len);
void sight__met_tracepoint(struct sight *s, const char *name);

enum cause_sight sight__of(const struct sight *s, const struct cause *c);

/*
 * What would make a blind cause visible: "a function of: a, b; or tracepoints: c, d". Cut to fit.
 */
void sight__needs(const struct cause *c, char *buf, size_t size);

#endif
