/*
 * Prints what the kernel's headers say of every structure, ioctl number and
 * constant that package uapi names. uapi_test.go says how the golden texts
 * beside this file are made from it.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>
#include <linux/videodev2.h>

#define S(t) printf("struct %s %zu\n", #t, sizeof(struct t)); { typedef struct t T;
#define F(f) printf("\t%s %zu %zu\n", #f, offsetof(T, f), sizeof(((T *)0)->f));
#define E }
#define I(n) printf("ioctl %s 0x%08lx\n", #n, (unsigned long)(uint32_t)n);
#define C(n) printf("const %s 0x%llx\n", #n, (unsigned long long)(uint32_t)n);

int main(void)
{
	S(v4l2_capability) F(driver) F(card) F(bus_info) F(version) F(capabilities) F(device_caps) E
	S(v4l2_fmtdesc) F(index) F(type) F(flags) F(description) F(pixelformat) F(mbus_code) E
	S(v4l2_pix_format) F(width) F(height) F(pixelformat) F(field) F(bytesperline) F(sizeimage)
		F(colorspace) F(priv) F(flags) F(ycbcr_enc) F(quantization) F(xfer_func) E
	S(v4l2_plane_pix_format) F(sizeimage) F(bytesperline) E
	S(v4l2_pix_format_mplane) F(width) F(height) F(pixelformat) F(field) F(colorspace) F(plane_fmt)
		F(num_planes) F(flags) F(ycbcr_enc) F(quantization) F(xfer_func) E
	S(v4l2_format) F(type) F(fmt) E
	S(v4l2_requestbuffers) F(count) F(type) F(memory) F(capabilities) F(flags) E
	S(v4l2_buffer) F(index) F(type) F(bytesused) F(flags) F(field) F(timestamp) F(timecode)
		F(sequence) F(memory) F(m) F(length) F(reserved2) F(request_fd) E
	S(v4l2_plane) F(bytesused) F(length) F(m) F(data_offset) E
	S(v4l2_exportbuffer) F(type) F(index) F(plane) F(flags) F(fd) E
	S(v4l2_rect) F(left) F(top) F(width) F(height) E
	S(v4l2_selection) F(type) F(target) F(flags) F(r) E
	S(v4l2_control) F(id) F(value) E
	S(v4l2_ext_control) F(id) F(size) F(reserved2) F(value64) E
	S(v4l2_ext_controls) F(which) F(count) F(error_idx) F(request_fd) F(controls) E
	S(v4l2_event_subscription) F(type) F(id) F(flags) E
	S(v4l2_event) F(type) F(u) F(pending) F(sequence) F(timestamp) F(id) E
	S(v4l2_decoder_cmd) F(cmd) F(flags) F(raw) E
	S(v4l2_frmsize_stepwise) F(min_width) F(max_width) F(step_width) F(min_height) F(max_height) F(step_height) E
	S(v4l2_frmsizeenum) F(index) F(pixel_format) F(type) F(stepwise) E

	I(VIDIOC_QUERYCAP) I(VIDIOC_ENUM_FMT) I(VIDIOC_G_FMT) I(VIDIOC_S_FMT) I(VIDIOC_TRY_FMT)
	I(VIDIOC_REQBUFS) I(VIDIOC_QUERYBUF) I(VIDIOC_QBUF) I(VIDIOC_EXPBUF) I(VIDIOC_DQBUF)
	I(VIDIOC_STREAMON) I(VIDIOC_STREAMOFF) I(VIDIOC_G_CTRL) I(VIDIOC_S_CTRL) I(VIDIOC_G_EXT_CTRLS)
	I(VIDIOC_S_EXT_CTRLS) I(VIDIOC_ENUM_FRAMESIZES) I(VIDIOC_DQEVENT) I(VIDIOC_SUBSCRIBE_EVENT)
	I(VIDIOC_G_SELECTION) I(VIDIOC_DECODER_CMD)

	C(V4L2_BUF_TYPE_VIDEO_CAPTURE) C(V4L2_BUF_TYPE_VIDEO_OUTPUT)
	C(V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE) C(V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE)
	C(VIDEO_MAX_PLANES) C(VIDEO_MAX_FRAME)
	C(V4L2_CAP_VIDEO_M2M_MPLANE) C(V4L2_CAP_VIDEO_M2M) C(V4L2_CAP_STREAMING) C(V4L2_CAP_DEVICE_CAPS)
	C(V4L2_MEMORY_MMAP) C(V4L2_MEMORY_DMABUF) C(V4L2_FIELD_NONE)
	C(V4L2_BUF_FLAG_KEYFRAME) C(V4L2_BUF_FLAG_ERROR) C(V4L2_BUF_FLAG_IN_REQUEST) C(V4L2_BUF_FLAG_LAST)
	C(V4L2_BUF_FLAG_REQUEST_FD) C(V4L2_BUF_CAP_SUPPORTS_REQUESTS)
	C(V4L2_SEL_TGT_COMPOSE) C(V4L2_EVENT_EOS) C(V4L2_EVENT_SOURCE_CHANGE) C(V4L2_EVENT_SRC_CH_RESOLUTION)
	C(V4L2_DEC_CMD_START) C(V4L2_DEC_CMD_STOP) C(V4L2_FMT_FLAG_COMPRESSED) C(V4L2_FRMSIZE_TYPE_DISCRETE)
	C(V4L2_CTRL_WHICH_CUR_VAL) C(V4L2_CTRL_WHICH_REQUEST_VAL) C(V4L2_CID_MIN_BUFFERS_FOR_CAPTURE)
	C(V4L2_CID_MPEG_VIDEO_DEC_DISPLAY_DELAY) C(V4L2_CID_MPEG_VIDEO_DEC_DISPLAY_DELAY_ENABLE)
	C(V4L2_PIX_FMT_H264) C(V4L2_PIX_FMT_FWHT) C(V4L2_PIX_FMT_NV12) C(V4L2_PIX_FMT_YUV420)
	C(V4L2_PIX_FMT_XBGR32) C(V4L2_PIX_FMT_HEVC) C(V4L2_PIX_FMT_HEVC_SLICE)
	return 0;
}
