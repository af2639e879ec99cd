package bench

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TV is a television on the bus of the driver vivid, whose HDMI output is
// plugged into its HDMI input. It tells its power when it is asked, takes a
// while to wake up, and goes to sleep when it is told to.
type TV struct {
	tb      testing.TB
	fd      int
	control int    // video device that is the television's input
	input   uint32 // its number
	edid    []byte // what it says of itself

	// Player is the device node at the other end of the cable.
	Player string

	stop, done chan struct{}
	mu         sync.Mutex
	heard      []string
	awakes     time.Time // when it is on; zero: it sleeps
}

// Television plugs the cable in and makes a television that sleeps. It goes with
// the test.
func Television(tb testing.TB) *TV {
	tb.Helper()
	Need(tb)
	v := &TV{tb: tb, fd: -1, stop: make(chan struct{}), done: make(chan struct{})}
	v.connect()
	v.findAdapters()
	mode := uint32(0x11) // it sends, and gets what the kernel does not answer
	v.call(0x40046109, unsafe.Pointer(&mode), "CEC_S_MODE")
	var none, tv cecAddresses
	v.call(0xc05c6104, unsafe.Pointer(&none), "CEC_ADAP_S_LOG_ADDRS")
	tv.number, tv.version, tv.vendor, tv.all[0] = 1, 5, 0xffffffff, 0x80
	copy(tv.name[:], "Bench")
	v.call(0xc05c6104, unsafe.Pointer(&tv), "CEC_ADAP_S_LOG_ADDRS")
	go v.watch()
	tb.Cleanup(func() {
		close(v.stop)
		<-v.done
		v.Plug(true)
		unix.Close(v.fd)
		unix.Close(v.control)
	})
	return v
}

// cecAddresses is struct cec_log_addrs, cecMessage struct cec_msg.
type cecAddresses struct {
	address         [4]uint8
	mask            uint16
	version, number uint8
	vendor, flags   uint32
	name            [15]byte
	primary         [4]uint8
	kind, all       [4]uint8
	_               [49]uint8
}

type cecMessage struct {
	_                                 [2]uint64
	length, timeout, sequence, flags  uint32
	data                              [16]byte
	reply, rxStatus, txStatus, others uint8
	_                                 [4]uint8
}

func ioctl(fd int, number uint32, arg unsafe.Pointer) error {
	for {
		_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(number), uintptr(arg))
		if e == 0 {
			return nil
		}
		if e != unix.EINTR {
			return e
		}
	}
}

func (v *TV) call(number uint32, arg unsafe.Pointer, name string) {
	v.tb.Helper()
	if err := ioctl(v.fd, number, arg); err != nil {
		v.tb.Fatalf("television: %s: %v", name, err)
	}
}

// connect has vivid's HDMI input take what its HDMI output gives, and finds the
// EDID of that input.
func (v *TV) connect() {
	v.tb.Helper()
	nodes, _ := filepath.Glob("/dev/video*")
	for _, n := range nodes {
		fd, err := unix.Open(n, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		if v.control = fd; v.plugCable() {
			v.readEDID()
			return
		}
		unix.Close(fd)
	}
	v.tb.Fatal("no video device has a control for the HDMI cable (Linux 6.12 or newer, driver vivid)")
}

// plugCable sets the control that says what an HDMI input is connected to; false
// if the device has none.
func (v *TV) plugCable() bool {
	const next = 0x80000000
	query := struct {
		id, kind      uint32
		name          [32]byte
		low, high     int32
		step, def     int32
		flags, r0, r1 uint32
	}{id: next}
	for ; ioctl(v.control, 0xc0445624, unsafe.Pointer(&query)) == nil; query.id |= next {
		name := string(query.name[:])
		if !strings.HasPrefix(name, "HDMI") || !strings.Contains(name, "Is Connected To") {
			continue
		}
		for i := query.low; i <= query.high; i++ {
			item := struct {
				id, index uint32
				name      [32]byte
				_         uint32
			}{id: query.id, index: uint32(i)}
			set := struct {
				id    uint32
				value int32
			}{query.id, i}
			if ioctl(v.control, 0xc02c5625, unsafe.Pointer(&item)) == nil && bytes.Contains(item.name[:], []byte("HDMI")) {
				return ioctl(v.control, 0xc008561c, unsafe.Pointer(&set)) == nil
			}
		}
	}
	return false
}

// callEDID reads the EDID of an input (VIDIOC_G_EDID), or sets it; no blocks
// take it away.
func (v *TV) callEDID(number, input uint32, edid []byte) error {
	arg := struct {
		pad, start, blocks uint32
		_                  [5]uint32
		edid               unsafe.Pointer
	}{pad: input, blocks: uint32(len(edid) / 128), edid: unsafe.Pointer(unsafe.SliceData(edid))}
	var pin runtime.Pinner
	defer pin.Unpin()
	if len(edid) > 0 {
		pin.Pin(&edid[0])
	}
	return ioctl(v.control, number, unsafe.Pointer(&arg))
}

func (v *TV) readEDID() {
	v.tb.Helper()
	v.edid = make([]byte, 256)
	for v.input = range uint32(16) {
		if v.callEDID(0xc0285628, v.input, v.edid) == nil {
			return
		}
	}
	v.tb.Fatal("no input has an EDID")
}

// Plug plugs the cable in, or pulls it: without an EDID there is nothing at its
// other end.
func (v *TV) Plug(in bool) {
	v.tb.Helper()
	edid := v.edid
	if !in {
		edid = nil
	}
	if err := v.callEDID(0xc0285629, v.input, edid); err != nil {
		v.tb.Fatalf("the cable: %v", err)
	}
}

// findAdapters tells the two ends of the cable apart: a television is at 0.0.0.0.
func (v *TV) findAdapters() {
	v.tb.Helper()
	for range 100 { // vivid plugs from a work queue
		nodes, _ := filepath.Glob("/dev/cec*")
		tv, player := "", ""
		for _, n := range nodes {
			fd, err := unix.Open(n, unix.O_RDWR|unix.O_CLOEXEC, 0)
			if err != nil {
				v.tb.Fatal(err)
			}
			var at uint16
			if err := ioctl(fd, 0x80026101, unsafe.Pointer(&at)); err != nil {
				v.tb.Fatal(err)
			}
			unix.Close(fd)
			switch at {
			case 0:
				tv = n
			case 0xffff:
			default:
				player = n
			}
		}
		if tv != "" && player != "" {
			fd, err := unix.Open(tv, unix.O_RDWR|unix.O_CLOEXEC, 0)
			if err != nil {
				v.tb.Fatal(err)
			}
			v.fd, v.Player = fd, player
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	v.tb.Fatal("no two ends of an HDMI cable among /dev/cec*")
}

// watch listens, and answers as a television does.
func (v *TV) watch() {
	defer close(v.done)
	for {
		select {
		case <-v.stop:
			return
		default:
		}
		m := cecMessage{timeout: 100}
		if ioctl(v.fd, 0xc0386106, unsafe.Pointer(&m)) != nil || m.length < 2 {
			continue
		}
		v.mu.Lock()
		v.heard = append(v.heard, hex.EncodeToString(m.data[:m.length]))
		switch {
		case m.data[1] == 0x04 && v.awakes.IsZero():
			v.awakes = time.Now().Add(1500 * time.Millisecond)
		case m.data[1] == 0x36:
			v.awakes = time.Time{}
		}
		power := byte(0)
		switch {
		case v.awakes.IsZero():
			power = 1
		case time.Now().Before(v.awakes):
			power = 2
		}
		v.mu.Unlock()
		if m.data[1] == 0x8f {
			_ = v.send(m.data[0]>>4, 0x90, power)
		}
	}
}

func (v *TV) send(to byte, data ...byte) error {
	m := cecMessage{length: uint32(1 + len(data))}
	m.data[0] = to
	copy(m.data[1:], data)
	if err := ioctl(v.fd, 0xc0386105, unsafe.Pointer(&m)); err != nil {
		return err
	}
	if m.txStatus&1 == 0 {
		return fmt.Errorf("status %#x", m.txStatus)
	}
	return nil
}

// Send sends a message to an address, 15 for all.
func (v *TV) Send(to byte, data ...byte) {
	v.tb.Helper()
	if err := v.send(to, data...); err != nil {
		v.tb.Errorf("television: % x to %d: %v", data, to, err)
	}
}

// Heard returns the messages that came so far, in hexadecimal.
func (v *TV) Heard() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.heard)
}

// Sleep switches it off by hand; it says nothing.
func (v *TV) Sleep() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.awakes = time.Time{}
}

// Forget forgets the messages that came.
func (v *TV) Forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.heard = nil
}

// Await waits for messages, in this order but with others between.
func (v *TV) Await(want ...string) {
	v.tb.Helper()
	const patience = 30 * time.Second
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		n := 0
		heard := v.Heard()
		for _, h := range heard {
			if n < len(want) && h == want[n] {
				n++
			}
		}
		if n == len(want) {
			return
		}
		if time.Now().After(end) {
			v.tb.Fatalf("the television heard %q, not %q", heard, want)
		}
	}
}
