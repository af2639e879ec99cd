package message

import "fmt"

// Identity is what the receiver gives itself out for: the set of features that
// senders are known to take as a whole (reference section 2).
type Identity string

// Identities.
const (
	// Mirror is a receiver of mirrored screens with their sound, and of music
	// from senders without AirPlay 2: FairPlay keys, clocks by NTP.
	Mirror Identity = "mirror"
	// AirPlay2 is a loudspeaker of AirPlay 2: HomeKit pairing, encrypted
	// control, no picture.
	AirPlay2 Identity = "airplay2"
	// Both is picture and AirPlay 2 at once, with the keys of HomeKit pairing.
	// Fewer senders are known to take it.
	Both Identity = "both"
)

// Models and versions that the identities are tried with; they decide icons
// and what senders try (reference sections 1.1, 1.5 and 2).
const (
	MirrorModel   = "AppleTV3,2"
	MirrorVersion = "220.68"

	airplay2Model   = "AppleTV6,2"
	airplay2Version = "366.0"
	bothVersion     = "770.8.1"

	protocolVersion = "1.1"
)

// Manufacturer is who made the receiver.
const Manufacturer = "Aerie"

// Model and Version return what an identity goes with.
func (i Identity) Model() string {
	if i == Mirror {
		return MirrorModel
	}
	return airplay2Model
}

// Version returns the AirPlay version that an identity goes with.
func (i Identity) Version() string {
	switch i {
	case AirPlay2:
		return airplay2Version
	case Both:
		return bothVersion
	}
	return MirrorVersion
}

// Capabilities is what this receiver is and can do.
type Capabilities struct {
	Identity  Identity
	DeviceID  string // "AA:BB:CC:DD:EE:FF"; its form decides the RAOP instance
	Name      string // as senders list it
	Model     string // decides the icon and some of what senders try
	Version   string // AirPlay version ("220.68"); decides much of what they try
	Firmware  string // version of this program, "" if it is not told
	PairingID string // pi, a UUID
	PublicKey [32]byte
	Features  Features
	Status    Status
	Password  bool // pw: a password or PIN is asked for
	Display   Display
	Volume    float64 // initialVolume, dB from -30 to 0, -144 for mute
	Latency   int     // of the sound, µs: how long after its time it is heard at least
	Group     Group
	ClockID   uint64 // of our PTP clock, 0 for none
}

// Display is the picture asked of the sender, which scales its screen to fit
// and never upscales it.
type Display struct {
	Width, Height int
	MaxFPS        int
	UUID          string
	Overscanned   bool
}

// Within returns the picture to ask for where a display has a mode: no more
// than that shows, in its shape, of no more than p. A picture that the display
// would have to scale down costs the network for nothing.
func (p Display) Within(width, height, fps int) Display {
	if width <= 0 || height <= 0 {
		return p
	}
	if width > p.Width || height > p.Height {
		if width*p.Height > height*p.Width {
			width, height = p.Width, height*p.Width/width
		} else {
			width, height = width*p.Height/height, p.Height
		}
	}
	p.Width, p.Height = max(width&^1, 2), max(height&^1, 2)
	if fps > 0 {
		p.MaxFPS = min(p.MaxFPS, fps)
	}
	return p
}

// Group is the group of loudspeakers that a sender has put the receiver into;
// the zero Group is none.
type Group struct {
	ID             string // a UUID
	Leader         bool   // this receiver leads
	ContainsLeader bool
}

// homekit tells whether senders pair by HomeKit.
func (c *Capabilities) homekit() bool { return c.Features.HomeKit() }

// AirPlayInstance is the name of the _airplay._tcp instance.
func (c *Capabilities) AirPlayInstance() string { return c.Name }

// RAOPInstance is the name of the _raop._tcp instance.
func (c *Capabilities) RAOPInstance() string { return hexID(c.DeviceID) + "@" + c.Name }

// String is for log lines.
func (c *Capabilities) String() string {
	return fmt.Sprintf("%s (%s, %s/%s, features %s, status %s)", c.Name, c.DeviceID, c.Model, c.Version, c.Features, c.Status)
}

// infoStatus is set in /info beside the status of the TXT records: 0x40 is
// there in the receivers whose answers are known, 0x4 is the audio cable
// (reference section 21).
const infoStatus Status = 0x44
