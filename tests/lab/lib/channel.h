/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A channel of one pointer between two threads. Its receiver sleeps on a futex, as the Rust mpsc
 * channels of Firecracker do: that is what a tracer sees of a paused VMM.
 */
#ifndef FLATPAUSE_LAB_CHANNEL_H
#define FLATPAUSE_LAB_CHANNEL_H

#include <pthread.h>

struct channel {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	void *item; /* NULL = empty */
};

int channel__init(struct channel *ch);
void channel__destroy(struct channel *ch);
/* Waits while the channel still holds an item. */
void channel__send(struct channel *ch, void *item);
/* Waits for an item. */
void *channel__recv(struct channel *ch);
/* NULL if there is none. */
void *channel__try_recv(struct channel *ch);

#endif
