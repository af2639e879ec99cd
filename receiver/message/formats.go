package message

// Formats of sound as bits of reference section 8.4.
const (
	anyAudioFormat = 0x3fffffc // bits 2 to 25: PCM, ALAC, AAC-LC, AAC-ELD

	// realtimeFormats are AAC-ELD, AAC-LC and ALAC at 44.1 kHz and PCM of the
	// same, as the receivers of known answers tell.
	realtimeFormats = 1<<24 | 1<<22 | 1<<18 | 1<<11
	// bufferedFormats are ALAC with 16 and 24 bits and AAC-LC, each at 44.1 and
	// 48 kHz.
	bufferedFormats = 1<<18 | 1<<19 | 1<<20 | 1<<21 | 1<<22 | 1<<23
)

// Kinds of sound in /info: of streams, and of what mirroring is known by.
const (
	audioScreen  = 100
	audioDefault = 101
)

// audioFormats tells which sound is taken. Beside the bits stand the lists that
// other descriptions of this answer have: channels, rates, widths, encryption.
func (c *Capabilities) audioFormats() (out []any) {
	entry := func(kind int, formats uint64) {
		out = append(out, dict{"type": kind, "audioInputFormats": formats, "audioOutputFormats": formats,
			"ch": 2, "sr": []any{44100, 48000}, "ss": []any{16, 24}, "et": c.encryption()})
	}
	entry(audioScreen, anyAudioFormat)
	entry(audioDefault, anyAudioFormat)
	if c.homekit() {
		entry(StreamAudio, realtimeFormats)
	}
	if c.Features&FeatureBufferedAudio != 0 {
		entry(StreamBufferedAudio, bufferedFormats)
	}
	return out
}

// encryption lists the ways in which the key of sound may be wrapped, as numbers
// of the TXT key "et" (reference section 1.2): none and RSA, which classic
// senders use, and FairPlay.
func (c *Capabilities) encryption() []int {
	if c.Features&FeatureFairPlay != 0 {
		return []int{0, 1, 3, 5}
	}
	return []int{0, 1}
}

// audioLatencies tells how long after its time sound is heard at least. The
// first two kinds are what senders of mirrored screens read; they add it to
// their own.
func (c *Capabilities) audioLatencies() (out []any) {
	entry := func(kind, latency int) {
		out = append(out, dict{"type": kind, "audioType": "default", "inputLatencyMicros": 0, "outputLatencyMicros": latency})
	}
	entry(audioScreen, 0)
	entry(audioDefault, 0)
	if c.homekit() {
		entry(StreamAudio, c.Latency)
	}
	if c.Features&FeatureBufferedAudio != 0 {
		entry(StreamBufferedAudio, c.Latency)
	}
	return out
}

// supportedFormats is what AirPlay 2 senders read instead (reference section
// 4).
func (c *Capabilities) supportedFormats() dict {
	d := dict{"lowLatencyAudioStream": 0, "audioStream": realtimeFormats, "screenStream": 0, "bufferStream": 0}
	if c.Features&FeatureScreenMirroring != 0 {
		d["screenStream"] = realtimeFormats
	}
	if c.Features&FeatureBufferedAudio != 0 {
		d["bufferStream"] = bufferedFormats
	}
	return d
}
