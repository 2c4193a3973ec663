// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Who waited for which futex, in which mapping, released by whom, and what it was to the window. */
#include "four_futexes.h"
#include "one_window.h"

struct want {
	uint64_t uaddr, wait_us;
	uint32_t tid, waker_tid;
	const char *op, *comm, *waker, *kind, *mapping;
	enum finding_futex_class class;
	uint64_t path_us;
};

/* The table that took a probe round of its own: four futexes of a window of 153 ms. */
static void four_futexes_of_one_window(void **state)
{
	static const char next_to[] = "anon next to .bss of /opt/firecracker";
	static const struct want want[] = {
		{ U_VCPU1, 152560, VCPU1, VMM, "WAIT_BITSET_PRIVATE", "fc_vcpu 1", "labvmm",
		  "anon_next_to_bss", next_to, FUTEX_PASSIVE, 0 },
		{ U_VCPU0, 152490, VCPU, VMM, "WAIT_BITSET_PRIVATE", "fc_vcpu 0", "labvmm",
		  "anon_next_to_bss", next_to, FUTEX_PASSIVE, 0 },
		{ U_API, 152350, API, VMM, "WAIT_BITSET_PRIVATE", "fc_api", "labvmm",
		  "anon_next_to_bss", next_to, FUTEX_PASSIVE, 0 },
		{ U_LOCK, 410, VMM, STRANGER, "WAIT_PRIVATE", "labvmm", "", "heap", "[heap]",
		  FUTEX_CONTENDED, 390 },
	};
	struct trace_builder *b = four_futexes();
	struct findings *f = diagnose(b, "mark");
	const struct finding_window *w = &f->windows[0];

	assert_int_equal(w->duration_ns, 153 * TB_MS);
	assert_int_equal(w->futexes_cnt, 4);
	for (size_t i = 0; i < 4; i++) {
		const struct finding_futex *x = &w->futexes[i];

		assert_int_equal(x->uaddr, want[i].uaddr);
		assert_int_equal(x->wait_ns, want[i].wait_us * TB_US);
		assert_int_equal(x->waits, 1);
		assert_int_equal(x->tid, want[i].tid);
		assert_int_equal(x->waker_tid, want[i].waker_tid);
		assert_string_equal(x->op, want[i].op);
		assert_string_equal(x->comm, want[i].comm);
		assert_string_equal(x->waker_comm, want[i].waker);
		assert_string_equal(x->kind, want[i].kind);
		assert_string_equal(x->mapping, want[i].mapping);
		assert_int_equal(x->class, want[i].class);
		assert_int_equal(x->path_ns, want[i].path_us * TB_US);
	}
	assert_int_equal(ledger_ns(w, "futex.contended"), 390 * TB_US);
	findings__free(f);
	tb__free(b);
}

/* A word on somebody's stack is named by that thread, as the recorder saw it. */
static void a_stack_is_somebodys(void **state)
{
	struct trace_builder *b = four_futexes();
	struct findings *f;

	tb_region(b, VMM, REC_REGION_STACK, 0x3000, 0x3020, VCPU1, "");
	tb_region(b, VMM, REC_REGION_BSS, 0x3020, 0x3060, 0, "/opt/firecracker");
	f = diagnose(b, "mark");
	assert_string_equal(f->windows[0].futexes[2].mapping, "stack of fc_vcpu 1 (103)");
	assert_string_equal(f->windows[0].futexes[2].kind, "stack");
	assert_string_equal(f->windows[0].futexes[1].mapping, ".bss of /opt/firecracker");
	assert_string_equal(f->windows[0].futexes[0].kind, "anon_next_to_bss");
	findings__free(f);
	tb__free(b);
}

/* A wait that a timer ends, or that does not end, is nobody's: idle. */
static void idle_waits_are_independent(void **state)
{
	struct trace_builder *b = begin();
	struct findings *f;

	tb_thread(b, 11, 10, "ticker", FP_TASK_TARGET);
	tb_thread(b, 12, 10, "stuck", FP_TASK_TARGET);
	tb_cpu(b, 1);
	tb_at(b, 101 * MS);
	tb_run_thread(b, 12);
	tb_at(b, 110 * MS);
	tb_preempt(b, 12, 11);
	tb_at(b, 111 * MS);
	tb_block(b, 11, TB_INTERRUPTIBLE);
	tb_at(b, 121 * MS);
	tb_wake_ctx(b, 0, 11, EV_CTX_HARDIRQ, 0, 0);
	tb_resume(b, 11, FUTEX_SLEEP, 0);
	tb_at(b, 122 * MS);
	tb_futex(b, 11, 111 * MS, 0x4000, BITSET, -110);
	tb_at(b, 123 * MS);
	tb_preempt(b, 11, 12);
	tb_at(b, 124 * MS);
	tb_block(b, 12, TB_INTERRUPTIBLE);
	tb_at(b, 290 * MS);
	tb_futex(b, 12, 124 * MS, 0x5000, BITSET, FP_FUTEX_OPEN);
	tb_cpu(b, 0);
	f = end(b);
	assert_int_equal(f->windows[0].futexes_cnt, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(f->windows[0].futexes[i].class, FUTEX_INDEPENDENT);
		assert_int_equal(f->windows[0].futexes[i].waker_tid, 0);
		assert_string_equal(f->windows[0].futexes[i].waker_comm, "");
		assert_int_equal(f->windows[0].futexes[i].path_ns, 0);
	}
	assert_int_equal(f->windows[0].futexes[0].wait_ns, 76 * MS); /* to the window's end */
	assert_int_equal(f->windows[0].futexes[1].wait_ns, 11 * MS);
	findings__free(f);
	tb__free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(four_futexes_of_one_window),
		cmocka_unit_test(a_stack_is_somebodys),
		cmocka_unit_test(idle_waits_are_independent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
