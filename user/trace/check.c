// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Whether a record may be given to code that trusts its lengths. */
#include "reader_internal.h"

#include <string.h>

static const uint16_t min_sizes[EV_KIND_END] = {
	[EV_LOST] = sizeof(struct ev_lost),
	[EV_STACK] = sizeof(struct ev_stack),
	[EV_SWITCH] = sizeof(struct ev_switch),
	[EV_WAKE] = sizeof(struct ev_wake),
	[EV_FORK] = sizeof(struct ev_task),
	[EV_EXIT] = sizeof(struct ev_task),
	[EV_EXEC] = sizeof(struct ev_task),
	[EV_SLEEP_USTACK] = sizeof(struct ev_sleep_ustack),
	[EV_SAMPLE] = sizeof(struct ev_sample),
	[EV_SYSCALL] = sizeof(struct ev_syscall),
	[EV_SYSCALL_ARGS] = sizeof(struct ev_syscall_args),
	[EV_OPEN] = sizeof(struct ev_open),
	[EV_FUTEX] = sizeof(struct ev_futex),
	[EV_PATH] = sizeof(struct ev_path),
	[EV_API] = sizeof(struct ev_api),
	[EV_SPAN] = sizeof(struct ev_span),
	[EV_POINT] = sizeof(struct ev_point),
	[EV_BIO] = sizeof(struct ev_bio),
	[EV_RQ] = sizeof(struct ev_rq),
	[EV_DIRTY] = sizeof(struct ev_dirty),
	[EV_TASK] = sizeof(struct ev_task_state),
	[EV_WORK] = sizeof(struct ev_work),
	[EV_EXTENTS] = sizeof(struct ev_extents),
};
_Static_assert(EV_KIND_END == EV_EXTENTS + 1, "a kind without its row is skipped as unknown");

static bool is_terminated(const char *s, size_t room)
{
	return memchr(s, 0, room) != NULL;
}

static bool check_stack(const struct ev_stack *e)
{
	return e->frames_cnt <= FP_MAX_FRAMES &&
	       e->frames_cnt <= (e->h.size - sizeof(*e)) / sizeof(e->frames[0]);
}

static bool check_path(const struct ev_path *e)
{
	size_t tail = e->h.size - sizeof(*e);

	return e->old_len && e->new_len && (size_t)e->old_len + e->new_len <= tail &&
	       !e->paths[e->old_len - 1] && !e->paths[e->old_len + e->new_len - 1];
}

static bool check_extents(const struct ev_extents *e)
{
	return is_terminated(e->comm, sizeof(e->comm)) && is_terminated(e->dir, sizeof(e->dir)) &&
	       is_terminated(e->name, sizeof(e->name)) && e->block_bits < 32;
}

static bool check_tail(const struct ev_hdr *h)
{
	const void *e = h;

	switch (h->kind) {
	case EV_STACK:
		return check_stack(e);
	case EV_PATH:
		return check_path(e);
	case EV_FORK:
	case EV_EXIT:
	case EV_EXEC:
		return is_terminated(((const struct ev_task *)e)->comm, FP_COMM_LEN);
	case EV_TASK:
		return is_terminated(((const struct ev_task_state *)e)->comm, FP_COMM_LEN);
	case EV_OPEN:
		return is_terminated(((const struct ev_open *)e)->path,
				     h->size - sizeof(struct ev_open));
	case EV_API:
		return ((const struct ev_api *)e)->len <= FP_MAX_API &&
		       ((const struct ev_api *)e)->len <= h->size - sizeof(struct ev_api);
	case EV_EXTENTS:
		return check_extents(e);
	default:
		return true;
	}
}

enum record_state check_record(const struct ev_hdr *hdr, size_t room)
{
	if (room < sizeof(*hdr) || hdr->size < sizeof(*hdr) || hdr->size % 8 || hdr->size > room)
		return RECORD_BROKEN;
	if (hdr->kind >= EV_KIND_END || !min_sizes[hdr->kind])
		return RECORD_UNKNOWN;
	if (hdr->size < min_sizes[hdr->kind] || !check_tail(hdr))
		return RECORD_BAD;
	return RECORD_OK;
}
