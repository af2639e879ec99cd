#!/bin/busybox sh
# PID 1 of the bench: mounts, loads the drivers, runs /lab/run with /lab/bin as
# /tmp/bin, leaves its exit code in /lab/status and powers off.
export PATH=/bin:/sbin HOME=/root TMPDIR=/tmp
/bin/busybox mkdir -p /sbin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
[ -c /dev/null ] || mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
ln -s /proc/self/fd /dev/fd
for m in virtio_pci virtio_console 9pnet_virtio 9p virtio_rng configfs; do modprobe -q $m; done
mount -t debugfs debugfs /sys/kernel/debug
mount -t configfs configfs /sys/kernel/config
p9=trans=virtio,version=9p2000.L,msize=262144,cache=none
mount -t 9p -o $p9 lab /lab || { echo 'lab: no share' > /dev/kmsg; poweroff -f; }
mount -t 9p -o ro,$p9 src /src
ip link set lo up
hostname lab
for i in 1 2 3 4 5 6 7 8 9 10; do
  for p in /sys/class/virtio-ports/*/name; do
    [ "$(cat "$p" 2>/dev/null)" = lab.out ] && out=/dev/$(basename "$(dirname "$p")")
  done
  [ -c "$out" ] && break
  sleep 0.1
done
exec 3> "${out:-/dev/console}"
while read -r m; do
  case $m in ''|'#'*) continue ;; esac
  # Word splitting gives the parameters.
  modprobe $m 2> /tmp/err || echo "lab: modprobe $m: $(cat /tmp/err)" >&3
done < /lab/drivers
rm -f /tmp/err
# 9p is not a POSIX disk: a program runs from memory. A dynamic one finds its
# loader and its libraries under the usual name.
cp /lab/bin /tmp/bin
[ -n "$(ls /lab/lib)" ] && { cp -r /lab/lib /lib64; export LD_LIBRARY_PATH=/lib64; }
echo "lab: up at $(cut -d' ' -f1 /proc/uptime) s" > /dev/kmsg
sh /lab/run < /dev/null >&3 2>&3
echo $? > /lab/status
exec 3>&-
sync
poweroff -f
