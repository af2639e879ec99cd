package message

import (
	"encoding/hex"
	"fmt"
	"strconv"
)

// Capabilities is what this receiver is and can do.
type Capabilities struct {
	DeviceID  string // "AA:BB:CC:DD:EE:FF"; its form decides the RAOP instance
	Name      string // as senders list it
	Model     string // decides the icon and some of what senders try
	Version   string // AirPlay version ("220.68"); decides much of what they try
	PairingID string // pi, a UUID
	PublicKey [32]byte
	Features  Features
	Status    Status
	Password  bool // pw: a password or PIN is asked for
	Display   Display
	Volume    float64 // initialVolume, dB from -30 to 0, -144 for mute
}

// Display is the picture asked of the sender, which scales its screen to fit
// and never upscales it.
type Display struct {
	Width, Height int
	MaxFPS        int
	UUID          string
	Overscanned   bool
}

// The identity that mirroring senders are tried with.
const (
	MirrorModel   = "AppleTV3,2"
	MirrorVersion = "220.68"
)

// infoStatus is set in /info beside the status of the TXT records: 0x40 is
// there in the receivers whose answers are known, 0x4 is the audio cable
// (reference section 21).
const infoStatus Status = 0x44

// KeyHex returns the public key as the TXT records have it.
func (c *Capabilities) KeyHex() string { return hex.EncodeToString(c.PublicKey[:]) }

// AirPlayInstance is the name of the _airplay._tcp instance.
func (c *Capabilities) AirPlayInstance() string { return c.Name }

// RAOPInstance is the name of the _raop._tcp instance.
func (c *Capabilities) RAOPInstance() string { return hexID(c.DeviceID) + "@" + c.Name }

// AirPlayTXT returns the records of _airplay._tcp (reference section 1.1).
func (c *Capabilities) AirPlayTXT() []string {
	return []string{
		"deviceid=" + c.DeviceID,
		"features=" + c.Features.String(),
		"pw=" + strconv.FormatBool(c.Password),
		"flags=" + c.Status.String(),
		"model=" + c.Model,
		"pk=" + c.KeyHex(),
		"pi=" + c.PairingID,
		"srcvers=" + c.Version,
		"vv=2",
	}
}

// RAOPTXT returns the records of _raop._tcp (reference section 1.2).
func (c *Capabilities) RAOPTXT() []string {
	return []string{
		"txtvers=1",
		"ch=2",
		"cn=0,1,2,3",
		"et=0,1,3,5",
		"md=0,1,2",
		"da=true",
		"sr=44100",
		"ss=16",
		"sv=false",
		"tp=TCP,UDP",
		"vn=65537",
		"vs=" + c.Version,
		"am=" + c.Model,
		"ft=" + c.Features.String(),
		"sf=" + c.Status.String(),
		"pw=" + strconv.FormatBool(c.Password),
		"pk=" + c.KeyHex(),
		"vv=2",
		"rhd=5.6.0.0",
	}
}

// Info returns the body of the answer to GET /info: the whole dictionary, and
// with it the raw TXT records that the request names ("txtAirPlay",
// "txtRAOP"). Some receivers answer such a request with the records alone;
// senders take either (reference section 21).
func (c *Capabilities) Info(qualifiers []string) []byte {
	d := c.whole()
	for _, q := range qualifiers {
		switch q {
		case "txtAirPlay":
			d[q] = rawTXT(c.AirPlayTXT())
		case "txtRAOP":
			d[q] = rawTXT(c.RAOPTXT())
		}
	}
	return encodePlist(d)
}

func (c *Capabilities) whole() dict {
	return dict{
		"deviceID":                 c.DeviceID,
		"macAddress":               c.DeviceID,
		"name":                     c.Name,
		"model":                    c.Model,
		"sourceVersion":            c.Version,
		"pi":                       c.PairingID,
		"pk":                       c.PublicKey[:],
		"features":                 uint64(c.Features),
		"statusFlags":              uint64(c.Status | infoStatus),
		"vv":                       2,
		"keepAliveLowPower":        1,
		"keepAliveSendStatsAsBody": true,
		"initialVolume":            c.Volume,
		"audioFormats":             audioFormats(),
		"audioLatencies":           audioLatencies(),
		"displays":                 []any{c.Display.dict()},
	}
}

// anyAudioFormat is bits 2 to 25 of reference section 8.4.
const anyAudioFormat = 0x3fffffc

func audioFormats() (out []any) {
	for _, t := range []int{100, 101} {
		out = append(out, dict{"type": t, "audioInputFormats": anyAudioFormat, "audioOutputFormats": anyAudioFormat})
	}
	return out
}

func audioLatencies() (out []any) {
	for _, t := range []int{100, 101} {
		out = append(out, dict{"type": t, "audioType": "default", "inputLatencyMicros": 0, "outputLatencyMicros": 0})
	}
	return out
}

func (p *Display) dict() dict {
	return dict{
		"uuid":           p.UUID,
		"width":          p.Width,
		"height":         p.Height,
		"widthPixels":    p.Width,
		"heightPixels":   p.Height,
		"widthPhysical":  0,
		"heightPhysical": 0,
		"maxFPS":         p.MaxFPS,
		"refreshRate":    1 / float64(max(p.MaxFPS, 1)),
		"overscanned":    p.Overscanned,
		"rotation":       false,
		"features":       14,
	}
}

// rawTXT joins records as they stand in the DNS: each behind its length.
func rawTXT(records []string) (b []byte) {
	for _, r := range records {
		b = append(b, byte(len(r)))
		b = append(b, r...)
	}
	return b
}

// ParseQualifiers returns what a GET /info asks for; nil for everything.
func ParseQualifiers(body []byte) ([]string, error) {
	d, err := decodePlist(body)
	if err != nil {
		return nil, err
	}
	r := newReader(d)
	q := r.strings("qualifier", 8)
	return q, r.err
}

// EncodeQualifiers is the inverse of ParseQualifiers.
func EncodeQualifiers(q ...string) []byte {
	a := make([]any, 0, len(q))
	for _, s := range q {
		a = append(a, s)
	}
	return encodePlist(dict{"qualifier": a})
}

// Info is what a software sender reads from GET /info.
type Info struct {
	DeviceID, Name, Model, Version, PairingID string
	PublicKey                                 []byte
	Features                                  Features
	Status                                    Status
	Volume                                    float64
	Width, Height, MaxFPS                     int
	TXTAirPlay                                []byte
}

// ParseInfo parses the answer to GET /info in either form.
func ParseInfo(body []byte) (*Info, error) {
	d, err := decodePlist(body)
	if err != nil {
		return nil, err
	}
	r := newReader(d)
	features, _ := r.bits("features")
	status, _ := r.bits("statusFlags")
	in := &Info{
		DeviceID:   r.str("deviceID"),
		Name:       r.str("name"),
		Model:      r.str("model"),
		Version:    r.str("sourceVersion"),
		PairingID:  r.str("pi"),
		PublicKey:  r.data("pk"),
		Features:   Features(features),
		Status:     Status(status),
		TXTAirPlay: r.data("txtAirPlay"),
	}
	if v, ok := r.d["initialVolume"].(float64); ok {
		in.Volume = v
	}
	displays, _ := r.dicts("displays", 8)
	if len(displays) > 0 {
		dr := newReader(displays[0])
		in.Width, in.Height = dr.integer("widthPixels", 0, 1<<16), dr.integer("heightPixels", 0, 1<<16)
		in.MaxFPS = dr.integer("maxFPS", 0, 1000)
	}
	return in, r.err
}

// String is for log lines.
func (c *Capabilities) String() string {
	return fmt.Sprintf("%s (%s, %s/%s, features %s, status %s)", c.Name, c.DeviceID, c.Model, c.Version, c.Features, c.Status)
}
