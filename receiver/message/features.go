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
	FeatureScreenMultiCodec Features = 1 << 42
)

// mirrorFeatures is the set that the most used receiver of mirrored screens
// advertises, and with which senders are known to mirror (reference section
// 2, set a). It holds bits whose meaning is in doubt, and that of photos, which
// has no handler here. What senders make of a set without them is unknown, so
// the set stays as it is tried.
const mirrorFeatures Features = 0x527FFEE6

// MirrorFeatures returns the features of a receiver of mirrored screens:
// with legacy pairing if senders must prove who they are, with HEVC if the
// picture path takes it.
func MirrorFeatures(pairing, hevc bool) Features {
	f := mirrorFeatures
	if pairing {
		f |= FeatureLegacyPairing
	}
	if hevc {
		f |= FeatureScreenMultiCodec
	}
	return f
}

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
