#include "shim.h"

#include <string.h>

static int idle(const aerie_slot *slot) {
	return !slot->leased && (!slot->buf || av_buffer_get_ref_count(slot->buf) == 1);
}

// aerie_slot_reserve makes an idle slot hold size bytes and the padding. It
// grows by halves, so that a stream whose frames grow slowly does not
// allocate for each of them.
int aerie_slot_reserve(aerie_slot *slot, size_t size, size_t limit) {
	size_t room = slot->room + slot->room / 2;
	if (slot->buf && slot->room >= size)
		return 0;
	if (room < size)
		room = size;
	room = (room + 4095) & ~(size_t)4095;
	if (room > limit)
		room = limit;

	av_buffer_unref(&slot->buf);
	slot->room = 0;
	// Cleared, so that no byte of an earlier use can reach a decoder.
	slot->buf = av_buffer_allocz(room + AV_INPUT_BUFFER_PADDING_SIZE);
	if (!slot->buf)
		return AVERROR(ENOMEM);
	slot->room = room;
	return 0;
}

// aerie_slot_lease returns the index of a slot that now holds size bytes, or
// an error. It prefers slots that need not grow, and the first of them, whose
// memory is the warmest.
int aerie_slot_lease(aerie_slot *slots, int count, size_t size, size_t limit) {
	int found = -1, ret;
	for (int i = 0; i < count; i++) {
		if (!idle(&slots[i]))
			continue;
		if (found < 0)
			found = i;
		if (slots[i].buf && slots[i].room >= size) {
			found = i;
			break;
		}
	}
	if (found < 0)
		return AVERROR(EAGAIN);
	ret = aerie_slot_reserve(&slots[found], size, limit);
	if (ret < 0)
		return ret;
	slots[found].leased = 1;
	return found;
}

// aerie_slot_send gives size bytes of the slot at offset to a decoder. The
// padding behind them is cleared here, as a shorter use of the slot leaves
// bytes of a longer one there.
int aerie_slot_send(AVCodecContext *c, AVPacket *p, const aerie_slot *slot, size_t offset, size_t size, int64_t token) {
	int ret;
	memset(slot->buf->data + offset + size, 0, AV_INPUT_BUFFER_PADDING_SIZE);
	p->buf = av_buffer_ref(slot->buf);
	if (!p->buf)
		return AVERROR(ENOMEM);
	p->data = slot->buf->data + offset;
	p->size = (int)size;
	p->pts = token;
	ret = avcodec_send_packet(c, p);
	av_packet_unref(p);
	return ret;
}
