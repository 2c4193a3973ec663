// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Thousands of files that go to disk are a few notes, and each is counted in one of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixer/guard.h"
#include "fixer/lock.h"
#include "user/clock.h"

static int set_up(void **state)
{
	struct guard *g = calloc(1, sizeof(*g));

	if (!g)
		return -1;
	urgent_lock__init(&g->lock);
	*state = g;
	return journal__begin(&g->journal, memfd_create("journal", 0));
}

static int tear_down(void **state)
{
	struct guard *g = *state;

	close(g->journal.fd);
	free(g);
	return 0;
}

struct said {
	int notes;
	unsigned int files;
	char last[512];
};

static int count_note(const struct journal_rec *rec, json_t *body, void *arg)
{
	const char *text = json_string_value(json_object_get(body, "text"));
	struct said *s = arg;
	unsigned int more = 0;

	assert_int_equal(rec->kind, REC_NOTE);
	s->notes++;
	if (sscanf(text, "%u more file", &more) == 1)
		s->files += more;
	else if (strstr(text, "as did "))
		s->files += 1 + (unsigned int)strtoul(strstr(text, "as did ") + 7, NULL, 10);
	else
		s->files++;
	snprintf(s->last, sizeof(s->last), "%s", text);
	return 0;
}

static struct said what_was_said(struct guard *g)
{
	struct said s = { 0 };
	struct journal_read r;
	const char *why;

	assert_int_equal(journal__read(g->journal.fd, count_note, &s, &r, &why), 0);
	return s;
}

/* As if so much time had gone by. */
static void pass(struct guard *g)
{
	for (int i = 0; i < TO_DISK_REASONS; i++)
		g->to_disk[i].until_ns = 0;
}

static void many_are_one_note(void **state)
{
	struct guard *g = *state;
	struct said s;

	for (int i = 0; i < 3000; i++)
		to_disk__note(g, "vm", "memory.bin", "no room");
	s = what_was_said(g);
	assert_int_equal(s.notes, 1);
	assert_string_equal(s.last, "vm/memory.bin goes to disk: no room");
	to_disk__note(g, "vm", "memory.bin", "another reason");
	assert_int_equal(what_was_said(g).notes, 2);
	to_disk__sum_up(g, false); /* it is not time yet */
	assert_int_equal(what_was_said(g).notes, 2);
	pass(g);
	to_disk__sum_up(g, false);
	s = what_was_said(g);
	assert_int_equal(s.notes, 3);
	assert_int_equal(s.files, 3001);
	to_disk__sum_up(g, true); /* nothing is left to be said */
	assert_int_equal(what_was_said(g).notes, 3);
}

static void the_next_says_how_many_came_before(void **state)
{
	struct guard *g = *state;
	struct said s;

	for (int i = 0; i < 11; i++)
		to_disk__note(g, "vm", "memory.bin", "no room");
	pass(g);
	to_disk__note(g, "vm", "memory.bin", "no room");
	s = what_was_said(g);
	assert_int_equal(s.notes, 2);
	assert_int_equal(s.files, 12);
	for (int i = 0; i < 5; i++)
		to_disk__note(g, "vm", "memory.bin", "no room");
	to_disk__sum_up(g, true); /* at the end */
	assert_int_equal(what_was_said(g).files, 17);
}

static void what_goes_on_is_said_less_often(void **state)
{
	struct guard *g = *state;
	uint64_t period = 0;

	for (int i = 0; i < 20; i++) {
		to_disk__note(g, "vm", "memory.bin", "no room");
		to_disk__note(g, "vm", "memory.bin", "no room");
		assert_true(g->to_disk[0].period_ns >= period);
		period = g->to_disk[0].period_ns;
		pass(g);
	}
	assert_true(period > 1800000000000ull);
	to_disk__sum_up(g, true);
	pass(g);
	to_disk__note(g, "vm", "memory.bin", "no room"); /* alone again */
	assert_int_equal(g->to_disk[0].period_ns, 1000000000);
}

static void more_reasons_than_there_is_room_for(void **state)
{
	struct guard *g = *state;
	char why[32];

	for (int i = 0; i < 100; i++) {
		snprintf(why, sizeof(why), "reason %d", i);
		to_disk__note(g, "vm", "memory.bin", why);
		to_disk__note(g, "vm", "memory.bin", why);
	}
	to_disk__sum_up(g, true);
	assert_int_equal(what_was_said(g).files, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(many_are_one_note, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_next_says_how_many_came_before, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_goes_on_is_said_less_often, set_up, tear_down),
		cmocka_unit_test_setup_teardown(more_reasons_than_there_is_room_for, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
