package pattern

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"io"
	"math"
	"os/exec"
	"strings"
	"testing"
	"time"

	"aerie/receiver/codec/h264"
	"aerie/receiver/pattern/stamp"
)

func newStream(t testing.TB, width, height, fps int) *Stream {
	t.Helper()
	s, err := New(Config{Width: width, Height: height, FPS: fps})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// annexB joins the parameter sets and length-prefixed access units with start
// codes.
func annexB(s *Stream, units ...[]byte) []byte {
	b := h264.AppendAnnexB(h264.AppendAnnexB(nil, s.SPS()), s.PPS())
	for _, unit := range units {
		for nal := range h264.LengthPrefixed(unit) {
			b = h264.AppendAnnexB(b, nal)
		}
	}
	return b
}

// visible returns the planes of a picture, one after the other.
func visible(img *image.YCbCr) (b []byte) {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	for y := range h {
		b = append(b, img.Y[y*img.YStride:][:w]...)
	}
	for _, plane := range [][]byte{img.Cb, img.Cr} {
		for y := range h / 2 {
			b = append(b, plane[y*img.CStride:][:w/2]...)
		}
	}
	return b
}

// TestDecodedByLibavcodec plays 300 frames, lost ones and a second key frame
// among them: every sample that libavcodec decodes is the one that Decoded
// foretells, and every stamp reads.
func TestDecodedByLibavcodec(t *testing.T) {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed: the decoder of this test")
	}
	frames := 300
	if testing.Short() {
		frames = 40
	}
	for _, size := range append(sizes, [2]int{1202, 898}) {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			s := newStream(t, size[0], size[1], 60)
			stream := annexB(s)
			var want []stamp.Stamp
			var sums []uint32
			for i := range frames {
				number := math.MaxUint32 - 100 + uint32(i) // wraps
				if i > 50 {
					number += 7
				}
				f := Frame{number, 59*time.Minute + 59*time.Second + time.Duration(number)*time.Second/60%5e9, uint64(number) * 123456789}
				unit := s.AppendFrame(nil, f, i == 200)
				if err := h264.ToAnnexB(unit); err != nil {
					t.Fatal(err)
				}
				stream = append(stream, unit...)
				want = append(want, stamp.Stamp{Frame: number, Time: f.SenderTime & stamp.MaxTime})
				sums = append(sums, crc32.ChecksumIEEE(visible(s.Decoded())))
			}

			picture := make([]byte, size[0]*size[1]*3/2)
			luma := stamp.Plane{Pix: picture, Stride: size[0], Width: size[0], Height: size[1]}
			i := 0
			decodeEach(t, ffmpeg, stream, picture, func() {
				if i == frames {
					t.Fatal("more frames than there are")
				}
				if crc32.ChecksumIEEE(picture) != sums[i] {
					t.Fatalf("frame %d is not decoded as foretold", i)
				}
				if got, ok := stamp.Read(luma, s.Stamp()); !ok || got != want[i] {
					t.Fatalf("frame %d: stamp %v %+v, want %+v", i, ok, got, want[i])
				}
				i++
			})
			if i != frames {
				t.Fatalf("%d frames, want %d", i, frames)
			}
			found, g, ok := stamp.Find(luma)
			place := s.Stamp()
			if off := math.Abs(g.X-place.X) + math.Abs(g.Y-place.Y); !ok || found != want[frames-1] || off > 0.1 {
				t.Errorf("found %v %+v at %+v, want %+v at %+v", ok, found, g, want[frames-1], place)
			}
		})
	}
}

// decodeEach has libavcodec decode a stream, each frame into picture, as
// planes of yuv420p one after the other, and calls each for it.
func decodeEach(t *testing.T, ffmpeg string, stream, picture []byte, each func()) {
	t.Helper()
	cmd := exec.Command(ffmpeg, "-v", "error", "-err_detect", "explode", "-f", "h264", "-i", "-",
		"-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-")
	cmd.Stdin = bytes.NewReader(stream)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	defer func() {
		if !ended {
			cmd.Process.Kill()
			cmd.Wait()
		}
	}()
	for {
		_, err := io.ReadFull(out, picture)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		each()
	}
	ended = true
	if err := cmd.Wait(); err != nil || complaints.Len() > 0 {
		t.Fatalf("ffmpeg: %v\n%s", err, complaints.Bytes())
	}
}

// TestBitRate holds the stream to what a network and a level expect of it.
func TestBitRate(t *testing.T) {
	s := newStream(t, 1920, 1080, 60)
	key := len(s.AppendFrame(nil, Frame{}, false))
	if key > 120_000 {
		t.Errorf("key frame of %d bytes", key)
	}
	total, largest := 0, 0
	var unit []byte
	for i := range 600 {
		elapsed := time.Duration(i) * time.Second / 60
		unit = s.AppendFrame(unit[:0], Frame{uint32(i), elapsed, uint64(elapsed.Microseconds())}, false)
		total += len(unit)
		largest = max(largest, len(unit))
	}
	if rate := float64(total) * 8 / 10 / 1e6; rate < 8 || rate > 26 {
		t.Errorf("%.1f Mbit/s", rate)
	}
	if largest > 150_000 {
		t.Errorf("largest frame of %d bytes", largest)
	}
}

// TestParameterSets reads the configuration as the receiver does, and checks
// that it leaves out what phones leave out.
func TestParameterSets(t *testing.T) {
	s := newStream(t, 1170, 2532, 30)
	c, err := h264.ParseConfig(s.AVCC())
	if err != nil {
		t.Fatal(err)
	}
	if len(c.SPS) != 1 || len(c.PPS) != 1 || !bytes.Equal(c.SPS[0], s.SPS()) || !bytes.Equal(c.PPS[0], s.PPS()) {
		t.Errorf("avcC holds %x and %x", c.SPS, c.PPS)
	}
	sps, err := h264.ParseSPS(c.SPS[0])
	if err != nil {
		t.Fatal(err)
	}
	if w, h := sps.Size(); w != 1170 || h != 2532 {
		t.Errorf("size %dx%d", w, h)
	}
	if sps.VUI.Restriction || sps.MaxRefFrames != 1 || sps.Check8Bit420() != nil {
		t.Errorf("SPS %+v", sps)
	}
	if zero, err := h264.RewriteZeroReorder(s.SPS()); err != nil || len(zero) <= len(s.SPS()) {
		t.Errorf("rewritten SPS of %d bytes: %v", len(zero), err)
	}
	if n := len(s.AVCC()); n != 8+len(s.SPS())+3+len(s.PPS()) {
		t.Errorf("avcC of %d bytes", n)
	}
}

// TestReadouts reads clock and counter off the picture, by the digits' own
// shapes.
func TestReadouts(t *testing.T) {
	s := newStream(t, 1280, 720, 60)
	for _, c := range []struct {
		frame   Frame
		clock   string
		counter string
	}{
		{Frame{0, 0, 0}, "000000000", "00000000"},
		{Frame{1, 16666667, 0}, "000000016", "00000001"},
		{Frame{12345678, 12*time.Hour + 34*time.Minute + 56*time.Second + 789*time.Millisecond, 0}, "123456789", "12345678"},
		{Frame{12345679, 12*time.Hour + 34*time.Minute + 56*time.Second + 790*time.Millisecond, 0}, "123456790", "12345679"},
		{Frame{7, -time.Hour, 0}, "000000000", "00000007"},
		{Frame{math.MaxUint32, 100*time.Hour + 999*time.Microsecond, 0}, "000000000", "94967295"},
		{Frame{90, math.MaxInt64, 0}, "474716854", "00000090"}, // 2562047 h 47 min 16.854 s
	} {
		s.AppendFrame(nil, c.frame, false)
		if got := s.read(s.clock); got != c.clock {
			t.Errorf("%+v: clock %s, want %s", c.frame, got, c.clock)
		}
		if got := s.read(s.counter); got != c.counter {
			t.Errorf("%+v: counter %s, want %s", c.frame, got, c.counter)
		}
	}
}

// read returns the digits a readout shows in the decoded picture: for each
// cell the one whose shape separates bright from dark best.
func (s *Stream) read(o *readout) (text string) {
	d := s.Decoded()
	for _, cell := range o.cells {
		best, bestScore := 0, math.Inf(-1)
		for digit := range o.digits {
			m := &o.digits[digit]
			score := 0.0
			for y := range cell.height() {
				for x := range cell.width() {
					ink := 0.0
					if mx, my := x-m.x0, y-m.y0; mx >= 0 && my >= 0 && mx < m.width() && my < m.height() {
						ink = float64(m.luma[my*m.width()+mx]) / 255
					}
					bright := float64(d.Y[(cell.y0+y)*d.YStride+cell.x0+x]) - 40
					score += min(bright, 1) * (2*ink - 1)
				}
			}
			if score > bestScore {
				best, bestScore = digit, score
			}
		}
		text += fmt.Sprint(best)
	}
	return text
}

// TestSweepAdvances checks that the bar crosses the picture evenly: its
// middle is where the time says, to a fraction of a pixel.
func TestSweepAdvances(t *testing.T) {
	s := newStream(t, 1280, 720, 60)
	y := (s.sweep.lane.y0 + s.sweep.lane.y1) / 2
	for i := range 150 {
		elapsed := time.Duration(i) * time.Second / 60
		s.AppendFrame(nil, Frame{uint32(i), elapsed, 0}, false)
		d := s.Decoded()
		sum, weight := 0.0, 0.0
		for x, v := range d.Y[y*d.YStride:][:1280] {
			if bright := max(float64(v)-170, 0); bright > 0 { // brighter than the tail
				sum += bright * (float64(x) + 0.5)
				weight += bright
			}
		}
		end := float64(elapsed%sweepTime) / float64(sweepTime) * (1280 + s.sweep.tail)
		want := end - s.sweep.bar/2
		if want < 10 || want > 1270 {
			continue
		}
		if at := sum / weight; math.Abs(at-want) > 0.3 {
			t.Errorf("frame %d: bar at %.2f, want %.2f", i, at, want)
		}
	}
}

// TestFlash watches the square: it is lit while the beep sounds.
func TestFlash(t *testing.T) {
	for _, fps := range []int{60, 30, 12} {
		s := newStream(t, 640, 480, fps)
		r := s.flash.mask.rect
		for i := range 3 * fps {
			elapsed := time.Duration(i) * time.Second / time.Duration(fps)
			s.AppendFrame(nil, Frame{uint32(i), elapsed, 0}, false)
			d := s.Decoded()
			lit := d.Y[(r.y0+r.height()/2)*d.YStride+r.x0+r.width()/4] > 200
			phase := i % fps
			if want := phase == 0 || float64(phase)/float64(fps) < 0.05; lit != want {
				t.Errorf("%d fps, frame %d: lit %v", fps, i, lit)
			}
		}
	}
}

// TestAllSizes lays out and encodes pictures of many shapes: nothing leaves
// the picture, nothing reaches the stamp.
func TestAllSizes(t *testing.T) {
	for _, width := range []int{160, 162, 198, 332, 640, 1170, 2048} {
		for _, height := range []int{120, 122, 240, 500, 1080, 2532} {
			l := newLayout(width, height)
			ground := int(l.stamp.Y - l.stamp.CellHeight/2)
			last := l.counter
			cells := rect{l.clock.x, l.clock.y, last.x + counterDigits*last.width, last.y + last.height}
			for name, r := range map[string]rect{"flash": l.flash, "readouts": cells, "lane": l.lane, "bars": l.bars, "greys": l.greys} {
				if r.intersect(l.visible) != r || r.y1 > ground {
					t.Errorf("%dx%d: %s at %+v, the stamp begins at %d", width, height, name, r, ground)
				}
			}
			s, err := New(Config{Width: width, Height: height, FPS: 30, FullRange: width == 640})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 4 {
				f := Frame{uint32(i) * 1e9, time.Duration(i) * 637 * time.Millisecond, uint64(i) << 47}
				s.AppendFrame(nil, f, false)
			}
			d := s.Decoded()
			luma := stamp.Plane{Pix: d.Y, Stride: d.YStride, Width: width, Height: height}
			if got, ok := stamp.Read(luma, s.Stamp()); !ok || got.Frame != 3e9 {
				t.Errorf("%dx%d: stamp %v %+v", width, height, ok, got)
			}
		}
	}
}

func TestConfigErrors(t *testing.T) {
	for want, c := range map[string]Config{
		"158x1080":             {Width: 158, Height: 1080, FPS: 60},
		"160x118":              {Width: 160, Height: 118, FPS: 60},
		"641x480":              {Width: 641, Height: 480, FPS: 60},
		"10000x480":            {Width: 10000, Height: 480, FPS: 60},
		"0 frames per second":  {Width: 640, Height: 480},
		"-1 frames per second": {Width: 640, Height: 480, FPS: -1},
	} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one with %q", c, err, want)
		}
	}
}

// TestFont draws every letter, which finds mistakes in the paths.
func TestFont(t *testing.T) {
	f := sized(40)
	for r, g := range font {
		box, strokes := f.strokes(g, 0, 0)
		if (len(strokes) == 0) != (r == ' ') {
			t.Errorf("%q has %d strokes", r, len(strokes))
		}
		if box.x0 < -6 || box.y0 < -12 || float64(box.x1) > f.advance(g)+6 || box.y1 > 52 {
			t.Errorf("%q lies at %+v", r, box)
		}
	}
	for _, text := range []string{"AERIE", "SCREEN MIRRORING TEST", "FRAME", "BEEP", "FPS", "0123456789 × .:-/"} {
		for _, r := range text {
			if _, ok := font[r]; !ok {
				t.Errorf("%q is missing", r)
			}
		}
	}
}

func TestFrameAllocatesNothing(t *testing.T) {
	s := newStream(t, 1280, 720, 60)
	unit := s.AppendFrame(make([]byte, 0, 1<<20), Frame{}, false)
	n := uint32(0)
	frame := func(key bool) {
		n++
		elapsed := time.Duration(n) * time.Second / 60
		unit = s.AppendFrame(unit[:0], Frame{n, elapsed, uint64(elapsed)}, key)
	}
	for range 130 { // a whole sweep and two beeps
		frame(false)
	}
	if a := testing.AllocsPerRun(130, func() { frame(false) }); a != 0 {
		t.Errorf("%v allocations a frame", a)
	}
	if a := testing.AllocsPerRun(3, func() { frame(true) }); a != 0 {
		t.Errorf("%v allocations a key frame", a)
	}
}

// FuzzAppendFrame shows any times and numbers in any size.
func FuzzAppendFrame(f *testing.F) {
	f.Add(uint16(160), uint16(120), uint8(1), []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
	f.Add(uint16(333), uint16(500), uint8(240), make([]byte, 64))
	f.Fuzz(func(t *testing.T, width, height uint16, fps uint8, data []byte) {
		s, err := New(Config{Width: int(width) % 600, Height: int(height) % 600, FPS: int(fps)})
		if err != nil {
			return
		}
		for ; len(data) >= 16; data = data[16:] {
			f := Frame{
				Number:     binary.LittleEndian.Uint32(data),
				Elapsed:    time.Duration(binary.LittleEndian.Uint64(data[4:])),
				SenderTime: binary.LittleEndian.Uint64(data[8:]),
			}
			unit := s.AppendFrame(nil, f, data[3]&1 != 0)
			if err := h264.CheckLengths(unit); err != nil {
				t.Fatal(err)
			}
			d := s.Decoded()
			luma := stamp.Plane{Pix: d.Y, Stride: d.YStride, Width: s.config.Width, Height: s.config.Height}
			want := stamp.Stamp{Frame: f.Number, Time: f.SenderTime & stamp.MaxTime}
			if got, ok := stamp.Read(luma, s.Stamp()); !ok || got != want {
				t.Fatalf("stamp %v %+v, want %+v", ok, got, want)
			}
		}
	})
}
