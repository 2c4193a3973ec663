/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef FLATPAUSE_SYSCALL_TABLE_H
#define FLATPAUSE_SYSCALL_TABLE_H

#include "../../bpf/abi.h"
#include "../../bpf/config.h"

/* What each syscall number of this machine is; FP_MAX_SYSCALL entries. */
void fill_syscall_table(struct sys_desc *table);

#endif
