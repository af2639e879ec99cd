package main

import (
	"bytes"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// pattern is a block that differs from all others.
func pattern(n byte) []byte { return bytes.Repeat([]byte{n}, blockSize) }

func read(t *testing.T, d *disk, off int64, n int) []byte {
	t.Helper()
	p := make([]byte, n)
	if _, err := d.ReadAt(p, off); err != nil {
		t.Fatal(err)
	}
	return p
}

// What was flushed survives every cut after it, what was not may be lost, and
// what came after the cut never was.
func TestCut(t *testing.T) {
	base := append(pattern('0'), pattern('0')...)
	d := newDisk(bytes.NewReader(base), 8*blockSize)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(d.write(pattern('a'), 0, false))
	d.flush()
	must(d.write(pattern('b'), 0, false))
	must(d.write(pattern('c'), blockSize, false))
	must(d.write(pattern('d'), 2*blockSize, true))
	at := time.Now()
	time.Sleep(time.Millisecond)
	must(d.write(pattern('e'), 3*blockSize, true))
	d.flush()
	if got := read(t, d, 100, blockSize); !bytes.Equal(got, append(pattern('b')[100:], pattern('c')[:100]...)) {
		t.Error("what was written is not read")
	}
	r := rand.New(rand.NewPCG(1, 2))
	first, second := map[byte]int{}, map[byte]int{}
	for range 200 {
		after, l, err := d.cut(at, r)
		if err != nil || l.requests != 5 || l.unsafe != 2 {
			t.Fatalf("%v, %v", l, err)
		}
		if got := read(t, after, 2*blockSize, blockSize); !bytes.Equal(got, pattern('d')) {
			t.Fatal("a write that was safe by itself is lost")
		}
		if got := read(t, after, 3*blockSize, blockSize); !bytes.Equal(got, pattern(0)) {
			t.Fatal("a write from after the cut is there")
		}
		for off := int64(0); off < blockSize; off += sectorSize {
			sector := read(t, after, off, sectorSize)
			if !bytes.Equal(sector, bytes.Repeat(sector[:1], sectorSize)) {
				t.Fatal("a sector is torn")
			}
			first[sector[0]]++
			second[read(t, after, blockSize+off, 1)[0]]++
		}
	}
	if first['0'] != 0 || first['a'] == 0 || first['b'] == 0 {
		t.Errorf("a flushed block, written again, is %v", first)
	}
	if second['0'] == 0 || second['c'] == 0 {
		t.Errorf("a block that was written but not flushed is %v", second)
	}
	if got := read(t, d.kept(), 3*blockSize, blockSize); !bytes.Equal(got, pattern('e')) {
		t.Error("an orderly end loses something")
	}
	if d.write(pattern('x'), d.size-1, false) == nil || d.write(nil, -1, false) == nil {
		t.Error("writes beyond the disk are taken")
	}
}

// QEMU's own client reads, writes, flushes, and forces writes through.
func TestDiskServesQEMU(t *testing.T) {
	qemuIO, err := exec.LookPath("qemu-io")
	if err != nil {
		t.Skip("qemu-io is not here (package qemu-utils)")
	}
	d := newDisk(bytes.NewReader(pattern('0')), 64*blockSize)
	path := filepath.Join(t.TempDir(), "disk")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- serveDisk(ln, d) }()
	run := func(commands ...string) {
		t.Helper()
		args := []string{"-f", "raw", "-t", "writeback"}
		for _, c := range commands {
			args = append(args, "-c", c)
		}
		if out, err := exec.Command(qemuIO, append(args, "nbd+unix:///?socket="+path)...).CombinedOutput(); err != nil || bytes.Contains(out, []byte("failed")) {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	run("read -P 0x30 0 4096", "read -P 0 4096 4096", "write -P 0x61 8192 8192", "flush", "write -f -P 0x62 512 512", "read -P 0x62 512 512")
	run("read -P 0x61 8192 8192", "read -P 0x30 0 512")
	fua, flushes := 0, 0
	for _, q := range d.log {
		if q.fua {
			fua++
		}
		if q.data == nil {
			flushes++
		}
	}
	if fua != 1 || flushes == 0 {
		t.Errorf("%d forced writes, %d flushes", fua, flushes)
	}
	ln.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
