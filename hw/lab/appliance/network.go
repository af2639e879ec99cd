package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"time"
)

// announced looks for the first announcement of an AirPlay receiver among the
// frames that the machine has sent, and tells how long after power-on it came.
func (v *vm) announced() (after time.Duration, ok bool) {
	b, err := os.ReadFile(filepath.Join(v.dir, "network.pcap"))
	if err != nil {
		return 0, false
	}
	for at, frame := range frames(b) {
		if isAnnouncement(frame) {
			return at.Sub(v.started), true
		}
	}
	return 0, false
}

// frames are the frames of a pcap file as QEMU writes it, in the order of this
// machine's bytes; the last may be incomplete.
func frames(b []byte) func(func(time.Time, []byte) bool) {
	return func(yield func(time.Time, []byte) bool) {
		const header, record = 24, 16
		if len(b) < header {
			return
		}
		for b = b[header:]; len(b) >= record; {
			n := binary.NativeEndian
			at := time.Unix(int64(n.Uint32(b)), int64(n.Uint32(b[4:]))*1000)
			length := n.Uint32(b[8:])
			b = b[record:]
			if uint64(len(b)) < uint64(length) {
				return
			}
			if !yield(at, b[:length]) {
				return
			}
			b = b[length:]
		}
	}
}

// isAnnouncement recognises a response of multicast DNS (RFC 6762) that names
// the service, to port 5353 over IPv4.
func isAnnouncement(frame []byte) bool {
	const ethernet, ip, udp, answer = 14, 20, 8, 0x80
	const dns = ethernet + ip + udp
	return len(frame) > dns+12 && frame[12] == 8 && frame[13] == 0 && frame[ethernet] == 0x45 && frame[ethernet+9] == 17 &&
		binary.BigEndian.Uint16(frame[ethernet+ip+2:]) == 5353 && frame[dns+2]&answer != 0 &&
		bytes.Contains(frame[dns:], []byte("\x08_airplay\x04_tcp"))
}
