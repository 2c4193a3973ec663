/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Options that record and sweep share, and how they become what the recorder takes. */
#ifndef FLATPAUSE_CAPTURE_OPTIONS_H
#define FLATPAUSE_CAPTURE_OPTIONS_H

#include "../capture/recorder.h"
#include "params.h"

#define CAPTURE_PIDS_MAX 256

struct capture_options {
	struct param_list pids;
	const char *output;
	bool force;
	struct param_list disks;
	const char *window;
	uint64_t ring_bytes;
	uint64_t min_sleep_ns;
	uint32_t sample_hz;
	bool syscalls;
	bool wakes;
	bool upper_rungs;
	bool compress;
	bool marks;
	double max_loss_percent;
	bool json;
	bool verbose, debug, quiet;
	/* made from the above by capture_options__check */
	pid_t pid[CAPTURE_PIDS_MAX];
	size_t pid_cnt;
	char default_output[64];
};

/* Rows of the option table of a verb whose struct has a `struct capture_options _f`. */
#define CAPTURE_PARAMS_TARGET(_s, _f)                           \
	PARAM(_s, _f.pids, "pid", 'p', PARAM_LIST, "PID[,PID]", \
	      "record this process; may be given several times")
#define CAPTURE_PARAMS_OUTPUT(_s, _f)                                                \
	PARAM(_s, _f.output, "output", 'o', PARAM_STRING, "FILE",                    \
	      "the trace; default flatpause-DATE.fpt"),                              \
		PARAM(_s, _f.force, "force", 'f', PARAM_FLAG, NULL, "replace FILE"), \
		PARAM(_s, _f.compress, "compress", 0, PARAM_FLAG, NULL,              \
		      "deflate the trace: smaller, more CPU time"),                  \
		PARAM(_s, _f.json, "json", 0, PARAM_FLAG, NULL, "say the result as JSON")
#define CAPTURE_PARAMS_COMMON(_s, _f)                                                    \
	PARAM_HEADING("what is recorded"),                                               \
		PARAM(_s, _f.min_sleep_ns, "min-sleep", 0, PARAM_DURATION, "DURATION",   \
		      "stacks of sleeps this long (100us); 0 = of all"),                 \
		{ .name = "hz",                                                          \
		  .type = PARAM_U32,                                                     \
		  .offset = offsetof(_s, _f.sample_hz),                                  \
		  .min = 0,                                                              \
		  .max = 9999,                                                           \
		  .arg = "N",                                                            \
		  .help = "on-CPU samples per second and CPU (199); 0 = none" },         \
		PARAM(_s, _f.syscalls, "no-syscalls", 0, PARAM_NO_FLAG, NULL,            \
		      "no syscalls: cheaper; no files, no API windows"),                 \
		PARAM(_s, _f.wakes, "no-wakes", 0, PARAM_NO_FLAG, NULL,                  \
		      "not who woke whom: cheaper, but no critical path"),               \
		PARAM(_s, _f.upper_rungs, "floor", 0, PARAM_NO_FLAG, NULL,               \
		      "tracepoints only, even where better hooks work"),                 \
		PARAM(_s, _f.disks, "disk", 0, PARAM_LIST, "PATH",                       \
		      "describe the disk behind PATH too"),                              \
		PARAM(_s, _f.ring_bytes, "ring", 0, PARAM_SIZE, "SIZE",                  \
		      "buffer per CPU, a power of two (2M)"),                            \
		PARAM(_s, _f.marks, "no-marks", 0, PARAM_NO_FLAG, NULL,                  \
		      "do not listen for `flatpause mark`"),                             \
		PARAM(_s, _f.max_loss_percent, "max-loss", 0, PARAM_PERCENT, "PERCENT",  \
		      "exit with 6 if more records are lost (1)"),                       \
		PARAM_HEADING("messages"),                                               \
		PARAM(_s, _f.verbose, "verbose", 'v', PARAM_FLAG, NULL,                  \
		      "say more; also what the command prints"),                         \
		PARAM(_s, _f.debug, "debug", 0, PARAM_FLAG, NULL, "libbpf's words too"), \
		PARAM(_s, _f.quiet, "quiet", 'q', PARAM_FLAG, NULL, "errors only")

void capture_options__defaults(struct capture_options *o);

/* Checks what the table cannot, picks the output's name, sets the log level. 0 or -EINVAL (said). */
int capture_options__check(struct capture_options *o);

/* Fills the fields that come from here; pointers lie in `o`. */
void capture_options__apply(const struct capture_options *o, struct recorder_opts *r);

/* "auto", "exec", "reported", "mark", "api", "file:GLOB" */
bool window_is_known(const char *window);

/* A power of two, at least a page: 0 or -EINVAL (said, with the nearest that will do). */
int check_ring_bytes(uint64_t bytes);

/* What was recorded and what it cost, for people; a hint at what comes next unless lost. */
void print_summary(const struct capture_options *o, const struct recorder_summary *sum);

/* The same for programs: {"trace","events","bytes","loss","cost",...}; NULL = no memory. */
json_t *summary_json(const struct capture_options *o, const struct recorder_summary *sum);

/* Prints and drops `o`: FP_EXIT_OK or FP_EXIT_FAILED. */
int print_json(json_t *o);

double loss_percent(const struct recorder_summary *sum);

/* From what recorder__start returned. */
int exit_of_start(int err);

/* The exit code that passes on how the command ended: its status, or 128 + signal, or FAILED. */
int exit_of_command(int status);

#endif
