// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Defines what common.bpf.h and stacks.bpf.h declare; every other object only refers to it. */
#define COMMON_EXTERN
#include "stacks.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile __u64 cfg_min_sleep_ns = 100000;
const volatile __u64 cfg_min_other_ns = 0;
const volatile __u64 cfg_jiffy_ns = 4000000;
const volatile __u32 cfg_own_tgid = 0;
const volatile bool cfg_sys_exit = true;
const volatile struct text_range cfg_own_text[FP_OWN_TEXT_RANGES] = {};
const volatile struct text_range cfg_sched_text = {};

const volatile __u32 cfg_switch_state_arg = SWITCH_STATE_LAST;
const volatile __u32 cfg_block_queue_arg = 0;
const volatile bool cfg_bdp_dtc = true;
const volatile bool cfg_preempt_known = false;
const volatile __s64 cfg_preempt_distance = 0;

volatile __u32 recording = REC_OFF;
volatile __u32 follow_forks = 0;
volatile __u32 iter_mode = 0;
volatile __u32 iter_tgid = 0;
volatile __u32 iter_found = 0;
volatile __u64 end_ns = 0;
volatile __u32 neighbour_next = 0;
