// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Who reads requests. The last one that is idle starts another before it begins: an fsync of a file
 * on disk may take seconds, and an open for a BRANCH must not wait behind sixteen of them.
 */
#include <errno.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../../user/clock.h"
#include "../../user/log.h"
#include "../guard.h"
#include "serve.h"

#define STOP_NS	   2000000000ull /* an fsync may take longer */
#define IDLE_START 4
#define IDLE_MAX   8 /* more than that end behind their request */

/* Of this thread alone. With it writers would get at blocks that are kept for root, and past quotas. */
static void drop_resource_cap(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		return;
	data[0].effective &= ~(1u << CAP_SYS_RESOURCE);
	if (syscall(SYS_capset, &head, data))
		log_verbose("cannot drop CAP_SYS_RESOURCE: %s", strerror(errno));
}

static int start_one(struct cover *c);

/* The kernel has ended the connection: nobody has anything open any more, or somebody aborted it. */
static void connection_ended(struct cover *c)
{
	if (!c->g || atomic_exchange(&c->stop, true))
		return;
	guard__note(c->g, "the connection of the cover was ended: new files go to disk");
	kill(getpid(), SIGTERM);
}

static void serve(struct server *s, char *buf)
{
	struct cover *c = s->c;
	struct op_note *note = &c->nodes.table->notes[s - c->servers];
	int idle = 0;

	while (!atomic_load(&c->stop) && idle <= IDLE_MAX) {
		ssize_t n;
		int err;

		atomic_fetch_add(&c->idle, 1);
		n = read(c->dev, buf, SERVE_BUFFER_BYTES);
		err = errno;
		if (atomic_fetch_sub(&c->idle, 1) == 1 && n > 0)
			start_one(c);
		if (n > 0)
			serve__handle(c, note, buf, (size_t)n);
		else if (n == 0 || (err != EINTR && err != ENOENT && err != EAGAIN))
			return connection_ended(c);
		idle = atomic_load(&c->idle);
	}
}

static void *run(void *arg)
{
	struct server *s = arg;
	struct cover *c = s->c;
	char *buf = mmap(NULL, SERVE_BUFFER_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	drop_resource_cap();
	if (buf != MAP_FAILED) {
		serve(s, buf);
		munmap(buf, SERVE_BUFFER_BYTES);
	}
	pthread_mutex_lock(&c->threads_lock);
	s->used = false;
	c->running--;
	pthread_cond_broadcast(&c->thread_ended);
	pthread_mutex_unlock(&c->threads_lock);
	return NULL;
}

static int start_locked(struct cover *c)
{
	/* a writer's pause must not wait for our time slice; where this is refused it may */
	const struct sched_param urgent = { .sched_priority = 1 };
	int i = 0, err;

	while (i < COVER_THREADS_MAX && c->servers[i].used)
		i++;
	if (i == COVER_THREADS_MAX || atomic_load(&c->stop))
		return -EAGAIN;
	c->servers[i].c = c;
	err = -pthread_create(&c->servers[i].id, NULL, run, &c->servers[i]);
	if (err)
		return err;
	pthread_detach(c->servers[i].id);
	pthread_setschedparam(c->servers[i].id, SCHED_RR, &urgent);
	c->servers[i].used = true;
	c->running++;
	return 0;
}

static int start_one(struct cover *c)
{
	int err;

	pthread_mutex_lock(&c->threads_lock);
	err = start_locked(c);
	pthread_mutex_unlock(&c->threads_lock);
	return err;
}

/*
 * What another server has read and not answered. Before we read anything ourselves: the kernel asks
 * again for all that it has no answer to, and a request that we have in hand would be done twice.
 */
static void ask_again(struct cover *c)
{
	struct fuse_out_header out = { .len = sizeof(out), .error = COVER_NOTIFY_RESEND };

	if (write(c->dev, &out, sizeof(out)) < 0)
		log_warn("who waited for the server before us waits still: %s", strerror(errno));
}

static int init_root(struct cover *c)
{
	struct node_key key;
	uint64_t generation;
	int err;

	if (c->nodes.table->used)
		return 0;
	err = node_key__of(c->rootfd, NODE_REAL, 0, &key);
	if (err)
		return err;
	return nodes__take(&c->nodes, &key, NODE_ROOT, "", &generation) == NODE_ROOT ? 0 : -EIO;
}

/* A request lower than this one waits no longer, if there is no room: its process was killed. */
static struct op_note *oldest_carried(struct node_table *t)
{
	struct op_note *oldest = &t->carried[0];

	for (int i = 0; i < COVER_THREADS_MAX; i++) {
		if (t->carried[i].state == OP_NONE)
			return &t->carried[i];
		if (t->carried[i].unique < oldest->unique)
			oldest = &t->carried[i];
	}
	return oldest;
}

/* For as many servers as may be killed before the kernel's question is answered. */
static void carry_notes(struct node_table *t)
{
	for (int i = 0; i < COVER_THREADS_MAX; i++) {
		if (t->notes[i].state == OP_NONE)
			continue;
		*oldest_carried(t) = t->notes[i];
		__atomic_store_n(&t->notes[i].state, OP_NONE, __ATOMIC_RELEASE);
	}
}

static int init_state(struct cover *c)
{
	struct node_table *t = c->nodes.table;
	int err;

	carry_notes(t);
	err = nodes__init(&c->nodes, t);
	c->open = malloc(NODES_MAX * sizeof(*c->open)); /* touched where it is used */
	if (err || !c->open)
		return -ENOMEM;
	for (int i = 0; i < COVER_OPEN_LOCKS; i++)
		pthread_mutex_init(&c->open_locks[i], NULL);
	pthread_mutex_init(&c->threads_lock, NULL);
	pthread_cond_init(&c->thread_ended, NULL);
	files__take_over(c);
	return init_root(c);
}

int cover__start(struct cover *c, const struct cover_keep *keep, struct guard *g,
		 const char *tmp_dir)
{
	int err;

	memset(c, 0, sizeof(*c));
	c->g = g;
	c->dev = keep->dev;
	c->rootfd = keep->rootfd;
	c->tmpfd = keep->tmpfd;
	snprintf(c->tmp_dir, sizeof(c->tmp_dir), "%s", tmp_dir);
	c->nodes.table = keep->table;
	err = init_state(c);
	umask(0); /* the writer's own comes with each request */
	if (!err && keep->table->answered && keep->table->resends)
		ask_again(c);
	for (int i = 0; i < IDLE_START && !err; i++)
		err = start_one(c);
	return err ? log_err(err, "cannot serve the cover") : 0;
}

static void wake_up(int sig)
{
	(void)sig; /* ends a read() */
}

/* A signal that comes just before a thread reads is lost on it: again, until it has heard. */
void cover__stop(struct cover *c)
{
	const struct sigaction wake = { .sa_handler = wake_up };
	const struct timespec nap = { .tv_nsec = 1000000 };
	uint64_t until_ns = now_ns() + STOP_NS;

	sigaction(SIGUSR1, &wake, NULL);
	atomic_store(&c->stop, true);
	pthread_mutex_lock(&c->threads_lock);
	while (c->running && now_ns() < until_ns) {
		for (int i = 0; i < COVER_THREADS_MAX; i++)
			if (c->servers[i].used)
				pthread_kill(c->servers[i].id, SIGUSR1);
		pthread_mutex_unlock(&c->threads_lock);
		nanosleep(&nap, NULL);
		pthread_mutex_lock(&c->threads_lock);
	}
	if (c->running)
		log_warn("%d requests below the cover are left to whoever comes next", c->running);
	pthread_mutex_unlock(&c->threads_lock);
}

void cover__drain(struct cover *c)
{
	pthread_mutex_lock(&c->threads_lock);
	while (c->running)
		pthread_cond_wait(&c->thread_ended, &c->threads_lock);
	pthread_mutex_unlock(&c->threads_lock);
	nodes__free(&c->nodes);
	free(c->open);
}
