# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Faults of the device and of its queue.

# No journal: the only thing between the pause and the disk is the disk.
plain="-O ^has_journal"

fault device_latency io.device_service disk quick "each write takes 40 ms on the device"
device_latency__up() { slow_disk 64M "$plain" && old_file memory 1M; }
device_latency__on() { slow write_us=40000; }
device_latency__off() { slow; }
device_latency__window() { "$load" overwrite "path=$mnt/memory" bytes=64K; }

fault device_bandwidth io.device_service disk full "the device takes 16 MB/s, and nobody is throttled"
device_bandwidth__up() { slow_disk 64M "$plain" && old_file memory 1M; }
device_bandwidth__on() { slow bytes_per_s=16777216; }
device_bandwidth__off() { slow; }
device_bandwidth__window() { "$load" overwrite "path=$mnt/memory" bytes=1M chunk=1M; }

fault flush_slow io.flush disk quick "writes are fast, a flush takes 60 ms"
flush_slow__up() { slow_disk 64M "$plain" && old_file memory 1M; }
flush_slow__on() { slow flush_us=60000; }
flush_slow__off() { slow; }
flush_slow__window() { "$load" overwrite "path=$mnt/memory" bytes=64K; }

fault dirty_rootfs io.device_service disk full "fsync of another file that was dirty before the pause"
dirty_rootfs__up() { slow_disk 64M "$plain" && old_file rootfs 4M; }
dirty_rootfs__on() { slow bytes_per_s=33554432; }
dirty_rootfs__off() { slow; }
dirty_rootfs__window() { "$load" sync "path=$mnt/rootfs" bytes=2M; }

fault wbt io.throttle.wbt - full "writeback throttling behind the writeback of another process"
wbt__up() {
	slow_disk 128M "$plain" && old_file memory 1M && old_file noise 32M
	knob wbt_lat_usec 200
	knob max_sectors_kb 64
}
wbt__on() {
	slow bytes_per_s=67108864
	dd if=/dev/zero of="$mnt/noise" bs=1M count=16 conv=notrunc status=none
	sync "$mnt/noise" &
	sleep 0.03
}
wbt__off() { slow; wait; }
wbt__window() { "$load" overwrite "path=$mnt/memory" bytes=1M; }

fault tag_wait io.tag_wait - full "four requests fit the queue, and eight writers want it"
tag_wait__up() {
	slow_disk 64M "$plain" && old_file memory 1M && old_file noise 4M
	knob nr_requests 4
}
tag_wait__on() {
	slow write_us=1000
	foreign flood ms=5000 procs=8 "path=$mnt/noise"
}
tag_wait__off() { end_foreign flood; slow; }
tag_wait__window() { "$load" overwrite "path=$mnt/memory" bytes=12K chunk=4K direct=1; }

fault blkio io.throttle.blk self quick "the group may write 16 MB/s"
blkio__up() {
	fast_disk 64M "$plain" && old_file memory 4M
	group blkio
}
# the first tenth of a second's worth is free
blkio__on() { limit blkio.throttle.write_bps_device "$(<"/sys/block/${loop#/dev/}/dev") 16777216"; }
blkio__off() { limit blkio.throttle.write_bps_device "$(<"/sys/block/${loop#/dev/}/dev") 0"; }
blkio__window() (
	join_group
	exec "$load" overwrite "path=$mnt/memory" bytes=3M chunk=256K direct=1
)

# The queue is frozen until what is in flight is done: one slow write of somebody else.
fault queue_frozen io.queue_frozen self full "the queue's settings are changed while a request is in flight"
queue_frozen__up() { slow_disk 64M "$plain" && old_file memory 1M && old_file noise 1M; }
queue_frozen__on() {
	slow write_us=120000
	dd if=/dev/zero of="$mnt/noise" bs=4k count=1 oflag=direct conv=notrunc status=none &
	sleep 0.02
	slow
	# another value than it has, or nothing is frozen
	knob nr_requests $(($(<"/sys/block/${loop#/dev/}/queue/nr_requests") == 64 ? 96 : 64)) &
	sleep 0.01
}
queue_frozen__off() { wait; }
queue_frozen__window() { "$load" overwrite "path=$mnt/memory" bytes=64K chunk=64K direct=1; }

fault dirty_throttle writeback.dirty_throttle - full "what may be dirty on this device is 1 MB"
dirty_throttle__up() { slow_disk 128M "$plain" && old_file first 1M; }
dirty_throttle__before() { rm -f "$mnt/memory"; sync -f "$mnt"; }
dirty_throttle__on() {
	slow bytes_per_s=33554432
	bdi_knob strict_limit 1
	bdi_knob max_bytes 1048576
}
dirty_throttle__off() { bdi_knob strict_limit 0; bdi_knob max_ratio 100; slow; }
dirty_throttle__window() { "$load" write "path=$mnt/memory" bytes=6M fsync=0; }
