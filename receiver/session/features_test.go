package session

import (
	"math/bits"
	"slices"
	"testing"

	"aerie/receiver/message"
)

// handled names what answers the senders that a feature brings: requests, or
// streams of SETUP by their type.
var handled = map[message.Features][]any{
	message.FeatureScreenMirroring:  {"SETUP", message.StreamMirror},
	message.FeatureScreenRotate:     {message.StreamMirror},
	message.FeatureAudio:            {"SETUP", "RECORD", "FLUSH", message.StreamAudio},
	message.FeatureAudioRedundant:   {message.StreamAudio},
	message.FeatureFairPlay:         {"POST /fp-setup"},
	message.FeatureArtwork:          {"SET_PARAMETER"},
	message.FeatureProgress:         {"SET_PARAMETER"},
	message.FeatureText:             {"SET_PARAMETER"},
	message.FeatureAudioPCM:         {message.StreamAudio},
	message.FeatureAudioALAC:        {message.StreamAudio},
	message.FeatureAudioAACLC:       {message.StreamAudio},
	message.FeatureAudioAACELD:      {message.StreamAudio},
	message.FeatureAudioUnencrypted: {message.StreamAudio},
	message.FeatureLegacyPairing:    {"POST /pair-setup", "POST /pair-verify", "POST /pair-pin-start", "POST /pair-setup-pin"},
	message.FeatureOnePort:          {"OPTIONS", "GET /info"},
	message.FeatureEncryptedControl: {"POST /pair-setup", "POST /pair-verify", "POST /command", "POST /feedback"},
	message.FeatureScreenMultiCodec: {message.StreamMirror},
	message.FeatureNTP:              {"SETUP"},
	message.FeatureHomeKitPairing:   {"POST /pair-setup", "POST /pair-verify", "POST /pair-add", "POST /pair-remove", "POST /pair-list"},
	message.FeatureTransientPairing: {"POST /pair-setup"},
	message.FeatureBufferedAudio:    {"SETRATEANCHORTIME", "FLUSHBUFFERED", "SETRATE", message.StreamBufferedAudio},
	message.FeaturePTP:              {"SETUP", "SETPEERS", "SETPEERSX"},
	message.FeaturePeers:            {"SETPEERS", "SETPEERSX"},
}

// tried are bits of the set with which senders are known to mirror, whose
// meaning is in doubt or for which nothing is done (package message tells
// why they stay): photos, protected video and pictures' caching, slide shows,
// three that are unknown, encryption of Windows.
var tried = []int{1, 2, 5, 6, 10, 12, 13, 25, 28}

// streamTypes are those that openStream knows.
var streamTypes = []int{message.StreamMirror, message.StreamAudio, message.StreamBufferedAudio}

// TestFeaturesHaveHandlers: what is advertised is answered, under all
// identities and with all that a machine may be able to do.
func TestFeaturesHaveHandlers(t *testing.T) {
	for _, identity := range []message.Identity{message.Mirror, message.AirPlay2, message.Both} {
		for n := range 16 {
			f := identity.Features(message.Abilities{Secured: n&1 != 0, HEVC: n&2 != 0, Buffered: n&4 != 0, PTP: n&8 != 0})
			for f != 0 {
				bit := bits.TrailingZeros64(uint64(f))
				f &^= 1 << bit
				by, known := handled[1<<bit]
				if !known && (identity != message.Mirror || !slices.Contains(tried, bit)) {
					t.Errorf("%s: bit %d has no handler", identity, bit)
				}
				for _, h := range by {
					request, ok := h.(string)
					if ok && handlers[request] == nil {
						t.Errorf("%s: bit %d brings %s, which has no handler", identity, bit, request)
					}
					if kind, stream := h.(int); stream && !slices.Contains(streamTypes, kind) {
						t.Errorf("%s: bit %d brings streams of type %d", identity, bit, kind)
					}
				}
			}
		}
	}
}

// Streams that were not offered are refused.
func TestStreamsNotOffered(t *testing.T) {
	for kind, identity := range map[int]message.Identity{message.StreamMirror: message.AirPlay2, message.StreamBufferedAudio: message.Mirror} {
		r := newRig(t, func(s *Server) {
			s.Capabilities = func() *message.Capabilities {
				c := capabilities()
				c.Identity, c.Features = identity, identity.Features(message.Abilities{})
				return c
			}
		})
		p := r.dial("11:11:11:11:11:11")
		if p.begin() != 200 {
			t.Fatal("no session")
		}
		s := message.Setup{Streams: []message.StreamSetup{{Type: kind, ConnectionID: 5, SharedKey: make([]byte, 32)}}}
		if got := p.ask("SETUP", url, "application/x-apple-binary-plist", s.Encode()).Status; got != 400 {
			t.Errorf("stream type %d of identity %s: %d", kind, identity, got)
		}
	}
}

// The streams of the table above are opened; others are passed over.
func TestStreamTypes(t *testing.T) {
	r := newRig(t, func(s *Server) { s.Capabilities = everything })
	p := r.dial("11:11:11:11:11:11")
	if p.begin() != 200 {
		t.Fatal("no session")
	}
	for kind := range 140 {
		key := make([]byte, 32)
		s := message.Setup{Streams: []message.StreamSetup{{Type: kind, ConnectionID: 5, SharedKey: key}}}
		reply, err := message.ParseSetupReply(p.ask("SETUP", url, "application/x-apple-binary-plist", s.Encode()).Body)
		if err != nil {
			t.Fatal(err)
		}
		if opened := len(reply.Streams) == 1; opened != slices.Contains(streamTypes, kind) {
			t.Errorf("stream type %d: opened %v", kind, opened)
		}
	}
}
