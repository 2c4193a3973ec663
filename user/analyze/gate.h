/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * When a gate passes and when it fails. A look is one set of sweeps: it regressed when its curve is
 * STEPPED or when its level is above the baseline's; it is clear when its curve is FLAT and its
 * level is not. Only a second, independent look that regressed in the same way makes a failure.
 */
#ifndef FLATPAUSE_GATE_H
#define FLATPAUSE_GATE_H

#include <stdbool.h>
#include "../../reports/gate.h"
#include "baseline.h"
#include "curve_evidence.h"
#include "curve_input.h"

enum gate_state {
	GATE_OPEN = 0, /* more sweeps may decide it */
	GATE_CLEAR = 1,
	GATE_REGRESSED = 2,
};

/*
 * Judges sweeps, again after some were added. `base` is NULL without a baseline, and has as many
 * windows a sweep. 0; -EINVAL (said), -ENOMEM.
 */
int gate_look__judge(struct gate_look *look, const struct curve_input *in,
		     const struct baseline_entry *base);
enum gate_state gate_look__state(const struct gate_look *look);

/* Sets outcome, headline and text from the looks. 0 or -ENOMEM. */
int gate__decide(struct gate_report *r, bool fail_unconfirmed);

/*
 * Which causes grew: behind the step against the windows before it; where only the level rose,
 * against the baseline. Nothing where the files had no ledgers. 0 or -ENOMEM.
 */
int gate__name_causes(struct gate_report *r, const struct curve_evidence *e,
		      const struct baseline_entry *base);

/* An entry for these sweeps as they are, dated today. 0 or -ENOMEM. */
int gate__make_baseline(const struct gate_look *look, const struct curve_evidence *e,
			const char *host_class, struct baseline_entry *out);

#endif
