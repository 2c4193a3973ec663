/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * faultload: what pauses and what makes it pause. Each verb is one program of a fault: a victim
 * that marks its own pause, or the foreign process, disk or listener that disturbs it.
 */
#ifndef FLATPAUSE_FAULTLOAD_H
#define FLATPAUSE_FAULTLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/clock.h"
#include "user/log.h"

#define NS_PER_MS 1000000ull
#define NS_PER_US 1000ull

/* The words behind a verb: key=value, each key one that the verb knows. */
struct args {
	char **v;
	int cnt;
};

/* A number with K, M or G behind it (powers of 1024); what is no number ends with usage in main. */
uint64_t arg_num(const struct args *a, const char *key, uint64_t otherwise);
/* NULL where the key was not given and `otherwise` is NULL. */
const char *arg_str(const struct args *a, const char *key, const char *otherwise);
static inline uint64_t arg_ms(const struct args *a, const char *key)
{
	return arg_num(a, key, 0) * NS_PER_MS;
}

struct verb {
	const char *name;
	const char *keys; /* "path bytes chunk": what it takes, also its usage */
	int (*run)(const struct args *a);
};

/* Each file's verbs, ended by a NULL name. */
extern const struct verb file_verbs[], cpu_verbs[], thread_verbs[], memory_verbs[], peer_verbs[],
	noise_verbs[], disk_verbs[];

/* ---- the pause ---- */

/*
 * From here on the VM stands: the recorder is told, if there is one. To be called by the main
 * thread, whose path the ledger is of. -errno, said.
 */
int pause__begin(void);
/*
 * It runs again. Prints {"pause_ms", "injected_ms"}: how long it took, and how much of it the
 * fault is known to have taken, measured without flatpause. -errno, said.
 */
int pause__end(uint64_t injected_ns);

/* ---- helpers ---- */

void sleep_ns(uint64_t ns);
/* Computes until this thread has used so much CPU time. */
void burn_cpu_ns(uint64_t ns);
/* Keeps the calling thread on one CPU. -errno, said. */
int pin_to(uint64_t cpu);
/* Writes all of it, in pieces of `chunk` bytes. -errno, not said. */
int write_all(int fd, uint64_t bytes, uint64_t chunk);
/* Tells the shell that started us that what we do has begun. */
void say_ready(void);

#endif
