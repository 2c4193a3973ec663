// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "channel.h"

#include <stddef.h>

int channel__init(struct channel *ch)
{
	int err = pthread_mutex_init(&ch->lock, NULL);

	if (err)
		return -err;
	err = pthread_cond_init(&ch->changed, NULL);
	if (err)
		pthread_mutex_destroy(&ch->lock);
	ch->item = NULL;
	return -err;
}

void channel__destroy(struct channel *ch)
{
	pthread_cond_destroy(&ch->changed);
	pthread_mutex_destroy(&ch->lock);
}

void channel__send(struct channel *ch, void *item)
{
	pthread_mutex_lock(&ch->lock);
	while (ch->item)
		pthread_cond_wait(&ch->changed, &ch->lock);
	ch->item = item;
	pthread_cond_broadcast(&ch->changed);
	pthread_mutex_unlock(&ch->lock);
}

static void *take(struct channel *ch)
{
	void *item = ch->item;

	ch->item = NULL;
	if (item)
		pthread_cond_broadcast(&ch->changed);
	return item;
}

void *channel__recv(struct channel *ch)
{
	void *item;

	pthread_mutex_lock(&ch->lock);
	while (!ch->item)
		pthread_cond_wait(&ch->changed, &ch->lock);
	item = take(ch);
	pthread_mutex_unlock(&ch->lock);
	return item;
}

void *channel__try_recv(struct channel *ch)
{
	void *item;

	pthread_mutex_lock(&ch->lock);
	item = take(ch);
	pthread_mutex_unlock(&ch->lock);
	return item;
}
