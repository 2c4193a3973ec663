# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Faults of ext4's journal.

fault slow_log "jbd2.commit_log|jbd2.commit_flush" - quick "the journal's own writes and flushes are slow"
slow_log__up() { slow_disk 64M && old_file first 1M; }
slow_log__on() { slow flush_us=40000; }
slow_log__off() { slow; }
slow_log__window() { "$load" write "path=$mnt/diff" bytes=64K; }

# Without delayed allocation data is ordered: a commit carries the data of all who wrote, also of
# those who never asked for a sync.
ordered_disk() {
	slow_disk 64M && old_file first 1M
	umount "$mnt" && mount -o nodiscard,nodelalloc "$loop" "$mnt"
}

# Its data goes first, or the log behind it: the phase that waits longer is named.
fault foreign_data "jbd2.commit_flush|jbd2.commit_log" - full "the commit waits for the data of another process"
foreign_data__up() { ordered_disk; }
foreign_data__before() { rm -f "$mnt/noise"; sync -f "$mnt"; }
foreign_data__on() {
	slow bytes_per_s=67108864
	dd if=/dev/zero of="$mnt/noise" bs=1M count=6 status=none
}
foreign_data__off() { slow; }
foreign_data__window() { "$load" write "path=$mnt/diff" bytes=64K; }

fault commit_storm "jbd2.commit_locked|jbd2.commit_flush|jbd2.commit_log" - full "other processes write and fsync without an end"
commit_storm__up() {
	ordered_disk
	slow bytes_per_s=67108864 flush_us=2000
}
commit_storm__on() { foreign storm ms=10000 procs=4 "dir=$mnt" bytes=512K; }
commit_storm__off() { end_foreign storm; }
commit_storm__window() { "$load" write "path=$mnt/diff" bytes=64K; }

fault checkpoint "jbd2.checkpoint|jbd2.handle_wait" - full "a journal of 1 MB that must be emptied before more fits"
checkpoint__up() {
	# the twin does the same in a journal that is large enough
	slow_disk 64M "-b 1024 -N 32768 -J size=$([ "$arm" = fault ] && echo 1 || echo 16)" && old_file first 1M
	mkdir "$mnt/names"
}
checkpoint__on() { slow write_us=300; }
checkpoint__off() { slow; }
checkpoint__window() { "$load" create "dir=$mnt/names" files=2000; }
