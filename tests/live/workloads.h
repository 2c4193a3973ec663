/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the recorded processes of the live tests do. Each gives an exit status. */
#ifndef FLATPAUSE_TESTS_WORKLOADS_H
#define FLATPAUSE_TESTS_WORKLOADS_H

#include <stdint.h>
#include <sys/types.h>

#define SLEEP_NS 20000000

/* What a workload tells the test */
struct told {
	pid_t tid, other_tid;
	uint64_t ino, address;
	uint32_t dev;
	int fd, fd2;
};

#define HOG_NAME  "fp-live-hog"
#define SOME_FILE "/tmp/flatpause-live-file"

int sleep_by_nanosleep(void *told);
int sleep_by_pipe(void *told);
int sleep_by_futex(void *told);
int sleep_in_futex_forever(void *told);
int sleep_in_pipe_forever(void *told);
int use_files(void *told);
int sync_file(void *told);
int let_child_sync(void *told);	  /* `told` is of the child's file; other_tid is the child */
int mount_again(void *told);	  /* FLATPAUSE_LOOP at FLATPAUSE_EXT4; then as sync_file */
int write_in_turn(void *told);	  /* two threads, one file, one CPU: each waits for its lock */
int sleep_by_socket(void *told);  /* until the receive timeout */
int run_out_of_quota(void *told); /* in the CPU group FLATPAUSE_GROUP */
int share_a_cpu(void *told);	  /* with HOG_NAME, other_tid, until `address` (ns) */
int compact_memory(void *told);
int open_no_output(void *told); /* a FIFO and a log, on FLATPAUSE_EXT4 */
int serve_api(void *told);
int make_threads(void *told);
int make_threads_late(void *told);
int make_child(void *told);
int rename_thread(void *told);
int many_calls(void *told);
int burn(void *told);
int touch_memory(void *told);

/* Where the user stack of sleep_by_nanosleep must pass through; noinline, with frame pointers */
void nap_inner(void);
void nap_outer(void);
#define NAP_BYTES  256

#define MANY_CALLS 20000

#endif
