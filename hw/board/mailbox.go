package board

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// vcio is the request of the firmware driver's one ioctl,
// _IOWR(100, 0, char *): its size is that of a pointer (hardware reference
// section 10).
const vcio = 3<<30 | unsafe.Sizeof(uintptr(0))<<16 | 100<<8

// getThrottled is the tag of the message that asks for the flags.
const (
	getThrottled    = 0x00030046
	mailboxOK       = 0x80000000
	mailboxAnswered = 0x80000000 // bit of a tag's length
)

// message is a property message with one tag that carries one word.
type message struct {
	size   uint32 // of the message in bytes
	code   uint32 // 0, or mailboxOK in the answer
	tag    uint32
	room   uint32 // for the value, in bytes
	length uint32 // of the value, with mailboxAnswered in the answer
	value  uint32
	end    uint32
	_      uint32 // the firmware wants a multiple of 16 bytes
}

// OpenMailbox opens the firmware's mailbox, /dev/vcio below root, and returns
// how to ask it for the flags of get_throttled: bits 0 to 3 now, 16 to 19
// since boot. There is one on a Raspberry Pi, for root and group video.
func OpenMailbox(root string) (ask func() (uint32, error), closeIt func(), err error) {
	f, err := os.OpenFile(root+"/dev/vcio", os.O_RDWR, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("board: mailbox: %w", err)
	}
	ask = func() (uint32, error) {
		return throttled(func(m *message) error {
			_, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), vcio, uintptr(unsafe.Pointer(m)))
			if e != 0 {
				return e
			}
			return nil
		})
	}
	return ask, func() { f.Close() }, nil
}

// mailboxTries bounds how often an interrupted call is made again.
const mailboxTries = 100

// throttled exchanges one message through call.
func throttled(call func(*message) error) (uint32, error) {
	for range mailboxTries {
		// The value is a mask of sticky bits to be cleared: none.
		m := &message{size: uint32(unsafe.Sizeof(message{})), tag: getThrottled, room: 4}
		err := call(m)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, fmt.Errorf("board: mailbox: GET_THROTTLED: %w", err)
		case m.code != mailboxOK || m.length&mailboxAnswered == 0 || m.length&^mailboxAnswered != 4:
			return 0, fmt.Errorf("board: mailbox: GET_THROTTLED: answer %#x with length %#x", m.code, m.length)
		}
		return m.value, nil
	}
	return 0, fmt.Errorf("board: mailbox: GET_THROTTLED: %w", unix.EINTR)
}
