// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Locks of the kernel. The primitive says that it is a lock; the next named frame outside it says
 * which one, so it has to be near: a fault inside a write passes both an inode and an address space.
 */
#include "registry.h"

/* LCB_F_* of contention_begin, as the kernel numbers them */
#define LOCK_PERCPU 16
#define LOCK_MUTEX  32
#define LOCK_RWSEM  6 /* read or write */

#define NEAR	    5

#define RWSEM                                                                               \
	NAMES("rwsem_down_write_slowpath", "rwsem_down_read_slowpath", "rwbase_write_lock", \
	      "rwbase_read_lock", "__rwbase_read_lock", "down_write", "down_read",          \
	      "down_write_killable", "down_read_killable", "down_read_interruptible",       \
	      "down_write_nested")
#define MUTEX                                                                             \
	NAMES("__mutex_lock", "__mutex_lock_slowpath", "__mutex_lock_killable_slowpath",  \
	      "__mutex_lock_interruptible_slowpath", "mutex_lock", "mutex_lock_killable", \
	      "mutex_lock_interruptible", "mutex_lock_io", "__ww_mutex_lock",             \
	      "__rt_mutex_slowlock_locked", "rt_mutex_slowlock")

#define LOCK_ROW(_id, _title, ...)                                                  \
	{                                                                           \
		.id = _id, .title = _title, .group = "lock", .kind = CAUSE_BLOCKED, \
		.signs = SIGNS(__VA_ARGS__),                                        \
		.tracepoints = NAMES("contention_begin", "contention_end")          \
	}
#define IN_SPAN(_kind)                                                               \
	{                                                                            \
		.marks = MARK_NO_STACK, .spans = BIT_OF(FP_SPAN_LOCK), .lock = _kind \
	}

const struct cause causes_lock[] = {
	LOCK_ROW("lock.mmap", "lock of an address space",
		 { .all_of = { RWSEM,
			       NAMES("lock_mm_and_find_vma", "do_user_addr_fault", "exc_page_fault",
				     "do_page_fault", "__do_sys_brk", "__x64_sys_brk",
				     "vm_mmap_pgoff", "__vm_munmap", "do_mprotect_pkey",
				     "do_madvise", "madvise_lock", "dup_mmap", "exit_mmap",
				     "mlock_fixup", "do_mlock", "__get_user_pages_locked",
				     "get_user_pages_unlocked", "internal_get_user_pages_fast",
				     "gup_fast_fallback", "userfaultfd_ioctl",
				     "userfaultfd_writeprotect", "proc_pid_cmdline_read", "m_start",
				     "pagemap_read", "process_vm_rw_core") },
		   .reach = NEAR }),
	LOCK_ROW("lock.s_umount", "lock of a mounted file system",
		 { .all_of = { RWSEM,
			       NAMES("super_lock", "__super_lock", "iterate_supers",
				     "__iterate_supers", "deactivate_super", "trylock_super",
				     "sync_inodes_sb", "ksys_sync", "writeback_inodes_sb",
				     "try_to_writeback_inodes_sb", "freeze_super", "thaw_super",
				     "user_get_super", "__do_sys_syncfs", "__x64_sys_syncfs") },
		   .reach = NEAR }),
	LOCK_ROW("lock.i_data_sem", "the block map of a file (i_data_sem)",
		 { .all_of = { RWSEM, NAMES("ext4_map_blocks", "ext4_map_create_blocks",
					    "ext4_map_query_blocks", "ext4_da_get_block_prep",
					    "ext4_da_map_blocks", "ext4_da_update_reserve_space",
					    "ext4_truncate", "ext4_ext_truncate", "ext4_punch_hole",
					    "ext4_discard_preallocations", "ext4_fiemap",
					    "ext4_ext_precache") },
		   .reach = NEAR }),
	LOCK_ROW("lock.inode", "lock of an inode",
		 { .all_of = { RWSEM,
			       NAMES("ext4_buffered_write_iter", "ext4_dio_write_iter",
				     "ext4_dio_read_iter", "ext4_file_read_iter",
				     "ext4_file_write_iter", "ext4_fallocate", "ext4_do_fallocate",
				     "ext4_zero_range", "ext4_setattr", "ext4_alloc_file_blocks",
				     "ext4_llseek", "do_truncate", "path_openat",
				     "open_last_lookups", "do_unlinkat", "filename_unlinkat",
				     "do_rmdir", "filename_create", "start_dirop", "lookup_slow",
				     "lock_rename", "do_renameat2", "iterate_dir", "vfs_fallocate",
				     "vfs_fsync_range", "generic_file_write_iter",
				     "shmem_file_write_iter", "shmem_fallocate", "xfs_ilock",
				     "btrfs_inode_lock", "fuse_file_write_iter") },
		   .reach = NEAR }),
	LOCK_ROW("lock.percpu", "file system frozen or per-CPU lock",
		 { .all_of = { NAMES("percpu_rwsem_wait", "__percpu_down_read", "percpu_down_write",
				     "percpu_free_rwsem") } },
		 IN_SPAN(LOCK_PERCPU)),
	LOCK_ROW("lock.mutex", "kernel mutex", { .all_of = { MUTEX } }, IN_SPAN(LOCK_MUTEX)),
	LOCK_ROW("lock.rwsem", "kernel reader-writer lock", { .all_of = { RWSEM } },
		 IN_SPAN(LOCK_RWSEM)),
	/* Whoever runs between the begin and the end of a contention spins. */
	{ .id = "lock.spin",
	  .title = "spinning on a kernel lock",
	  .group = "lock",
	  .kind = CAUSE_RUNNING,
	  .signs = SIGNS(
		  { .all_of = { NAMES(
			    "mutex_spin_on_owner", "rwsem_spin_on_owner", "rwsem_optimistic_spin",
			    "osq_lock", "native_queued_spin_lock_slowpath",
			    "queued_spin_lock_slowpath", "__pv_queued_spin_lock_slowpath",
			    "queued_read_lock_slowpath", "queued_write_lock_slowpath") } },
		  { .spans = BIT_OF(FP_SPAN_LOCK) }),
	  .tracepoints = NAMES("contention_begin", "contention_end") },
	{ 0 },
};
