/*
 * Prints what the kernel's headers say of every structure, ioctl number and
 * constant that package stateless names. uapi_test.go says how the golden texts
 * beside this file are made from it.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>
#include <linux/media.h>
#include <linux/version.h>
#include <linux/videodev2.h>

#define S(t) printf("struct %s %zu\n", #t, sizeof(struct t)); { typedef struct t T;
#define F(f) printf("\t%s %zu %zu\n", #f, offsetof(T, f), sizeof(((T *)0)->f));
#define E }
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0) /* where it is padding */
#define D printf("\tnum_delta_pocs_of_ref_rps_idx %zu 1\n", offsetof(T, poc_lt_curr) + sizeof(((T *)0)->poc_lt_curr));
#else
#define D F(num_delta_pocs_of_ref_rps_idx)
#endif
#define I(n) printf("ioctl %s 0x%08lx\n", #n, (unsigned long)(uint32_t)n);
#define C(n) printf("const %s 0x%llx\n", #n, (unsigned long long)n);

int main(void)
{
	S(v4l2_ctrl_hevc_sps) F(video_parameter_set_id) F(seq_parameter_set_id)
		F(pic_width_in_luma_samples) F(pic_height_in_luma_samples)
		F(bit_depth_luma_minus8) F(bit_depth_chroma_minus8) F(log2_max_pic_order_cnt_lsb_minus4)
		F(sps_max_dec_pic_buffering_minus1) F(sps_max_num_reorder_pics) F(sps_max_latency_increase_plus1)
		F(log2_min_luma_coding_block_size_minus3) F(log2_diff_max_min_luma_coding_block_size)
		F(log2_min_luma_transform_block_size_minus2) F(log2_diff_max_min_luma_transform_block_size)
		F(max_transform_hierarchy_depth_inter) F(max_transform_hierarchy_depth_intra)
		F(pcm_sample_bit_depth_luma_minus1) F(pcm_sample_bit_depth_chroma_minus1)
		F(log2_min_pcm_luma_coding_block_size_minus3) F(log2_diff_max_min_pcm_luma_coding_block_size)
		F(num_short_term_ref_pic_sets) F(num_long_term_ref_pics_sps) F(chroma_format_idc)
		F(sps_max_sub_layers_minus1) F(flags) E
	S(v4l2_ctrl_hevc_pps) F(pic_parameter_set_id) F(num_extra_slice_header_bits)
		F(num_ref_idx_l0_default_active_minus1) F(num_ref_idx_l1_default_active_minus1)
		F(init_qp_minus26) F(diff_cu_qp_delta_depth) F(pps_cb_qp_offset) F(pps_cr_qp_offset)
		F(num_tile_columns_minus1) F(num_tile_rows_minus1) F(column_width_minus1) F(row_height_minus1)
		F(pps_beta_offset_div2) F(pps_tc_offset_div2) F(log2_parallel_merge_level_minus2) F(flags) E
	S(v4l2_hevc_pred_weight_table) F(delta_luma_weight_l0) F(luma_offset_l0) F(delta_chroma_weight_l0)
		F(chroma_offset_l0) F(delta_luma_weight_l1) F(luma_offset_l1) F(delta_chroma_weight_l1)
		F(chroma_offset_l1) F(luma_log2_weight_denom) F(delta_chroma_log2_weight_denom) E
	S(v4l2_ctrl_hevc_slice_params) F(bit_size) F(data_byte_offset) F(num_entry_point_offsets)
		F(nal_unit_type) F(nuh_temporal_id_plus1) F(slice_type) F(colour_plane_id) F(slice_pic_order_cnt)
		F(num_ref_idx_l0_active_minus1) F(num_ref_idx_l1_active_minus1) F(collocated_ref_idx)
		F(five_minus_max_num_merge_cand) F(slice_qp_delta) F(slice_cb_qp_offset) F(slice_cr_qp_offset)
		F(slice_act_y_qp_offset) F(slice_act_cb_qp_offset) F(slice_act_cr_qp_offset)
		F(slice_beta_offset_div2) F(slice_tc_offset_div2) F(pic_struct) F(slice_segment_addr)
		F(ref_idx_l0) F(ref_idx_l1) F(short_term_ref_pic_set_size) F(long_term_ref_pic_set_size)
		F(pred_weight_table) F(flags) E
	S(v4l2_hevc_dpb_entry) F(timestamp) F(flags) F(field_pic) F(pic_order_cnt_val) E
	S(v4l2_ctrl_hevc_decode_params) F(pic_order_cnt_val) F(short_term_ref_pic_set_size)
		F(long_term_ref_pic_set_size) F(num_active_dpb_entries) F(num_poc_st_curr_before)
		F(num_poc_st_curr_after) F(num_poc_lt_curr) F(poc_st_curr_before) F(poc_st_curr_after)
		F(poc_lt_curr) D F(dpb) F(flags) E
	S(v4l2_ctrl_hevc_scaling_matrix) F(scaling_list_4x4) F(scaling_list_8x8) F(scaling_list_16x16)
		F(scaling_list_32x32) F(scaling_list_dc_coef_16x16) F(scaling_list_dc_coef_32x32) E
	S(v4l2_query_ext_ctrl) F(id) F(type) F(name) F(minimum) F(maximum) F(step) F(default_value) F(flags)
		F(elem_size) F(elems) F(nr_of_dims) F(dims) E

	I(VIDIOC_QUERY_EXT_CTRL) I(MEDIA_IOC_REQUEST_ALLOC) I(MEDIA_REQUEST_IOC_QUEUE) I(MEDIA_REQUEST_IOC_REINIT)

	C(V4L2_CID_STATELESS_HEVC_SPS) C(V4L2_CID_STATELESS_HEVC_PPS) C(V4L2_CID_STATELESS_HEVC_SLICE_PARAMS)
	C(V4L2_CID_STATELESS_HEVC_SCALING_MATRIX) C(V4L2_CID_STATELESS_HEVC_DECODE_PARAMS)
	C(V4L2_CID_STATELESS_HEVC_DECODE_MODE) C(V4L2_CID_STATELESS_HEVC_START_CODE)
	C(V4L2_CID_STATELESS_HEVC_ENTRY_POINT_OFFSETS) C(V4L2_STATELESS_HEVC_DECODE_MODE_FRAME_BASED)
	C(V4L2_STATELESS_HEVC_START_CODE_ANNEX_B) C(V4L2_CTRL_FLAG_DYNAMIC_ARRAY) C(V4L2_HEVC_DPB_ENTRIES_NUM_MAX)
	C(V4L2_HEVC_DPB_ENTRY_LONG_TERM_REFERENCE)

	C(V4L2_HEVC_SPS_FLAG_SEPARATE_COLOUR_PLANE) C(V4L2_HEVC_SPS_FLAG_SCALING_LIST_ENABLED)
	C(V4L2_HEVC_SPS_FLAG_AMP_ENABLED) C(V4L2_HEVC_SPS_FLAG_SAMPLE_ADAPTIVE_OFFSET)
	C(V4L2_HEVC_SPS_FLAG_PCM_ENABLED) C(V4L2_HEVC_SPS_FLAG_PCM_LOOP_FILTER_DISABLED)
	C(V4L2_HEVC_SPS_FLAG_LONG_TERM_REF_PICS_PRESENT) C(V4L2_HEVC_SPS_FLAG_SPS_TEMPORAL_MVP_ENABLED)
	C(V4L2_HEVC_SPS_FLAG_STRONG_INTRA_SMOOTHING_ENABLED)

	C(V4L2_HEVC_PPS_FLAG_DEPENDENT_SLICE_SEGMENT_ENABLED) C(V4L2_HEVC_PPS_FLAG_OUTPUT_FLAG_PRESENT)
	C(V4L2_HEVC_PPS_FLAG_SIGN_DATA_HIDING_ENABLED) C(V4L2_HEVC_PPS_FLAG_CABAC_INIT_PRESENT)
	C(V4L2_HEVC_PPS_FLAG_CONSTRAINED_INTRA_PRED) C(V4L2_HEVC_PPS_FLAG_TRANSFORM_SKIP_ENABLED)
	C(V4L2_HEVC_PPS_FLAG_CU_QP_DELTA_ENABLED) C(V4L2_HEVC_PPS_FLAG_PPS_SLICE_CHROMA_QP_OFFSETS_PRESENT)
	C(V4L2_HEVC_PPS_FLAG_WEIGHTED_PRED) C(V4L2_HEVC_PPS_FLAG_WEIGHTED_BIPRED)
	C(V4L2_HEVC_PPS_FLAG_TRANSQUANT_BYPASS_ENABLED) C(V4L2_HEVC_PPS_FLAG_TILES_ENABLED)
	C(V4L2_HEVC_PPS_FLAG_ENTROPY_CODING_SYNC_ENABLED) C(V4L2_HEVC_PPS_FLAG_LOOP_FILTER_ACROSS_TILES_ENABLED)
	C(V4L2_HEVC_PPS_FLAG_PPS_LOOP_FILTER_ACROSS_SLICES_ENABLED)
	C(V4L2_HEVC_PPS_FLAG_DEBLOCKING_FILTER_OVERRIDE_ENABLED) C(V4L2_HEVC_PPS_FLAG_PPS_DISABLE_DEBLOCKING_FILTER)
	C(V4L2_HEVC_PPS_FLAG_LISTS_MODIFICATION_PRESENT) C(V4L2_HEVC_PPS_FLAG_SLICE_SEGMENT_HEADER_EXTENSION_PRESENT)
	C(V4L2_HEVC_PPS_FLAG_DEBLOCKING_FILTER_CONTROL_PRESENT) C(V4L2_HEVC_PPS_FLAG_UNIFORM_SPACING)

	C(V4L2_HEVC_SLICE_PARAMS_FLAG_SLICE_SAO_LUMA) C(V4L2_HEVC_SLICE_PARAMS_FLAG_SLICE_SAO_CHROMA)
	C(V4L2_HEVC_SLICE_PARAMS_FLAG_SLICE_TEMPORAL_MVP_ENABLED) C(V4L2_HEVC_SLICE_PARAMS_FLAG_MVD_L1_ZERO)
	C(V4L2_HEVC_SLICE_PARAMS_FLAG_CABAC_INIT) C(V4L2_HEVC_SLICE_PARAMS_FLAG_COLLOCATED_FROM_L0)
	C(V4L2_HEVC_SLICE_PARAMS_FLAG_USE_INTEGER_MV) C(V4L2_HEVC_SLICE_PARAMS_FLAG_SLICE_DEBLOCKING_FILTER_DISABLED)
	C(V4L2_HEVC_SLICE_PARAMS_FLAG_SLICE_LOOP_FILTER_ACROSS_SLICES_ENABLED)
	C(V4L2_HEVC_SLICE_PARAMS_FLAG_DEPENDENT_SLICE_SEGMENT)

	C(V4L2_HEVC_DECODE_PARAM_FLAG_IRAP_PIC) C(V4L2_HEVC_DECODE_PARAM_FLAG_IDR_PIC)
	C(V4L2_HEVC_DECODE_PARAM_FLAG_NO_OUTPUT_OF_PRIOR)

	C(V4L2_HEVC_SLICE_TYPE_B) C(V4L2_HEVC_SLICE_TYPE_P) C(V4L2_HEVC_SLICE_TYPE_I)
	return 0;
}
