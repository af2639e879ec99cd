package audio

import (
	"encoding/binary"

	"aerie/receiver/clock"
)

// Types of packets on both ports, without the marker bit (reference section
// 11).
const (
	typeData        = 0x60
	typeSync        = 0x54
	typeResend      = 0x55
	typeResendReply = 0x56
	typeSyncPTP     = 0x57
)

const (
	headerSize = 12
	// MaxPacket is the largest datagram taken: a resend reply with 352 frames
	// of 24 bits, which ALAC could not compress either. Others keep below the
	// 1500 bytes of Ethernet.
	MaxPacket = 2304
)

// Data is one packet of sound as it came.
type Data struct {
	Seq     uint16
	RTP     uint32 // time stamp: the number of the first frame
	Marker  bool   // first after a flush
	Payload []byte

	sealed [8]byte // the part of the header that a cipher may authenticate
}

// ParseData parses a packet of the data port.
func ParseData(b []byte) (d Data, ok bool) {
	if len(b) < headerSize || b[0]&0xc0 != 0x80 || b[1]&0x7f != typeData {
		return d, false
	}
	d.Marker = b[1]&0x80 != 0
	d.Seq = binary.BigEndian.Uint16(b[2:])
	d.RTP = binary.BigEndian.Uint32(b[4:])
	d.Payload = b[headerSize:]
	d.sealed = [8]byte(b[4:])
	return d, true
}

// AppendData appends the packet in its form on the wire.
func (d *Data) AppendTo(b []byte) []byte {
	kind := byte(typeData)
	if d.Marker {
		kind |= 0x80
	}
	b = append(b, 0x80, kind)
	b = binary.BigEndian.AppendUint16(b, d.Seq)
	b = binary.BigEndian.AppendUint32(b, d.RTP)
	b = append(b, 0, 0, 0, 0)
	return append(b, d.Payload...)
}

// silent tells whether the payload, still encrypted, holds no sound: nothing
// at all, or the mark with which a sender of AAC-ELD says so.
func silent(payload []byte) bool {
	n := len(payload)
	return n == 0 || n == 4 && payload[1] == 0x68 && payload[2] == 0x34 && payload[3] == 0
}

// Sync says when a frame is to be heard.
type Sync struct {
	First bool
	// Relaxed leaves to a classic receiver what it takes on top: the latency
	// that its answer to RECORD told.
	Relaxed bool
	RTP     uint32       // this frame is heard
	At      clock.Remote // at this instant of the sender's clock
	Newest  uint32       // the frame that is sent about now
	PTP     bool         // the instant is one of a clock of the group
	Clock   uint64       // its identity then
}

const (
	syncSize    = 20
	syncPTPSize = 28
	// The fourth byte tells the kinds of sync packets apart.
	strictSync  = 4
	relaxedSync = 7
	// In AirPlay 2 a frame is heard so many frames after the one that the
	// packet names (reference section 15.5).
	syncPTPLead = 11035
)

// parseSyncPTP parses the sync packet of sessions with PTP.
func parseSyncPTP(b []byte) (s Sync, ok bool) {
	if len(b) < syncPTPSize || b[0]&0xc0 != 0x80 || b[1]&0x7f != typeSyncPTP {
		return s, false
	}
	be := binary.BigEndian
	at := be.Uint64(b[8:])
	if at > maxSyncTime {
		return s, false
	}
	return Sync{First: b[0]&0x10 != 0, RTP: be.Uint32(b[4:]) - syncPTPLead, At: clock.Remote(at), Newest: be.Uint32(b[16:]),
		PTP: true, Clock: be.Uint64(b[20:])}, true
}

// maxSyncTime bounds an instant to what a Remote holds with room to reckon.
const maxSyncTime = 1 << 62

// ParseSync parses a sync packet of the control port, of either kind.
func ParseSync(b []byte) (s Sync, ok bool) {
	if s, ok = parseSyncPTP(b); ok {
		return s, true
	}
	if len(b) < syncSize || b[0]&0xc0 != 0x80 || b[1]&0x7f != typeSync {
		return s, false
	}
	s.First = b[0]&0x10 != 0
	s.Relaxed = b[3] == relaxedSync
	s.RTP = binary.BigEndian.Uint32(b[4:])
	s.At = clock.FromNTP(binary.BigEndian.Uint64(b[8:]))
	s.Newest = binary.BigEndian.Uint32(b[16:])
	return s, true
}

// AppendTo appends the packet in its form on the wire.
func (s *Sync) AppendTo(b []byte) []byte {
	first := byte(0x80)
	if s.First {
		first |= 0x10
	}
	if s.PTP {
		b = append(b, first, 0x80|typeSyncPTP, 0, 6)
		b = binary.BigEndian.AppendUint32(b, s.RTP+syncPTPLead)
		b = binary.BigEndian.AppendUint64(b, uint64(s.At))
		b = binary.BigEndian.AppendUint32(b, s.Newest)
		return binary.BigEndian.AppendUint64(b, s.Clock)
	}
	kind := byte(strictSync)
	if s.Relaxed {
		kind = relaxedSync
	}
	b = append(b, first, 0x80|typeSync, 0, kind)
	b = binary.BigEndian.AppendUint32(b, s.RTP)
	b = binary.BigEndian.AppendUint64(b, s.At.NTP())
	return binary.BigEndian.AppendUint32(b, s.Newest)
}

// Resend asks for packets again.
type Resend struct {
	Count uint16 // of requests, ours
	First uint16 // sequence number
	Many  uint16 // packets
}

// ParseResend parses a resend request, as a software sender gets it.
func ParseResend(b []byte) (r Resend, ok bool) {
	if len(b) < 8 || b[0]&0xc0 != 0x80 || b[1]&0x7f != typeResend {
		return r, false
	}
	r.Count = binary.BigEndian.Uint16(b[2:])
	r.First = binary.BigEndian.Uint16(b[4:])
	r.Many = binary.BigEndian.Uint16(b[6:])
	return r, true
}

// AppendTo appends the request in its form on the wire.
func (r *Resend) AppendTo(b []byte) []byte {
	b = append(b, 0x80, 0x80|typeResend)
	b = binary.BigEndian.AppendUint16(b, r.Count)
	b = binary.BigEndian.AppendUint16(b, r.First)
	return binary.BigEndian.AppendUint16(b, r.Many)
}

// parseResendReply returns the packet of sound within an answer to a resend
// request; a short answer says that it is gone.
func parseResendReply(b []byte) (d Data, ok bool) {
	if len(b) < 4 || b[0]&0xc0 != 0x80 || b[1]&0x7f != typeResendReply {
		return d, false
	}
	return ParseData(b[4:])
}

// AppendResendReply appends the answer to a resend request: the packet of
// sound, as it was sent, behind four bytes.
func AppendResendReply(b, packet []byte) []byte {
	b = append(b, 0x80, 0x80|typeResendReply, 0, 1)
	return append(b, packet...)
}
