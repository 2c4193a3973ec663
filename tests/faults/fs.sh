# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Faults of the file system: allocation, freeing, its locks, who listens to it.

age=${FAULTLOAD%/faults/faultload}/lab/age

# All of the free space becomes holes of 4 KiB between blocks that are taken.
fault aged_alloc ext4.alloc - full "free space is crumbs, and fsync allocates"
aged_alloc__up() { fast_disk 512M "-g 1024 $plain" && old_file first 1M; }
aged_alloc__before() { rm -f "$mnt/diff"; sync -f "$mnt"; }
aged_alloc__on() {
	local free
	[ -e "$mnt/aged" ] && return 0
	free=$(($(stat -f -c '%f * %S' "$mnt") & ~0xfffff))
	# what ext4 keeps for itself it does not tell
	until fallocate -l $free "$mnt/aged" 2>/dev/null; do free=$((free - (1 << 20))); done
	rm "$mnt/aged"
	"$age" --size $free --hole 4K --every 8K "$mnt/aged" >/dev/null || return 1
	fallocate -l 32M "$mnt/rest" # takes what is left whole
	sync -f "$mnt"
}
aged_alloc__window() { "$load" write "path=$mnt/diff" bytes=12M chunk=1M; }

fault aged_prealloc ext4.alloc - full "free space is crumbs, and the pause preallocates"
aged_prealloc__up() { aged_alloc__up; }
aged_prealloc__before() { aged_alloc__before; }
aged_prealloc__on() { aged_alloc__on; }
aged_prealloc__window() { "$load" extend "path=$mnt/diff" bytes=24M; }

# ext4 flushes at close what replaced a file that had data: the allocation comes into the pause.
fault close_flush "ext4.alloc|ext4.writepages" - full "a file is replaced by truncation, and close flushes it"
close_flush__up() { aged_alloc__up && aged_alloc__on; }
close_flush__before() { rm -f "$mnt/diff"; sync -f "$mnt"; }
close_flush__on() { echo old >"$mnt/diff"; sync -f "$mnt"; }
close_flush__window() { "$load" replace "path=$mnt/diff" bytes=16M; }

fault cold_bitmaps ext4.bitmap_io - full "block bitmaps are read from a slow disk"
cold_bitmaps__up() { slow_disk 64M "$plain" && old_file first 1M; }
cold_bitmaps__before() {
	bounded 20 umount "$mnt" && bounded 20 mount -o nodiscard,no_prefetch_block_bitmaps "$loop" "$mnt"
	: >"$mnt/diff"
}
cold_bitmaps__on() { slow read_us=60000; }
cold_bitmaps__off() { slow; }
cold_bitmaps__window() { "$load" pieces "path=$mnt/diff" pieces=1 chunk=64K fsync=1; }

fault free_extents fs.truncate_punch - full "the last name of a huge file of crumbs goes in the pause"
free_extents__up() { fast_disk 512M "$plain" && old_file first 1M; }
free_extents__before() { fallocate -l 160M "$mnt/old"; sync -f "$mnt"; }
free_extents__on() {
	rm -f "$mnt/old"
	"$age" --size 320M --hole 4K --every 8K "$mnt/old" >/dev/null || die "age"
	sync -f "$mnt"
}
free_extents__window() { "$load" unlink "path=$mnt/old"; }

fault frozen_fs lock.percpu self quick "the file system is frozen for a backup"
frozen_fs__up() { fast_disk 64M "$plain" && old_file memory 1M; }
frozen_fs__on() {
	fsfreeze -f "$mnt"
	(sleep 0.1; fsfreeze -u "$mnt") &
}
frozen_fs__off() { wait; }
frozen_fs__window() { "$load" pieces "path=$mnt/memory" pieces=1; }

fault inode_lock lock.inode self full "another process appends to the same file with O_DIRECT"
inode_lock__up() { slow_disk 64M "$plain" && old_file memory 1M; }
inode_lock__on() {
	slow write_us=60000
	foreign append ms=5000 "path=$mnt/memory"
	sleep 0.01
}
inode_lock__off() { end_foreign append; slow; }
inode_lock__window() { "$load" pieces "path=$mnt/memory" pieces=1; }

fault listener fanotify.wait self quick "a fanotify listener takes 60 ms to agree to an open"
listener__up() {
	echo 0 >"$dir/delay"
	echo x >"$dir/watched"
	foreign listen "path=$dir/watched" "control=$dir/delay"
}
listener__on() { echo 60 >"$dir/delay"; }
listener__off() { echo 0 >"$dir/delay"; }
listener__window() { "$load" open "path=$dir/watched"; }

fault fuse_target other_fs.fuse disk quick "the target is FUSE, and its server is slow"
fuse_target__up() { slow_file 16M; }
fuse_target__on() { slow write_us=60000; }
fuse_target__off() { slow; }
fuse_target__window() { "$load" overwrite "path=$disk" bytes=64K; }
