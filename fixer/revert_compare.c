// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "revert_compare.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "../user/clock.h"
#include "../user/log.h"
#include "lease.h"
#include "link.h"

int revert_compare__keep_both(const struct recovered *f, int err, const char *what)
{
	return log_err(
		err,
		"%s/%s %s: its memory is kept at %s; copy that to where it belongs or remove "
		"it, and repeat the revert",
		f->dir, f->name, what, f->target);
}

int recovered__take_back(struct recovered *f, int rootfd, int filefd, uint64_t deadline_ns)
{
	char tmp[NAME_MAX + 32];
	struct stat st;
	int err, dirfd;

	do {
		if (fstat(filefd, &st) || !st.st_nlink)
			return -EAGAIN; /* removed by its owner: the next look tells */
		if (seen__is_his(&f->seen, &st))
			return revert_compare__keep_both(f, -EUCLEAN, RECOVERED_BOTH_CHANGED);
		export__tmp_name(tmp, sizeof(tmp), f->name);
		err = export__relink(f->dirfd, tmp, f->name, f->target, st.st_dev, st.st_ino);
		if (err && err != -ENOENT)
			return err;
		if (!err)
			break;
		dirfd = link__where(rootfd, filefd, f->dir, f->name);
		if (dirfd < 0)
			return dirfd;
		close(f->dirfd);
		f->dirfd = dirfd;
	} while (now_ns() < deadline_ns);
	if (f->linkfd >= 0)
		close(f->linkfd);
	f->linkfd = link__open(f->dirfd, f->name); /* it is another link than before */
	return err ? err : -ECANCELED;
}

/* Only of what its owner has not touched since. */
static int make_again(struct recovered *f, int rootfd, uint64_t deadline_ns)
{
	int err = recovered__take_back(f, rootfd, f->filefd, deadline_ns);

	if (err == -ECANCELED || err == -EAGAIN)
		return -EAGAIN;
	return err == -EUCLEAN ? err
			       : revert_compare__keep_both(
					 f, err, "should be made again, and cannot be replaced");
}

int revert_compare__file(struct export_worker *w, int rootfd, struct recovered *f,
			 uint64_t deadline_ns)
{
	struct export_hooks hooks = { .cancelled = lease__is_lost, .arg = &f->memory };
	struct export_result res;
	int err = export__compare(w, f->memory, f->filefd, &f->seen, f->file_ctime_ns, &hooks,
				  &res);

	switch (err) {
	case 0:
	case -ESTALE: /* what its owner has changed since is his */
		return 0;
	case -EBADMSG:
	case -EIO:
		log_warn("%s/%s: the disk does not give back what was written: %s", f->dir, f->name,
			 strerror(-err));
		return make_again(f, rootfd, deadline_ns);
	case -EAGAIN: /* somebody has a lease on it */
		return err;
	case -ECANCELED:
		return make_again(f, rootfd, deadline_ns);
	case -EUCLEAN:
		return revert_compare__keep_both(
			f, err, "is not what was written to it, and who changed it is not known");
	case -ENODATA: /* revert_memory() takes that for a loss */
		return revert_compare__keep_both(f, -EIO,
						 "cannot be compared, its memory cannot be read");
	}
	return revert_compare__keep_both(f, err, "cannot be compared");
}
