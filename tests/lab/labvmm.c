// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * labvmm: a stand-in for a VMM. It has Firecracker's threads (main, fc_api, fc_vcpu N), its
 * hand-offs (eventfd and channels) and its API subset, and writes snapshots of real memory with
 * the same system calls. There is no guest: vCPU 0 reads and dirties memory, the others are halted.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/vmm.h"
#include "user/cli/params.h"
#include "user/log.h"

#define SLICE_NS	10000000L /* a vCPU with nothing to do wakes this often */
#define PAGES_PER_SLICE 16

static const struct param params[] = {
	PARAM(struct cfg, api_sock, "api-sock", 0, PARAM_STRING, "PATH",
	      "the control socket (required)"),
	PARAM(struct cfg, memory_bytes, "memory", 'm', PARAM_SIZE, "SIZE",
	      "guest memory (default 256M)"),
	{ .name = "vcpus",
	  .type = PARAM_U32,
	  .offset = offsetof(struct cfg, vcpus),
	  .min = 1,
	  .max = VCPUS_MAX,
	  .arg = "N",
	  .help = "vCPU threads (default 2)" },
	PARAM(struct cfg, dirty_pages, "dirty-pages", 0, PARAM_U32, "N",
	      "pages that the guest dirties between snapshots (default 100)"),
	PARAM(struct cfg, seed, "seed", 0, PARAM_U32, "N", "which pages (default 1)"),
	PARAM(struct cfg, fsync_snapshot, "no-fsync", 0, PARAM_NO_FLAG, NULL,
	      "do not fsync snapshots, as Cloud Hypervisor does not"),
	PARAM(struct cfg, pidfile, "pidfile", 'P', PARAM_STRING, "PATH",
	      "write the pid there when the socket is ready"),
	{ 0 },
};

static const struct params_spec spec = {
	.verb = "labvmm",
	.summary = "A stand-in for a VMM with Firecracker's threads and snapshot API.",
	.usage = "--api-sock PATH [options]",
	.examples = "  labvmm --api-sock /tmp/vmm.sock --memory 256M &\n"
		    "  curl --unix-socket /tmp/vmm.sock -X PATCH -d '{\"state\":\"Paused\"}' "
		    "http://localhost/vm\n",
	.params = params,
};

/* ---- vCPU threads ---- */

static void on_kick(int sig)
{
	(void)sig; /* its only work is to end ppoll() */
}

/* The guest's slice, then halted until the next one or a kick; no kick is lost in between. */
static void run_vcpu(struct vcpu *v, const sigset_t *kickable)
{
	struct timespec halt = { .tv_nsec = SLICE_NS };

	if (v->index == 0)
		guest__run(&v->vmm->guest, PAGES_PER_SLICE);
	ppoll(NULL, 0, &halt, kickable);
}

static void *vcpu_main(void *arg)
{
	struct vcpu *v = arg;
	bool paused = false;
	char name[16];
	sigset_t kickable;

	snprintf(name, sizeof(name), "fc_vcpu %u", v->index);
	prctl(PR_SET_NAME, name);
	pthread_sigmask(SIG_SETMASK, NULL, &kickable);
	sigdelset(&kickable, SIGRTMIN);
	for (;;) {
		const enum vcpu_event *event = paused ? channel__recv(&v->events)
						      : channel__try_recv(&v->events);
		bool quit;

		if (!event) {
			run_vcpu(v, &kickable);
			continue;
		}
		/* *event is the sender's, and gone as soon as it has its answer */
		paused = *event == VCPU_PAUSE;
		quit = *event == VCPU_QUIT;
		channel__send(&v->answers, v);
		if (quit)
			return NULL;
	}
}

/* Sends the event to all vCPUs, kicks them out of the guest and waits for every answer. */
static void tell_vcpus(struct vmm *vmm, enum vcpu_event event)
{
	for (unsigned int i = 0; i < vmm->vcpu_cnt; i++) {
		channel__send(&vmm->vcpus[i].events, &event);
		pthread_kill(vmm->vcpus[i].thread, SIGRTMIN);
	}
	for (unsigned int i = 0; i < vmm->vcpu_cnt; i++)
		channel__recv(&vmm->vcpus[i].answers);
}

static int start_vcpus(struct vmm *vmm)
{
	for (unsigned int i = 0; i < vmm->cfg->vcpus; i++) {
		struct vcpu *v = &vmm->vcpus[i];
		int err;

		*v = (struct vcpu){ .vmm = vmm, .index = i };
		err = channel__init(&v->events);
		if (!err)
			err = channel__init(&v->answers);
		if (!err)
			err = -pthread_create(&v->thread, NULL, vcpu_main, v);
		if (err)
			return log_err(err, "cannot start vCPU %u", i);
		vmm->vcpu_cnt++;
	}
	return 0;
}

static void stop_vcpus(struct vmm *vmm)
{
	tell_vcpus(vmm, VCPU_QUIT);
	for (unsigned int i = 0; i < vmm->vcpu_cnt; i++) {
		pthread_join(vmm->vcpus[i].thread, NULL);
		channel__destroy(&vmm->vcpus[i].events);
		channel__destroy(&vmm->vcpus[i].answers);
	}
	vmm->vcpu_cnt = 0;
}

/* ---- the main thread ---- */

static void refuse(struct request *req, int err, const char *why, const char *path)
{
	req->err = err;
	if (path)
		snprintf(req->reason, sizeof(req->reason), "cannot %s %s: %s", why, path,
			 strerror(-err));
	else
		snprintf(req->reason, sizeof(req->reason), "%s", why);
}

static void create_snapshot(struct vmm *vmm, struct request *req)
{
	const char *step;
	int err;

	if (!vmm->paused) {
		refuse(req, -EBUSY, "a snapshot needs a paused VM", NULL);
		return;
	}
	err = guest__write_vmstate(&vmm->guest, req->vmstate_path, vmm->cfg->fsync_snapshot, &step);
	if (err) {
		refuse(req, err, step, req->vmstate_path);
		return;
	}
	err = guest__write_memory(&vmm->guest, req->memory_path, req->diff,
				  vmm->cfg->fsync_snapshot, &step);
	if (err)
		refuse(req, err, step, req->memory_path);
}

static void handle_request(struct vmm *vmm, struct request *req)
{
	switch (req->action) {
	case ACTION_PAUSE:
	case ACTION_RESUME:
		vmm->paused = req->action == ACTION_PAUSE;
		tell_vcpus(vmm, vmm->paused ? VCPU_PAUSE : VCPU_RESUME);
		break;
	case ACTION_SNAPSHOT:
		create_snapshot(vmm, req);
		break;
	case ACTION_QUIT:
		vmm->quit = true;
		break;
	}
	channel__send(&vmm->replies, req);
}

/* Running: the event loop, where devices would be served too. Paused: blocked on the channel. */
static int run_vmm(struct vmm *vmm)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC), err = 0;
	uint64_t kicks;

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, vmm->kick_fd, &event))
		err = log_err(-errno, "cannot make the event loop");
	while (!err && !vmm->quit) {
		struct request *req;

		if (vmm->paused) {
			handle_request(vmm, channel__recv(&vmm->requests));
			continue;
		}
		if (epoll_wait(epoll, &event, 1, -1) < 0 && errno != EINTR)
			err = log_err(-errno, "cannot wait for requests");
		if (read(vmm->kick_fd, &kicks, sizeof(kicks)) < 0 && errno != EAGAIN)
			err = log_err(-errno, "cannot read the eventfd");
		req = channel__try_recv(&vmm->requests);
		if (req)
			handle_request(vmm, req);
	}
	if (epoll >= 0)
		close(epoll);
	return err;
}

/* ---- start and end ---- */

static int write_pidfile(const char *path)
{
	FILE *f = fopen(path, "we");
	int err = 0;

	if (!f)
		return log_err(-errno, "cannot write %s", path);
	if (fprintf(f, "%d\n", getpid()) < 0)
		err = -EIO;
	if (fclose(f) && !err)
		err = -errno;
	return err ? log_err(err, "cannot write %s", path) : 0;
}

static int block_signals(sigset_t *ending)
{
	struct sigaction kick = { .sa_handler = on_kick };
	sigset_t blocked;

	sigemptyset(ending);
	sigaddset(ending, SIGTERM);
	sigaddset(ending, SIGINT);
	blocked = *ending;
	sigaddset(&blocked, SIGRTMIN);
	signal(SIGPIPE, SIG_IGN);
	if (sigaction(SIGRTMIN, &kick, NULL) || sigprocmask(SIG_BLOCK, &blocked, NULL))
		return log_err(-errno, "cannot set signals up");
	return 0;
}

static int serve(struct vmm *vmm, struct api *api)
{
	const char *pidfile = vmm->cfg->pidfile;
	int err = pidfile ? write_pidfile(pidfile) : 0, run_err;

	if (err)
		kill(getpid(), SIGTERM); /* ends the API thread, which ends the loop below */
	run_err = run_vmm(vmm);
	pthread_join(api->thread, NULL);
	if (pidfile)
		unlink(pidfile);
	return err ? err : run_err;
}

static int run(const struct cfg *cfg)
{
	struct vmm vmm = { .cfg = cfg, .kick_fd = -1 };
	struct api *api = calloc(1, sizeof(*api));
	sigset_t ending;
	int err;

	if (!api)
		return log_err(-ENOMEM, "no memory");
	err = block_signals(&ending);
	if (err)
		goto out_api;
	err = guest__init(&vmm.guest, cfg->memory_bytes, cfg->dirty_pages, cfg->seed);
	if (err) {
		log_err(err, "cannot make %zu bytes of guest memory with %u dirty pages",
			(size_t)cfg->memory_bytes, cfg->dirty_pages);
		goto out_api;
	}
	vmm.kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vmm.kick_fd < 0 || channel__init(&vmm.requests) || channel__init(&vmm.replies)) {
		err = log_err(-ENOMEM, "cannot make the channels");
		goto out_guest;
	}
	err = start_vcpus(&vmm);
	if (!err) {
		err = api__start(api, &vmm, &ending);
		if (!err)
			err = serve(&vmm, api);
		api__close(api);
	}
	stop_vcpus(&vmm); /* they use what stands on this stack */
out_guest:
	if (vmm.kick_fd >= 0)
		close(vmm.kick_fd);
	guest__destroy(&vmm.guest);
out_api:
	free(api);
	return err;
}

int main(int argc, char **argv)
{
	struct cfg cfg = { .memory_bytes = 256 << 20,
			   .vcpus = 2,
			   .dirty_pages = 100,
			   .seed = 1,
			   .fsync_snapshot = true };
	struct params_result res = { 0 };
	int err;

	log_init("labvmm", LOG_NORMAL);
	err = params__parse(&spec, argc, argv, &cfg, &res);
	if (err == PARAMS_HELP)
		return FP_EXIT_OK;
	if (!err && (!cfg.api_sock || res.rest.cnt || res.command))
		err = log_err(-EINVAL, "labvmm needs --api-sock and takes no other words");
	if (err)
		return FP_EXIT_USAGE;
	return run(&cfg) ? FP_EXIT_FAILED : FP_EXIT_OK;
}
