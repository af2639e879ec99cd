package board

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// firmware answers a message as the Pi's does, working on its bytes.
func firmware(word uint32) func(*message) error {
	return func(m *message) error {
		b := unsafe.Slice((*byte)(unsafe.Pointer(m)), unsafe.Sizeof(*m))
		u := func(i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }
		if u(0) != uint32(len(b)) || len(b)%16 != 0 || u(1) != 0 || u(2) != 0x00030046 || u(3) != 4 || u(4) != 0 || u(5) != 0 || u(6) != 0 {
			return unix.EINVAL
		}
		binary.LittleEndian.PutUint32(b[4:], 0x80000000)
		binary.LittleEndian.PutUint32(b[16:], 0x80000004)
		binary.LittleEndian.PutUint32(b[20:], word)
		return nil
	}
}

func TestMailbox(t *testing.T) {
	if w, err := throttled(firmware(0x50005)); w != 0x50005 || err != nil {
		t.Errorf("%#x, %v", w, err)
	}
	// The numbers of the hardware reference.
	if want := map[uintptr]uintptr{8: 0xc0086400, 4: 0xc0046400}[unsafe.Sizeof(uintptr(0))]; vcio != want {
		t.Errorf("request %#x, want %#x", vcio, want)
	}
}

func TestMailboxFails(t *testing.T) {
	tries := 0
	w, err := throttled(func(m *message) error {
		if tries++; tries < 3 {
			return unix.EINTR
		}
		return firmware(7)(m)
	})
	if w != 7 || err != nil {
		t.Errorf("interrupted twice: %#x, %v", w, err)
	}
	for name, call := range map[string]func(*message) error{
		"always interrupted": func(*message) error { return unix.EINTR },
		"no such call":       func(*message) error { return unix.ENOTTY },
		"no answer":          func(*message) error { return nil },
		"refused":            func(m *message) error { m.code = 0x80000001; return nil },
		"no value":           func(m *message) error { m.code, m.length = mailboxOK, 4; return nil },
		"a long value":       func(m *message) error { m.code, m.length = mailboxOK, mailboxAnswered|8; return nil },
	} {
		if w, err := throttled(call); err == nil || !strings.HasPrefix(err.Error(), "board: mailbox: GET_THROTTLED: ") {
			t.Errorf("%s: %#x, %v", name, w, err)
		}
	}
}

func TestOpenMailbox(t *testing.T) {
	if _, _, err := OpenMailbox(t.TempDir()); err == nil || !strings.Contains(err.Error(), "board: mailbox: open ") {
		t.Errorf("no device: %v", err)
	}
	ask, done, err := OpenMailbox(plant(t, map[string]string{"dev/vcio": ""}))
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if _, err := ask(); !errors.Is(err, unix.ENOTTY) {
		t.Errorf("a file that is no mailbox: %v", err)
	}
}
