package live

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRing compares a ring with a stream that is kept whole, through random
// writes, releases and reads.
func TestRing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	r, err := newRing("test", 10*pageSize)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	var whole []byte // without what is before base
	base := int64(0)
	for range 5000 {
		b := make([]byte, rng.IntN(3*pageSize))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		r.reserve(int64(len(b)))
		if err := r.append(b); err != nil {
			t.Fatal(err)
		}
		whole = append(whole, b...)
		if rng.IntN(10) == 0 {
			r.forget(r.head - rng.Int64N(r.size))
		}
		r.release(rng.Int64N(4 * pageSize))
		if r.head != base+int64(len(whole)) || r.head-r.tail > r.size {
			t.Fatalf("head %d after %d bytes, tail %d", r.head, base+int64(len(whole)), r.tail)
		}
		at := r.tail + rng.Int64N(r.head-r.tail+1)
		got := make([]byte, rng.Int64N(r.head-at+1))
		if err := r.read(got, at); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, whole[at-base:at-base+int64(len(got))]) {
			t.Fatalf("%d bytes at %d of %d to %d differ", len(got), at, r.tail, r.head)
		}
		if cut := int64(len(whole)) - r.size; cut > 1<<20 {
			whole, base = append([]byte(nil), whole[cut:]...), base+cut
		}
	}
}

// memory returns how much memory a ring takes.
func memory(t *testing.T, r *ring) int64 {
	t.Helper()
	var s unix.Stat_t
	if err := unix.Fstat(r.fd, &s); err != nil {
		t.Fatal(err)
	}
	return s.Blocks * 512
}

// TestRingGivesMemoryBack checks that a ring takes memory for what it keeps
// and no more, also after it has gone round.
func TestRingGivesMemoryBack(t *testing.T) {
	r, err := newRing("test", 8<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if n := memory(t, r); n != 0 {
		t.Errorf("an empty ring takes %d bytes", n)
	}
	b := make([]byte, 100<<10)
	fill := func(n int) {
		for range n {
			r.reserve(int64(len(b)))
			if err := r.append(b); err != nil {
				t.Fatal(err)
			}
			r.release(releaseStep)
		}
	}
	fill(200)
	if n := memory(t, r); n < 7<<20 || n > 8<<20 {
		t.Errorf("a full ring of 8 MiB takes %d bytes", n)
	}
	for range 300 {
		r.forget(r.head - 1<<20)
		fill(1)
	}
	if n := memory(t, r); n < 1<<20 || n > 1<<20+4*int64(len(b)) {
		t.Errorf("a ring that keeps 1 MiB takes %d bytes", n)
	}
	r.forget(r.head)
	r.release(r.size)
	if n := memory(t, r); n > 2*pageSize {
		t.Errorf("a ring that has forgotten everything takes %d bytes", n)
	}
}
