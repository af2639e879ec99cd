package lab

import (
	"bufio"
	"os"
	"strings"
	"testing"
	"time"

	"aerie/cmd/aerie-sender/phone"
	"aerie/hw/lab/bench"
	"aerie/receiver/clock"
	"golang.org/x/sys/unix"
)

// without takes device nodes away for as long as the test runs.
func without(t *testing.T, nodes ...string) {
	t.Helper()
	for _, n := range nodes {
		var st unix.Stat_t
		if err := unix.Stat(n, &st); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(n); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := unix.Mknod(n, st.Mode, int(st.Rdev)); err != nil {
				t.Error(err)
			}
		})
	}
}

// still sends one picture over and over, and allocates nothing for it.
type still struct {
	*source
	picture       []byte
	parameters    []byte
	width, height int
}

func newStill(t testing.TB, width, height, fps int) *still {
	s := &still{source: newSource(t, width, height, fps)}
	s.parameters, s.width, s.height, _ = s.source.Describe()
	return s
}

// Describe tells the parameters of the picture.
func (s *still) Describe() ([]byte, int, int, bool) { return s.parameters, s.width, s.height, false }

func (s *still) Next(dst []byte, _ clock.Remote, _ bool) ([]byte, bool, error) {
	if s.picture == nil {
		head := len(dst)
		au, _, err := s.source.Next(dst, clock.Remote(time.Hour), true) // which is drawn into it
		s.picture = append(s.picture, au[head:]...)
		return au, true, err
	}
	return append(dst, s.picture...), true, nil
}

// checksum is that of the next picture that the display composes, as the
// kernel reckons it.
func (g *rig) checksum() string {
	g.t.Helper()
	dir := "/sys/kernel/debug/dri/" + strings.TrimPrefix(g.card.Node, "/dev/dri/card") + "/crtc-0/crc/"
	if err := os.WriteFile(dir+"control", []byte("auto"), 0); err != nil {
		g.t.Fatal(err)
	}
	f, err := os.Open(dir + "data")
	if err != nil {
		g.t.Fatal(err)
	}
	defer f.Close()
	line := ""
	for r, n := bufio.NewReader(f), 0; n < 3; n++ { // the first may be of the picture before
		if line, err = r.ReadString('\n'); err != nil {
			g.t.Fatal(err)
		}
	}
	_, sum, ok := strings.Cut(strings.TrimSpace(line), " ")
	if !ok {
		g.t.Fatalf("the kernel's checksum is %q", line)
	}
	return sum
}

// TestLabPath shows one picture on every way there is: decoded into memory of
// each kind that the display reads, and copied. The screen is the same to the
// last bit, and the metric counts what was copied.
func TestLabPath(t *testing.T) {
	bench.Need(t)
	const width, height = 320, 240
	sums := map[string]string{}
	for _, c := range []struct {
		way    string
		absent []string
	}{
		{"/dev/dma_heap/system", nil},
		{"/dev/udmabuf", []string{"/dev/dma_heap/system"}},
		{"one copy", []string{"/dev/dma_heap/system", "/dev/udmabuf"}},
	} {
		t.Run(c.way, func(t *testing.T) {
			without(t, c.absent...)
			g := newRig(t, "way")
			stop := g.mirror(phone.Options{Picture: newStill(t, width, height, 30)})
			g.until("picture", func() bool { return g.shown() > 20 })
			sums[c.way] = g.checksum()
			if p := g.status().Picture; p == nil || !strings.Contains(p.Path, c.way) {
				t.Errorf("the status says %+v", p)
			} else {
				t.Log(p.Path)
			}
			stop()
			copied, each := int(g.metric("aerie_picture_copied_bytes_total")), width*height*3/2
			switch n := g.shown(); {
			case c.way != "one copy" && copied != 0:
				t.Errorf("%d bytes were copied for %d pictures", copied, n)
			case c.way == "one copy" && (copied%each != 0 || copied < n*each):
				t.Errorf("%d bytes were copied for %d pictures of %d", copied, n, each)
			}
		})
	}
	if a, b, c := sums["/dev/dma_heap/system"], sums["/dev/udmabuf"], sums["one copy"]; a == "" || a != b || b != c {
		t.Errorf("checksums of the screen: %v", sums)
	}
}

// TestLabTooLarge shows a picture that this display cannot scale: the processor
// does, and says so.
func TestLabTooLarge(t *testing.T) {
	g := newRig(t, "large")
	stop := g.mirror(phone.Options{Picture: newSource(t, 960, 720, 10)})
	g.until("picture", func() bool { return g.shown() > 5 })
	if p := g.status().Picture; !strings.Contains(p.Path, "one copy") || !strings.Contains(p.Path, "not supported by the display hardware") {
		t.Errorf("the status says %q", p.Path)
	}
	stop()
	if n := g.metric("aerie_picture_copied_bytes_total"); n == 0 {
		t.Error("nothing was copied")
	}
}

// TestLabRotation turns the phone round: memory of each size is made, and what
// is not needed any more is given back.
func TestLabRotation(t *testing.T) {
	g := newRig(t, "turn")
	o := phone.Options{Picture: newSource(t, 320, 240, 20), RotateEvery: 1e9}
	stop := g.mirror(o)
	g.until("picture", func() bool { return g.shown() > 5 })
	first := g.held()
	g.until("turned six times", func() bool { return g.log.count("msg=picture codec=") > 6 })
	if now := g.held(); now.dmabufs > 2*first.dmabufs+4 || now.handles > 2*first.handles+4 {
		t.Errorf("held at first %v, after six turns %v", first, now)
	}
	stop()
	if n := g.metric("aerie_picture_copied_bytes_total"); n != 0 {
		t.Errorf("%v bytes were copied", n)
	}
}
