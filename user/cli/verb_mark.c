// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* `flatpause mark begin|end [LABEL]`: tells a running recorder where a pause begins and ends. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "../capture/marks.h"
#include "../clock.h"
#include "../log.h"
#include "params.h"
#include "verb.h"

static const struct param params[] = {
	{ .name = NULL },
};

static const struct params_spec spec = {
	.verb = "mark",
	.summary = "Tells a running `flatpause record` or `sweep` that a pause begins or ends.",
	.usage = "flatpause mark begin|end [LABEL]",
	.examples = "  flatpause mark begin vm1   # before the VM is paused\n"
		    "  flatpause mark end vm1     # after it was resumed\n"
		    "  echo 'begin vm1' | socat - UNIX-SENDTO:/run/flatpause/mark.sock\n",
	.params = params,
};

static int no_recorder(int err, const char *path)
{
	if (err == -ENOENT || err == -ECONNREFUSED)
		return log_err(0,
			       "nobody records here (%s); start `flatpause record` or `sweep` "
			       "first, without --no-marks",
			       path),
		       err;
	return log_err(err, "cannot send the mark to %s", path);
}

/* The stamp is ours, taken now: the way through the socket does not make the pause longer. */
static int send_mark(const char *kind, const char *label)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval second = { .tv_sec = 1 }; /* a recorder that hangs must not hang a pause */
	char line[MARK_LINE_MAX];
	int fd, n, err;

	n = snprintf(line, sizeof(line), "@%llu %s %s\n", (unsigned long long)now_ns(), kind,
		     label);
	err = marks_path(addr.sun_path, sizeof(addr.sun_path));
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return log_err(-errno, "socket");
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second));
	if (sendto(fd, line, (size_t)n, 0, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		err = no_recorder(-errno, addr.sun_path);
	close(fd);
	return err;
}

static int check_label(const char *label)
{
	for (const char *s = label; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f) {
			log_err(0, "a label has no control characters");
			return -EINVAL;
		}
	}
	if (strlen(label) <= MARK_LABEL_MAX)
		return 0;
	log_err(0, "a label has at most %zu bytes", MARK_LABEL_MAX);
	return -EINVAL;
}

int verb_mark(int argc, char **argv)
{
	struct params_result res;
	const char *kind, *label;
	int err = params__parse(&spec, argc, argv, NULL, &res);

	if (err)
		return err == PARAMS_HELP ? FP_EXIT_OK : FP_EXIT_USAGE;
	kind = res.rest.cnt ? res.rest.v[0] : "";
	label = res.rest.cnt > 1 ? res.rest.v[1] : "";
	if ((strcmp(kind, "begin") && strcmp(kind, "end")) || res.rest.cnt > 2 || res.command) {
		log_err(0, "usage: %s", spec.usage);
		return FP_EXIT_USAGE;
	}
	if (check_label(label))
		return FP_EXIT_USAGE;
	return send_mark(kind, label) ? FP_EXIT_FAILED : FP_EXIT_OK;
}
