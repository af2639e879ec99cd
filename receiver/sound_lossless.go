package receiver

import (
	"aerie/receiver/codec"
	"aerie/receiver/codec/alac"
)

// losslessDecoder decodes Apple Lossless: the frames that software senders do
// not compress without the library, which takes none that has no mark at its
// end.
type losslessDecoder struct {
	*codec.AudioDecoder
	config alac.Config
}

// Decode decodes one packet.
func (d *losslessDecoder) Decode(packet []byte, pcm []float32) (int, error) {
	if n, ok := d.config.DecodeVerbatim(packet, pcm); ok {
		return n, nil
	}
	return d.AudioDecoder.Decode(packet, pcm)
}
