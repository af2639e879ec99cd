package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Capture records the other end of a loopback card: what is played on device 0
// of it. It knows just enough of the kernel's uAPI for that, in bytes, so that
// it shares no mistake with package hw/alsa.
type Capture struct {
	rate int
	fd   int
	stop chan struct{}
	done sync.WaitGroup

	mu   sync.Mutex
	pcm  []int16 // stereo
	seen []sighting
	err  error
}

// sighting says that at an instant so many frames had been captured.
type sighting struct {
	at     int64 // CLOCK_MONOTONIC in ns
	frames int64
}

// Numbers of sound/asound.h on 64 bit, and offsets into its structures.
const (
	pcmHwParams = 0xc2604111 // struct snd_pcm_hw_params, 608 bytes
	pcmSwParams = 0xc0884113 // struct snd_pcm_sw_params, 136 bytes
	pcmStatus   = 0x80984120 // struct snd_pcm_status, 152 bytes
	pcmPrepare  = 0x4140
	pcmStart    = 0x4142
	pcmReadI    = 0x80184151 // struct snd_xferi, 24 bytes

	hwMasks, hwIntervals, hwAsked = 4, 260, 512
	statusTime, statusAvail       = 24, 64
)

// openWithin is how long Record tries.
const openWithin = 10 * time.Second

// Record opens the capture side of the card at the node given, such as
// /dev/snd/pcmC0D1c, in S16 stereo, and records until the test ends.
func Record(tb testing.TB, node string, rate int) *Capture {
	tb.Helper()
	Need(tb)
	c := &Capture{rate: rate, stop: make(chan struct{})}
	// A loopback refuses what its other end has not, which may just be opening.
	err := c.open(node)
	for deadline := time.Now().Add(openWithin); errors.Is(err, unix.EINVAL) && time.Now().Before(deadline); err = c.open(node) {
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		tb.Fatalf("%s: %v; the other end has\n%s", node, err, otherEnd(node))
	}
	c.done.Go(c.run)
	tb.Cleanup(func() {
		close(c.stop)
		c.done.Wait()
		unix.Close(c.fd)
		if c.err != nil {
			tb.Errorf("recording: %v", c.err)
		}
	})
	return c
}

// otherEnd is what plays into the loop.
func otherEnd(node string) (out string) {
	card, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(node), "pcmC"), "D")
	files, _ := filepath.Glob("/proc/asound/card" + card + "/pcm0p/sub*/hw_params") // the pattern is well formed
	for _, file := range files {
		text, err := os.ReadFile(file)
		out += fmt.Sprintf("%s: %s (%v)\n", file, text, err)
	}
	return out
}

// open opens the node and starts it.
func (c *Capture) open(node string) (err error) {
	if c.fd, err = unix.Open(node, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err != nil {
		return err
	}
	for _, step := range []struct {
		call uintptr
		arg  []byte
	}{{pcmHwParams, hwParams(c.rate)}, {pcmSwParams, swParams(c.rate)}, {pcmPrepare, nil}, {pcmStart, nil}} {
		if err := c.ioctl(step.call, step.arg); err != nil {
			unix.Close(c.fd)
			return fmt.Errorf("call %#x: %w", step.call, err)
		}
	}
	return nil
}

// hwParams asks for interleaved S16 stereo in periods of 10 ms and a buffer of
// 2 s.
func hwParams(rate int) []byte {
	p := make([]byte, 608)
	u32 := binary.NativeEndian.PutUint32
	for mask := range 3 {
		for i := range 32 {
			p[hwMasks+32*mask+i] = 0xff
		}
	}
	only := func(mask, value int) {
		clear(p[hwMasks+32*mask : hwMasks+32*mask+32])
		p[hwMasks+32*mask+value/8] = 1 << (value % 8)
	}
	only(0, 3) // access: RW_INTERLEAVED
	only(1, 2) // format: S16_LE
	for i := range 12 {
		u32(p[hwIntervals+12*i+4:], 1<<32-1)
	}
	exactly := func(parameter int, v int) {
		at := hwIntervals + 12*(parameter-8)
		u32(p[at:], uint32(v))
		u32(p[at+4:], uint32(v))
		u32(p[at+8:], 1<<2) // an integer
	}
	exactly(10, 2)        // channels
	exactly(11, rate)     // rate
	exactly(13, rate/100) // period, in frames
	exactly(15, 200)      // periods
	u32(p[hwAsked:], 1<<32-1)
	return p
}

// swParams makes time stamps CLOCK_MONOTONIC and never stops by itself.
func swParams(rate int) []byte {
	p := make([]byte, 136)
	u64 := binary.NativeEndian.PutUint64
	p[0] = 1                     // tstamp_mode: enabled
	p[4] = 1                     // period_step
	u64(p[16:], uint64(rate)/50) // avail_min
	u64(p[24:], 1)               // xfer_align
	u64(p[32:], 1)               // start_threshold
	u64(p[40:], 1<<62)           // stop_threshold
	binary.NativeEndian.PutUint32(p[72:], 2<<16|0<<8|12)
	p[76] = 1 // tstamp_type: CLOCK_MONOTONIC
	return p
}

func (c *Capture) ioctl(call uintptr, arg []byte) error {
	var p unsafe.Pointer
	if arg != nil {
		p = unsafe.Pointer(&arg[0])
	}
	for {
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(c.fd), call, uintptr(p)); e == 0 {
			return nil
		} else if e != unix.EINTR {
			return e
		}
	}
}

func (c *Capture) run() {
	buf := make([]byte, c.rate/10*4)
	for {
		select {
		case <-c.stop:
			return
		default:
		}
		if err := c.look(buf); err != nil {
			c.mu.Lock()
			c.err = err
			c.mu.Unlock()
			return
		}
	}
}

// look waits a little and takes what has been captured.
func (c *Capture) look(buf []byte) error {
	fds := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, 100); err != nil && err != unix.EINTR {
		return err
	}
	status := make([]byte, 152)
	if err := c.ioctl(pcmStatus, status); err != nil {
		return err
	}
	u64 := binary.NativeEndian.Uint64
	at, avail := int64(u64(status[statusTime:])*1e9+u64(status[statusTime+8:])), int64(u64(status[statusAvail:]))
	c.mu.Lock()
	c.seen = append(c.seen, sighting{at, int64(len(c.pcm)/2) + avail})
	c.mu.Unlock()
	for avail > 0 {
		n, err := c.read(buf, min(avail, int64(len(buf)/4)))
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil {
			return err
		}
		c.mu.Lock()
		for i := range int(n) * 2 {
			c.pcm = append(c.pcm, int16(binary.LittleEndian.Uint16(buf[2*i:])))
		}
		c.mu.Unlock()
		avail -= n
	}
	return nil
}

func (c *Capture) read(buf []byte, frames int64) (int64, error) {
	x := struct {
		result int64
		buf    unsafe.Pointer
		frames uint64
	}{buf: unsafe.Pointer(&buf[0]), frames: uint64(frames)}
	var pin runtime.Pinner
	pin.Pin(&buf[0])
	defer pin.Unpin()
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(c.fd), pcmReadI, uintptr(unsafe.Pointer(&x)))
	if e != 0 {
		return 0, e
	}
	return x.result, nil
}

// Samples returns what was recorded from a frame on: stereo samples.
func (c *Capture) Samples(from int) []int16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]int16(nil), c.pcm[min(2*from, len(c.pcm)):]...)
}

// Frames tells how many frames have been recorded.
func (c *Capture) Frames() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pcm) / 2
}

// When tells the instant at which a frame was captured, on CLOCK_MONOTONIC,
// reckoned from the last look before it; false for a frame after the last.
func (c *Capture) When(frame float64) (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, s := range c.seen {
		if float64(s.frames) > frame && i > 0 {
			s = c.seen[i-1]
			return time.Duration(float64(s.at) + (frame-float64(s.frames))*1e9/float64(c.rate)), true
		}
	}
	return 0, false
}
