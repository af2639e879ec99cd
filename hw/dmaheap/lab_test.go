package dmaheap

import (
	"os"
	"testing"

	"aerie/hw/lab/bench"
	"golang.org/x/sys/unix"
)

// TestLabSources writes memory of every source through the Buffer and reads it
// through another mapping of the dma-buf.
func TestLabSources(t *testing.T) {
	bench.Need(t)
	before, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	list := Sources()
	seen := map[string]bool{}
	for _, s := range list {
		if s.Err != nil {
			t.Errorf("%s: %v", s, s.Err)
			continue
		}
		seen[s.Name] = true
		const size = 1920 * 1080 * 3 / 2
		b, err := s.Allocate(size)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		if err := b.Begin(); err != nil {
			t.Error(err)
		}
		for i := range size {
			if b.Data[i] != 0 {
				t.Fatalf("%s: byte %d is %d at first", s, i, b.Data[i])
			}
			b.Data[i] = byte(i*7 + i>>8)
		}
		if err := b.End(); err != nil {
			t.Error(err)
		}
		other, err := unix.Mmap(b.FD, 0, size, unix.PROT_READ, unix.MAP_SHARED)
		if err != nil {
			t.Fatal(err)
		}
		for i := range other {
			if other[i] != byte(i*7+i>>8) {
				t.Fatalf("%s: byte %d differs", s, i)
			}
		}
		unix.Munmap(other)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	if !seen["system"] || !seen["udmabuf"] {
		t.Errorf("the bench's kernel has %v", list)
	}
	if after, _ := os.ReadDir("/proc/self/fd"); len(after) != len(before) {
		t.Errorf("%d descriptors after, %d before", len(after), len(before))
	}
}
