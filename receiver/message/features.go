package message

import "fmt"

// Features is the 64-bit set a receiver advertises; a bit makes the sender
// use what it names, so none is set without the code behind it (reference
// section 2).
type Features uint64

// Feature bits that are named somewhere in this receiver.
const (
	FeaturePhoto            Features = 1 << 1
	FeatureScreenMirroring  Features = 1 << 7
	FeatureScreenRotate     Features = 1 << 8
	FeatureAudio            Features = 1 << 9
	FeatureAudioRedundant   Features = 1 << 11
	FeatureFairPlay         Features = 1 << 14
	FeatureArtwork          Features = 1 << 15
	FeatureProgress         Features = 1 << 16
	FeatureText             Features = 1 << 17
	FeatureAudioPCM         Features = 1 << 18
	FeatureAudioALAC        Features = 1 << 19
	FeatureAudioAACLC       Features = 1 << 20
	FeatureAudioAACELD      Features = 1 << 21
	FeatureAudioUnencrypted Features = 1 << 22
	FeatureLegacyPairing    Features = 1 << 27
	FeatureOnePort          Features = 1 << 30 // _raop is on the port of _airplay
	FeatureEncryptedControl Features = 1 << 38
	FeatureBufferedAudio    Features = 1 << 40
	FeaturePTP              Features = 1 << 41
	FeatureScreenMultiCodec Features = 1 << 42
	FeatureNTP              Features = 1 << 45
	FeatureHomeKitPairing   Features = 1 << 46
	FeaturePeers            Features = 1 << 47
	FeatureTransientPairing Features = 1 << 48
)

// mirrorFeatures is the set that the most used receiver of mirrored screens
// advertises, and with which senders are known to mirror (reference section
// 2, set a). It holds bits whose meaning is in doubt, and that of photos, which
// has no handler here. What senders make of a set without them is unknown, so
// the set stays as it is tried.
const mirrorFeatures Features = 0x527FFEE6

// airplay2Features is the set of a loudspeaker of AirPlay 2, with transient
// pairing and with the classic metadata (set b), without what depends on
// Abilities.
const airplay2Features = FeatureAudio | FeatureAudioRedundant | FeatureFairPlay | FeatureArtwork | FeatureProgress | FeatureText |
	FeatureAudioPCM | FeatureAudioALAC | FeatureAudioAACLC | FeatureAudioUnencrypted | FeatureOnePort |
	FeatureEncryptedControl | FeatureHomeKitPairing | FeatureTransientPairing

// bothFeatures adds the picture (set d): the clock of mirroring is NTP.
const bothFeatures = airplay2Features | FeatureScreenMirroring | FeatureScreenRotate | FeatureAudioAACELD | FeatureNTP

// Abilities is what build, settings and machine can do.
type Abilities struct {
	Secured  bool // senders must prove who they are: legacy ones by legacy pairing
	HEVC     bool // the picture path takes it
	Buffered bool // buffered sound
	PTP      bool // clocks by PTP
}

// Features returns the features of a receiver of that identity.
func (i Identity) Features(a Abilities) Features {
	f := map[Identity]Features{Mirror: mirrorFeatures, AirPlay2: airplay2Features, Both: bothFeatures}[i]
	if a.Secured && i != AirPlay2 {
		f |= FeatureLegacyPairing
	}
	if a.HEVC && i != AirPlay2 {
		f |= FeatureScreenMultiCodec
	}
	if i == Mirror {
		return f
	}
	switch {
	case a.PTP && a.Buffered:
		f |= FeaturePTP | FeaturePeers | FeatureBufferedAudio
	case a.PTP:
		f |= FeaturePTP | FeaturePeers
	default:
		f |= FeatureNTP
	}
	return f
}

// HomeKit tells whether senders pair by HomeKit.
func (f Features) HomeKit() bool { return f&(FeatureHomeKitPairing|FeatureTransientPairing) != 0 }

// String returns the form of the TXT records: the low half first.
func (f Features) String() string {
	return fmt.Sprintf("0x%X,0x%X", uint32(f), uint32(f>>32))
}

// Status is the set of status flags (reference section 1.4).
type Status uint32

// Status flags.
const (
	StatusProblem          Status = 1 << 0
	StatusAudioCable       Status = 1 << 2
	StatusPINRequired      Status = 1 << 3
	StatusPasswordRequired Status = 1 << 7
	StatusOneTimePairing   Status = 1 << 9
	StatusSessionActive    Status = 1 << 17
)

func (s Status) String() string { return fmt.Sprintf("0x%x", uint32(s)) }
