/*
 * Prints what the kernel's headers say of every structure, ioctl number and
 * constant that package cec uses. uapi_test.go makes uapi.golden of it.
 */
#include <linux/cec.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>

#define S(t) printf("sizeof(%s) %zu\n", #t, sizeof(struct t));
#define F(t, f) printf("%s.%s %zu\n", #t, #f, offsetof(struct t, f));
#define N(n) printf("%s %#lx\n", #n, (unsigned long)(unsigned int)(n));

int main(void)
{
	S(cec_caps)
	F(cec_caps, driver) F(cec_caps, name) F(cec_caps, available_log_addrs) F(cec_caps, capabilities)
	S(cec_log_addrs)
	F(cec_log_addrs, log_addr) F(cec_log_addrs, log_addr_mask) F(cec_log_addrs, cec_version)
	F(cec_log_addrs, num_log_addrs) F(cec_log_addrs, vendor_id) F(cec_log_addrs, flags)
	F(cec_log_addrs, osd_name) F(cec_log_addrs, primary_device_type) F(cec_log_addrs, log_addr_type)
	F(cec_log_addrs, all_device_types) F(cec_log_addrs, features)
	S(cec_msg)
	F(cec_msg, tx_ts) F(cec_msg, rx_ts) F(cec_msg, len) F(cec_msg, timeout) F(cec_msg, sequence) F(cec_msg, flags)
	F(cec_msg, msg) F(cec_msg, reply) F(cec_msg, rx_status) F(cec_msg, tx_status)
	S(cec_event)
	F(cec_event, ts) F(cec_event, event) F(cec_event, flags) F(cec_event, raw)
	F(cec_event_state_change, phys_addr) F(cec_event_state_change, log_addr_mask)
	S(cec_connector_info)
	F(cec_connector_info, type) F(cec_connector_info, raw)
	N(CEC_ADAP_G_CAPS) N(CEC_ADAP_G_PHYS_ADDR) N(CEC_ADAP_S_PHYS_ADDR) N(CEC_ADAP_G_LOG_ADDRS) N(CEC_ADAP_S_LOG_ADDRS)
	N(CEC_TRANSMIT) N(CEC_RECEIVE) N(CEC_DQEVENT) N(CEC_S_MODE) N(CEC_ADAP_G_CONNECTOR_INFO)
	N(CEC_CAP_PHYS_ADDR) N(CEC_CAP_LOG_ADDRS) N(CEC_CAP_TRANSMIT) N(CEC_CAP_CONNECTOR_INFO)
	N(CEC_MODE_INITIATOR) N(CEC_MODE_FOLLOWER)
	N(CEC_OP_CEC_VERSION_1_4) N(CEC_VENDOR_ID_NONE) N(CEC_OP_PRIM_DEVTYPE_PLAYBACK) N(CEC_LOG_ADDR_TYPE_PLAYBACK)
	N(CEC_OP_ALL_DEVTYPE_PLAYBACK)
	N(CEC_EVENT_STATE_CHANGE) N(CEC_EVENT_LOST_MSGS) N(CEC_CONNECTOR_TYPE_DRM)
	N(CEC_TX_STATUS_OK) N(CEC_TX_STATUS_NACK)
	return 0;
}
