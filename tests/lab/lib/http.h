/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* As much HTTP/1.1 over a unix socket as the Firecracker API needs; no chunks, no trailers. */
#ifndef FLATPAUSE_LAB_HTTP_H
#define FLATPAUSE_LAB_HTTP_H

#include <stddef.h>

#define HTTP_MESSAGE_MAX 16384

struct http_request {
	char method[8];
	char path[256];
	const char *body; /* into the buffer that was parsed; not terminated */
	size_t body_len;
	size_t total_len; /* bytes of the buffer that this request takes */
};

struct http_reply {
	int status;
	char body[1024]; /* terminated; cut if it is longer */
};

/* 1 = a whole request, 0 = more bytes are needed, -EBADMSG = no HTTP, -EMSGSIZE = too long */
int http_parse_request(const char *buf, size_t len, struct http_request *req);

/* Answers with `status`; a body of NULL means none. -errno if the peer is gone. */
int http_send_reply(int fd, int status, const char *body);

/*
 * One request over one new connection, as orchestrators do it. -errno if there is no answer
 * within `timeout_ms`; an answer of 400 is an answer (0).
 */
int http_call(const char *socket_path, unsigned int timeout_ms, const char *method,
	      const char *path, const char *body, struct http_reply *reply);

#endif
