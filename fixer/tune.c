// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "tune.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "../user/cli/params.h"
#include "../user/host/read.h"
#include "../user/log.h"

/* A third of a second on a disk of 100 MB/s: small beside a backlog, large beside a write. */
#define CHOSEN_MAX_BYTES (32ull << 20)
/* From which part on the slow windows' time is said to be an earlier window's. */
#define BACKLOG_SHARE	  0.2

#define PARTS_PER_MILLION 1000000ull

void tune_conf__defaults(struct tune_conf *c)
{
	*c = (struct tune_conf){ .max_bytes = TUNE_LEAVE,
				 .wbt_lat_usec = TUNE_LEAVE,
				 .background_bytes = TUNE_LEAVE };
}

bool tune_conf__is_empty(const struct tune_conf *c)
{
	return c->max_bytes == TUNE_LEAVE && c->wbt_lat_usec == TUNE_LEAVE &&
	       c->background_bytes == TUNE_LEAVE;
}

/* ---- what the evidence asks for ---- */

static bool is_under(const char *cause, const char *prefix)
{
	return !strncmp(cause, prefix, strlen(prefix));
}

/* Of the windows' time, what earlier windows left behind. */
static double backlog_share(const json_t *diagnosis)
{
	const json_t *window, *row;
	double all = 0, old = 0;
	size_t i, k;

	json_array_foreach (json_object_get(diagnosis, "windows"), i, window) {
		if (json_is_false(json_object_get(window, "slow")))
			continue;
		all += json_number_value(json_object_get(window, "duration_ms"));
		json_array_foreach (json_object_get(window, "ledger"), k, row)
			old += json_number_value(json_object_get(row, "carry_over_ms"));
	}
	return all > 0 ? old / all : 0;
}

void tune_conf__choose(struct tune_conf *c, const json_t *diagnosis)
{
	const char *cause =
		json_string_value(json_object_get(json_object_get(diagnosis, "verdict"), "cause"));
	bool waits_for_disk;

	tune_conf__defaults(c);
	if (!cause)
		return;
	waits_for_disk = is_under(cause, "io.") || is_under(cause, "jbd2.") ||
			 is_under(cause, "fs.writeback_wait") ||
			 is_under(cause, "writeback.wait_flusher");
	if (waits_for_disk && backlog_share(diagnosis) >= BACKLOG_SHARE)
		c->max_bytes = CHOSEN_MAX_BYTES;
	else if (!strcmp(cause, "io.throttle.wbt"))
		c->wbt_lat_usec = 0;
}

static void add_option(char *buf, size_t size, const char *name, uint64_t value)
{
	size_t len = strlen(buf);

	if (value != TUNE_LEAVE && len < size)
		snprintf(buf + len, size - len, "%s--%s %" PRIu64, len ? " " : "", name, value);
}

void tune_conf__options(const struct tune_conf *c, char *buf, size_t size)
{
	buf[0] = '\0';
	add_option(buf, size, "max-bytes", c->max_bytes);
	add_option(buf, size, "wbt-lat-usec", c->wbt_lat_usec);
	add_option(buf, size, "background-bytes", c->background_bytes);
	if (c->background_bytes != TUNE_LEAVE && strlen(buf) + 10 < size)
		strcat(buf, " --global");
}

/* ---- the knobs ---- */

/* Adds a knob unless it has that value already. The number of knobs, or -errno. */
static int add(struct knob *knobs, int cnt, const char *root, const char *path, uint64_t value,
	       const char *why)
{
	struct knob k = { 0 };
	int err;

	if (cnt < 0)
		return cnt;
	snprintf(k.path, sizeof(k.path), "%s", path);
	snprintf(k.now, sizeof(k.now), "%" PRIu64, value);
	snprintf(k.why, sizeof(k.why), "%s", why);
	err = knob__look(&k, root);
	if (err)
		return log_err(err == -ENOENT ? -EOPNOTSUPP : err,
			       "cannot read %s: this kernel or device does not have it", path);
	if (!strcmp(k.old, k.now))
		return cnt;
	knobs[cnt] = k;
	return cnt + 1;
}

/*
 * The kernel keeps a share of the host's dirty limit, in parts per million, and what it shows as
 * bytes moves with the memory that is free: the share is what can be compared later.
 */
static int share_of_limit(const char *root, const char *bdi, uint64_t bytes, uint64_t *share)
{
	uint64_t shown, fine;

	if (read_number(root, &shown, "%s/max_bytes", bdi) ||
	    read_number(root, &fine, "%s/max_ratio_fine", bdi) || !fine)
		return log_err(-EOPNOTSUPP,
			       "no %s/max_bytes and max_ratio_fine here (kernels before 6.2)", bdi);
	shown = (unsigned __int128)shown * PARTS_PER_MILLION / fine; /* the host's whole limit */
	if (!shown)
		return log_err(-EOPNOTSUPP, "%s/max_bytes is 0", bdi);
	*share = (unsigned __int128)bytes * PARTS_PER_MILLION / shown;
	if (*share > PARTS_PER_MILLION)
		*share = PARTS_PER_MILLION;
	return *share ? 0
		      : log_err(-EINVAL,
				"--max-bytes: less than a millionth of what may be dirty on this "
				"host");
}

static int add_max_bytes(struct knob *knobs, int cnt, const char *root, const char *bdi,
			 uint64_t bytes)
{
	char path[KNOB_PATH], why[96], size[32];
	uint64_t share;
	int err;

	if (cnt < 0)
		return cnt;
	err = share_of_limit(root, bdi, bytes, &share);
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/max_ratio_fine", bdi);
	snprintf(why, sizeof(why), "at most %s dirty on this device",
		 format_bytes(bytes, size, sizeof(size)));
	cnt = add(knobs, cnt, root, path, share, why);
	snprintf(path, sizeof(path), "%s/strict_limit", bdi);
	return add(knobs, cnt, root, path, 1,
		   "from the first byte on, not only near the host's limit");
}

/* Writing bytes clears the ratio: where there was one, that is what has to be written back. */
static int add_background(struct knob *knobs, int cnt, const char *root, uint64_t bytes)
{
	static const char path[] = "/proc/sys/vm/dirty_background_bytes";
	static const char ratio[] = "/proc/sys/vm/dirty_background_ratio";
	int before = cnt;

	cnt = add(knobs, cnt, root, path, bytes, "the flusher begins earlier, on the whole host");
	if (cnt <= before || strcmp(knobs[before].old, "0") != 0)
		return cnt;
	snprintf(knobs[before].undo_path, KNOB_PATH, "%s", ratio);
	if (read_text(root, knobs[before].undo_value, KNOB_VALUE, "%s", ratio) <= 0)
		return log_err(-EIO, "cannot read %s", ratio);
	return cnt;
}

/* The whole disk has the queue: a partition's directory lies in it. */
static void queue_dir(const char *root, uint64_t dev, char *path, size_t size)
{
	uint64_t part;
	bool is_part = !read_number(root, &part, "/sys/dev/block/%u:%u/partition", major(dev),
				    minor(dev));

	snprintf(path, size, "/sys/dev/block/%u:%u/%squeue", major(dev), minor(dev),
		 is_part ? "../" : "");
}

/* A partition shares the disk's bdi; its number is in the disk's directory. */
static int bdi_dir(const char *root, uint64_t dev, char *path, size_t size)
{
	char disk[KNOB_VALUE];
	uint64_t part;

	snprintf(disk, sizeof(disk), "%u:%u", major(dev), minor(dev));
	if (!read_number(root, &part, "/sys/dev/block/%s/partition", disk) &&
	    read_text(root, disk, sizeof(disk), "/sys/dev/block/%u:%u/../dev", major(dev),
		      minor(dev)) <= 0)
		return log_err(-ENODEV, "no disk behind %u:%u", major(dev), minor(dev));
	snprintf(path, size, "/sys/class/bdi/%s", disk);
	return 0;
}

int tune__knobs(const struct tune_conf *c, uint64_t dev, const char *root,
		struct knob knobs[KNOBS_MAX])
{
	char dir[KNOB_PATH - 24], path[KNOB_PATH];
	int cnt = 0;

	if (c->max_bytes != TUNE_LEAVE) {
		cnt = bdi_dir(root, dev, dir, sizeof(dir));
		cnt = add_max_bytes(knobs, cnt, root, dir, c->max_bytes);
	}
	if (c->wbt_lat_usec != TUNE_LEAVE) {
		queue_dir(root, dev, dir, sizeof(dir));
		snprintf(path, sizeof(path), "%s/wbt_lat_usec", dir);
		cnt = add(knobs, cnt, root, path, c->wbt_lat_usec,
			  c->wbt_lat_usec ? "target of writeback throttling in microseconds"
					  : "no writeback throttling on this device");
	}
	if (c->background_bytes != TUNE_LEAVE)
		cnt = add_background(knobs, cnt, root, c->background_bytes);
	return cnt;
}

/* ---- setting and putting back ---- */

static int put_back(const struct knob *k, const char *root)
{
	char present[KNOB_VALUE];
	int how = knob__revert(k, root, present);

	if (how < 0)
		return log_err(how, "cannot write %s back to %s", k->old, k->path);
	if (how == KNOB_FOREIGN)
		log_warn("%s is %s now, which is not what we wrote (%s): somebody else changed it, "
			 "and "
			 "it is left so; it was %s",
			 k->path, present, k->now, k->old);
	if (how == KNOB_GONE)
		log_info("%s is gone with its device", k->path);
	return 0;
}

int tune__set(struct journal *j, const struct knob *knobs, int cnt, const char *root)
{
	int err = 0, i;

	for (i = 0; i < cnt && !err; i++) {
		err = journal__append(j, REC_KNOB, knob__to_json(&knobs[i]), 1);
		if (err)
			log_err(err, "cannot write the journal");
		else if ((err = knob__set(&knobs[i], root)))
			log_err(err, "cannot write %s to %s", knobs[i].now, knobs[i].path);
	}
	for (; err && i > 0; i--)
		put_back(&knobs[i - 1], root);
	return err;
}

int tune__revert(const json_t *knobs, const char *root)
{
	int err = 0;

	for (size_t i = json_array_size(knobs); i > 0; i--) {
		struct knob k;
		int one = knob__from_json(json_array_get(knobs, i - 1), &k);

		if (one)
			one = log_err(-EBADMSG, "the journal names a setting that is none of ours");
		else
			one = put_back(&k, root);
		err = err ? err : one;
	}
	return err;
}
