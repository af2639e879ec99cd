package message

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

// whole is the dictionary. What a known list of keys calls by another name than
// senders do stands there under both (reference section 0).
func (c *Capabilities) whole() dict {
	d := dict{
		"deviceID": c.DeviceID, "deviceid": c.DeviceID,
		"macAddress":    c.DeviceID,
		"name":          c.Name,
		"model":         c.Model,
		"manufacturer":  Manufacturer,
		"sourceVersion": c.Version, "srcvers": c.Version,
		"protocolVersion": protocolVersion, "protovers": protocolVersion,
		"pi":                       c.PairingID,
		"pk":                       c.PublicKey[:],
		"features":                 uint64(c.Features),
		"featuresEx":               c.Features.Ex(),
		"statusFlags":              uint64(c.Status | infoStatus),
		"vv":                       2,
		"keepAliveLowPower":        1,
		"keepAliveSendStatsAsBody": true,
		"initialVolume":            c.Volume,
		"volumeControlType":        volumeAbsolute,
		"audioFormats":             c.audioFormats(),
		"audioLatencies":           c.audioLatencies(),
		"supportsPTP":              c.Features&FeaturePTP != 0,
		"isGroupLeader":            c.Group.Leader,
	}
	d.setString("firmwareRevision", c.Firmware)
	d.setString("fv", c.Firmware)
	d.setString("gid", c.Group.ID)
	d.setString("groupUUID", c.Group.ID)
	d.setBool("groupContainsGroupLeader", c.Group.ContainsLeader)
	d.setInt("ptpClockID", int64(c.ClockID))
	if c.Features&FeatureScreenMirroring != 0 {
		d["displays"] = []any{c.Display.dict()}
	}
	if c.homekit() {
		d["psi"] = SystemIdentity(c.DeviceID)
		d["supportedFormats"] = c.supportedFormats()
	}
	return d
}

// volumeAbsolute says that volumes are set in dB, as at an Apple TV 4
// (reference section 4).
const volumeAbsolute = 3

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

// UpdateInfo returns the body of the event that tells a connected sender that
// the receiver has changed (reference section 5.6).
func (c *Capabilities) UpdateInfo() []byte {
	value := c.whole()
	value["txtAirPlay"] = rawTXT(c.AirPlayTXT())
	return encodePlist(dict{"type": eventUpdateInfo, "value": map[string]any(value)})
}

const eventUpdateInfo = "updateInfo"

// ParseUpdateInfo parses that body, for software senders; ok is false for
// another event.
func ParseUpdateInfo(body []byte) (in *Info, ok bool, err error) {
	d, err := decodePlist(body)
	if err != nil {
		return nil, false, err
	}
	if kind, _ := d["type"].(string); kind != eventUpdateInfo {
		return nil, false, nil
	}
	value, is := d["value"].(map[string]any)
	if !is {
		return nil, false, plistError("an event without a dictionary")
	}
	in, err = parseInfo(dict(value))
	return in, err == nil, err
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
	GroupID                                   string
	TXTAirPlay                                []byte
}

// ParseInfo parses the answer to GET /info in either form.
func ParseInfo(body []byte) (*Info, error) {
	d, err := decodePlist(body)
	if err != nil {
		return nil, err
	}
	return parseInfo(d)
}

func parseInfo(d dict) (*Info, error) {
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
		GroupID:    r.str("gid"),
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
