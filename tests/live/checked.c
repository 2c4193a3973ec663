// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "checked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "user/capture/kernel_shape.h"

void record_with(struct recorded *r, const struct recorded_opts *o)
{
	assert_int_equal(record_run(r, o), 0);
	assert_int_equal(r->err, 0);
	assert_int_equal(r->lost, 0);
	assert_true(WIFEXITED(r->status) && WEXITSTATUS(r->status) == 0);
}

void record_it(struct recorded *r, int (*run)(void *))
{
	struct recorded_opts o = { .capture = usual_capture(), .run = run };

	record_with(r, &o);
}

static bool has_tracepoint(const char *name)
{
	struct kernel_shape shape;
	char section[64];
	bool has;

	assert_int_equal(kernel_shape__read(&shape, false), 0);
	snprintf(section, sizeof(section), "tp_btf/%s", name);
	has = kernel_shape__has(&shape, section);
	kernel_shape__free(&shape);
	return has;
}

void need_probe(const char *name, const char *tracepoint)
{
	struct capture_opts o = usual_capture();
	const struct capture_hook *h;
	struct capture *c = NULL;
	size_t cnt = 0, i;

	if (!has_tracepoint(tracepoint)) {
		print_message("this kernel has no tracepoint %s\n", tracepoint);
		skip();
	}
	assert_int_equal(capture__open(&c, &o), 0);
	h = capture__hooks(c, &cnt);
	for (i = 0; i < cnt && strcmp(h[i].probe, name) != 0; i++)
		;
	assert_true(i < cnt);
	assert_string_equal(h[i].rung, "best");
	capture__close(c);
}

const struct told *told(const struct recorded *r)
{
	return r->mem;
}

bool was_woken_by(const struct recorded *r, uint32_t wakee, uint32_t waker)
{
	const struct ev_wake *w;
	size_t pos = 0;

	while ((w = recorded__next(r, &pos, EV_WAKE, waker)))
		if (w->wakee_tid == wakee && w->h.ctx == EV_CTX_TASK)
			return true;
	return false;
}

int text_begins(uint64_t addr, const char *prefix)
{
	struct ev_stack *s = calloc(1, sizeof(*s) + sizeof(s->frames[0]));
	int has;

	assert_non_null(s);
	s->frames_cnt = 1;
	s->frames[0] = addr;
	has = stack_has(s, prefix);
	free(s);
	return has;
}
