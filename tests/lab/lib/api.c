// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The API thread of labvmm: HTTP in, an action for the main thread, its answer out. */
#include "vmm.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "user/log.h"

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

int api__start(struct api *api, struct vmm *vmm, const sigset_t *ending)
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

void api__close(struct api *api)
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
