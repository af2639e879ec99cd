package release

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// memory is a Partial of a size that must not be exceeded.
type memory struct {
	t    *testing.T
	b    []byte
	most int64
	fail error // of the next writes
}

func (m *memory) ReadAt(b []byte, at int64) (int, error) { return bytes.NewReader(m.b).ReadAt(b, at) }

func (m *memory) WriteAt(b []byte, at int64) (int, error) {
	if m.fail != nil {
		return 0, m.fail
	}
	if at != int64(len(m.b)) || at+int64(len(b)) > m.most {
		m.t.Errorf("%d bytes are written at %d of %d, the most are %d", len(b), at, len(m.b), m.most)
	}
	m.b = append(m.b, b...)
	return len(b), nil
}

func (m *memory) Truncate(size int64) error {
	m.b = slices.Grow(m.b, int(size))[:size]
	return nil
}

// shelf is a source in memory whose faults are chosen one attempt after the
// other; then it works.
type shelf struct {
	file   []byte
	faults []fault
	opened int
}

// fault is what goes wrong in one attempt.
type fault struct {
	open  error         // Open fails
	from  int64         // it begins here, if not 0
	over  bool          // it begins at the start
	size  int64         // the size it tells, if not 0
	ends  int           // after so many bytes, with err or the end
	err   error         //
	hangs bool          // and then nothing more comes
	drips time.Duration // a byte each
	flips bool          // bits
}

func (s *shelf) Open(ctx context.Context, name string, from int64, tag string) (*Content, error) {
	s.opened++
	if s.opened > len(s.faults) {
		s.faults = append(s.faults, fault{ends: len(s.file)})
	}
	f := s.faults[s.opened-1]
	if f.open != nil {
		return nil, f.open
	}
	if f.over {
		from = 0
	}
	if f.from != 0 {
		from = f.from
	}
	c := &Content{From: from, Size: int64(len(s.file)), Tag: "\"1\""}
	if f.size != 0 {
		c.Size = f.size
	}
	rest := s.file[from:]
	c.ReadCloser = io.NopCloser(&faulty{ctx: ctx, fault: f, rest: rest[:min(len(rest), f.ends)]})
	return c, nil
}

type faulty struct {
	fault
	ctx  context.Context
	rest []byte
}

func (f *faulty) Read(b []byte) (int, error) {
	if f.drips > 0 {
		b = b[:1]
		select {
		case <-time.After(f.drips):
		case <-f.ctx.Done():
			return 0, f.ctx.Err()
		}
	}
	n := copy(b, f.rest)
	f.rest = f.rest[n:]
	switch {
	case n > 0:
		if f.flips {
			b[0] ^= 1
		}
		return n, nil
	case f.hangs:
		<-f.ctx.Done()
		return 0, f.ctx.Err()
	case f.err != nil:
		return 0, f.err
	}
	return 0, io.EOF
}

const all = 1 << 30

func TestDownload(t *testing.T) {
	p := program(200_000)
	other := program(200_001)
	reset := syscall.ECONNRESET
	for name, c := range map[string]struct {
		faults  []fault
		have    []byte // from an earlier try
		want    error
		opened  int           // attempts
		atLeast time.Duration // that it took
		atMost  time.Duration
		total   time.Duration // the limit
	}{
		"at once":                      {opened: 1},
		"continued from an earlier":    {have: p[:50_000], opened: 1},
		"all was there":                {have: p, opened: 0},
		"wrong was there":              {have: other[:50_000], opened: 2},
		"more was there":               {have: append(slices.Clone(p), 1, 2, 3), opened: 1},
		"cut":                          {faults: []fault{{ends: 70_000}, {ends: 1, err: reset}}, opened: 3, atLeast: 2 * time.Second},
		"starts over":                  {faults: []fault{{ends: 70_000, err: reset}, {over: true, ends: all}}, opened: 2},
		"somewhere else":               {faults: []fault{{ends: 70_000}, {from: 71_000, ends: all}}, opened: 2, want: errAny},
		"not there":                    {faults: []fault{{open: fs.ErrNotExist}}, opened: 1, want: fs.ErrNotExist},
		"refused":                      {faults: []fault{{open: final{ErrInsecure}}}, opened: 1, want: ErrInsecure},
		"server down, then up":         {faults: []fault{{open: reset}, {open: reset}, {open: reset}}, opened: 4, atLeast: 7 * time.Second},
		"server down":                  {faults: slices.Repeat([]fault{{open: reset}}, 50), opened: maxFailures, want: reset, atMost: time.Minute},
		"another size":                 {faults: []fault{{size: 5 << 30, ends: all}}, opened: 1, want: ErrContent},
		"hangs once":                   {faults: []fault{{ends: 70_000, hangs: true}}, opened: 2, atLeast: 30 * time.Second, atMost: 40 * time.Second},
		"hangs":                        {faults: slices.Repeat([]fault{{hangs: true}}, 50), opened: maxFailures, want: ErrStalled, atMost: 5 * time.Minute},
		"drips":                        {faults: slices.Repeat([]fault{{ends: all, drips: time.Second}}, 400), opened: maxAttempts, want: ErrStalled, atLeast: time.Hour, atMost: 2 * time.Hour},
		"is slow":                      {faults: []fault{{ends: all, drips: time.Millisecond}}, opened: 1, total: time.Minute, want: ErrTooLong, atLeast: time.Minute, atMost: time.Minute},
		"is cut again and again":       {faults: slices.Repeat([]fault{{ends: 100, err: reset}}, 400), opened: maxAttempts, want: reset},
		"starts over again and again":  {faults: slices.Repeat([]fault{{over: true, ends: 199_000}}, 400), opened: 1 + maxFailures, want: io.ErrUnexpectedEOF},
		"another file":                 {faults: []fault{{ends: all, flips: true}}, opened: 1, want: ErrContent},
		"in pieces of different files": {faults: []fault{{ends: 100_000, flips: true}}, opened: 3},
		"in pieces of wrong files":     {faults: slices.Repeat([]fault{{ends: 110_000, flips: true}}, 4), opened: 4, want: ErrContent},
	} {
		t.Run(name, func(t *testing.T) {
			r := opened(t, p)
			synctest.Test(t, func(t *testing.T) {
				s := &shelf{file: p, faults: c.faults}
				m := &memory{t: t, b: slices.Clone(c.have), most: r.Size}
				start := time.Now()
				err := Download(t.Context(), s, r, m, int64(len(c.have)), Limits{Total: c.total})
				if took := time.Since(start); took < c.atLeast || c.atMost > 0 && took > c.atMost {
					t.Errorf("it took %v, want %v to %v", took, c.atLeast, c.atMost)
				}
				switch {
				case c.want == errAny && err == nil, c.want != errAny && !errors.Is(err, c.want):
					t.Errorf("%v, want %v", err, c.want)
				case err == nil && !bytes.Equal(m.b, p):
					t.Error("it is not the program")
				case errors.Is(err, ErrContent) && len(m.b) > 0:
					t.Errorf("%d bytes of a wrong file are kept", len(m.b))
				}
				if c.opened != s.opened {
					t.Errorf("%d attempts, want %d", s.opened, c.opened)
				}
			})
		})
	}
}

// errAny is any error.
var errAny = errors.New("any error")

func TestDownloadProgress(t *testing.T) {
	r := opened(t, program(200_000))
	var last int64
	err := Download(t.Context(), &shelf{file: program(200_000)}, r, &memory{t: t, most: r.Size}, 0, Limits{Progress: func(have, size int64) {
		if have <= last || size != 200_000 {
			t.Errorf("%d of %d after %d", have, size, last)
		}
		last = have
	}})
	if err != nil || last != 200_000 {
		t.Errorf("%v; the last was %d", err, last)
	}
}

// A full disk and the end of the caller's patience end a download; what is
// there can be continued.
func TestDownloadEnds(t *testing.T) {
	p := program(200_000)
	r := opened(t, p)
	m := &memory{t: t, most: r.Size, fail: syscall.ENOSPC}
	s := &shelf{file: p}
	if err := Download(t.Context(), s, r, m, 0, Limits{}); !errors.Is(err, syscall.ENOSPC) || s.opened != 1 {
		t.Errorf("full: %v after %d attempts", err, s.opened)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		m := &memory{t: t, most: r.Size}
		if err := Download(ctx, &shelf{file: p, faults: []fault{{ends: 1234, hangs: true}}}, r, m, 0, Limits{}); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		if err := Download(t.Context(), &shelf{file: p}, r, m, int64(len(m.b)), Limits{}); err != nil || len(m.b) != 200_000 {
			t.Errorf("continued: %v", err)
		}
	})
}

// Whatever a source does, the end is the program or an error, in a bounded
// time, and nothing is written beyond the size.
func TestDownloadAtRandom(t *testing.T) {
	p := program(120_000)
	r := opened(t, p)
	good, bad := 0, 0
	for seed := range uint64(400) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			s := &shelf{file: p}
			for range rnd.IntN(12) {
				f := fault{ends: rnd.IntN(2 * len(p)), hangs: rnd.IntN(4) == 0, over: rnd.IntN(4) == 0, flips: rnd.IntN(10) == 0}
				switch rnd.IntN(6) {
				case 0:
					f.open = syscall.ECONNREFUSED
				case 1:
					f.err = syscall.ECONNRESET
				case 2:
					f.size = -1
				}
				s.faults = append(s.faults, f)
			}
			m := &memory{t: t, most: r.Size}
			for range rnd.IntN(3) {
				m.b = append(m.b, p[:rnd.IntN(1000)]...)
			}
			start := time.Now()
			err := Download(t.Context(), s, r, m, int64(len(m.b)), Limits{})
			if took := time.Since(start); took > 2*time.Hour {
				t.Errorf("seed %d: it took %v", seed, took)
			}
			switch {
			case err != nil:
				bad++
			case !bytes.Equal(m.b, p):
				t.Errorf("seed %d: it is not the program", seed)
			default:
				good++
			}
		})
	}
	if good < 100 || bad < 10 {
		t.Errorf("%d downloads succeeded and %d failed: the faults are too many or too few", good, bad)
	}
}
