package mp4

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"aerie/receiver/codec/h264"
)

// These tests show the streams and the files to a real browser.

// The page that all tests share: it plays what script tells it to and posts
// what became of it as JSON.
const page = `<!doctype html><title>mp4</title><script>
const report = r => fetch('/report', {method: 'POST', body: JSON.stringify(r)});
const until = async (what, cond) => {
  // By the clock: the browser slows timers down on a page that nobody sees.
  for (const begun = performance.now(); !cond(); ) {
    if (performance.now() - begun > 120000)
      throw new Error('waited in vain for ' + what + ': ' + [...document.querySelectorAll('video')].map(e => JSON.stringify(state(e))));
    await new Promise(r => setTimeout(r, 50));
  }
};
// open makes a media element with a source buffer for a MIME type.
const open = async mime => {
  const e = document.createElement('video');
  e.muted = true;
  document.documentElement.append(e);
  e.sizes = [];
  e.addEventListener('resize', () => e.sizes.push(e.videoWidth + 'x' + e.videoHeight));
  const ms = new MediaSource();
  e.src = URL.createObjectURL(ms);
  await new Promise(r => ms.addEventListener('sourceopen', r, {once: true}));
  e.sb = ms.addSourceBuffer(mime);
  return e;
};
const append = async (e, data) => {
  e.sb.appendBuffer(data);
  await new Promise(r => e.sb.addEventListener('updateend', r, {once: true}));
  if (e.error) throw new Error(e.error.message);
};
// segments iterates over the parts of a stream, each behind its length.
async function* segments(url) {
  const b = await (await fetch(url)).arrayBuffer(), v = new DataView(b);
  for (let at = 0; at < b.byteLength; ) {
    const n = v.getUint32(at);
    yield b.slice(at + 4, at + 4 + n);
    at += 4 + n;
  }
}
const ranges = e => Array.from({length: e.buffered.length}, (_, i) => [e.buffered.start(i), e.buffered.end(i)]);
const state = e => ({ranges: ranges(e), time: e.currentTime, width: e.videoWidth, height: e.videoHeight, duration: e.duration,
  frames: e.getVideoPlaybackQuality().totalVideoFrames, sizes: e.sizes, ended: e.ended});
</script><script>(async () => { %SCRIPT% })().catch(e => report({error: e.name + ': ' + e.message}));</script>`

// A state is what a page says of a media element.
type state struct {
	Error         string
	Ranges        [][2]float64
	Time          float64
	Width, Height int
	Duration      float64
	Frames        int
	Sizes         []string
	Ended         bool
}

// browse runs a script in headless Chromium and returns what it reports.
// files are served by their names.
func browse(t *testing.T, script string, files map[string][]byte) (reported map[string]state) {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed (Debian: apt install chromium)")
	}
	result := make(chan []byte, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if b, ok := files[strings.TrimPrefix(r.URL.Path, "/")]; ok {
			http.ServeContent(w, r, r.URL.Path, time.Time{}, bytes.NewReader(b))
			return
		}
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, strings.Replace(page, "%SCRIPT%", script, 1))
	})
	mux.HandleFunc("/report", func(_ http.ResponseWriter, r *http.Request) {
		if b, err := io.ReadAll(r.Body); err == nil {
			select {
			case result <- b:
			default:
			}
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-crash-reporter",
		"--autoplay-policy=no-user-gesture-required", "--remote-debugging-port=0", "--user-data-dir="+t.TempDir(), server.URL)
	// The browser dies with this test, even if the test is killed.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Cancel()
	select {
	case b := <-result:
		var one state
		if err := json.Unmarshal(b, &one); err == nil && one.Error != "" {
			return map[string]state{"error": one}
		}
		if err := json.Unmarshal(b, &reported); err != nil {
			t.Fatalf("the page reported %s: %v", b, err)
		}
	case <-ctx.Done():
		t.Fatal("the page reported nothing")
	}
	return reported
}

// segment appends a part of a stream with its length.
func segment(dst, part []byte) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(part))), part...)
}

// A page plays picture and sound of a live stream, over a pause and a change
// of size.
func TestChromiumLive(t *testing.T) {
	landscape, portrait, sound := makeClip(t, H264, 320, 180, 90), makeClip(t, H264, 180, 320, 60), makeSound(t, 44100, 4)
	video, err := NewLive(&landscape.video, nil)
	if err != nil {
		t.Fatal(err)
	}
	mime := video.MIMEType()
	stream, at := segment(nil, video.AppendInit(nil)), 40*time.Second
	for i, u := range landscape.units {
		stream = segment(stream, video.AppendVideo(nil, u, at, landscape.keys[i]))
		if at += 33 * time.Millisecond; i == 45 {
			at += time.Minute // the screen does not change
		}
	}
	next, err := NewLive(&portrait.video, nil)
	if err != nil {
		t.Fatal(err)
	}
	next.Continue(video)
	stream = segment(stream, next.AppendInit(nil))
	for i, u := range portrait.units {
		stream = segment(stream, next.AppendVideo(nil, u, at, portrait.keys[i]))
		at += 33 * time.Millisecond
	}
	audio, err := NewLive(nil, &sound.audio)
	if err != nil {
		t.Fatal(err)
	}
	heard := segment(nil, audio.AppendInit(nil))
	for i := 0; i+2 < len(sound.frames); i += 3 {
		heard = segment(heard, audio.AppendAudio(nil, 40*time.Second+sound.at(i), sound.frames[i:i+3]...))
	}

	got := browse(t, `
		const video = await open('`+mime+`'), audio = await open('`+audio.MIMEType()+`');
		for await (const s of segments('video')) await append(video, s);
		for await (const s of segments('audio')) await append(audio, s);
		for (const e of [video, audio]) {
			e.currentTime = e.buffered.start(0);
			await e.play();
		}
		await until('the picture', () => video.currentTime >= video.buffered.end(0) - 0.15);
		await until('the sound', () => audio.currentTime >= audio.buffered.end(0) - 0.15);
		report({video: state(video), audio: state(audio)});
	`, map[string][]byte{"video": stream, "audio": heard})
	v, a := got["video"], got["audio"]
	if got["error"].Error != "" {
		t.Fatal(got["error"].Error)
	}
	// 149 intervals, one of them the pause, which is cut to 100 ms, and the
	// last picture.
	end := 40 + 148*0.033 + 0.1 + 0.1
	if len(v.Ranges) != 1 || math.Abs(v.Ranges[0][0]-40) > 0.001 || math.Abs(v.Ranges[0][1]-end) > 0.001 {
		t.Errorf("video ranges %v, want one from 40 to %v", v.Ranges, end)
	}
	if v.Width != 180 || v.Height != 320 || !slices.Equal(v.Sizes, []string{"320x180", "180x320"}) || v.Frames < 140 {
		t.Errorf("video %+v", v)
	}
	end = 40 + sound.at(len(sound.frames)/3*3).Seconds()
	if len(a.Ranges) != 1 || math.Abs(a.Ranges[0][1]-end) > 0.001 || a.Time < 41 {
		t.Errorf("audio %+v, want up to %v", a, end)
	}
	if s := next.Skipped(); s != time.Minute+33*time.Millisecond-maxLiveGap {
		t.Errorf("skipped %v", s)
	}
}

// Both tracks in one stream share one time, and the pause is in it.
func TestChromiumLiveShared(t *testing.T) {
	clip, sound := makeClip(t, H264, 320, 180, 90), makeSound(t, 44100, 4)
	live, err := NewLive(&clip.video, &sound.audio)
	if err != nil {
		t.Fatal(err)
	}
	stream := segment(nil, live.AppendInit(nil))
	for i, e := range session(clip, sound, 0, 0, 5) {
		if e.video {
			stream = segment(stream, live.AppendVideo(nil, e.data, e.pts, e.key))
		} else if i < 100000 {
			stream = segment(stream, live.AppendAudio(nil, e.pts, e.data))
		}
	}
	got := browse(t, `
		const e = await open('`+live.MIMEType()+`');
		for await (const s of segments('stream')) await append(e, s);
		await e.play();
		await until('two seconds', () => e.currentTime > 2);
		report({e: state(e)});
	`, map[string][]byte{"stream": stream})
	if e := got["e"]; got["error"].Error != "" || len(e.Ranges) != 1 || e.Ranges[0][1] < 3.9 || e.Width != 320 || e.Frames < 20 {
		t.Errorf("%+v", got)
	}
}

// What would happen if a fragment told the likely duration of its picture and
// the true time of the next: after a pause everything is thrown away.
func TestChromiumShortDurations(t *testing.T) {
	clip := makeClip(t, H264, 320, 180, 90)
	live, err := NewLive(&clip.video, nil)
	if err != nil {
		t.Fatal(err)
	}
	stream := segment(nil, live.AppendInit(nil))
	for i, u := range clip.units {
		at := time.Duration(i) * 33 * time.Millisecond
		if i > 20 {
			at += 500 * time.Millisecond
		}
		live.recovery = live.clock.at // no recovery points, which would end it
		f := live.AppendVideo(nil, u, at, i == 0)
		const durationAt, timeAt = 8 + 16 + 8 + 16, 8 + 16 + 8 + 28 + 12
		binary.BigEndian.PutUint32(f[durationAt:], 33000)
		binary.BigEndian.PutUint64(f[timeAt:], uint64(at/time.Microsecond))
		stream = segment(stream, f)
	}
	got := browse(t, `
		const e = await open('`+live.MIMEType()+`');
		for await (const s of segments('stream')) await append(e, s);
		report({e: state(e)});
	`, map[string][]byte{"stream": stream})
	if e := got["e"]; len(e.Ranges) != 1 || math.Abs(e.Ranges[0][1]-21*0.033) > 0.001 {
		t.Errorf("%+v: the rule for durations is not needed any more", got)
	}
}

// A stream with a single key picture can go on for ever, because it has
// recovery points: without them the browser takes no more after 150 MB.
func TestChromiumEndless(t *testing.T) {
	if testing.Short() {
		t.Skip("sends 400 MB to the browser")
	}
	clip := makeClip(t, H264, 320, 180, 90)
	filler := append([]byte{0, 0, 0, 1, byte(h264.TypeFiller)}, bytes.Repeat([]byte{0xff}, 2<<20)...)
	filler = append(filler, 0x80)
	play := func(recovery bool) map[string]state {
		live, err := NewLive(&clip.video, nil)
		if err != nil {
			t.Fatal(err)
		}
		stream := segment(nil, live.AppendInit(nil))
		for i := range 100 {
			// Picture 1 again and again; what it shows does not matter.
			u := clip.units[min(i, 1)]
			if !recovery {
				live.recovery = live.clock.at
			}
			f := live.AppendVideo(nil, append(slices.Clone(u), filler...), time.Duration(i)*33*time.Millisecond, i == 0)
			stream = segment(stream, f)
		}
		return browse(t, `
			const e = await open('`+live.MIMEType()+`');
			e.play();
			for await (const s of segments('stream')) {
				await append(e, s);
				await until('room', () => e.buffered.length == 0 || e.buffered.end(0) - e.currentTime < 1);
			}
			report({e: state(e)});
		`, map[string][]byte{"stream": stream})
	}
	got := play(true)
	if e := got["e"]; got["error"].Error != "" || len(e.Ranges) != 1 || e.Ranges[0][0] == 0 || e.Ranges[0][1] < 3.3 {
		t.Errorf("with recovery points: %+v", got)
	}
	if got := play(false); !strings.HasPrefix(got["error"].Error, "QuotaExceededError") {
		t.Errorf("without recovery points: %+v: they are not needed any more", got)
	}
}

// A finished recording plays from a web server to its end and can be sought,
// over a change of size.
func TestChromiumRecording(t *testing.T) {
	landscape, portrait, sound := makeClip(t, H264, 320, 180, 90), makeClip(t, H264, 180, 320, 60), makeSound(t, 44100, 4)
	file := filepath.Join(t.TempDir(), "recording.mp4")
	r, err := Create(file, Options{Video: &landscape.video, Audio: &sound.audio})
	if err != nil {
		t.Fatal(err)
	}
	at := 10 * time.Second
	for _, c := range []*clip{landscape, portrait} {
		if err := r.SetVideo(c.video); err != nil {
			t.Fatal(err)
		}
		for i, u := range c.units {
			r.WriteVideo(u, at, c.keys[i])
			at += 33 * time.Millisecond
		}
	}
	for i, f := range sound.frames {
		r.WriteAudio(f, 10*time.Second+500*time.Millisecond+sound.at(i))
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	got := browse(t, `
		const e = document.createElement('video');
		e.muted = true;
		e.sizes = [];
		e.addEventListener('resize', () => e.sizes.push(e.videoWidth + 'x' + e.videoHeight));
		document.documentElement.append(e);
		e.src = 'recording.mp4';
		await until('metadata', () => e.readyState >= 1 || e.error);
		const first = state(e);
		const seek = async at => {
			e.currentTime = at;
			await until('seeking to ' + at, () => !e.seeking && e.readyState >= 2 || e.error);
			return state(e);
		};
		const late = await seek(4), early = await seek(1);
		await e.play();
		await until('the end', () => e.ended || e.error);
		if (e.error) throw new Error(e.error.message);
		report({first, late, early, end: state(e)});
	`, map[string][]byte{"recording.mp4": readAll(t, file)})
	if got["error"].Error != "" {
		t.Fatal(got["error"].Error)
	}
	if f := got["first"]; math.Abs(f.Duration-150*0.033) > 0.03 {
		t.Errorf("duration %v", f.Duration)
	}
	if l, e, end := got["late"], got["early"], got["end"]; l.Width != 180 || e.Width != 320 || end.Width != 180 || !end.Ended {
		t.Errorf("late %+v, early %+v, end %+v", l, e, end)
	}
}
