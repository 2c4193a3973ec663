#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Boots a kernel of the distribution in an emulated machine and runs a script in it as root.
#
#   vm.sh kernel PACKAGE CACHE-DIR     fetches and unpacks (does not install) the kernel that PACKAGE
#                                      is or depends on; prints its directory, for `run`
#   vm.sh run KERNEL-DIR RESULTS-DIR SCRIPT [FILE...]
#                                      SCRIPT (busybox sh) runs in the guest; FILEs lie beside it,
#                                      programs with their libraries. What it leaves in /results
#                                      comes to RESULTS-DIR, with the console and, in `status`, how
#                                      it ended
#
# The machine: 2 CPUs by emulation (no /dev/kvm is needed), an empty ext4 on /dev/vda, which is
# slow, rotational and so throttled (wbt), and mounted at /mnt.
# exit status: 0 the script ran to its end, 1 it did not, 77 what is needed is not to be had (said)
set -euo pipefail

DISK_MIB=192
DISK_BYTES_PER_S=$((16 << 20))
MEMORY_MIB=512
BOOT_LIMIT_S=${VM_LIMIT_S:-300}

# Of a modular kernel; what is built in is no file and left out. In any order.
MODULES=(virtio_pci virtio_blk crc32c_generic crc32c_intel ext4 fuse)

unavailable() {
	echo "$*" >&2
	exit 77
}

need_programs() {
	local program
	for program in "$@"; do
		PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null ||
			unavailable "$program is missing: tests/deps.sh check"
	done
}

# The package with the kernel itself: a name without a version depends on it.
resolve_package() {
	local real
	real=$(apt-cache depends "$1" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -1)
	echo "${real:-$1}"
}

fetch_kernel() {
	local package cache=$2 dir deb version
	[ "$(uname -m)" = x86_64 ] || unavailable "the guest is x86_64, and this machine builds for $(uname -m)"
	need_programs apt-cache apt-get dpkg-deb depmod modprobe xz
	package=$(resolve_package "$1")
	dir=$cache/$package
	if [ ! -e "$dir/ready" ]; then
		apt-cache show "$package" >/dev/null 2>&1 || unavailable "apt knows no package $1"
		rm -rf "$dir" && mkdir -p "$dir/deb"
		(cd "$dir/deb" && timeout 120 apt-get download -qq -o APT::Sandbox::User=root "$package") >&2 ||
			unavailable "cannot download $package"
		deb=$(echo "$dir"/deb/*.deb)
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$dir" --wildcards './boot/vmlinuz-*' \
			'./lib/modules/*/kernel/fs/*' './lib/modules/*/kernel/lib/*' \
			'./lib/modules/*/kernel/crypto/*' './lib/modules/*/kernel/arch/*' \
			'./lib/modules/*/kernel/drivers/block/*' './lib/modules/*/kernel/drivers/virtio/*' \
			'./lib/modules/*/modules.*'
		version=$(ls "$dir/lib/modules")
		PATH=$PATH:/usr/sbin:/sbin depmod -b "$dir" "$version"
		rm -r "$dir/deb"
		echo "$version" >"$dir/ready"
	fi
	echo "$dir"
}

# The modules in the order in which they must be loaded, unpacked, and a list of them.
pack_modules() {
	local kernel=$1 root=$2 version module verb path
	version=$(cat "$kernel/ready")
	mkdir -p "$root/modules"
	for module in "${MODULES[@]}"; do
		PATH=$PATH:/usr/sbin:/sbin modprobe -d "$kernel" -S "$version" --show-depends "$module" \
			2>/dev/null || true
	done | awk '$1 == "insmod" && !seen[$2]++ { print $1, $2 }' |
		while read -r verb path; do
			module=$(basename "${path%.xz}")
			case $path in
			*.xz) xz -dc "$path" >"$root/modules/$module" ;;
			*) cp "$path" "$root/modules/$module" ;;
			esac
			echo "$verb /modules/$module"
		done >"$root/modules/load"
}

# A program needs its libraries and the loader, at the places where it looks for them; a script nothing.
pack_file() {
	local file=$1 root=$2 library
	cp -L "$file" "$root/guest/"
	{ ldd "$file" 2>/dev/null || true; } | { grep -o '/[^ ]*' || true; } | while read -r library; do
		mkdir -p "$root$(dirname "$library")"
		cp -L "$library" "$root$library"
	done
}

# /init of the guest: what a script may expect, then the script, then the results and the end.
write_init() {
	cat >"$1" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/guest:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
. /modules/load
mount -t ext4 /dev/vda /mnt
cd /guest
status=0
sh -u script >/results/script.out 2>&1 || status=$?
echo "$status" >/results/status
dmesg >/results/dmesg
tar -c -C /results . >/dev/vdb && sync
poweroff -f
INIT
	chmod +x "$1"
}

pack_initramfs() {
	local kernel=$1 script=$2 root=$3 file
	shift 3
	mkdir -p "$root"/{bin,dev,proc,sys,tmp,mnt,results,guest,modules,run}
	cp -L "$(command -v busybox)" "$root/bin/busybox"
	cp "$script" "$root/guest/script"
	for file in "$@"; do
		pack_file "$file" "$root"
	done
	pack_modules "$kernel" "$root"
	write_init "$root/init"
	(cd "$root" && find . | cpio --quiet -o -H newc) >"$root.cpio"
}

boot() {
	local kernel=$1 work=$2
	# `unsafe` keeps the guest's flushes from this machine's disk: slowness is what is asked for.
	timeout --kill-after=5 "$BOOT_LIMIT_S" qemu-system-x86_64 -nodefaults -no-user-config -no-reboot \
		-display none -machine pc -accel tcg,thread=multi -cpu max -smp 2 -m "$MEMORY_MIB" \
		-kernel "$(echo "$kernel"/boot/vmlinuz-*)" -initrd "$work/root.cpio" \
		-append "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on" \
		-serial "file:$work/console" \
		-drive "file=$work/disk,format=raw,if=virtio,cache=unsafe,throttling.bps-total=$DISK_BYTES_PER_S" \
		-drive "file=$work/results.tar,format=raw,if=virtio,cache=unsafe" </dev/null >&2
}

run_script() {
	local kernel=$1 results=$2 script=$3 status=0
	need_programs qemu-system-x86_64 busybox cpio mke2fs modprobe
	shift 3
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	pack_initramfs "$kernel" "$script" "$work/root" "$@"
	truncate -s "${DISK_MIB}M" "$work/disk"
	PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -E lazy_itable_init=0,lazy_journal_init=0 "$work/disk"
	truncate -s 64M "$work/results.tar"
	boot "$kernel" "$work" || status=$?
	mkdir -p "$results"
	cp "$work/console" "$results/" 2>/dev/null || true
	tar -x -C "$results" -f "$work/results.tar" 2>/dev/null || true
	if [ ! -s "$results/status" ]; then
		echo "the guest did not end its script (qemu: status $status); its last words:" >&2
		tail -20 "$results/console" >&2
		return 1
	fi
}

case ${1:-} in
kernel) fetch_kernel "$2" "$3" ;;
run) run_script "${@:2}" ;;
*)
	sed -n '3,17s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
