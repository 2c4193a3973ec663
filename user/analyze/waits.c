// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What the walk does at a wait. A hand-off has no time of its own: it is what the other side did. A
 * wait for pages or for a commit is what the device or the journal did. But who waits at a throttle,
 * for a lock, for a FUSE server or a fault handler has met the cause itself, and that is its name;
 * what the holder did meanwhile is only evidence.
 */
#include "analysis.h"

struct wait_rule {
	const char *cause; /* the id, or with a dot at its end all below it */
	enum wait_kind kind;
};

/* The first that fits; what is not listed keeps its name and has its holder asked. */
static const struct wait_rule rules[] = {
	{ "io.throttle.", WAIT_KEPT },
	{ "io.tag_wait", WAIT_KEPT },
	{ "io.queue_frozen", WAIT_KEPT },
	{ "io.", WAIT_DEVICE },
	{ "fs.writeback_wait", WAIT_DEVICE },
	{ "writeback.dirty_throttle", WAIT_KEPT },
	{ "writeback.", WAIT_DEVICE },
	{ "jbd2.commit_wait", WAIT_COMMIT },
	{ "jbd2.commit_", WAIT_DEVICE },
	{ "futex.wait", WAIT_HANDOFF },
	{ "ipc.", WAIT_HANDOFF },
	{ "wait.", WAIT_HANDOFF },
	{ "unknown.", WAIT_HANDOFF },
	{ "timer.", WAIT_KEPT },
	{ "signal.", WAIT_KEPT },
	{ "freezer", WAIT_KEPT },
	{ "kernel.rcu_gp", WAIT_KEPT },
};

static bool rule_fits(const struct wait_rule *r, const char *cause)
{
	size_t n = strlen(r->cause);
	char last = r->cause[n - 1];

	return last == '.' || last == '_' ? !strncmp(cause, r->cause, n) : !strcmp(cause, r->cause);
}

/* Functions of libraries in which a thread waits for a lock, and such where it waits for a call. */
static const char *const lock_calls[] = { "lll_lock_wait",  "mutex_lock", "rwlock_",  "spin_lock",
					  "lock_contended", "RawMutex",	  "lock_slow" };
static const char *const park_calls[] = { "cond_", "condvar", "Condvar", "sem_wait",
					  "park",  "barrier", "join",	 "event_wait" };

static bool names_one_of(const char *name, const char *const *calls, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++)
		if (strstr(name, calls[i]))
			return true;
	return false;
}

/* 1 = a lock, 0 = a call, -1 = the user stack does not tell */
static int lock_by_stack(const struct analysis *a, const struct thread *t, const struct seg *s)
{
	struct stack_frames f = stacks__frames(a->stacks, s->ustack);

	for (uint32_t i = 0; i < f.cnt && i < 6; i++) {
		const char *name = symbols__user(a->symbols, f.tgid ? f.tgid : t->tgid, f.addrs[i]);

		if (names_one_of(name, park_calls, sizeof(park_calls) / sizeof(park_calls[0])))
			return 0;
		if (names_one_of(name, lock_calls, sizeof(lock_calls) / sizeof(lock_calls[0])))
			return 1;
	}
	return -1;
}

#define FUTEX_CMD      127
#define FUTEX_WAIT     0
#define FUTEX_LOCK_PI  6
#define FUTEX_LOCK_PI2 13

/*
 * The stack tells a mutex from a condition; without it the operation: C libraries wait for a mutex
 * with FUTEX_WAIT, for all else with FUTEX_WAIT_BITSET and its absolute time.
 */
static bool is_lock(const struct analysis *a, const struct thread *t, const struct piece *p)
{
	int told = lock_by_stack(a, t, p->seg);
	uint32_t cmd;

	if (told >= 0)
		return told;
	if (!p->sys || p->sys->cls != FP_SYS_FUTEX || !p->sys->arg)
		return false;
	cmd = p->sys->value & FUTEX_CMD;
	return cmd == FUTEX_WAIT || cmd == FUTEX_LOCK_PI || cmd == FUTEX_LOCK_PI2;
}

enum wait_kind wait_kind_of(const struct analysis *a, const struct thread *t, const struct piece *p,
			    const char **cause)
{
	if (!strcmp(*cause, "futex.wait") && (p->seg->flags & SEG_BY_TASK) && is_lock(a, t, p)) {
		*cause = "futex.contended";
		return WAIT_HELD;
	}
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rule_fits(&rules[i], *cause))
			return rules[i].kind;
	return WAIT_HELD;
}

const char *unwalked_name(const char *cause)
{
	return strcmp(cause, "futex.wait") ? cause : "futex.contended";
}

bool waits_for_device(const char *cause)
{
	return !strncmp(cause, "io.", 3) || !strcmp(cause, "fs.writeback_wait") ||
	       !strncmp(cause, "writeback.", 10) || !strncmp(cause, "jbd2.commit_", 12);
}
