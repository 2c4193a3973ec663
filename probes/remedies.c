// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What to do about each cause, and what will not help with it. All rows that hold the verdict's
 * cause apply, in this order: what flatpause can do itself stands before what others have to do.
 */
#include "registry.h"

const struct remedy remedies[] = {
	{ .causes = NAMES("io.throttle"),
	  .mitigation = "memfd",
	  .why = "the pause waits in the queue of a busy disk{blame}: a "
		 "memory-backed target takes its writes off that queue, and exports "
		 "them after the window" },
	{ .causes = NAMES("io.throttle.wbt"),
	  .mitigation = "tune",
	  .why = "a bound on the device's dirty backlog bounds what the fsync waits "
		 "behind; the copy that makes it gets slower" },
	{ .causes = NAMES("io.throttle.blk", "io.throttle.iocost", "io.throttle.iolatency"),
	  .mitigation = "host",
	  .why = "the control group of the writer is limited: lift its limit for "
		 "the snapshot disk, or write from a group without one",
	  .command = "echo {io_none} > {io_file}" },
	{ .causes = NAMES("io.throttle"),
	  .mitigation = "none",
	  .why = "fallocate will not help by what it allocates: the writes wait for "
		 "the device's queue, not for the block allocator" },
	{ .causes = NAMES("io.tag_wait", "io.sched_queue"),
	  .mitigation = "memfd",
	  .why = "the pause waits for room in a full queue{blame}: a memory-backed "
		 "target does not use it" },
	{ .causes = NAMES("io.tag_wait", "io.sched_queue"),
	  .mitigation = "host",
	  .why = "the queue is shared with whoever fills it: more requests shorten "
		 "the wait for one, not the device's work",
	  .command = "echo 1024 > /sys/block/{disk}/queue/nr_requests",
	  .undo = "echo {requests} > /sys/block/{disk}/queue/nr_requests" },
	{ .causes = NAMES("io.queue_frozen"),
	  .mitigation = "host",
	  .why = "somebody changes the block queue (scheduler, nr_requests, wbt, a "
		 "partition scan) while the pause writes: do that between pauses",
	  .command = "" },
	{ .causes = NAMES("io.queue_frozen"),
	  .mitigation = "memfd",
	  .why = "a memory-backed target does not meet the frozen queue" },
	{ .causes = NAMES("io.tag_wait", "io.sched_queue", "io.queue_frozen"),
	  .mitigation = "none",
	  .why = "fallocate will not help by what it allocates: as many requests go "
		 "through the same queue" },
	{ .causes = NAMES("io.device_service", "io.completion_delivery", "io.flush"),
	  .mitigation = "memfd",
	  .why = "the pause waits for the device{blame}: with a memory-backed "
		 "target the device's work comes after the pause" },
	{ .causes = NAMES("fs.writeback_wait"),
	  .mitigation = "memfd",
	  .why = "the fsync in the pause waits for pages on their way to the "
		 "device{blame}: with a memory-backed target that comes after the "
		 "pause" },
	{ .causes = NAMES("io.device_service", "fs.writeback_wait"),
	  .mitigation = "app",
	  .why = "fewer bytes in the pause: a diff snapshot in place of a full one, "
		 "and the bulk copy begun after the resume" },
	{ .causes = NAMES("fs.writeback_wait"),
	  .mitigation = "tune",
	  .why = "a bound on the device's dirty backlog bounds what the fsync waits "
		 "behind" },
	{ .causes = NAMES("io.flush"),
	  .mitigation = "app",
	  .why = "each fsync is a flush of the drive's cache: one for the last file "
		 "in place of one per file, or a drive with power-loss protection, "
		 "which answers at once" },
	{ .causes = NAMES("io.device_service", "io.completion_delivery", "io.flush",
			  "fs.writeback_wait"),
	  .mitigation = "none",
	  .why = "fallocate will not help by what it allocates: the time is the "
		 "device's; the same bytes go to it with and without preallocation" },
	{ .causes = NAMES("discard"),
	  .mitigation = "host",
	  .why = "freed blocks are discarded while the pause waits: discard at set "
		 "times instead (fstrim)",
	  .command = "mount -o remount,nodiscard {mount}",
	  .undo = "mount -o remount,discard {mount}" },
	{ .causes = NAMES("discard"),
	  .mitigation = "none",
	  .why = "fallocate will not help: it is freeing blocks that costs here, "
		 "not getting them" },
	{ .causes = NAMES("writeback"),
	  .mitigation = "memfd",
	  .why = "more is written in the pause than may be dirty{blame}: pages of a "
		 "memory-backed target are never counted as dirty, so nothing "
		 "throttles the writer" },
	{ .causes = NAMES("writeback"),
	  .mitigation = "tune",
	  .why = "a lower limit keeps the backlog between pauses small; it helps "
		 "where the pause itself writes little" },
	{ .causes = NAMES("writeback.dirty_throttle"),
	  .mitigation = "none",
	  .why = "fallocate will not help by what it allocates: the writer is held "
		 "for the number of dirty pages, which preallocation leaves as it is" },
	{ .causes = NAMES("writeback.wait_flusher", "writeback.flusher_run"),
	  .mitigation = "none",
	  .why = "fallocate will not help by what it allocates: the flusher works "
		 "on what is dirty, preallocated or not" },
	{ .causes = NAMES("jbd2"),
	  .mitigation = "memfd",
	  .why = "the pause waits for the journal that other writers keep "
		 "busy{blame}: a memory-backed target has no journal" },
	{ .causes = NAMES("jbd2.checkpoint"),
	  .mitigation = "host",
	  .why = "the journal is too small for what is written: give the snapshots "
		 "a file system whose journal is larger (mkfs.ext4 -J size=1024)",
	  .command = "" },
	{ .causes = NAMES("jbd2"),
	  .mitigation = "host",
	  .why = "a journal belongs to one file system: snapshots on one of their "
		 "own do not wait for the handles of others",
	  .command = "" },
	{ .causes = NAMES("jbd2"),
	  .mitigation = "none",
	  .why = "fallocate will not help by what it allocates: the fsync waits for "
		 "a commit; preallocated extents are converted in the journal as "
		 "well" },
	{ .causes = NAMES("ext4.alloc", "ext4.bitmap_io", "ext4.csum", "ext4.delalloc_reserve"),
	  .mitigation = "fallocate",
	  .why = "blocks are searched for inside the pause{lost}: done before it, "
		 "the search for free space costs the pause nothing" },
	{ .causes = NAMES("ext4.bitmap_io"),
	  .mitigation = "host",
	  .why = "reading the bitmaps once before the pause keeps them in memory; "
		 "the mount option prefetch_block_bitmaps does it at mount",
	  .command = "cat /proc/fs/ext4/{disk}/mb_groups > /dev/null" },
	{ .causes = NAMES("ext4"),
	  .mitigation = "memfd",
	  .why = "a memory-backed target needs no blocks in the pause; the "
		 "allocation happens at the export" },
	{ .causes = NAMES("ext4.extent_convert"),
	  .mitigation = "none",
	  .why = "fallocate will not help but is what costs here: extents that it "
		 "made are converted once they are written; a file that was written "
		 "before is overwritten without that" },
	{ .causes = NAMES("ext4.writepages"),
	  .mitigation = "none",
	  .why = "fallocate will not help by what it allocates: preparing pages is "
		 "work for the CPU, whether their blocks are known or not" },
	{ .causes = NAMES("fs.truncate_punch"),
	  .mitigation = "memfd",
	  .why = "the pause frees the blocks of an old file: a new memory-backed "
		 "target has none to free" },
	{ .causes = NAMES("fs.truncate_punch"),
	  .mitigation = "app",
	  .why = "remove the old file before the pause, and write to a new name" },
	{ .causes = NAMES("fs.truncate_punch"),
	  .mitigation = "none",
	  .why = "fallocate will not help: what it adds to a file is freed as well "
		 "when that is truncated" },
	{ .causes = NAMES("fs.copy"),
	  .mitigation = "app",
	  .why = "the pause copies bytes: fewer of them (a diff snapshot), in "
		 "larger writes, or after the resume from memory that is "
		 "write-protected" },
	{ .causes = NAMES("fs.copy"),
	  .mitigation = "none",
	  .why = "fallocate will not help, nor will a memory-backed target: the "
		 "same bytes are copied" },
	{ .causes = NAMES("fs.read", "mm.fault.file_read"),
	  .mitigation = "host",
	  .why = "the pause reads what is not in memory: read it before the pause",
	  .command = "cat {file} > /dev/null" },
	{ .causes = NAMES("fs.read", "mm.fault"),
	  .mitigation = "none",
	  .why = "fallocate will not help: reading and faulting bring pages in, and "
		 "allocate nothing on the target" },
	{ .causes = NAMES("lock.inode", "lock.i_data_sem"),
	  .mitigation = "app",
	  .why = "somebody else holds the file that is written{actor}: do not "
		 "preallocate, scan or back up a snapshot while it is written" },
	{ .causes = NAMES("lock.inode", "lock.i_data_sem"),
	  .mitigation = "none",
	  .why = "fallocate will not help: it takes the same lock, and makes the "
		 "wait longer if it runs meanwhile" },
	{ .causes = NAMES("lock.s_umount", "lock.percpu"),
	  .mitigation = "host",
	  .why = "the file system is being frozen, synced or unmounted during the "
		 "pause{actor}: keep fsfreeze, syncfs and volume snapshots out of it",
	  .command = "" },
	{ .causes = NAMES("lock.mmap"),
	  .mitigation = "app",
	  .why = "other threads map, unmap or walk the same address space{actor}: "
		 "no mmap, madvise or reading of /proc/PID/smaps during the pause" },
	{ .causes = NAMES("lock.rwsem", "lock.mutex", "lock.spin"),
	  .mitigation = "app",
	  .why = "a lock of the kernel is held by somebody else{actor}: the path of "
		 "the window says what the holder did" },
	{ .causes = NAMES("lock.s_umount", "lock.percpu", "lock.mmap", "lock.rwsem", "lock.mutex",
			  "lock.spin"),
	  .mitigation = "none",
	  .why = "fallocate will not help: the wait is for the holder of a lock" },
	{ .causes = NAMES("futex"),
	  .mitigation = "app",
	  .why = "a lock of the application is held by another of its "
		 "threads{holder}: shorten what it does under the lock" },
	{ .causes = NAMES("futex", "ipc.wait", "wait.child"),
	  .mitigation = "none",
	  .why = "fallocate will not help, nor will any setting of the disk: the "
		 "wait is for another thread" },
	{ .causes = NAMES("ipc.wait", "wait.child"),
	  .mitigation = "app",
	  .why = "the pause waits for another process{actor}: what that did "
		 "meanwhile is on the path of the window" },
	{ .causes = NAMES("ext.network"),
	  .mitigation = "app",
	  .why = "the pause waits for a peer on the network: answer from this host, "
		 "or begin the exchange before the pause" },
	{ .causes = NAMES("mm.memcg"),
	  .mitigation = "host",
	  .why = "the control group is at its memory limit, and each page costs "
		 "reclaim: raise it",
	  .command = "echo {memory_none} > {memory_file}",
	  .undo = "echo {memory_old} > {memory_file}" },
	{ .causes = NAMES("mm.reclaim"),
	  .mitigation = "host",
	  .why = "free memory runs out in the pause: let the kernel reclaim earlier",
	  .command = "sysctl vm.watermark_scale_factor=200",
	  .undo = "sysctl vm.watermark_scale_factor=10 # its default" },
	{ .causes = NAMES("mm.compaction"),
	  .mitigation = "host",
	  .why = "huge pages are put together during the pause: leave that to the "
		 "background",
	  .command = "echo defer > /sys/kernel/mm/transparent_hugepage/defrag",
	  .undo = "echo madvise > /sys/kernel/mm/transparent_hugepage/defrag # its "
		  "default" },
	{ .causes = NAMES("mm.memcg", "mm.reclaim", "mm.compaction"),
	  .mitigation = "none",
	  .why = "fallocate will not help, and a memory-backed target needs even "
		 "more memory" },
	{ .causes = NAMES("mm.fault.swap"),
	  .mitigation = "host",
	  .why = "memory of the guest is in swap: keep it out of there",
	  .command = "echo 0 > {group}/memory.swap.max",
	  .undo = "echo max > {group}/memory.swap.max" },
	{ .causes = NAMES("mm.fault.userfault"),
	  .mitigation = "app",
	  .why = "the handler of userfaults answers late{actor}: copy without "
		 "holding a lock that the handler needs" },
	{ .causes = NAMES("mm.fault.cow"),
	  .mitigation = "app",
	  .why = "pages that a copy shares are written: fewer processes that share "
		 "them, or smaller pages (no THP)" },
	{ .causes = NAMES("mm.fault.other"),
	  .mitigation = "app",
	  .why = "memory is touched for the first time in the pause: populate it "
		 "before (MAP_POPULATE, MADV_POPULATE_WRITE)" },
	{ .causes = NAMES("kvm.dirty_log"),
	  .mitigation = "app",
	  .why = "the dirty log is read page by page: "
		 "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 clears it after the resume, and "
		 "a dirty ring holds only what changed" },
	{ .causes = NAMES("kvm.memslot"),
	  .mitigation = "app",
	  .why = "a change of memory slots waits for all CPUs of the guest: switch "
		 "dirty logging on before the pause" },
	{ .causes = NAMES("kvm.pause_rendezvous"),
	  .mitigation = "host",
	  .why = "a CPU of the guest is late to stop{actor}: its thread needs a CPU "
		 "of the host, look at quota and neighbours",
	  .command = "renice -n -10 -p {pid}",
	  .undo = "renice -n 0 -p {pid}" },
	{ .causes = NAMES("kvm.dirty_log", "kvm.memslot", "kvm.pause_rendezvous"),
	  .mitigation = "none",
	  .why = "fallocate will not help: the time is the hypervisor's, before a "
		 "byte is written" },
	{ .causes = NAMES("user.cpu"),
	  .mitigation = "app",
	  .why = "the pause computes: the flame graph of the slow windows says "
		 "what; compression, checksums and serialisation can follow the "
		 "resume" },
	{ .causes = NAMES("kernel.cpu_other"),
	  .mitigation = "app",
	  .why = "the pause runs in the kernel: the flame graph of the slow windows "
		 "says where" },
	{ .causes = NAMES("cpu.runqueue.quota"),
	  .mitigation = "host",
	  .why = "the control group has used up its CPU quota: raise it",
	  .command = "echo {cpu_none} > {cpu_file}",
	  .undo = "echo {cpu_old} > {cpu_file}" },
	{ .causes = NAMES("cpu.runqueue.other"),
	  .mitigation = "host",
	  .why = "other processes have the CPU that the pause needs{actor}: a "
		 "higher priority, or CPUs of its own (cpuset.cpus)",
	  .command = "renice -n -10 -p {pid}",
	  .undo = "renice -n 0 -p {pid}" },
	{ .causes = NAMES("cpu.runqueue.self"),
	  .mitigation = "host",
	  .why = "the threads of the process want one CPU: let it use more of them",
	  .command = "taskset -a -c -p 0-$(($(nproc --all) - 1)) {pid}" },
	{ .causes = NAMES("cpu.runqueue.kthread"),
	  .mitigation = "host",
	  .why = "kernel threads have the CPU that the pause needs{actor}: keep "
		 "unbound workers off it (/sys/devices/virtual/workqueue/cpumask)",
	  .command = "" },
	{ .causes = NAMES("cpu.runqueue.idle_exit"),
	  .mitigation = "host",
	  .why = "CPUs sleep too deeply to wake in time: forbid the deep idle states",
	  .command = "cpupower idle-set -D 10",
	  .undo = "cpupower idle-set -E" },
	{ .causes = NAMES("cpu.runqueue.steal"),
	  .mitigation = "host",
	  .why = "the hypervisor below this host takes the CPU: ask there, nothing "
		 "here helps",
	  .command = "" },
	{ .causes = NAMES("cpu.irq_steal"),
	  .mitigation = "host",
	  .why = "interrupts run on the CPU of the pause: move them (irqbalance, "
		 "/proc/irq/N/smp_affinity)",
	  .command = "" },
	{ .causes = NAMES("user.cpu", "kernel.cpu_other", "cpu"),
	  .mitigation = "none",
	  .why = "fallocate will not help, nor will a memory-backed target: the "
		 "time is spent on a CPU, or waiting for one" },
	{ .causes = NAMES("wq.latency"),
	  .mitigation = "host",
	  .why = "work that the pause needs waits for a worker: a wider "
		 "/sys/devices/virtual/workqueue/cpumask, and less work of others",
	  .command = "" },
	{ .causes = NAMES("timer.sleep"),
	  .mitigation = "app",
	  .why = "somebody sleeps for a set time between two calls of the "
		 "pause{actor}: fix the client (no poll interval, one connection "
		 "kept open)" },
	{ .causes = NAMES("kernel.rcu_gp"),
	  .mitigation = "host",
	  .why = "a grace period of RCU is waited for: expedite them",
	  .command = "echo 1 > /sys/kernel/rcu_expedited",
	  .undo = "echo 0 > /sys/kernel/rcu_expedited" },
	{ .causes = NAMES("signal.stop"),
	  .mitigation = "host",
	  .why = "the process is stopped by a signal or a debugger{actor}: keep "
		 "those out of the pause",
	  .command = "" },
	{ .causes = NAMES("freezer"),
	  .mitigation = "host",
	  .why = "the control group is frozen during the pause: keep the freezer "
		 "out of it",
	  .command = "cat {group}/cgroup.freeze" },
	{ .causes = NAMES("fanotify.wait"),
	  .mitigation = "host",
	  .why = "a listener has to allow each open or write (a virus scanner, a "
		 "backup): leave the snapshot directory out of what it watches",
	  .command = "fuser -v {dir}" },
	{ .causes = NAMES("other_fs.fuse", "other_fs.nfs"),
	  .mitigation = "memfd",
	  .why = "each call waits for a server: write to a local target, and copy "
		 "after the resume" },
	{ .causes = NAMES("other_fs.xfs", "other_fs.btrfs", "other_fs.overlay"),
	  .mitigation = "memfd",
	  .why = "the pause waits for the log or the copies of the file "
		 "system{blame}: a memory-backed target has none" },
	{ .causes = NAMES("other_fs.overlay"),
	  .mitigation = "app",
	  .why = "open a file of the lower layer for writing before the pause, or "
		 "write to a directory that is no overlay" },
	{ .causes = NAMES("other_fs"),
	  .mitigation = "none",
	  .why = "fallocate will not help by what it allocates: the wait is for the "
		 "file system's server or log" },
	{ .causes = NAMES("wq", "timer", "kernel.rcu_gp", "signal", "freezer", "fanotify", "ext"),
	  .mitigation = "none",
	  .why = "fallocate will not help: nothing of this time is the disk's" },
};
const size_t remedies_cnt = sizeof(remedies) / sizeof(remedies[0]);
