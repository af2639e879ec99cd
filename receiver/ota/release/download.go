package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"
)

// Partial is where a download grows; an *os.File is one.
type Partial interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
}

// Limits of a download, those of zero are the defaults.
type Limits struct {
	// Stall is how long an attempt may go without a piece of 16 KiB: 30 s.
	Stall time.Duration
	// Total is how long everything may take, with waits and attempts: 2 h.
	Total time.Duration
	// Progress is told how many bytes are there, if it is not nil.
	Progress func(have, size int64)
}

const (
	piece = 16 << 10 // bytes that count as progress
	// An attempt that gets no farther than the best before it is a failure.
	maxFailures = 6
	maxAttempts = 200
	firstWait   = time.Second
	lastWait    = time.Minute
)

// final is an error that another attempt would not mend.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// Download fetches the program of a release and checks it. Of `to` the first
// `have` bytes are there already from an earlier try; nothing else is known of
// them, so if the whole turns out wrong, it is fetched once more from the
// start. On success `to` holds the program, verified, of exactly Size bytes,
// not yet flushed to the disk. After another error it holds what can be
// continued, unless the error wraps ErrContent: then it is empty. Errors also
// wrap ErrStalled, ErrTooLong, fs.ErrNotExist, ErrInsecure, the source's,
// to's and the context's.
func Download(ctx context.Context, s Source, r *Release, to Partial, have int64, l Limits) error {
	l.Stall, l.Total = cmp.Or(l.Stall, 30*time.Second), cmp.Or(l.Total, 2*time.Hour)
	ctx, cancel := context.WithTimeoutCause(ctx, l.Total, ErrTooLong)
	defer cancel()
	// Of a longer file, another one's most likely, nothing is kept.
	if have < 0 || have > r.Size {
		have = 0
	}
	d := &download{source: s, release: r, to: to, limits: l, have: have, pieced: have > 0}
	err := d.run(ctx)
	if errors.Is(err, ErrContent) && d.pieced {
		d = &download{source: s, release: r, to: to, limits: l}
		err = d.run(ctx)
	}
	if errors.Is(err, ErrContent) {
		if terr := to.Truncate(0); terr != nil {
			return fmt.Errorf("release: %w, after: %w", terr, err)
		}
	}
	return err
}

// download is one that is under way.
type download struct {
	source  Source
	release *Release
	to      Partial
	limits  Limits

	have   int64
	tag    string // of the file that have is of
	pieced bool   // have came in several pieces, maybe of different files
}

// run fetches what is missing and checks the whole.
func (d *download) run(ctx context.Context) error {
	if err := d.to.Truncate(d.have); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	if err := d.fetch(ctx); err != nil {
		return err
	}
	return d.release.Verify(io.NewSectionReader(d.to, 0, d.release.Size))
}

// fetch makes attempts until all is there.
func (d *download) fetch(ctx context.Context) error {
	best, failures, wait := d.have, 0, firstWait
	for attempt := 1; d.have < d.release.Size; attempt++ {
		err := d.attempt(ctx)
		var f final
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("release: fetch %s: %w", d.release.File, context.Cause(ctx))
		case errors.As(err, &f), errors.Is(err, fs.ErrNotExist), errors.Is(err, ErrContent):
			return fmt.Errorf("release: fetch %s: %w", d.release.File, err)
		case d.have > best:
			best, failures, wait = d.have, 0, firstWait
		default:
			failures++
		}
		if failures >= maxFailures || attempt >= maxAttempts {
			return fmt.Errorf("release: fetch %s: given up after %d attempts: %w", d.release.File, attempt, err)
		}
		d.pieced = d.have > 0
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(2*wait, lastWait)
	}
	return nil
}

// attempt reads on from what is there until the end, an error or a stall.
func (d *download) attempt(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(d.limits.Stall, func() { cancel(ErrStalled) })
	defer stall.Stop()
	// why is the reason for an error that the end of the context brought about.
	why := func(err error) error { return cmp.Or(context.Cause(ctx), err) }

	c, err := d.source.Open(ctx, d.release.File, d.have, d.tag)
	if err != nil {
		return why(err)
	}
	defer c.Close()
	if c.Size >= 0 && c.Size != d.release.Size {
		return fmt.Errorf("%w: it has %d bytes, not %d", ErrContent, c.Size, d.release.Size)
	}
	if c.From != d.have {
		if c.From != 0 {
			return final{fmt.Errorf("it begins at byte %d, not at %d", c.From, d.have)}
		}
		d.have = 0
		if err := d.to.Truncate(0); err != nil {
			return final{err}
		}
	}
	d.tag = c.Tag

	mark := d.have
	buf := make([]byte, 64<<10)
	for d.have < d.release.Size {
		n, err := c.Read(buf[:min(int64(len(buf)), d.release.Size-d.have)])
		if n > 0 {
			if _, err := d.to.WriteAt(buf[:n], d.have); err != nil {
				return final{err}
			}
			d.have += int64(n)
			if d.have-mark >= piece {
				mark = d.have
				stall.Reset(d.limits.Stall)
			}
			if d.limits.Progress != nil {
				d.limits.Progress(d.have, d.release.Size)
			}
		}
		if err == io.EOF && d.have < d.release.Size {
			err = io.ErrUnexpectedEOF
		}
		if err != nil && d.have < d.release.Size {
			return why(err)
		}
	}
	return nil
}
