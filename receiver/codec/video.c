#include "shim.h"

#include <string.h>

// aerie_video_receive takes the next picture out of the decoder.
int aerie_video_receive(AVCodecContext *c, AVFrame *f, aerie_picture *out) {
	int ret = avcodec_receive_frame(c, f);
	if (ret < 0)
		return ret;
	for (int i = 0; i < 3; i++) {
		out->data[i] = f->data[i];
		out->stride[i] = f->linesize[i];
	}
	out->format = f->format;
	out->width = f->width;
	out->height = f->height;
	out->left = (int)f->crop_left;
	out->top = (int)f->crop_top;
	out->right = (int)f->crop_right;
	out->bottom = (int)f->crop_bottom;
	out->token = f->pts;
	out->key = (f->flags & AV_FRAME_FLAG_KEY) != 0;
	out->corrupt = (f->flags & AV_FRAME_FLAG_CORRUPT) != 0 || f->decode_error_flags != 0;
	out->primaries = f->color_primaries;
	out->transfer = f->color_trc;
	out->matrix = f->colorspace;
	out->full_range = f->color_range == AVCOL_RANGE_JPEG;
	out->aspect_num = f->sample_aspect_ratio.num;
	out->aspect_den = f->sample_aspect_ratio.den;
	out->id = (int)(intptr_t)f->opaque - 1;
	return 0;
}

void aerie_frame_release(AVFrame *f) {
	av_frame_unref(f);
}

void aerie_frame_move(AVFrame *to, AVFrame *from) {
	av_frame_unref(to);
	av_frame_move_ref(to, from);
}
