package message

import (
	"math"
	"math/bits"
	"net/netip"
	"time"

	"howett.net/plist"

	"aerie/receiver/clock"
)

// RateAnchor is the body of SETRATEANCHORTIME: a frame is to be heard at an
// instant of a clock, or nothing (reference section 15.3).
type RateAnchor struct {
	Playing  bool
	Anchored bool         // frame and instant are told
	RTP      uint32       // the frame
	At       clock.Remote // the instant
	Timeline uint64       // whose; the identity of a grandmaster
}

// maxNetworkSeconds bounds an instant to what a Remote holds with room to
// reckon: 136 years.
const maxNetworkSeconds = 1 << 32

// ParseRateAnchor parses the body of SETRATEANCHORTIME.
func ParseRateAnchor(body []byte) (a RateAnchor, err error) {
	d, err := decodePlist(body)
	if err != nil {
		return a, err
	}
	r := newReader(d)
	a.Playing = r.bit("rate")
	rtp, ok := r.bits("rtpTime")
	_, has := r.get("networkTimeSecs")
	a.Anchored = ok && has
	a.RTP = uint32(rtp)
	sec := r.wide("networkTimeSecs", 0, maxNetworkSeconds)
	frac, _ := r.bits("networkTimeFrac")
	a.Timeline, _ = r.bits("networkTimeTimelineID")
	// frac * 1e9 / 2^64
	ns, _ := bits.Mul64(frac, uint64(time.Second))
	a.At = clock.Remote(sec)*clock.Remote(time.Second) + clock.Remote(ns)
	r.get("networkTimeFlags")
	return a, r.err
}

// bit returns the lowest bit of a number, which senders write as an integer or
// as a real.
func (r *reader) bit(key string) bool {
	if f, ok := r.d[key].(float64); ok {
		r.asked[key] = true
		return f >= 1 && f < 1<<32 && uint64(f)&1 != 0
	}
	v, _ := r.bits(key)
	return v&1 != 0
}

// Encode is the inverse of ParseRateAnchor.
func (a *RateAnchor) Encode() []byte {
	d := dict{"rate": 0}
	if a.Playing {
		d["rate"] = 1
	}
	if a.Anchored {
		sec, ns := uint64(a.At)/uint64(time.Second), uint64(a.At)%uint64(time.Second)
		frac, _ := bits.Div64(ns, 0, uint64(time.Second))
		// Rounded up, so that no nanosecond is lost on the way back.
		d["rtpTime"], d["networkTimeSecs"], d["networkTimeFrac"], d["networkTimeTimelineID"] = a.RTP, sec, int64(frac+1), int64(a.Timeline)
	}
	return encodePlist(d)
}

// FlushBuffered is the body of FLUSHBUFFERED: packets before Until are not to
// be heard; where From is given, only those from it on.
type FlushBuffered struct {
	Deferred          bool // From is given
	FromSeq, UntilSeq uint32
	FromRTP, UntilRTP uint32
}

// maxSequence is the largest sequence number of buffered sound, 23 bits.
const maxSequence = 1<<23 - 1

// ParseFlushBuffered parses the body of FLUSHBUFFERED.
func ParseFlushBuffered(body []byte) (f FlushBuffered, err error) {
	d, err := decodePlist(body)
	if err != nil {
		return f, err
	}
	r := newReader(d)
	_, f.Deferred = d["flushFromSeq"]
	f.FromSeq = uint32(r.integer("flushFromSeq", 0, maxSequence))
	f.UntilSeq = uint32(r.integer("flushUntilSeq", 0, maxSequence))
	f.FromRTP = uint32(r.wide("flushFromTS", math.MinInt32, math.MaxUint32))
	f.UntilRTP = uint32(r.wide("flushUntilTS", math.MinInt32, math.MaxUint32))
	if _, ok := d["flushUntilSeq"]; !ok && r.err == nil {
		r.err = plistError("a flush without an end")
	}
	return f, r.err
}

// Encode is the inverse of ParseFlushBuffered.
func (f *FlushBuffered) Encode() []byte {
	d := dict{"flushUntilSeq": f.UntilSeq, "flushUntilTS": f.UntilRTP}
	if f.Deferred {
		d["flushFromSeq"], d["flushFromTS"] = f.FromSeq, f.FromRTP
	}
	return encodePlist(d)
}

// maxPeers is how many devices of a group, and addresses of a device, are
// taken from one list; the rest of a longer one is passed over.
const maxPeers = 64

// ParsePeers parses the body of SETPEERS, an array of addresses, or of
// SETPEERSX, an array of dictionaries with addresses. What is no address, such
// as a host name, is left out.
func ParsePeers(body []byte) (out []netip.Addr, err error) {
	list, err := decodeArray(body)
	if err != nil {
		return nil, err
	}
	for _, e := range list[:min(len(list), maxPeers)] {
		switch e := e.(type) {
		case string:
			out = appendAddr(out, e)
		case map[string]any:
			r := newReader(dict(e))
			for _, s := range r.strings("Addresses", maxPeers) {
				out = appendAddr(out, s)
			}
			if r.err != nil {
				return nil, r.err
			}
		default:
			return nil, plistError("a %T among the peers", e)
		}
	}
	return out, nil
}

func appendAddr(out []netip.Addr, s string) []netip.Addr {
	if a, err := netip.ParseAddr(s); err == nil && len(out) < maxPeers {
		return append(out, a)
	}
	return out
}

// EncodePeers makes the body of SETPEERS.
func EncodePeers(addrs []netip.Addr) []byte {
	list := make([]any, 0, len(addrs))
	for _, a := range addrs {
		list = append(list, a.String())
	}
	return encodePlist(list)
}

// EncodePeersX makes the body of SETPEERSX, with one device an address.
func EncodePeersX(addrs []netip.Addr) []byte {
	list := make([]any, 0, len(addrs))
	for _, a := range addrs {
		p := TimingPeer{ID: a.String(), Addresses: []netip.Addr{a}}
		list = append(list, map[string]any(p.dict()))
	}
	return encodePlist(list)
}

// decodeArray is decodePlist for a list whose top object is an array.
func decodeArray(b []byte) (list []any, err error) {
	if err := checkPlist(b); err != nil {
		return nil, err
	}
	defer func() { // as in decodePlist
		if r := recover(); r != nil {
			list, err = nil, plistError("%v", r)
		}
	}()
	var top any
	if _, err := plist.Unmarshal(b, &top); err != nil {
		return nil, plistError("%v", err)
	}
	list, ok := top.([]any)
	if !ok {
		return nil, plistError("a %T instead of an array", top)
	}
	return list, nil
}

// TimingPeer is a device that takes part in PTP.
type TimingPeer struct {
	ID        string
	Addresses []netip.Addr
	ClockID   uint64 // 0 where it is not told
}

func (p *TimingPeer) dict() dict {
	addrs := make([]any, 0, len(p.Addresses))
	for _, a := range p.Addresses {
		addrs = append(addrs, a.String())
	}
	d := dict{"ID": p.ID, "Addresses": addrs, "SupportsClockPortMatchingOverride": false}
	d.setInt("ClockID", int64(p.ClockID))
	return d
}

func parseTimingPeer(r *reader) (p TimingPeer) {
	p.ID = r.str("ID")
	for _, s := range r.strings("Addresses", maxPeers) {
		p.Addresses = appendAddr(p.Addresses, s)
	}
	p.ClockID, _ = r.bits("ClockID")
	return p
}

// Feedback is the body of the answer to POST /feedback while sound of AirPlay 2
// plays (reference section 12.5).
func Feedback(streamType, rate int) []byte {
	return encodePlist(dict{"streams": []any{map[string]any{"type": streamType, "sr": float64(rate)}}})
}
