# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Faults of the CPU: taken by others, by ourselves, by a limit; stopped; or simply more to compute.

fault starved cpu.runqueue.other self quick "three other processes want the same CPU"
starved__on() { foreign hog ms=5000 procs=3 cpu=1; }
starved__off() { end_foreign hog; }
starved__window() { "$load" spin ms=20 cpu=1; }

fault realtime cpu.runqueue.other self full "a real-time process takes the CPU in bursts"
realtime__on() { foreign hog ms=5000 cpu=1 fifo=1 run_ms=40 nap_ms=20; }
realtime__off() { end_foreign hog; }
realtime__window() { "$load" spin ms=30 cpu=1; }

fault crowded cpu.runqueue.self self quick "the process's own threads want the same CPU"
crowded__window() { "$load" spin ms=20 cpu=1 threads=$((faulty * 3)); }

fault quota cpu.runqueue.quota self quick "the group may use 20 ms in every 100 ms"
quota__up() { group cpu; }
quota__on() { limit cpu.cfs_quota_us 20000; }
quota__off() { limit cpu.cfs_quota_us -1; }
quota__window() (
	join_group
	exec "$load" spin ms=40 cpu=1
)

# after_victim COMMAND...: in the middle of the pause of the process that says its pid in DIR/victim
after_victim() {
	local pid
	read -r pid <"$dir/victim" || return 1
	sleep 0.03
	"$@" "$pid"
}
expect_victim() { [ -p "$dir/victim" ] || mkfifo "$dir/victim"; }
named_victim() {
	[ $faulty = 0 ] || echo "$BASHPID" >"$dir/victim"
	exec "$load" "$@"
}

fault stopped signal.stop self full "a signal stops the process for 60 ms"
stop_for_a_while() {
	kill -STOP "$1"
	sleep 0.06
	kill -CONT "$1"
}
stopped__on() { expect_victim; after_victim stop_for_a_while & }
stopped__off() { wait; }
stopped__window() (named_victim spin ms=50)

fault frozen_group freezer self full "the freezer stops the group for 60 ms"
frozen_group__up() { group freezer; }
freeze_for_a_while() {
	limit freezer.state FROZEN
	sleep 0.06
	limit freezer.state THAWED
}
frozen_group__on() { expect_victim; after_victim freeze_for_a_while & }
frozen_group__off() { wait; }
frozen_group__window() (
	join_group
	named_victim spin ms=50
)

fault rcu kernel.rcu_gp self quick "the pause waits for RCU grace periods"
rcu__window() { "$load" barrier calls=$((faulty * 6)); }

fault dirty_walk user.cpu self quick "the walk over the dirty bitmap takes three times as long"
dirty_walk__window() { "$load" scan ms=$((20 + faulty * 40)); }

fault small_writes "fs.copy|kernel.cpu_other" - full "ten times as many small writes"
small_writes__up() { fast_disk 256M "$plain" && old_file first 1M; }
small_writes__before() { rm -f "$mnt/diff"; sync -f "$mnt"; }
small_writes__window() { "$load" pieces "path=$mnt/diff" pieces=$((1000 + faulty * 12000)); }
