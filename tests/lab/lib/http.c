// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "http.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static const char *find_line_end(const char *at, const char *end)
{
	return memmem(at, (size_t)(end - at), "\r\n", 2);
}

/* "METHOD PATH HTTP/1.x" */
static int parse_request_line(const char *line, size_t len, struct http_request *req)
{
	const char *space = memchr(line, ' ', len), *path, *second;
	size_t method_len, path_len;

	if (!space || memchr(line, '\0', len))
		return -EBADMSG;
	method_len = (size_t)(space - line);
	path = space + 1;
	second = memchr(path, ' ', len - method_len - 1);
	if (!second || (size_t)(line + len - second) < 9 || memcmp(second, " HTTP/1.", 8))
		return -EBADMSG;
	path_len = (size_t)(second - path);
	if (!method_len || method_len >= sizeof(req->method) || !path_len ||
	    path_len >= sizeof(req->path))
		return -EBADMSG;
	memcpy(req->method, line, method_len);
	req->method[method_len] = '\0';
	memcpy(req->path, path, path_len);
	req->path[path_len] = '\0';
	return 0;
}

static int parse_length(const char *value, const char *end, size_t *length)
{
	size_t v = 0;

	while (value < end && *value == ' ')
		value++;
	if (value == end)
		return -EBADMSG;
	for (; value < end; value++) {
		if (*value < '0' || *value > '9')
			return -EBADMSG;
		v = v * 10 + (size_t)(*value - '0');
		if (v > HTTP_MESSAGE_MAX)
			return -EMSGSIZE;
	}
	*length = v;
	return 0;
}

/* Reads the header lines from `at` up to the empty one at `end`. */
static int parse_headers(const char *at, const char *end, size_t *length)
{
	static const char name[] = "content-length:";

	*length = 0;
	while (at < end) {
		const char *eol = find_line_end(at, end + 2);
		int err;

		if (!eol)
			return -EBADMSG;
		if ((size_t)(eol - at) >= sizeof(name) - 1 &&
		    !strncasecmp(at, name, sizeof(name) - 1)) {
			err = parse_length(at + sizeof(name) - 1, eol, length);
			if (err)
				return err;
		}
		at = eol + 2;
	}
	return 0;
}

int http_parse_request(const char *buf, size_t len, struct http_request *req)
{
	const char *head_end = memmem(buf, len, "\r\n\r\n", 4), *line_end;
	size_t head_len;
	int err;

	if (!head_end)
		return len >= HTTP_MESSAGE_MAX ? -EMSGSIZE : 0;
	line_end = find_line_end(buf, head_end + 2);
	err = parse_request_line(buf, (size_t)(line_end - buf), req);
	if (!err)
		err = parse_headers(line_end + 2, head_end, &req->body_len);
	if (err)
		return err;
	head_len = (size_t)(head_end - buf) + 4;
	if (head_len + req->body_len > HTTP_MESSAGE_MAX)
		return -EMSGSIZE;
	req->body = buf + head_len;
	req->total_len = head_len + req->body_len;
	return len >= req->total_len;
}

static int send_all(int fd, const char *buf, size_t len)
{
	while (len) {
		ssize_t n = send(fd, buf, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

static const char *status_text(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 204:
		return "No Content";
	case 413:
		return "Payload Too Large";
	default:
		return "Bad Request";
	}
}

int http_send_reply(int fd, int status, const char *body)
{
	char msg[2048];
	int len;

	if (body)
		len = snprintf(msg, sizeof(msg),
			       "HTTP/1.1 %d %s\r\nServer: labvmm\r\n"
			       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
			       status, status_text(status), strlen(body), body);
	else
		len = snprintf(msg, sizeof(msg), "HTTP/1.1 %d %s\r\nServer: labvmm\r\n\r\n", status,
			       status_text(status));
	if (len < 0 || (size_t)len >= sizeof(msg))
		return -EMSGSIZE;
	return send_all(fd, msg, (size_t)len);
}

static int connect_to(const char *path, unsigned int timeout_ms)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval tv = { .tv_sec = timeout_ms / 1000, .tv_usec = (timeout_ms % 1000) * 1000L };
	int fd, err;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) ||
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* 1 = whole, 0 = more, -EBADMSG */
static int parse_reply(const char *buf, size_t len, struct http_reply *reply)
{
	const char *head_end = memmem(buf, len, "\r\n\r\n", 4), *line_end;
	size_t body_len, head_len, keep;
	int err;

	if (!head_end)
		return 0;
	line_end = find_line_end(buf, head_end + 2);
	if (line_end - buf < 12 || memcmp(buf, "HTTP/1.", 7))
		return -EBADMSG;
	reply->status = atoi(buf + 9);
	err = parse_headers(line_end + 2, head_end, &body_len);
	if (err)
		return err;
	head_len = (size_t)(head_end - buf) + 4;
	if (len < head_len + body_len)
		return 0;
	keep = body_len < sizeof(reply->body) ? body_len : sizeof(reply->body) - 1;
	memcpy(reply->body, buf + head_len, keep);
	reply->body[keep] = '\0';
	return 1;
}

static int read_reply(int fd, struct http_reply *reply)
{
	char buf[HTTP_MESSAGE_MAX];
	size_t len = 0;

	while (len < sizeof(buf)) {
		ssize_t n = recv(fd, buf + len, sizeof(buf) - len, 0);
		int got;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (n == 0)
			return -ECONNRESET;
		len += (size_t)n;
		got = parse_reply(buf, len, reply);
		if (got)
			return got < 0 ? got : 0;
	}
	return -EMSGSIZE;
}

int http_call(const char *socket_path, unsigned int timeout_ms, const char *method,
	      const char *path, const char *body, struct http_reply *reply)
{
	char msg[HTTP_MESSAGE_MAX];
	int fd, len, err;

	memset(reply, 0, sizeof(*reply));
	len = snprintf(msg, sizeof(msg),
		       "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
		       "Content-Length: %zu\r\n\r\n%s",
		       method, path, body ? strlen(body) : 0, body ? body : "");
	if (len < 0 || (size_t)len >= sizeof(msg))
		return -EMSGSIZE;
	fd = connect_to(socket_path, timeout_ms);
	if (fd < 0)
		return fd;
	err = send_all(fd, msg, (size_t)len);
	if (!err)
		err = read_reply(fd, reply);
	close(fd);
	return err;
}
