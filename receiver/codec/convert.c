#include "shim.h"

#include <string.h>

// libswscale's fastest loops write whole vectors and may touch up to 15 pixels
// behind the end of a row, which in a display's memory belong to somebody
// else. So what is known to keep to its rows is called directly, the vector
// loop from YUV to RGB is given a width that it divides, and everything else
// goes through a padded staging picture.
enum {
	COPY,   // same format and size
	DIRECT, // I420 to NV12, whose loops end where the row does
	RGB,    // the vector loop, and the columns left over
	STAGED, // any other formats, and scaling
};

enum { VECTOR = 16 }; // pixels; the widest step of the RGB loops (NEON)

static int same_size(const aerie_shape *a, const aerie_shape *b) {
	return a->width == b->width && a->height == b->height;
}

static int choose(const aerie_shape *from, const aerie_shape *to) {
	if (!same_size(from, to))
		return STAGED;
	if (from->format == to->format)
		return COPY;
	if (from->format == AV_PIX_FMT_YUV420P && to->format == AV_PIX_FMT_NV12)
		return DIRECT;
	// The vector loops take rows in pairs.
	if ((from->format == AV_PIX_FMT_YUV420P || from->format == AV_PIX_FMT_YUV422P) &&
	    to->format == AV_PIX_FMT_BGR0 && from->height % 2 == 0)
		return RGB;
	return STAGED;
}

// set_colours tells swscale how to read the source. YUV stays YUV of the same
// kind; RGB is always of full range.
static int set_colours(aerie_converter *v) {
	const int *table = sws_getCoefficients(v->matrix);
	const AVPixFmtDescriptor *to = av_pix_fmt_desc_get(v->to.format);
	int to_full = (to->flags & AV_PIX_FMT_FLAG_RGB) ? 1 : v->full_range;
	if (sws_setColorspaceDetails(v->sws, table, v->full_range, table, to_full, 0, 1 << 16, 1 << 16) < 0)
		return AVERROR(EINVAL);
	return 0;
}

// set_coefficients does the same for last_columns. The table is made for
// limited range, where chroma spans 224 of 255 steps.
static void set_coefficients(aerie_converter *v) {
	const int *table = sws_getCoefficients(v->matrix);
	for (int i = 0; i < 4; i++)
		v->coeff[1 + i] = v->full_range ? (int)((int64_t)table[i] * 224 / 255) : table[i];
	v->coeff[0] = v->full_range ? 1 << 16 : (1 << 16) * 255 / 219;
	v->luma_black = v->full_range ? 0 : 16;
}

static int stage(aerie_converter *v) {
	v->staging = av_frame_alloc();
	if (!v->staging)
		return AVERROR(ENOMEM);
	v->staging->format = v->to.format;
	v->staging->width = v->to.width;
	v->staging->height = v->to.height;
	return av_frame_get_buffer(v->staging, 0);
}

void aerie_converter_free(aerie_converter *v) {
	sws_freeContext(v->sws);
	av_frame_free(&v->staging);
	memset(v, 0, sizeof *v);
}

static int same(const aerie_converter *v, const aerie_shape *from, const aerie_shape *to, int matrix, int full_range) {
	return v->from.format == from->format && same_size(&v->from, from) && v->to.format == to->format &&
	       same_size(&v->to, to) && v->matrix == matrix && v->full_range == full_range;
}

// aerie_converter_prepare makes v ready for this kind of conversion, which
// costs nothing when it was the last one too.
int aerie_converter_prepare(aerie_converter *v, aerie_shape from, aerie_shape to, int matrix, int full_range) {
	int width = from.width, ret = 0;
	if (same(v, &from, &to, matrix, full_range))
		return 0;
	aerie_converter_free(v);
	v->from = from;
	v->to = to;
	v->matrix = matrix;
	v->full_range = full_range;
	v->how = choose(&from, &to);
	if (v->how == RGB) {
		set_coefficients(v);
		width -= width % VECTOR;
	}
	if (v->how != COPY && width > 0) {
		v->sws = sws_getContext(width, from.height, from.format,
		                        v->how == RGB ? width : to.width, to.height, to.format,
		                        SWS_BILINEAR, NULL, NULL, NULL);
		ret = v->sws ? set_colours(v) : AVERROR(ENOMEM);
	}
	if (ret >= 0 && v->how == STAGED)
		ret = stage(v);
	if (ret < 0)
		aerie_converter_free(v);
	return ret;
}

static void copy_planes(const aerie_shape *s, uint8_t *const dst[4], const int dl[4], const uint8_t *const src[4], const int sl[4]) {
	const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(s->format);
	for (int i = 0; i < av_pix_fmt_count_planes(s->format); i++) {
		int rows = i ? AV_CEIL_RSHIFT(s->height, d->log2_chroma_h) : s->height;
		av_image_copy_plane(dst[i], dl[i], src[i], sl[i], av_image_get_linesize(s->format, s->width, i), rows);
	}
}

static uint32_t clip(int v) {
	v >>= 16;
	return v < 0 ? 0 : v > 255 ? 255 : (uint32_t)v;
}

// last_columns converts the pixels from column x on, in the arithmetic of
// ITU-T H.273 in 16.16 fixed point.
static void last_columns(const aerie_converter *v, int x, uint8_t *dst, int dl, const uint8_t *const src[4], const int sl[4]) {
	int shift_y = v->from.format == AV_PIX_FMT_YUV420P;
	for (int row = 0; row < v->from.height; row++) {
		const uint8_t *luma = src[0] + (ptrdiff_t)row * sl[0];
		const uint8_t *cb = src[1] + (ptrdiff_t)(row >> shift_y) * sl[1];
		const uint8_t *cr = src[2] + (ptrdiff_t)(row >> shift_y) * sl[2];
		uint8_t *out = dst + (ptrdiff_t)row * dl;
		for (int i = x; i < v->from.width; i++) {
			int y = (luma[i] - v->luma_black) * v->coeff[0] + (1 << 15);
			int u = cb[i >> 1] - 128, w = cr[i >> 1] - 128;
			uint32_t r = clip(y + v->coeff[1] * w);
			uint32_t g = clip(y - v->coeff[3] * u - v->coeff[4] * w);
			uint32_t b = clip(y + v->coeff[2] * u);
			out[4 * i] = (uint8_t)b;
			out[4 * i + 1] = (uint8_t)g;
			out[4 * i + 2] = (uint8_t)r;
			out[4 * i + 3] = 255;
		}
	}
}

// aerie_converter_run converts one picture of the kind that was prepared.
int aerie_converter_run(aerie_converter *v, const uint8_t *s0, const uint8_t *s1, const uint8_t *s2,
                        int sl0, int sl1, int sl2,
                        uint8_t *d0, uint8_t *d1, uint8_t *d2, int dl0, int dl1, int dl2) {
	const uint8_t *const src[4] = {s0, s1, s2};
	const int sl[4] = {sl0, sl1, sl2}, dl[4] = {dl0, dl1, dl2};
	uint8_t *const dst[4] = {d0, d1, d2};
	int ret = 0;
	switch (v->how) {
	case COPY:
		copy_planes(&v->from, dst, dl, src, sl);
		return 0;
	case DIRECT:
		ret = sws_scale(v->sws, src, sl, 0, v->from.height, dst, dl);
		break;
	case RGB:
		if (v->sws)
			ret = sws_scale(v->sws, src, sl, 0, v->from.height, dst, dl);
		if (v->from.width % VECTOR)
			last_columns(v, v->from.width - v->from.width % VECTOR, d0, dl0, src, sl);
		break;
	default:
		ret = sws_scale(v->sws, src, sl, 0, v->from.height, v->staging->data, v->staging->linesize);
		copy_planes(&v->to, dst, dl, (const uint8_t *const *)v->staging->data, v->staging->linesize);
	}
	return ret < 0 ? ret : 0;
}
