/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the threads of labvmm share, and its API thread. */
#ifndef FLATPAUSE_LAB_VMM_H
#define FLATPAUSE_LAB_VMM_H

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "channel.h"
#include "guest.h"
#include "http.h"

#define CLIENTS_MAX 16
#define VCPUS_MAX   16

struct cfg {
	const char *api_sock;
	const char *pidfile;
	uint64_t memory_bytes;
	uint32_t vcpus;
	uint32_t dirty_pages;
	uint32_t seed;
	bool fsync_snapshot;
};

enum vcpu_event { VCPU_PAUSE = 1, VCPU_RESUME, VCPU_QUIT };

struct vmm;

struct vcpu {
	struct vmm *vmm;
	struct channel events;	/* enum vcpu_event, by address */
	struct channel answers; /* anything: done */
	pthread_t thread;
	unsigned int index;
};

enum action { ACTION_PAUSE, ACTION_RESUME, ACTION_SNAPSHOT, ACTION_QUIT };

/* One API request on its way to the main thread; it comes back with err and reason filled. */
struct request {
	enum action action;
	bool diff;
	char vmstate_path[PATH_MAX];
	char memory_path[PATH_MAX];
	int err;
	char reason[PATH_MAX + 128];
};

struct vmm {
	const struct cfg *cfg;
	struct guest guest;
	struct vcpu vcpus[VCPUS_MAX];
	unsigned int vcpu_cnt; /* threads that run */
	struct channel requests;
	struct channel replies;
	int kick_fd; /* eventfd: a request is there */
	bool paused;
	bool quit;
};

struct client {
	int fd; /* -1 = free */
	size_t len;
	char buf[HTTP_MESSAGE_MAX];
};

struct api {
	struct vmm *vmm;
	int listen_fd;
	int signal_fd;
	int epoll;
	struct client clients[CLIENTS_MAX];
	pthread_t thread;
};

/*
 * Listens on the socket and starts the thread fc_api: it passes requests to the main thread, one at
 * a time, and a signal of `ending` (which must be blocked) as ACTION_QUIT. -errno, said.
 */
int api__start(struct api *api, struct vmm *vmm, const sigset_t *ending);
/* After the thread has ended, or where it could not be started. */
void api__close(struct api *api);

#endif
