package cec

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"unsafe"

	"aerie/hw/lab/headers"
)

// layout says the same as testdata/uapi.c about the Go types and constants.
func layout() string {
	var w bytes.Buffer
	size := func(name string, n uintptr) { fmt.Fprintf(&w, "sizeof(%s) %d\n", name, n) }
	field := func(name string, n uintptr) { fmt.Fprintf(&w, "%s %d\n", name, n) }
	number := func(name string, n uint32) { fmt.Fprintf(&w, "%s %#x\n", name, n) }

	var c capabilities
	size("cec_caps", unsafe.Sizeof(c))
	field("cec_caps.driver", unsafe.Offsetof(c.driver))
	field("cec_caps.name", unsafe.Offsetof(c.name))
	field("cec_caps.available_log_addrs", unsafe.Offsetof(c.available))
	field("cec_caps.capabilities", unsafe.Offsetof(c.flags))
	var l logicalAddresses
	size("cec_log_addrs", unsafe.Sizeof(l))
	field("cec_log_addrs.log_addr", unsafe.Offsetof(l.address))
	field("cec_log_addrs.log_addr_mask", unsafe.Offsetof(l.mask))
	field("cec_log_addrs.cec_version", unsafe.Offsetof(l.version))
	field("cec_log_addrs.num_log_addrs", unsafe.Offsetof(l.number))
	field("cec_log_addrs.vendor_id", unsafe.Offsetof(l.vendor))
	field("cec_log_addrs.flags", unsafe.Offsetof(l.flags))
	field("cec_log_addrs.osd_name", unsafe.Offsetof(l.name))
	field("cec_log_addrs.primary_device_type", unsafe.Offsetof(l.primary))
	field("cec_log_addrs.log_addr_type", unsafe.Offsetof(l.kind))
	field("cec_log_addrs.all_device_types", unsafe.Offsetof(l.all))
	field("cec_log_addrs.features", unsafe.Offsetof(l.features))
	var m message
	size("cec_msg", unsafe.Sizeof(m))
	field("cec_msg.tx_ts", unsafe.Offsetof(m.sent))
	field("cec_msg.rx_ts", unsafe.Offsetof(m.received))
	field("cec_msg.len", unsafe.Offsetof(m.length))
	field("cec_msg.timeout", unsafe.Offsetof(m.timeout))
	field("cec_msg.sequence", unsafe.Offsetof(m.sequence))
	field("cec_msg.flags", unsafe.Offsetof(m.flags))
	field("cec_msg.msg", unsafe.Offsetof(m.data))
	field("cec_msg.reply", unsafe.Offsetof(m.reply))
	field("cec_msg.rx_status", unsafe.Offsetof(m.rxStatus))
	field("cec_msg.tx_status", unsafe.Offsetof(m.txStatus))
	var e event
	size("cec_event", unsafe.Sizeof(e))
	field("cec_event.ts", unsafe.Offsetof(e.time))
	field("cec_event.event", unsafe.Offsetof(e.kind))
	field("cec_event.flags", unsafe.Offsetof(e.flags))
	field("cec_event.raw", unsafe.Offsetof(e.raw))
	var s stateChange
	field("cec_event_state_change.phys_addr", unsafe.Offsetof(s.physical))
	field("cec_event_state_change.log_addr_mask", unsafe.Offsetof(s.mask))
	var i connectorInfo
	size("cec_connector_info", unsafe.Sizeof(i))
	field("cec_connector_info.type", unsafe.Offsetof(i.kind))
	field("cec_connector_info.raw", unsafe.Offsetof(i.raw))

	for _, c := range []call{getCapabilities, getPhysical, setPhysical, getLogical, setLogical, transmit, receive, dequeueEvent, setMode, getConnector} {
		number(c.name, c.number)
	}
	number("CEC_CAP_PHYS_ADDR", capPhysical)
	number("CEC_CAP_LOG_ADDRS", capLogical)
	number("CEC_CAP_TRANSMIT", capTransmit)
	number("CEC_CAP_CONNECTOR_INFO", capConnector)
	number("CEC_MODE_INITIATOR", modeInitiator)
	number("CEC_MODE_FOLLOWER", modeFollower)
	number("CEC_OP_CEC_VERSION_1_4", version14)
	number("CEC_VENDOR_ID_NONE", vendorNone)
	number("CEC_OP_PRIM_DEVTYPE_PLAYBACK", primaryPlayback)
	number("CEC_LOG_ADDR_TYPE_PLAYBACK", kindPlayback)
	number("CEC_OP_ALL_DEVTYPE_PLAYBACK", allPlayback)
	number("CEC_EVENT_STATE_CHANGE", eventState)
	number("CEC_EVENT_LOST_MSGS", eventLost)
	number("CEC_CONNECTOR_TYPE_DRM", connectorDRM)
	number("CEC_TX_STATUS_OK", txOK)
	number("CEC_TX_STATUS_NACK", txNack)
	return w.String()
}

// TestUAPI holds the Go types against the golden text, on whatever
// architecture the test runs.
func TestUAPI(t *testing.T) {
	golden, err := os.ReadFile("testdata/uapi.golden")
	if err != nil {
		t.Fatal(err)
	}
	if got := layout(); got != string(golden) {
		t.Errorf("Go has\n%s\nC has\n%s", got, golden)
	}
}

// TestUAPIGolden holds the golden text against the kernel's headers.
func TestUAPIGolden(t *testing.T) { headers.Golden(t, headers.One) }
