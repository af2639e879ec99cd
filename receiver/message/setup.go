package message

import "math"

// Stream types of SETUP and TEARDOWN (reference section 7.2).
const (
	StreamAudio         = 96  // realtime sound over UDP
	StreamBufferedAudio = 103 // buffered sound over TCP
	StreamMirror        = 110 // the sender's screen over TCP
	StreamVideoRelay    = 120
	StreamRemoteControl = 130
)

// A SETUP names two streams at most; a list of more is not one.
const maxStreams = 8

// Timing protocols of a session SETUP.
const (
	TimingNTP  = "NTP"
	TimingPTP  = "PTP"
	TimingNone = "None"
)

// Setup is the body of a SETUP request. Session and stream parts may come in
// one request or in several.
type Setup struct {
	Session *SessionSetup // nil if no key of the session is there
	Streams []StreamSetup // nil if the key is absent
	Unknown []string      // keys that have no field here
}

// SessionSetup opens a session.
type SessionSetup struct {
	EncryptionType int    // et; 32 in practice
	EKey           []byte // ekey: 72 bytes of FairPlay; nil in HomeKit sessions
	EIV            []byte // eiv: 16 bytes, the initial vector of the sound

	TimingProtocol string // TimingNTP, TimingPTP, TimingNone or ""
	TimingPort     int    // the sender's UDP port for NTP, 0 if it has none

	DeviceID, MACAddress           string
	Model, Name                    string // "iPhone14,5", "Ann's iPhone"
	OSName, OSVersion, OSBuild     string
	SourceVersion, SessionUUID     string
	ScreenMirroring, RemoteControl bool // what the session is for, if told
	Group                          Group
	Peer                           *TimingPeer  // the sender, in PTP
	Peers                          []TimingPeer // the others
}

// StreamSetup opens one stream of a session.
type StreamSetup struct {
	Type         int
	ConnectionID uint64 // streamConnectionID, unsigned as in the key derivation
	StreamID     int    // of TEARDOWN
	LatencyMs    int

	CompressionType int    // ct: 1 PCM, 2 ALAC, 4 AAC-LC, 8 AAC-ELD, 32 Opus
	SamplesPerFrame int    // spf
	AudioFormat     uint64 // one bit, reference section 8.4
	AudioMode       string
	SampleRate      int // sr, Hz
	ControlPort     int // the sender's UDP port for sync and resend, 0 if none
	LatencyMin      int // frames
	LatencyMax      int // frames
	RedundantAudio  int
	IsMedia         bool
	UsingScreen     bool   // sound of the mirrored screen
	SharedKey       []byte // shk: 32 bytes, AirPlay 2 only
}

// ParseSetup parses the body of SETUP or TEARDOWN.
func ParseSetup(body []byte) (*Setup, error) {
	d, err := decodePlist(body)
	if err != nil {
		return nil, err
	}
	r := newReader(d)
	s := &Setup{}
	streams, has := r.dicts("streams", maxStreams)
	if has {
		s.Streams = make([]StreamSetup, 0, len(streams))
	}
	for _, sd := range streams {
		sr := newReader(sd)
		s.Streams = append(s.Streams, parseStream(sr))
		if sr.err != nil {
			return nil, sr.err
		}
		s.Unknown = append(s.Unknown, sr.unknown("streams.")...)
	}
	session := parseSession(r)
	if r.err != nil {
		return nil, r.err
	}
	s.Unknown = append(s.Unknown, r.unknown("")...)
	known := len(d) - len(r.unknown(""))
	if has {
		known--
	}
	if known > 0 {
		s.Session = &session
	}
	return s, nil
}

func parseSession(r *reader) SessionSetup {
	s := SessionSetup{
		EncryptionType:  r.integer("et", math.MinInt32, math.MaxInt32),
		EKey:            r.data("ekey"),
		EIV:             r.data("eiv"),
		TimingProtocol:  r.str("timingProtocol"),
		TimingPort:      r.integer("timingPort", 0, 65535),
		DeviceID:        r.str("deviceID"),
		MACAddress:      r.str("macAddress"),
		Model:           r.str("model"),
		Name:            r.str("name"),
		OSName:          r.str("osName"),
		OSVersion:       r.str("osVersion"),
		OSBuild:         r.str("osBuildVersion"),
		SourceVersion:   r.str("sourceVersion"),
		SessionUUID:     r.str("sessionUUID"),
		ScreenMirroring: r.boolean("isScreenMirroringSession"),
		RemoteControl:   r.boolean("isRemoteControlOnly"),
		Group:           Group{ID: r.uuid("groupUUID"), ContainsLeader: r.boolean("groupContainsGroupLeader")},
	}
	if d, ok := r.d["timingPeerInfo"].(map[string]any); ok {
		pr := newReader(dict(d))
		p := parseTimingPeer(pr)
		s.Peer = &p
		r.adopt(pr)
	}
	list, _ := r.dicts("timingPeerList", maxPeers)
	for _, d := range list {
		pr := newReader(d)
		s.Peers = append(s.Peers, parseTimingPeer(pr))
		r.adopt(pr)
	}
	r.get("timingPeerInfo")
	// Known to carry nothing for a receiver of one screen and its sound.
	for _, key := range []string{"statsCollectionEnabled", "diagnosticsAndUsage", "internalBuild",
		"isMultiSelectAirPlay", "senderSupportsRelay"} {
		r.get(key)
	}
	return s
}

func parseStream(r *reader) StreamSetup {
	id, _ := r.bits("streamConnectionID")
	format, _ := r.bits("audioFormat")
	s := StreamSetup{
		Type:            r.integer("type", 0, math.MaxInt32),
		ConnectionID:    id,
		StreamID:        r.integer("streamID", math.MinInt32, math.MaxInt32),
		LatencyMs:       r.integer("latencyMs", 0, math.MaxInt32),
		CompressionType: r.integer("ct", 0, math.MaxInt32),
		SamplesPerFrame: r.integer("spf", 0, 8192),
		AudioFormat:     format,
		AudioMode:       r.str("audioMode"),
		SampleRate:      r.integer("sr", 0, 192000),
		ControlPort:     r.integer("controlPort", 0, 65535),
		LatencyMin:      r.integer("latencyMin", 0, math.MaxInt32),
		LatencyMax:      r.integer("latencyMax", 0, math.MaxInt32),
		RedundantAudio:  r.integer("redundantAudio", 0, 64),
		IsMedia:         r.boolean("isMedia"),
		UsingScreen:     r.boolean("usingScreen"),
		SharedKey:       r.data("shk"),
	}
	for _, key := range []string{"timestampInfo", "audioFormatIndex", "clientID", "supportsDynamicStreamID", "shiv", "disableRetransmits",
		"ccCountSender", "ccCountNonAPSender", "ccCountAPSender", "ioDiscontinuityCount", "primaryPacketDropCount"} {
		r.get(key)
	}
	return s
}

// Encode is the inverse of ParseSetup, for software senders. Zero fields are
// left out.
func (s *Setup) Encode() []byte {
	d := dict{}
	if p := s.Session; p != nil {
		d.setInt("et", int64(p.EncryptionType))
		d.setData("ekey", p.EKey)
		d.setData("eiv", p.EIV)
		d.setString("timingProtocol", p.TimingProtocol)
		d.setInt("timingPort", int64(p.TimingPort))
		d.setString("deviceID", p.DeviceID)
		d.setString("macAddress", p.MACAddress)
		d.setString("model", p.Model)
		d.setString("name", p.Name)
		d.setString("osName", p.OSName)
		d.setString("osVersion", p.OSVersion)
		d.setString("osBuildVersion", p.OSBuild)
		d.setString("sourceVersion", p.SourceVersion)
		d.setString("sessionUUID", p.SessionUUID)
		d.setBool("isScreenMirroringSession", p.ScreenMirroring)
		d.setBool("isRemoteControlOnly", p.RemoteControl)
		d.setString("groupUUID", p.Group.ID)
		d.setBool("groupContainsGroupLeader", p.Group.ContainsLeader)
		if p.Peer != nil {
			d["timingPeerInfo"] = map[string]any(p.Peer.dict())
		}
	}
	if s.Streams != nil {
		streams := make([]any, 0, len(s.Streams))
		for i := range s.Streams {
			streams = append(streams, s.Streams[i].dict())
		}
		d["streams"] = streams
	}
	return encodePlist(d)
}

func (p *StreamSetup) dict() dict {
	d := dict{"type": p.Type}
	if p.ConnectionID != 0 {
		d["streamConnectionID"] = int64(p.ConnectionID)
	}
	d.setInt("streamID", int64(p.StreamID))
	d.setInt("latencyMs", int64(p.LatencyMs))
	d.setInt("ct", int64(p.CompressionType))
	d.setInt("spf", int64(p.SamplesPerFrame))
	d.setInt("audioFormat", int64(p.AudioFormat))
	d.setString("audioMode", p.AudioMode)
	d.setInt("sr", int64(p.SampleRate))
	d.setInt("controlPort", int64(p.ControlPort))
	d.setInt("latencyMin", int64(p.LatencyMin))
	d.setInt("latencyMax", int64(p.LatencyMax))
	d.setInt("redundantAudio", int64(p.RedundantAudio))
	d.setBool("isMedia", p.IsMedia)
	d.setBool("usingScreen", p.UsingScreen)
	d.setData("shk", p.SharedKey)
	return d
}

// SetupReply is the body of the answer to SETUP. The ports are ours; a nil
// port is left out, as a reply to a stream SETUP has none.
type SetupReply struct {
	EventPort, TimingPort *int
	Peer                  *TimingPeer // ours, in PTP
	Streams               []StreamReply
}

// StreamReply tells where a stream is to be sent.
type StreamReply struct {
	Type        int
	DataPort    int // TCP or UDP as the type wants
	ControlPort int // UDP, of realtime audio; 0 is left out
	BufferSize  int // bytes that buffered audio may be ahead; 0 is left out
}

// Encode returns the property list of the reply.
func (p *SetupReply) Encode() []byte {
	d := dict{}
	if p.EventPort != nil {
		d["eventPort"] = *p.EventPort
	}
	if p.TimingPort != nil {
		d["timingPort"] = *p.TimingPort
	}
	if p.Peer != nil {
		d["timingPeerInfo"] = map[string]any(p.Peer.dict())
	}
	if p.Streams != nil {
		streams := make([]any, 0, len(p.Streams))
		for _, s := range p.Streams {
			sd := dict{"type": s.Type, "dataPort": s.DataPort}
			sd.setInt("controlPort", int64(s.ControlPort))
			sd.setInt("audioBufferSize", int64(s.BufferSize))
			streams = append(streams, sd)
		}
		d["streams"] = streams
	}
	return encodePlist(d)
}

// ParseSetupReply is the inverse of Encode, for software senders.
func ParseSetupReply(body []byte) (*SetupReply, error) {
	d, err := decodePlist(body)
	if err != nil {
		return nil, err
	}
	r := newReader(d)
	p := &SetupReply{}
	for key, port := range map[string]**int{"eventPort": &p.EventPort, "timingPort": &p.TimingPort} {
		if _, ok := d[key]; ok {
			v := r.integer(key, 0, 65535)
			*port = &v
		}
	}
	if d, ok := r.d["timingPeerInfo"].(map[string]any); ok {
		pr := newReader(dict(d))
		peer := parseTimingPeer(pr)
		p.Peer = &peer
		r.adopt(pr)
	}
	streams, _ := r.dicts("streams", maxStreams)
	for _, sd := range streams {
		sr := newReader(sd)
		p.Streams = append(p.Streams, StreamReply{
			Type:        sr.integer("type", 0, math.MaxInt32),
			DataPort:    sr.integer("dataPort", 0, 65535),
			ControlPort: sr.integer("controlPort", 0, 65535),
			BufferSize:  sr.integer("audioBufferSize", 0, math.MaxInt32),
		})
		if sr.err != nil {
			return nil, sr.err
		}
	}
	return p, r.err
}
