// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * labvmm: a stand-in for a VMM. It has Firecracker's threads (main, fc_api, fc_vcpu N), its
 * hand-offs (eventfd and channels) and its API subset, and writes snapshots of real memory with
 * the same system calls. There is no guest: vCPU 0 reads and dirties memory, the others are halted.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/channel.h"
#include "lib/guest.h"
#include "lib/http.h"
#include "user/cli/params.h"
#include "user/log.h"

#define VCPUS_MAX	16
#define CLIENTS_MAX	16
#define SLICE_NS	10000000L /* a vCPU with nothing to do wakes this often */
#define PAGES_PER_SLICE 16

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

/* ---- the API thread ---- */

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

static void pass_to_vmm(struct vmm *vmm, struct request *req)
{
	uint64_t one = 1;

	channel__send(&vmm->requests, req);
	if (write(vmm->kick_fd, &one, sizeof(one)) != sizeof(one))
		log_warn("cannot kick the main thread: %s", strerror(errno));
	channel__recv(&vmm->replies);
}

static int bad_body(struct request *req, const char *why)
{
	snprintf(req->reason, sizeof(req->reason), "%s", why);
	return -EINVAL;
}

static int parse_vm_body(const json_t *body, struct request *req)
{
	const char *state = json_string_value(json_object_get(body, "state"));

	if (!state || json_object_size(body) != 1)
		return bad_body(req, "the body must be {\"state\": \"Paused\"|\"Resumed\"}");
	if (!strcmp(state, "Paused"))
		req->action = ACTION_PAUSE;
	else if (!strcmp(state, "Resumed"))
		req->action = ACTION_RESUME;
	else
		return bad_body(req, "unknown state; it is Paused or Resumed");
	return 0;
}

static int take_path(const json_t *body, const char *key, char *path, struct request *req)
{
	const char *value = json_string_value(json_object_get(body, key));

	if (!value || !*value || strlen(value) >= PATH_MAX) {
		snprintf(req->reason, sizeof(req->reason), "missing or bad field '%s'", key);
		return -EINVAL;
	}
	strcpy(path, value);
	return 0;
}

static int parse_snapshot_body(const json_t *body, struct request *req)
{
	const json_t *type_field = json_object_get(body, "snapshot_type");
	const char *type = type_field ? json_string_value(type_field) : "Full";
	int err;

	req->action = ACTION_SNAPSHOT;
	if (!type || (strcmp(type, "Full") && strcmp(type, "Diff")))
		return bad_body(req, "unknown snapshot_type; it is Full or Diff");
	if (json_object_size(body) != (type_field ? 3u : 2u))
		return bad_body(req, "the fields are snapshot_type, snapshot_path, mem_file_path");
	req->diff = !strcmp(type, "Diff");
	err = take_path(body, "snapshot_path", req->vmstate_path, req);
	return err ? err : take_path(body, "mem_file_path", req->memory_path, req);
}

/* 0 = pass it on; 1 = answered from here (GET /); -EINVAL = refused, reason said */
static int parse_api_request(const struct http_request *http, struct request *req)
{
	json_t *body;
	int err;

	if (!strcmp(http->method, "GET") && !strcmp(http->path, "/"))
		return 1;
	if (!(!strcmp(http->method, "PATCH") && !strcmp(http->path, "/vm")) &&
	    !(!strcmp(http->method, "PUT") && !strcmp(http->path, "/snapshot/create")))
		return bad_body(req, "no such method and path; there are GET /, PATCH /vm and "
				     "PUT /snapshot/create");
	body = json_loadb(http->body, http->body_len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(body))
		err = bad_body(req, "the body is no JSON object");
	else if (!strcmp(http->path, "/vm"))
		err = parse_vm_body(body, req);
	else
		err = parse_snapshot_body(body, req);
	json_decref(body);
	return err;
}

static int send_fault(int fd, int status, const char *reason)
{
	json_t *fault = json_pack("{s:s}", "fault_message", reason);
	char *text = fault ? json_dumps(fault, JSON_COMPACT) : NULL;
	int err = text ? http_send_reply(fd, status, text) : -ENOMEM;

	free(text);
	json_decref(fault);
	return err;
}

static int send_info(const struct vmm *vmm, int fd)
{
	char body[256];

	snprintf(body, sizeof(body),
		 "{\"app_name\":\"labvmm\",\"id\":\"lab\",\"state\":\"%s\",\"memory_bytes\":%zu,"
		 "\"vcpus\":%u}",
		 vmm->paused ? "Paused" : "Running", vmm->guest.size_bytes, vmm->vcpu_cnt);
	return http_send_reply(fd, 200, body);
}

static int serve_request(struct api *api, int fd, const struct http_request *http)
{
	struct request *req = calloc(1, sizeof(*req));
	int err;

	if (!req)
		return -ENOMEM;
	err = parse_api_request(http, req);
	if (err == 1) {
		err = send_info(api->vmm, fd);
		goto out;
	}
	if (!err) {
		pass_to_vmm(api->vmm, req);
		err = req->err;
	}
	err = err ? send_fault(fd, 400, req->reason) : http_send_reply(fd, 204, NULL);
out:
	free(req);
	return err;
}

static void drop_client(struct client *c)
{
	close(c->fd); /* epoll forgets it by itself */
	*c = (struct client){ .fd = -1 };
}

/* Serves every whole request in the buffer; -errno = drop the client */
static int serve_buffer(struct api *api, struct client *c)
{
	for (;;) {
		struct http_request http;
		int got = http_parse_request(c->buf, c->len, &http);

		if (got == 0)
			return 0;
		if (got < 0) {
			send_fault(c->fd, got == -EMSGSIZE ? 413 : 400,
				   got == -EMSGSIZE ? "the request is too long"
						    : "this is no HTTP");
			return got;
		}
		got = serve_request(api, c->fd, &http);
		if (got)
			return got;
		memmove(c->buf, c->buf + http.total_len, c->len - http.total_len);
		c->len -= http.total_len;
	}
}

static void serve_client(struct api *api, struct client *c)
{
	ssize_t n = recv(c->fd, c->buf + c->len, sizeof(c->buf) - c->len, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop_client(c);
		return;
	}
	c->len += (size_t)n;
	if (serve_buffer(api, c))
		drop_client(c);
}

static void accept_client(struct api *api)
{
	int fd = accept4(api->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	/* a client that stops reading must not stop the VMM */
	struct timeval patience = { .tv_sec = 5 };

	if (fd < 0)
		return;
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &api->clients[i];
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };

		if (c->fd >= 0)
			continue;
		if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) ||
		    epoll_ctl(api->epoll, EPOLL_CTL_ADD, fd, &event))
			break;
		c->fd = fd;
		return;
	}
	send_fault(fd, 400, "too many connections");
	close(fd);
}

static void *api_main(void *arg)
{
	struct api *api = arg;
	struct request quit = { .action = ACTION_QUIT };

	prctl(PR_SET_NAME, "fc_api");
	for (;;) {
		struct epoll_event event;

		if (epoll_wait(api->epoll, &event, 1, -1) != 1)
			continue;
		if (event.data.ptr == &api->signal_fd)
			break;
		if (event.data.ptr == &api->listen_fd)
			accept_client(api);
		else
			serve_client(api, event.data.ptr);
	}
	pass_to_vmm(api->vmm, &quit);
	return NULL;
}

static int listen_on(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(addr.sun_path))
		return log_err(-ENAMETOOLONG, "socket path %s", path);
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return log_err(-errno, "cannot make a socket");
	/* A socket that answers belongs to another labvmm; one that does not was left behind. */
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		close(fd);
		return log_err(-EADDRINUSE, "another labvmm serves %s", path);
	}
	if (errno == ECONNREFUSED)
		unlink(path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, CLIENTS_MAX)) {
		err = log_err(-errno, "cannot listen on %s", path);
		close(fd);
		return err;
	}
	return fd;
}

static int watch(struct api *api, int *fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = fd };

	return epoll_ctl(api->epoll, EPOLL_CTL_ADD, *fd, &event) ? -errno : 0;
}

static int start_api(struct api *api, struct vmm *vmm, const sigset_t *ending)
{
	int err;

	*api = (struct api){ .vmm = vmm, .listen_fd = -1, .signal_fd = -1, .epoll = -1 };
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		api->clients[i].fd = -1;
	api->listen_fd = listen_on(vmm->cfg->api_sock);
	if (api->listen_fd < 0)
		return api->listen_fd;
	api->epoll = epoll_create1(EPOLL_CLOEXEC);
	api->signal_fd = signalfd(-1, ending, SFD_CLOEXEC);
	if (api->epoll < 0 || api->signal_fd < 0)
		return log_err(-errno, "cannot make the API's event loop");
	err = watch(api, &api->listen_fd);
	if (!err)
		err = watch(api, &api->signal_fd);
	if (!err)
		err = -pthread_create(&api->thread, NULL, api_main, api);
	return err ? log_err(err, "cannot start the API thread") : 0;
}

static void close_api(struct api *api)
{
	if (api->listen_fd >= 0) {
		close(api->listen_fd);
		unlink(api->vmm->cfg->api_sock);
	}
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (api->clients[i].fd >= 0)
			close(api->clients[i].fd);
	if (api->signal_fd >= 0)
		close(api->signal_fd);
	if (api->epoll >= 0)
		close(api->epoll);
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

static int run(const struct cfg *cfg)
{
	struct vmm vmm = { .cfg = cfg, .kick_fd = -1 };
	struct api *api = calloc(1, sizeof(*api));
	sigset_t ending;
	int err;

	if (!api)
		return log_err(-ENOMEM, "no memory");
	err = block_signals(&ending);
	if (!err) {
		err = guest__init(&vmm.guest, cfg->memory_bytes, cfg->dirty_pages, cfg->seed);
		if (err)
			log_err(err, "cannot make %zu bytes of guest memory with %u dirty pages",
				(size_t)cfg->memory_bytes, cfg->dirty_pages);
	}
	if (err)
		goto out_api;
	vmm.kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vmm.kick_fd < 0 || channel__init(&vmm.requests) || channel__init(&vmm.replies))
		err = log_err(-ENOMEM, "cannot make the channels");
	if (!err)
		err = start_vcpus(&vmm);
	if (!err)
		err = start_api(api, &vmm, &ending);
	if (err)
		goto out; /* main returns: the threads go with the process */
	if (cfg->pidfile)
		err = write_pidfile(cfg->pidfile);
	if (err)
		kill(getpid(), SIGTERM); /* ends the API thread, which ends the loop below */
	if (!err)
		err = run_vmm(&vmm);
	else
		run_vmm(&vmm);
	pthread_join(api->thread, NULL);
	stop_vcpus(&vmm);
	if (cfg->pidfile)
		unlink(cfg->pidfile);
out:
	close_api(api);
	if (vmm.kick_fd >= 0)
		close(vmm.kick_fd);
	if (!vmm.vcpu_cnt)
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
