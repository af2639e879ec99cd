package codec

import (
	"fmt"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// display lends memory between two pages that cannot be touched, so that a
// write or read outside it ends the test.
type display struct {
	mu       sync.Mutex
	t        testing.TB
	count    int             // pictures it has in all
	extra    int             // bytes added to every stride that may be chosen
	stubborn int             // bytes added to every stride
	shift    int             // bytes added to every address
	shorten  int             // bytes missing from every plane
	maps     map[int][]byte  // with guard pages
	lent     map[int]Picture // now
	layouts  []Layout        // asked for
	lends    int
	refusing bool
}

func newDisplay(t testing.TB, count int) *display {
	d := &display{t: t, count: count, maps: map[int][]byte{}, lent: map[int]Picture{}}
	t.Cleanup(func() {
		if len(d.lent) != 0 {
			t.Errorf("%d pictures were not returned", len(d.lent))
		}
		for _, m := range d.maps {
			unix.Munmap(m)
		}
	})
	return d
}

func (d *display) Lend(l Layout) (Picture, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.layouts = append(d.layouts, l)
	if d.refusing {
		return Picture{}, false
	}
	for id := range d.count {
		if _, busy := d.lent[id]; busy {
			continue
		}
		p := d.lay(id, l)
		d.lent[id] = p
		d.lends++
		return p, true
	}
	return Picture{}, false
}

func (d *display) holds(id int) (Picture, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.lent[id]
	return p, ok
}

// lay puts the planes one behind the other, so that the last one ends where
// the guard page begins.
func (d *display) lay(id int, l Layout) Picture {
	page := unix.Getpagesize()
	p := Picture{ID: id}
	size := d.shift
	var offset [3]int
	for i := range l.Planes {
		p.Strides[i] = l.Strides[i] + d.stubborn
		if !l.Exact {
			p.Strides[i] += d.extra
		}
		offset[i] = size
		size += p.Strides[i] * l.Rows[i]
	}
	size += l.Tail - d.shorten
	// Strides are multiples of the alignment and the tail is not: what is left
	// before the guard page is less than one alignment.
	inner := (size + page - 1) / page * page
	slack := (inner - size) / l.Align * l.Align
	m, err := unix.Mmap(-1, 0, inner+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		d.t.Fatal(err)
	}
	if old := d.maps[id]; old != nil {
		unix.Munmap(old)
	}
	d.maps[id] = m
	if unix.Mprotect(m[:page], unix.PROT_NONE) != nil || unix.Mprotect(m[page+inner:], unix.PROT_NONE) != nil {
		d.t.Fatal("mprotect failed")
	}
	memory := m[page+slack : page+slack+size]
	for i := range l.Planes {
		p.Planes[i] = memory[offset[i]:]
	}
	return p
}

func (d *display) Return(id int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.lent[id]; !ok {
		d.t.Errorf("picture %d was returned, but is not lent", id)
	}
	delete(d.lent, id)
}

// TestPictureMemory decodes into a display's memory, with the least strides
// and with wider ones, on every threading model, to the last bit.
func TestPictureMemory(t *testing.T) {
	for _, v := range clips {
		for _, o := range threadings {
			for _, extra := range []int{0, 128} {
				t.Run(fmt.Sprintf("%s/%v/%d", v.name, o, extra), func(t *testing.T) {
					c := loadClip(t, v.name, v.codec)
					d := newDisplay(t, 32)
					d.extra = extra
					o.Memory = d
					r := newRig(t, v.codec, o)
					n := 0
					must(t, r.decode(c.units, func(f *Frame) {
						if sum(&f.Image) != c.sums[n] {
							t.Errorf("picture %d differs", n)
						}
						p, ok := d.holds(f.ID)
						if !ok || unsafe.SliceData(p.Planes[1]) != unsafe.SliceData(f.Planes[1]) || p.Strides != f.Strides {
							t.Errorf("picture %d is not in the display's memory %d", n, f.ID)
						}
						n++
					}))
					if n != len(c.sums) || d.lends < n {
						t.Errorf("%d pictures, %d lent", n, d.lends)
					}
					r.Close()
				})
			}
		}
	}
}

// TestPictureMemoryRunsOut mixes lent and own memory: whatever the display
// offers, all pictures of a sequence get the strides of the first, and are
// right.
func TestPictureMemoryRunsOut(t *testing.T) {
	for _, v := range clips {
		for name, change := range map[string]func(d *display, n int){
			"too few":       func(d *display, n int) { d.count = 1 },
			"taken away":    func(d *display, n int) { d.refusing = n%3 == 1 },
			"given later":   func(d *display, n int) { d.refusing = n < 5 },
			"other strides": func(d *display, n int) { d.stubborn = n % 2 * 64 },
			"misaligned":    func(d *display, n int) { d.shift = n % 2 * 4 },
			"too short":     func(d *display, n int) { d.shorten = n % 2 },
		} {
			t.Run(v.name+"/"+name, func(t *testing.T) {
				c := loadClip(t, v.name, v.codec)
				d := newDisplay(t, 4)
				r := newRig(t, v.codec, VideoOptions{Memory: d})
				change(d, 0)
				n, own, lent := 0, 0, 0
				must(t, r.decode(c.units, func(f *Frame) {
					if sum(&f.Image) != c.sums[n] {
						t.Errorf("picture %d differs", n)
					}
					if f.ID < 0 {
						own++
					} else {
						lent++
					}
					n++
					change(d, n)
				}))
				if own == 0 || lent == 0 {
					t.Errorf("%d pictures in own memory, %d in lent", own, lent)
				}
				for _, l := range d.layouts[1:] {
					if !l.Exact || l.Strides != d.layouts[1].Strides {
						t.Fatalf("asked for strides %v, exact %t", l.Strides, l.Exact)
					}
				}
				r.Close()
			})
		}
	}
}

// TestPictureMemoryOutlives holds lent pictures beyond the decoder's life.
func TestPictureMemoryOutlives(t *testing.T) {
	c := loadClip(t, "high.h264", H264)
	d := newDisplay(t, 8)
	r := newRig(t, H264, VideoOptions{Memory: d})
	must(t, r.send(c.units[0], 0))
	must(t, r.Receive(r.frame))
	r.Close()
	if len(d.lent) != 1 || sum(&r.frame.Image) != c.sums[0] {
		t.Errorf("%d pictures lent after Close", len(d.lent))
	}
	r.frame.Release()
	if len(d.lent) != 0 {
		t.Error("the picture was not returned")
	}
}

// TestRotation changes the picture's size in mid-stream: new memory is asked
// for, with new strides.
func TestRotation(t *testing.T) {
	wide := makeClip(t, H264, "320x176", 8)
	tall := makeClip(t, H264, "176x320", 8)
	d := newDisplay(t, 6)
	r := newRig(t, H264, VideoOptions{Memory: d})
	for round := range 3 {
		for _, c := range []*clip{wide, tall} {
			for i, unit := range c.units {
				must(t, r.send(unit, int64(i)))
				must(t, r.Receive(r.frame))
				if sum(&r.frame.Image) != c.sums[i] || r.frame.ID < 0 {
					t.Errorf("round %d: picture %d of %dx%d differs", round, i, r.frame.Width, r.frame.Height)
				}
			}
		}
	}
	r.frame.Release()
	r.Close()
}

// TestMaxMemory gives a decoder less memory than the stream's pictures need.
func TestMaxMemory(t *testing.T) {
	c := loadClip(t, "high.h264", H264)
	// Coded size, alignment and extra rows lie between these two.
	const least, ample = 350 * 198 * 3 / 2, 384 * 256 * 2
	r := newRig(t, H264, VideoOptions{MaxMemory: least})
	if err := r.send(c.units[0], 0); err == nil {
		t.Error("a picture came out of too little memory")
	}
	r = newRig(t, H264, VideoOptions{MaxMemory: 4 * ample})
	n := 0
	must(t, r.decode(c.units, func(f *Frame) { n++ }))
	if n != len(c.units) {
		t.Errorf("%d pictures", n)
	}
}
