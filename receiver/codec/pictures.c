#include "shim.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

// Written in Go (memory.go). Take fills memory and returns 1, or returns 0.
extern int aeriePictureTake(uintptr_t handle, aerie_layout *layout, int exact, aerie_memory *memory);
extern void aeriePictureGive(uintptr_t handle, int id);
extern void aeriePictureForget(uintptr_t handle);

// aerie_pictures gives a decoder memory for its pictures: a display's, or its
// own from a pool whose total size is limited. Pictures may outlive the
// decoder, so it lives as long as any of them.
//
// All pictures of a sequence have the same strides, whoever owns them:
// libavcodec's motion compensation in H.264 walks the reference picture with
// the stride of the current one. The first picture of a sequence settles them.
struct aerie_pictures {
	atomic_int references; // the decoder and every picture alive
	atomic_llong bytes;    // of own pictures alive or pooled
	int64_t limit;
	uintptr_t memory; // the display, or 0

	pthread_mutex_t mutex; // frame threads ask at the same time
	aerie_layout layout;   // of the current sequence
	int settled;           // layout.stride is in use
	AVBufferPool *pool;    // of the current sequence, once needed
};

static void unreference(aerie_pictures *p) {
	if (atomic_fetch_sub(&p->references, 1) > 1)
		return;
	if (p->memory)
		aeriePictureForget(p->memory);
	pthread_mutex_destroy(&p->mutex);
	free(p);
}

// describe fills layout for a frame about to be decoded, in the way of
// libavcodec's own allocator: the width grows until every plane's stride is
// aligned, so that the strides keep their ratio.
static int describe(AVCodecContext *c, const AVFrame *f, aerie_layout *layout) {
	const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
	int align[AV_NUM_DATA_POINTERS], stride[4], width = f->width, height = f->height, unaligned, ret;
	if (!d)
		return AVERROR(EINVAL);
	memset(layout, 0, sizeof *layout);
	layout->format = f->format;
	layout->width = f->width;
	layout->height = f->height;
	layout->planes = av_pix_fmt_count_planes(f->format);
	if (layout->planes < 1 || layout->planes > 3)
		return AVERROR(EINVAL);

	avcodec_align_dimensions2(c, &width, &height, align);
	for (int i = 0; i < layout->planes; i++)
		if (layout->align < align[i])
			layout->align = align[i];
	do {
		ret = av_image_fill_linesizes(stride, f->format, width);
		if (ret < 0)
			return ret;
		width += width & -width;
		unaligned = 0;
		for (int i = 0; i < layout->planes; i++)
			unaligned |= stride[i] % layout->align;
	} while (unaligned);
	for (int i = 0; i < layout->planes; i++) {
		layout->stride[i] = stride[i];
		layout->rows[i] = i ? AV_CEIL_RSHIFT(height, d->log2_chroma_h) : height;
	}
	// What libavcodec's own allocator adds for loads that run over the end.
	layout->tail = 16 + layout->align - 1;
	return 0;
}

// Own pictures. The header in front of each remembers what to account for.

typedef struct own_header {
	aerie_pictures *owner;
	size_t size;
} own_header;

enum { HEADER = 128 };

static void own_free(void *opaque, uint8_t *data) {
	own_header *h = opaque;
	aerie_pictures *p = h->owner;
	(void)data;
	atomic_fetch_sub(&p->bytes, (long long)h->size);
	av_free(h);
	unreference(p);
}

static AVBufferRef *own_allocate(void *opaque, size_t size) {
	aerie_pictures *p = opaque;
	AVBufferRef *ref;
	own_header *h;
	if (atomic_fetch_add(&p->bytes, (long long)size) + (int64_t)size > p->limit)
		goto fail;
	// Cleared, so that a damaged first picture shows nothing of an older use.
	h = av_mallocz(HEADER + size);
	if (!h)
		goto fail;
	h->owner = p;
	h->size = size;
	ref = av_buffer_create((uint8_t *)h + HEADER, size, own_free, h, 0);
	if (!ref) {
		av_free(h);
		goto fail;
	}
	atomic_fetch_add(&p->references, 1);
	return ref;
fail:
	atomic_fetch_sub(&p->bytes, (long long)size);
	return NULL;
}

static size_t own_plane_size(const aerie_layout *l, int i) {
	size_t size = (size_t)l->stride[i] * (size_t)l->rows[i] + (size_t)l->tail;
	return (size + HEADER - 1) & ~(size_t)(HEADER - 1);
}

static int own_picture(aerie_pictures *p, AVFrame *f) {
	const aerie_layout *l = &p->layout;
	uint8_t *data;
	if (!p->pool) {
		size_t size = 0;
		for (int i = 0; i < l->planes; i++)
			size += own_plane_size(l, i);
		p->pool = av_buffer_pool_init2(size, p, own_allocate, NULL);
		if (!p->pool)
			return AVERROR(ENOMEM);
	}
	f->buf[0] = av_buffer_pool_get(p->pool);
	if (!f->buf[0])
		return AVERROR(ENOMEM);
	data = f->buf[0]->data;
	for (int i = 0; i < l->planes; i++) {
		f->data[i] = data;
		f->linesize[i] = l->stride[i];
		data += own_plane_size(l, i);
	}
	return 0;
}

// Pictures of a display.

typedef struct lent {
	aerie_pictures *owner;
	int id;
} lent;

static void lent_free(void *opaque, uint8_t *data) {
	lent *l = opaque;
	aerie_pictures *p = l->owner;
	(void)data;
	aeriePictureGive(p->memory, l->id);
	free(l);
	unreference(p);
}

// suits says whether memory can hold a picture of the current sequence.
static int suits(const aerie_pictures *p, const aerie_memory *m) {
	const aerie_layout *l = &p->layout;
	for (int i = 0; i < l->planes; i++) {
		if (!m->data[i] || m->stride[i] < l->stride[i])
			return 0;
		if (p->settled && m->stride[i] != l->stride[i])
			return 0;
		if (m->stride[i] % l->align || (uintptr_t)m->data[i] % (uintptr_t)l->align)
			return 0;
		if (m->size[i] / (size_t)m->stride[i] < (size_t)l->rows[i] ||
		    m->size[i] - (size_t)m->stride[i] * (size_t)l->rows[i] < (size_t)l->tail)
			return 0;
	}
	return 1;
}

// lent_picture returns 0 when the picture has memory of the display, 1 when
// the display has none that suits.
static int lent_picture(aerie_pictures *p, AVFrame *f) {
	aerie_memory m = {0};
	lent *l;
	if (!aeriePictureTake(p->memory, &p->layout, p->settled, &m))
		return 1;
	if (!suits(p, &m) || !(l = malloc(sizeof *l))) {
		aeriePictureGive(p->memory, m.id);
		return 1;
	}
	l->owner = p;
	l->id = m.id;
	f->buf[0] = av_buffer_create(m.data[0], m.size[0], lent_free, l, 0);
	if (!f->buf[0]) {
		free(l);
		aeriePictureGive(p->memory, m.id);
		return 1;
	}
	atomic_fetch_add(&p->references, 1);
	for (int i = 0; i < p->layout.planes; i++) {
		f->data[i] = m.data[i];
		f->linesize[i] = p->layout.stride[i] = m.stride[i];
	}
	f->opaque = (void *)(intptr_t)(m.id + 1);
	return 0;
}

// get_buffer is called by libavcodec for every picture, on any of its threads.
static int get_buffer(AVCodecContext *c, AVFrame *f, int flags) {
	aerie_pictures *p = c->opaque;
	int ret = 0;
	(void)flags;
	if (f->width > AERIE_MAX_SIDE || f->height > AERIE_MAX_SIDE)
		return AVERROR(EINVAL);
	pthread_mutex_lock(&p->mutex);
	if (f->format != p->layout.format || f->width != p->layout.width || f->height != p->layout.height) {
		av_buffer_pool_uninit(&p->pool);
		p->settled = 0;
		ret = describe(c, f, &p->layout);
		if (ret < 0)
			memset(&p->layout, 0, sizeof p->layout);
	}
	if (ret >= 0)
		ret = p->memory ? lent_picture(p, f) : 1;
	if (ret > 0)
		ret = own_picture(p, f);
	if (ret >= 0) {
		p->settled = 1;
		f->extended_data = f->data;
	}
	pthread_mutex_unlock(&p->mutex);
	return ret;
}

// get_format turns away what no output can show, before memory is spent on it.
static enum AVPixelFormat get_format(AVCodecContext *c, const enum AVPixelFormat *offered) {
	static const enum AVPixelFormat accepted[] = {
		AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUV420P10,
		AV_PIX_FMT_YUV422P, AV_PIX_FMT_YUVJ422P, AV_PIX_FMT_YUV422P10,
		AV_PIX_FMT_YUV444P, AV_PIX_FMT_YUVJ444P, AV_PIX_FMT_YUV444P10,
	};
	for (; *offered != AV_PIX_FMT_NONE; offered++)
		for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++)
			if (*offered == accepted[i])
				return *offered;
	av_log(c, AV_LOG_ERROR, "the stream's pixel format is not supported\n");
	return AV_PIX_FMT_NONE;
}

// aerie_pictures_attach makes c take its picture memory from here, at most
// limit bytes of it at any time, not counting the display's. It returns NULL
// without memory.
aerie_pictures *aerie_pictures_attach(AVCodecContext *c, int64_t limit, uintptr_t memory) {
	aerie_pictures *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	pthread_mutex_init(&p->mutex, NULL);
	atomic_init(&p->references, 1);
	p->limit = limit;
	p->memory = memory;
	p->layout.format = AV_PIX_FMT_NONE;
	c->opaque = p;
	c->get_buffer2 = get_buffer;
	c->get_format = get_format;
	return p;
}

// aerie_pictures_release is called when the decoder is gone. Pictures that are
// still held go on living.
void aerie_pictures_release(aerie_pictures *p) {
	av_buffer_pool_uninit(&p->pool);
	unreference(p);
}
