/*
 * Prints what the kernel's headers say of every structure, ioctl number and
 * constant that package drm uses. uapi_test.go says how the golden texts
 * beside this file are made from it.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#if __has_include(<drm/drm.h>) /* the kernel's headers */
#include <drm/drm.h>
#include <drm/drm_fourcc.h>
#include <drm/drm_mode.h>
#else /* libdrm's copy: Debian's libdrm-dev */
#include <libdrm/drm.h>
#include <libdrm/drm_fourcc.h>
#include <libdrm/drm_mode.h>
#endif

#define S(t) printf("struct %s %zu\n", #t, sizeof(struct t)); { typedef struct t T;
#define F(f) printf("\t%s %zu %zu\n", #f, offsetof(T, f), sizeof(((T *)0)->f));
#define E }
#define I(n) printf("ioctl %s 0x%08lx\n", #n, (unsigned long)(uint32_t)n);
#define C(n) printf("const %s 0x%llx\n", #n, (unsigned long long)n);

int main(void)
{
	S(drm_version) F(version_major) F(version_minor) F(version_patchlevel)
		F(name_len) F(name) F(date_len) F(date) F(desc_len) F(desc) E
	S(drm_get_cap) F(capability) F(value) E
	S(drm_set_client_cap) F(capability) F(value) E
	S(drm_gem_close) F(handle) F(pad) E
	S(drm_prime_handle) F(handle) F(flags) F(fd) E
	S(drm_mode_card_res) F(fb_id_ptr) F(crtc_id_ptr) F(connector_id_ptr) F(encoder_id_ptr)
		F(count_fbs) F(count_crtcs) F(count_connectors) F(count_encoders)
		F(min_width) F(max_width) F(min_height) F(max_height) E
	S(drm_mode_modeinfo) F(clock) F(hdisplay) F(hsync_start) F(hsync_end) F(htotal) F(hskew)
		F(vdisplay) F(vsync_start) F(vsync_end) F(vtotal) F(vscan) F(vrefresh) F(flags) F(type) F(name) E
	S(drm_mode_get_encoder) F(encoder_id) F(encoder_type) F(crtc_id) F(possible_crtcs) F(possible_clones) E
	S(drm_mode_get_connector) F(encoders_ptr) F(modes_ptr) F(props_ptr) F(prop_values_ptr)
		F(count_modes) F(count_props) F(count_encoders) F(encoder_id) F(connector_id) F(connector_type)
		F(connector_type_id) F(connection) F(mm_width) F(mm_height) F(subpixel) F(pad) E
	S(drm_mode_get_plane_res) F(plane_id_ptr) F(count_planes) E
	S(drm_mode_get_plane) F(plane_id) F(crtc_id) F(fb_id) F(possible_crtcs) F(gamma_size)
		F(count_format_types) F(format_type_ptr) E
	S(drm_mode_obj_get_properties) F(props_ptr) F(prop_values_ptr) F(count_props) F(obj_id) F(obj_type) E
	S(drm_mode_get_property) F(values_ptr) F(enum_blob_ptr) F(prop_id) F(flags) F(name)
		F(count_values) F(count_enum_blobs) E
	S(drm_mode_property_enum) F(value) F(name) E
	S(drm_mode_get_blob) F(blob_id) F(length) F(data) E
	S(drm_mode_create_blob) F(data) F(length) F(blob_id) E
	S(drm_mode_destroy_blob) F(blob_id) E
	S(drm_mode_atomic) F(flags) F(count_objs) F(objs_ptr) F(count_props_ptr) F(props_ptr)
		F(prop_values_ptr) F(reserved) F(user_data) E
	S(drm_mode_create_dumb) F(height) F(width) F(bpp) F(flags) F(handle) F(pitch) F(size) E
	S(drm_mode_map_dumb) F(handle) F(pad) F(offset) E
	S(drm_mode_destroy_dumb) F(handle) E
	S(drm_mode_fb_cmd2) F(fb_id) F(width) F(height) F(pixel_format) F(flags) F(handles) F(pitches)
		F(offsets) F(modifier) E
	S(drm_crtc_get_sequence) F(crtc_id) F(active) F(sequence) F(sequence_ns) E
	S(drm_event_vblank) F(base.type) F(base.length) F(user_data) F(tv_sec) F(tv_usec) F(sequence) F(crtc_id) E
	S(drm_format_modifier_blob) F(version) F(flags) F(count_formats) F(formats_offset)
		F(count_modifiers) F(modifiers_offset) E
	S(drm_format_modifier) F(formats) F(offset) F(pad) F(modifier) E

	I(DRM_IOCTL_VERSION) I(DRM_IOCTL_GEM_CLOSE) I(DRM_IOCTL_GET_CAP) I(DRM_IOCTL_SET_CLIENT_CAP)
	I(DRM_IOCTL_SET_MASTER) I(DRM_IOCTL_DROP_MASTER) I(DRM_IOCTL_PRIME_FD_TO_HANDLE)
	I(DRM_IOCTL_CRTC_GET_SEQUENCE) I(DRM_IOCTL_MODE_GETRESOURCES) I(DRM_IOCTL_MODE_GETENCODER)
	I(DRM_IOCTL_MODE_GETCONNECTOR) I(DRM_IOCTL_MODE_GETPROPERTY) I(DRM_IOCTL_MODE_GETPROPBLOB)
	I(DRM_IOCTL_MODE_RMFB) I(DRM_IOCTL_MODE_CREATE_DUMB) I(DRM_IOCTL_MODE_MAP_DUMB)
	I(DRM_IOCTL_MODE_DESTROY_DUMB) I(DRM_IOCTL_MODE_GETPLANERESOURCES) I(DRM_IOCTL_MODE_GETPLANE)
	I(DRM_IOCTL_MODE_ADDFB2) I(DRM_IOCTL_MODE_OBJ_GETPROPERTIES) I(DRM_IOCTL_MODE_ATOMIC)
	I(DRM_IOCTL_MODE_CREATEPROPBLOB) I(DRM_IOCTL_MODE_DESTROYPROPBLOB)

	C(DRM_CAP_DUMB_BUFFER) C(DRM_CAP_PRIME) C(DRM_CAP_ADDFB2_MODIFIERS) C(DRM_PRIME_CAP_IMPORT)
	C(DRM_CLIENT_CAP_UNIVERSAL_PLANES) C(DRM_CLIENT_CAP_ATOMIC) C(DRM_CLIENT_CAP_WRITEBACK_CONNECTORS)
	C(DRM_MODE_PAGE_FLIP_EVENT) C(DRM_MODE_ATOMIC_TEST_ONLY) C(DRM_MODE_ATOMIC_NONBLOCK)
	C(DRM_MODE_ATOMIC_ALLOW_MODESET) C(DRM_MODE_OBJECT_CRTC) C(DRM_MODE_OBJECT_CONNECTOR)
	C(DRM_MODE_OBJECT_PLANE) C(DRM_MODE_FB_MODIFIERS) C(DRM_EVENT_FLIP_COMPLETE)
	C(DRM_MODE_CONNECTOR_WRITEBACK) C(DRM_MODE_TYPE_PREFERRED) C(DRM_MODE_FLAG_INTERLACE)
	C(DRM_MODE_FLAG_DBLSCAN) C(DRM_MODE_PROP_IMMUTABLE) C(DRM_MODE_PROP_ENUM) C(DRM_MODE_PROP_BLOB)
	C(DRM_MODE_PROP_BITMASK) C(DRM_MODE_LINK_STATUS_BAD)
	C(DRM_MODE_ROTATE_0) C(DRM_MODE_ROTATE_180) C(DRM_MODE_REFLECT_X) C(DRM_MODE_REFLECT_Y)
	C(DRM_FORMAT_XRGB8888) C(DRM_FORMAT_ARGB8888) C(DRM_FORMAT_XBGR8888) C(DRM_FORMAT_ABGR8888)
	C(DRM_FORMAT_RGB565) C(DRM_FORMAT_NV12) C(DRM_FORMAT_NV21) C(DRM_FORMAT_YUV420)
	C(DRM_FORMAT_YVU420) C(DRM_FORMAT_P030)
	C(DRM_FORMAT_MOD_LINEAR) C(DRM_FORMAT_MOD_INVALID) C(DRM_FORMAT_MOD_BROADCOM_VC4_T_TILED)
	C(DRM_FORMAT_MOD_BROADCOM_SAND128) C(DRM_FORMAT_MOD_BROADCOM_SAND128_COL_HEIGHT(1632))
	return 0;
}
