// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The tables: which probes there are, and in which order causes are tried. */
#include "registry.h"

#include <string.h>

const struct probe *const probes[] = {
	&probe_wbt,    &probe_dirty, &probe_jbd2,   &probe_mballoc, &probe_file,
	&probe_device, &probe_futex, &probe_cpu,    &probe_work,    &probe_interrupt,
	&probe_timer,  &probe_lock,  &probe_memory, &probe_dirtier,
};
const size_t probes_cnt = sizeof(probes) / sizeof(probes[0]);

/*
 * What is nearest to the place where the thread stopped comes first. Every buffered write under
 * wbt is also a write under ext4, so the queue stands before the journal, the journal before locks,
 * these before reclaim, that before pages under writeback, and all before the allocator. Waits that
 * share no frame with any other stand where their subject does.
 */
const struct cause *const cause_tables[] = {
	causes_irq,	causes_throttle, causes_queue,	 causes_dirty,	  causes_jbd2,
	causes_kvm,	causes_lock,	 causes_reclaim, causes_discard,  causes_writeback,
	causes_mballoc, causes_ext4,	 causes_fault,	 causes_other_fs, causes_file,
	causes_futex,	causes_wait,	 causes_device,	 causes_work,	  causes_cpu,
	causes_unknown,
};
const size_t cause_tables_cnt = sizeof(cause_tables) / sizeof(cause_tables[0]);

const struct probe *probes__find(const char *name)
{
	for (size_t i = 0; i < probes_cnt; i++)
		if (!strcmp(probes[i]->name, name))
			return probes[i];
	return NULL;
}
