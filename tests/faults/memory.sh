# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Faults of memory: cold pages, a pager in user space, a held address space, a limit.

fault cold_memory "mm.fault.file_read|mm.fault" disk quick "guest memory is a file, and not in memory"
cold_memory__up() {
	slow_disk 64M "$plain" && old_file memory 4M
	slow read_us=10000
}
cold_memory__window() { "$load" map "path=$mnt/memory" pages=6 "cold=$faulty"; }

fault userfault mm.fault.userfault self quick "pages come from a userfaultfd handler that takes 15 ms each"
userfault__window() { "$load" uffd pages=4 delay_ms=$((faulty * 15)); }

fault mmap_lock lock.mmap self full "a thread fills memory and holds the address space"
mmap_lock__window() { "$load" heldmap bytes=$((faulty * 256))M; }

fault memcg_limit "mm.memcg|mm.reclaim" - full "the group may have 8 MB, and what is in it is dirty"
memcg_limit__up() {
	slow_disk 128M "$plain" && old_file first 1M
	group memory
	slow bytes_per_s=104857600
}
memcg_limit__before() { rm -f "$mnt/memory"; sync -f "$mnt"; }
# much less than what is written, and enough that nothing must be killed for it
memcg_limit__on() { limit memory.limit_in_bytes 8M; }
memcg_limit__off() { limit memory.limit_in_bytes -1; }
memcg_limit__window() (
	join_group
	exec "$load" write "path=$mnt/memory" bytes=16M fsync=0
)

fault copy_on_write "mm.fault.cow|mm.fault" - full "memory is shared with a fork, each first write copies a page"
copy_on_write__window() { "$load" cow bytes=64M "shared=$faulty"; }
