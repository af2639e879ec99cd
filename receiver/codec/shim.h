// shim.h declares what this package does in C: the calls made once per frame,
// the callbacks that libavcodec makes, and nothing that go-astiav does as well.
#ifndef AERIE_SHIM_H
#define AERIE_SHIM_H

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <stdint.h>
#include <stdlib.h>

// Macros that cgo cannot evaluate.
enum {
	AERIE_ERROR_AGAIN = AVERROR(EAGAIN),
	AERIE_ERROR_ROOM = AVERROR(ENOSPC),
	AERIE_ERROR_NOMEM = AVERROR(ENOMEM),
};

// The longest side of a picture: H.264 and HEVC at their highest levels.
enum { AERIE_MAX_SIDE = 16384 };

// input.c: padded, reference-counted memory for bitstreams.

// aerie_slot is one buffer of an input pool. libavcodec holds further
// references while it reads; the slot is idle when buf is the only one.
typedef struct aerie_slot {
	AVBufferRef *buf; // NULL until first used
	size_t room;      // bytes that fit, without padding
	int leased;       // a writer has it
} aerie_slot;

int aerie_slot_lease(aerie_slot *slots, int count, size_t size, size_t limit);
int aerie_slot_reserve(aerie_slot *slot, size_t size, size_t limit);
int aerie_slot_send(AVCodecContext *c, AVPacket *p, const aerie_slot *slot, size_t offset, size_t size, int64_t token);

// pictures.c: memory for decoded pictures.

// aerie_layout is what libavcodec needs of the memory of one picture.
typedef struct aerie_layout {
	int format, width, height; // enum AVPixelFormat, coded size
	int planes;
	int stride[3], rows[3];
	int align; // of addresses and strides
	int tail;  // readable bytes behind the last row of a plane
} aerie_layout;

// aerie_memory is the memory of one picture that a display owns.
typedef struct aerie_memory {
	uint8_t *data[3];
	size_t size[3];
	int stride[3];
	int id; // >= 0
} aerie_memory;

typedef struct aerie_pictures aerie_pictures;

aerie_pictures *aerie_pictures_attach(AVCodecContext *c, int64_t limit, uintptr_t memory);
void aerie_pictures_release(aerie_pictures *p);

// video.c: one call per frame.

// aerie_picture describes a decoded frame.
typedef struct aerie_picture {
	uint8_t *data[3];
	int stride[3];
	int format, width, height; // coded size
	int left, top, right, bottom; // cropping
	int64_t token;
	int key, corrupt;
	int primaries, transfer, matrix, full_range; // code points of ITU-T H.273
	int aspect_num, aspect_den;
	int id; // of foreign memory, or -1
} aerie_picture;

int aerie_video_receive(AVCodecContext *c, AVFrame *f, aerie_picture *out);
void aerie_frame_release(AVFrame *f);
void aerie_frame_move(AVFrame *to, AVFrame *from);

// audio.c: compressed packets to interleaved float samples, and back.

int aerie_audio_decode(AVCodecContext *c, AVPacket *p, AVFrame *f, const aerie_slot *slot,
                       const uint8_t *packet, size_t size, int rate, int channels, float *dst, size_t room);
int aerie_audio_encode(AVCodecContext *c, AVPacket *p, AVFrame *f, const float *src, int samples,
                       uint8_t *dst, size_t room);

// convert.c: pixel formats.

typedef struct aerie_shape {
	int format, width, height; // enum AVPixelFormat
} aerie_shape;

typedef struct aerie_converter {
	struct SwsContext *sws;
	AVFrame *staging; // destination of conversions that overrun their rows
	aerie_shape from, to;
	int matrix, full_range;
	int how;        // one of the ways in convert.c
	int coeff[5];   // luma, V to R, U to B, U to G, V to G; 16.16
	int luma_black; // 0 or 16
} aerie_converter;

int aerie_converter_prepare(aerie_converter *v, aerie_shape from, aerie_shape to, int matrix, int full_range);
int aerie_converter_run(aerie_converter *v, const uint8_t *s0, const uint8_t *s1, const uint8_t *s2,
                        int sl0, int sl1, int sl2,
                        uint8_t *d0, uint8_t *d1, uint8_t *d2, int dl0, int dl1, int dl2);
void aerie_converter_free(aerie_converter *v);

// log.c: libav's log, bounded and rate-limited.

void aerie_log_install(void);

#endif
