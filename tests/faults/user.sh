# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Faults of programs: a mutex that is kept, waiters that mean nothing, a caller that dawdles.

fault mutex futex.contended self quick "a thread sleeps under the mutex; three idle ones are parked"
mutex__window() { "$load" mutex hold_ms=$((faulty * 60)) waiters=3; }

fault parked_threads io.device_service disk quick "three threads are parked beside a slow disk"
parked_threads__up() { slow_disk 64M "$plain" && old_file memory 1M; }
parked_threads__on() { slow write_us=40000; }
parked_threads__off() { slow; }
parked_threads__window() { "$load" parked "path=$mnt/memory" bytes=64K waiters=3; }

fault dawdling timer.sleep self quick "the controller sleeps between its two calls"
dawdling__window() { "$load" controller gap_ms=$((faulty * 60)); }

fault slow_peer "user.cpu|ipc.wait|ext.network" self full "a server of somebody else computes for 60 ms"
slow_peer__up() { foreign serve "socket=$dir/peer.sock"; }
slow_peer__window() { "$load" ask "socket=$dir/peer.sock" ms=$((faulty * 60)); }

fault slow_hook "user.cpu|wait.child" self full "a program that is run in the pause computes for 60 ms"
slow_hook__window() { "$load" hook ms=$((faulty * 60)); }
