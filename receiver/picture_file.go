package receiver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/codec/h264"
	"aerie/receiver/mirror"
	"aerie/receiver/mp4"
)

// numbered names the files of an output: the path itself for the first
// session, which replaces what was there, as a shell does; a number before the
// extension for those after it.
type numbered struct {
	path string
	mu   sync.Mutex
	n    int
}

func (f *numbered) next() (*os.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	if f.n == 1 {
		return os.Create(f.path)
	}
	ext := filepath.Ext(f.path)
	for ; f.n < 10_000; f.n++ {
		name := fmt.Sprintf("%s-%d%s", strings.TrimSuffix(f.path, ext), f.n, ext)
		file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, fs.ErrExist) {
			return file, err
		}
	}
	return nil, fmt.Errorf("too many files like %s", f.path)
}

// check makes sure at the start that the file can be written.
func (f *numbered) check() error {
	file, err := os.OpenFile(f.path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	return file.Close()
}

// recording is the output that writes MP4 files, picture and sound.
type recording struct {
	files numbered
	why   string
}

func newRecording(path, why string) (*recording, error) {
	o := &recording{files: numbered{path: path}, why: why}
	return o, o.files.check()
}

func (o *recording) describe() (string, string) { return "MP4 file " + o.files.path, o.why }
func (o *recording) close()                     {}

func (o *recording) open(_ context.Context, s *streams) (videoSession, error) {
	return &recordPicture{s: s, t: s.tape(o)}, nil
}

// tape is the recording of one session, shared by its picture and its sound.
type tape struct {
	o *recording
	s *streams

	mu       sync.Mutex
	users    int
	recorder *mp4.Recorder // nil before the first sample and after an error
	failed   bool
	audio    *mp4.Audio // nil without sound
}

// tape returns the session's recording, for one more user.
func (s *streams) tape(o *recording) *tape {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.recording == nil {
		s.recording = &tape{o: o, s: s}
	}
	s.recording.users++
	return s.recording
}

// open returns the recorder, which begins with the first picture: a session
// that mirrors nothing leaves no file. It is nil where nothing can be
// recorded.
func (t *tape) open(picture bool) *mp4.Recorder {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.recorder != nil || t.failed || !picture {
		return t.recorder
	}
	file, err := t.o.files.next()
	if err == nil {
		t.recorder, err = mp4.NewRecorder(file, mp4.Options{})
	}
	if err == nil && t.audio != nil {
		err = t.recorder.SetAudio(*t.audio)
	}
	if err != nil {
		t.fail(err)
		return nil
	}
	t.s.r.log.Info("recording", "file", file.Name())
	return t.recorder
}

// describeSound tells what sound there will be.
func (t *tape) describeSound(a mp4.Audio) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.audio = &a
}

// sound records a frame of sound, once there is a picture.
func (t *tape) sound(frame []byte, at clock.Remote) {
	if r := t.open(false); r != nil {
		r.WriteAudio(frame, t.s.time.at(at))
	}
}

// fail gives the recording up, once. The session goes on.
func (t *tape) fail(err error) {
	if !t.failed {
		t.failed = true
		t.s.r.log.Error("recording failed", "error", err)
		t.s.r.warnings.add(fmt.Sprintf("recording failed: %v", err))
	}
}

// check notices an error of the disk.
func (t *tape) check(r *mp4.Recorder) {
	select {
	case <-r.Done():
		t.mu.Lock()
		defer t.mu.Unlock()
		if err := r.Err(); err != nil && t.recorder == r {
			t.recorder = nil
			t.fail(err)
		}
	default:
	}
}

// anew goes on in another file.
func (t *tape) anew(old *mp4.Recorder) *mp4.Recorder {
	t.mu.Lock()
	if t.recorder == old {
		t.recorder = nil
	}
	t.mu.Unlock()
	if err := old.Close(); err != nil {
		t.s.r.log.Error("recording", "error", err)
	}
	return t.open(true)
}

// done ends the recording when its last user is done.
func (t *tape) done() {
	t.mu.Lock()
	t.users--
	r := t.recorder
	if t.users > 0 {
		t.mu.Unlock()
		return
	}
	t.recorder = nil
	t.mu.Unlock()
	if r == nil {
		return
	}
	err := r.Close()
	st := r.Stats()
	if err != nil {
		t.s.r.log.Error("recording ended", "error", err)
		return
	}
	t.s.r.log.Info("recording ended", "pictures", st.Video, "sound", st.Audio, "length", st.Duration.Round(time.Millisecond), "dropped", st.DroppedVideo+st.DroppedAudio)
}

// recordPicture records the picture of a session.
type recordPicture struct {
	heapBuffer
	s *streams
	t *tape
	r *mp4.Recorder
}

func (p *recordPicture) Buffer(n int) (mirror.Buffer, error) { return p.lend(n) }

func (p *recordPicture) Picture(_ mirror.Buffer, au *mirror.AccessUnit) {
	if p.r == nil || au.New {
		if p.r = p.t.open(true); p.r == nil {
			return
		}
	}
	if au.New {
		v := track(au.Parameters)
		err := p.r.SetVideo(v)
		if errors.Is(err, mp4.ErrNewFile) {
			if p.r = p.t.anew(p.r); p.r == nil {
				return
			}
			err = p.r.SetVideo(v)
		}
		if err != nil {
			p.s.r.log.Error("recording", "error", err)
			return
		}
	}
	p.r.WriteVideo(au.Data, p.s.time.at(au.Time), au.IDR)
	p.t.check(p.r)
	p.s.handedOver(au)
}

func (p *recordPicture) Pause(bool) {}
func (p *recordPicture) End()       {}
func (p *recordPicture) close()     { p.t.done() }

// rawFile is the output that writes the elementary stream as it is: parameter
// sets and access units with start codes.
type rawFile struct {
	files numbered
	why   string
}

func newRawFile(path, why string) (*rawFile, error) {
	o := &rawFile{files: numbered{path: path}, why: why}
	return o, o.files.check()
}

func (o *rawFile) describe() (string, string) { return "elementary stream " + o.files.path, o.why }
func (o *rawFile) close()                     {}

func (o *rawFile) open(_ context.Context, s *streams) (videoSession, error) {
	file, err := o.files.next()
	if err != nil {
		return nil, err
	}
	return &rawPicture{s: s, file: file, w: bufio.NewWriterSize(file, 256<<10)}, nil
}

type rawPicture struct {
	heapBuffer
	s      *streams
	file   *os.File
	w      *bufio.Writer
	failed bool
}

func (p *rawPicture) Buffer(n int) (mirror.Buffer, error) { return p.lend(n) }

func (p *rawPicture) Picture(_ mirror.Buffer, au *mirror.AccessUnit) {
	if p.failed {
		return
	}
	if au.New {
		p.write(au.Parameters.AnnexB)
	}
	if err := h264.ToAnnexB(au.Data); err != nil {
		return // the stream has checked the lengths
	}
	p.write(au.Data)
	p.s.handedOver(au)
}

func (p *rawPicture) write(b []byte) {
	if _, err := p.w.Write(b); err != nil && !p.failed {
		p.failed = true
		p.s.r.log.Error("the elementary stream cannot be written", "error", err)
		p.s.r.warnings.add(fmt.Sprintf("the elementary stream cannot be written: %v", err))
	}
}

func (p *rawPicture) Pause(bool) { _ = p.w.Flush() }
func (p *rawPicture) End()       { _ = p.w.Flush() }
func (p *rawPicture) close() {
	_ = p.w.Flush()
	if err := p.file.Close(); err != nil && !p.failed {
		p.s.r.log.Error("the elementary stream", "error", err)
	}
}

// handedOver notes that an output that shows nothing itself has a picture.
func (s *streams) handedOver(au *mirror.AccessUnit) {
	now := s.r.now()
	s.r.meters.handover.Observe(now.Sub(au.Arrived))
	s.stamped(au.Time, now)
}

// stamped measures from the sender's stamp, by its clock, to now.
func (s *streams) stamped(stamp clock.Remote, now clock.Time) {
	est := s.clock.Estimate()
	local := est.ToLocal(stamp)
	s.pictureDelay.Ready(local, now)
	if est.Source == clock.NTP {
		s.r.meters.total.Observe(now.Sub(local))
	}
}
