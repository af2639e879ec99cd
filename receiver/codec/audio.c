#include "shim.h"

#include <string.h>

// full_scale keeps a decoded sample in [-1, 1). Lossy codecs overshoot, and a
// damaged stream may make anything at all, not-a-number included.
static float full_scale(float v) {
	const float top = 0x1.fffffep-1f;
	if (v >= top)
		return top;
	if (v >= -1.0f)
		return v;
	return v < -1.0f ? -1.0f : 0.0f;
}

// interleave writes the frame's samples as float. Integers of 16 and 24 bits
// (the latter at the top of 32) survive it exactly.
static int interleave(const AVFrame *f, int channels, float *dst) {
	for (int c = 0; c < channels; c++) {
		float *out = dst + c;
		int n = f->nb_samples;
		switch (f->format) {
		case AV_SAMPLE_FMT_FLTP: {
			const float *in = (const float *)f->extended_data[c];
			for (int i = 0; i < n; i++)
				out[i * channels] = full_scale(in[i]);
			break;
		}
		case AV_SAMPLE_FMT_S16P: {
			const int16_t *in = (const int16_t *)f->extended_data[c];
			for (int i = 0; i < n; i++)
				out[i * channels] = (float)in[i] * 0x1p-15f;
			break;
		}
		case AV_SAMPLE_FMT_S32P: {
			const int32_t *in = (const int32_t *)f->extended_data[c];
			for (int i = 0; i < n; i++)
				out[i * channels] = full_scale((float)in[i] * 0x1p-31f);
			break;
		}
		default:
			return AVERROR(ENOSYS);
		}
	}
	return 0;
}

// aerie_audio_decode decodes one packet, which need not be padded: it is
// copied to the slot, whose memory is. It returns the number of samples per
// channel written to dst, which holds room floats. Whatever happens, no frame
// of this packet is left in the decoder.
int aerie_audio_decode(AVCodecContext *c, AVPacket *p, AVFrame *f, const aerie_slot *slot,
                       const uint8_t *packet, size_t size, int rate, int channels, float *dst, size_t room) {
	int total = 0, ret, err;
	memcpy(slot->buf->data, packet, size);
	err = aerie_slot_send(c, p, slot, 0, size, 0);
	while ((ret = avcodec_receive_frame(c, f)) >= 0) {
		size_t n = (size_t)f->nb_samples * (size_t)channels;
		if (err < 0)
			continue;
		if (f->sample_rate != rate || f->ch_layout.nb_channels != channels)
			err = AVERROR_INPUT_CHANGED;
		else if (n > room)
			err = AVERROR(ENOSPC);
		else
			err = interleave(f, channels, dst);
		if (err < 0)
			continue;
		dst += n;
		room -= n;
		total += f->nb_samples;
	}
	av_frame_unref(f);
	if (err < 0)
		return err;
	return ret == AVERROR(EAGAIN) ? total : ret;
}

// aerie_audio_encode encodes one frame of interleaved samples, or with samples
// 0 lets out what the encoder still holds. It returns the size of the access
// unit written to dst, 0 when there is none (yet), AVERROR_EOF at the end.
int aerie_audio_encode(AVCodecContext *c, AVPacket *p, AVFrame *f, const float *src, int samples,
                       uint8_t *dst, size_t room) {
	int channels = c->ch_layout.nb_channels, ret;
	if (samples > 0) {
		ret = av_frame_make_writable(f);
		if (ret < 0)
			return ret;
		for (int k = 0; k < channels; k++) {
			float *out = (float *)f->extended_data[k];
			for (int i = 0; i < samples; i++)
				out[i] = full_scale(src[i * channels + k]);
		}
		f->nb_samples = samples;
		f->pts += samples;
	}
	ret = avcodec_send_frame(c, samples > 0 ? f : NULL);
	if (ret < 0 && ret != AVERROR_EOF)
		return ret;
	ret = avcodec_receive_packet(c, p);
	if (ret == AVERROR(EAGAIN))
		return 0;
	if (ret < 0)
		return ret;
	ret = AVERROR(ENOSPC);
	if ((size_t)p->size <= room) {
		memcpy(dst, p->data, (size_t)p->size);
		ret = p->size;
	}
	av_packet_unref(p);
	return ret;
}
