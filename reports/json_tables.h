/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The tables of finding_tables.h as JSON; json.c is what others use. */
#ifndef FLATPAUSE_REPORTS_JSON_TABLES_H
#define FLATPAUSE_REPORTS_JSON_TABLES_H

#include "finding_tables.h"
#include "json_out.h"

/* The largest size of each bucket but the last, which has none: what `cumulative` goes by. */
void json_size_limits(struct json_out *j, const char *key);

void json_sizes(struct json_out *j, const char *key, const struct finding_sizes *v, size_t cnt);
/* `window_ns`: what makes a mean number of threads of a time. */
void json_states(struct json_out *j, const char *key, const struct finding_state *v, size_t cnt,
		 uint64_t window_ns);
/* With `regimes` each row says of which windows it is. */
void json_latencies(struct json_out *j, const char *key, const struct finding_latency *v,
		    size_t cnt, bool regimes);
void json_rounds(struct json_out *j, const char *key, const struct finding_rounds *r);

#endif
