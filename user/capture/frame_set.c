// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "frame_set.h"

#include <errno.h>
#include <stdlib.h>

static struct frame *find_slot(struct frame *slots, size_t cnt, uint32_t tgid, uint64_t addr)
{
	size_t i = ((addr ^ (uint64_t)tgid << 40) * 0x9e3779b97f4a7c15ull) >> 20;

	for (;; i++) {
		struct frame *f = &slots[i & (cnt - 1)];

		if (!f->addr || (f->addr == addr && f->tgid == tgid))
			return f;
	}
}

static int grow(struct frame_set *s)
{
	size_t cnt = s->slots_cnt ? s->slots_cnt * 2 : 1024;
	struct frame *slots = calloc(cnt, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < s->slots_cnt; i++)
		if (s->slots[i].addr)
			*find_slot(slots, cnt, s->slots[i].tgid, s->slots[i].addr) = s->slots[i];
	free(s->slots);
	s->slots = slots;
	s->slots_cnt = cnt;
	return 0;
}

int frame_set__add(struct frame_set *s, uint32_t tgid, uint64_t addr)
{
	struct frame *f;

	if (!addr)
		return 0;
	/* Half full at most: probes stay short, and there is always a free slot to stop at. */
	if (s->used * 2 >= s->slots_cnt) {
		int err = grow(s);

		if (err)
			return err;
	}
	f = find_slot(s->slots, s->slots_cnt, tgid, addr);
	if (f->addr)
		return 0;
	f->addr = addr;
	f->tgid = tgid;
	s->used++;
	return 0;
}

void frame_set__free(struct frame_set *s)
{
	free(s->slots);
	*s = (struct frame_set){ 0 };
}
