// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "marks.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../clock.h"
#include "../log.h"

#define RUN_DIR_DEFAULT "/run/flatpause"
#define UIDS_MAX	32
#define BATCH_MAX	64
#define MARKS_MAX	100000 /* of one recording: a sender that floods does not fill the disk */

struct marks {
	int fd;
	int lock_fd;
	bool bound;
	struct sockaddr_un addr;
	uid_t uids[UIDS_MAX];
	size_t uids_cnt;
	uint64_t cnt;
	bool warned_uid, warned_text, warned_time, warned_full;
};

static const char *run_dir(void)
{
	const char *dir = getenv("FLATPAUSE_RUN_DIR");

	return dir && *dir ? dir : RUN_DIR_DEFAULT;
}

int marks_path(char *path, size_t size)
{
	struct sockaddr_un addr;
	int n = snprintf(path, size, "%s/mark.sock", run_dir());

	if (n < 0 || (size_t)n >= size || (size_t)n >= sizeof(addr.sun_path))
		return log_err(-ENAMETOOLONG, "the path of the mark socket below %s", run_dir());
	return 0;
}

/* ---- one line ---- */

static const char *skip_blanks(const char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

static int parse_stamp(const char **s, uint64_t now, __u64 *ts_ns, bool *implausible)
{
	unsigned long long v;
	char *end;

	if (!isdigit((unsigned char)(*s)[1]))
		return -EINVAL;
	errno = 0;
	v = strtoull(*s + 1, &end, 10);
	if (errno || *end != ' ')
		return -EINVAL;
	*s = skip_blanks(end);
	*implausible = v > now || now - v > MARK_MAX_AGE_NS;
	if (!*implausible)
		*ts_ns = v;
	return 0;
}

static bool take_word(const char **s, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(*s, word, n) != 0 || ((*s)[n] && (*s)[n] != ' ' && (*s)[n] != '\t'))
		return false;
	*s = skip_blanks(*s + n);
	return true;
}

int mark_parse(const char *text, size_t size, uint64_t now, struct rec_mark *mark,
	       bool *implausible)
{
	char line[MARK_LINE_MAX];
	const char *s = line;

	*implausible = false;
	memset(mark, 0, sizeof(*mark));
	mark->ts_ns = now;
	while (size && (text[size - 1] == '\n' || text[size - 1] == '\r' || text[size - 1] == ' '))
		size--;
	if (!size || size >= sizeof(line) || memchr(text, '\0', size))
		return -EINVAL;
	memcpy(line, text, size);
	line[size] = '\0';
	for (char *c = line; *c; c++)
		if (iscntrl((unsigned char)*c) && *c != '\t')
			return -EINVAL;
	if (*s == '@' && parse_stamp(&s, now, &mark->ts_ns, implausible))
		return -EINVAL;
	if (take_word(&s, "begin"))
		mark->kind = REC_MARK_BEGIN;
	else if (take_word(&s, "end"))
		mark->kind = REC_MARK_END;
	else
		return -EINVAL;
	if (strlen(s) > MARK_LABEL_MAX)
		return -EINVAL;
	memcpy(mark->label, s, strlen(s));
	return 0;
}

/* ---- the socket ---- */

/* Whoever can write the directory could put another socket there: only ours or root's will do. */
static int check_run_dir(const char *dir)
{
	struct stat st;

	if (mkdir(dir, 0755) && errno != EEXIST)
		return log_err(-errno, "cannot make %s; set FLATPAUSE_RUN_DIR, or --no-marks", dir);
	if (lstat(dir, &st))
		return log_err(-errno, "%s", dir);
	if (!S_ISDIR(st.st_mode) || (st.st_uid && st.st_uid != geteuid()) ||
	    (st.st_mode & (S_IWGRP | S_IWOTH)))
		return log_err(-EPERM,
			       "%s must be a directory that only its owner, root or you, "
			       "can write",
			       dir);
	return 0;
}

/* The lock outlives nobody: after SIGKILL the kernel drops it, and the stale socket is replaced. */
static int marks__lock(struct marks *m, const char *dir)
{
	char path[256];

	if ((size_t)snprintf(path, sizeof(path), "%s/mark.lock", dir) >= sizeof(path))
		return log_err(-ENAMETOOLONG, "%s", dir);
	m->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (m->lock_fd < 0)
		return log_err(-errno, "cannot open %s", path);
	if (!flock(m->lock_fd, LOCK_EX | LOCK_NB))
		return 0;
	if (errno != EWOULDBLOCK)
		return log_err(-errno, "cannot lock %s", path);
	log_err(0,
		"another flatpause is recording and takes the marks (%s is locked); wait for "
		"it, use --no-marks, or set FLATPAUSE_RUN_DIR to another directory",
		path);
	return -EBUSY;
}

static int marks__listen(struct marks *m)
{
	int on = 1;

	m->addr.sun_family = AF_UNIX;
	m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (m->fd < 0)
		return log_err(-errno, "cannot make the mark socket");
	if (setsockopt(m->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)))
		return log_err(-errno, "SO_PASSCRED");
	if (unlink(m->addr.sun_path) && errno != ENOENT)
		return log_err(-errno, "cannot replace %s", m->addr.sun_path);
	if (bind(m->fd, (struct sockaddr *)&m->addr, sizeof(m->addr)))
		return log_err(-errno, "cannot listen at %s", m->addr.sun_path);
	m->bound = true;
	/* Everybody may send; who sent is checked by what the kernel says of the sender. */
	if (chmod(m->addr.sun_path, 0666))
		return log_err(-errno, "%s", m->addr.sun_path);
	return 0;
}

int marks__open(struct marks **out)
{
	struct marks *m = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return log_err(-ENOMEM, "marks");
	m->fd = -1;
	m->lock_fd = -1;
	err = marks_path(m->addr.sun_path, sizeof(m->addr.sun_path));
	if (!err)
		err = check_run_dir(run_dir());
	if (!err)
		err = marks__lock(m, run_dir());
	if (!err)
		err = marks__listen(m);
	if (err) {
		marks__close(m);
		return err;
	}
	*out = m;
	return 0;
}

void marks__close(struct marks *m)
{
	if (!m)
		return;
	if (m->bound)
		unlink(m->addr.sun_path);
	if (m->fd >= 0)
		close(m->fd);
	if (m->lock_fd >= 0)
		close(m->lock_fd);
	free(m);
}

int marks__fd(const struct marks *m)
{
	return m->fd;
}

uint64_t marks__cnt(const struct marks *m)
{
	return m->cnt;
}

void marks__allow_uid(struct marks *m, uid_t uid)
{
	for (size_t i = 0; i < m->uids_cnt; i++)
		if (m->uids[i] == uid)
			return;
	if (m->uids_cnt < UIDS_MAX)
		m->uids[m->uids_cnt++] = uid;
}

static bool uid_allowed(const struct marks *m, uid_t uid)
{
	if (uid == 0 || uid == geteuid())
		return true;
	for (size_t i = 0; i < m->uids_cnt; i++)
		if (m->uids[i] == uid)
			return true;
	return false;
}

static bool find_sender(struct msghdr *msg, struct ucred *cred)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS)
			continue;
		memcpy(cred, CMSG_DATA(c), sizeof(*cred));
		return true;
	}
	return false;
}

static void warn_once(bool *warned, const char *text, int pid)
{
	if (!*warned)
		log_warn("mark from process %d %s", pid, text);
	*warned = true;
}

/* 1 = a mark, 0 = a datagram that is none, -EAGAIN = nothing more, -errno */
static int receive_one(struct marks *m, struct rec_mark *mark)
{
	char text[MARK_LINE_MAX], control[CMSG_SPACE(sizeof(struct ucred))];
	struct iovec iov = { text, sizeof(text) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct ucred cred;
	bool implausible;
	ssize_t n = recvmsg(m->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	uint64_t now = now_ns();

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (!find_sender(&msg, &cred))
		return 0;
	if (!uid_allowed(m, cred.uid)) {
		warn_once(&m->warned_uid, "refused: its user is neither root nor a target's",
			  cred.pid);
		return 0;
	}
	if ((msg.msg_flags & MSG_TRUNC) || mark_parse(text, (size_t)n, now, mark, &implausible)) {
		warn_once(&m->warned_text, "ignored: it is not 'begin LABEL' or 'end LABEL'",
			  cred.pid);
		return 0;
	}
	if (implausible)
		warn_once(&m->warned_time,
			  "has a stamp that is not CLOCK_MONOTONIC of now: the "
			  "time of arrival is taken",
			  cred.pid);
	mark->pid = (uint32_t)cred.pid;
	return 1;
}

int marks__receive(struct marks *m, struct trace_writer *w)
{
	struct rec_mark batch[BATCH_MAX];
	size_t cnt = 0;
	int ret = 1;

	/* Bounded: a flood must not keep us from draining the rings. */
	for (int tries = 0; tries < 4 * BATCH_MAX && cnt < BATCH_MAX && ret >= 0; tries++) {
		ret = receive_one(m, &batch[cnt]);
		if (ret == 1)
			cnt++;
	}
	if (ret < 0 && ret != -EAGAIN)
		return log_err(ret, "the mark socket");
	if (m->cnt + cnt > MARKS_MAX) {
		warn_once(&m->warned_full, "and later ones ignored: there are too many", 0);
		return 0;
	}
	m->cnt += cnt;
	if (!cnt)
		return 0;
	return trace_writer__chunk(w, REC_MARKS,
				   &(struct trace_part){ batch, cnt * sizeof(batch[0]) }, 1);
}
