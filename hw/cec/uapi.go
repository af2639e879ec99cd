package cec

// The kernel's structures and numbers, of linux/cec.h; the same on all
// architectures.

// capabilities is struct cec_caps.
type capabilities struct {
	driver    [32]byte
	name      [32]byte
	available uint32 // number of logical addresses
	flags     uint32
	version   uint32
}

// logicalAddresses is struct cec_log_addrs.
type logicalAddresses struct {
	address  [4]uint8 // answer
	mask     uint16   // answer
	version  uint8
	number   uint8
	vendor   uint32
	flags    uint32
	name     [15]byte
	primary  [4]uint8
	kind     [4]uint8
	all      [4]uint8
	features [4][12]uint8
	_        uint8
}

// message is struct cec_msg.
type message struct {
	sent     uint64
	received uint64
	length   uint32
	timeout  uint32
	sequence uint32
	flags    uint32
	data     [16]byte
	reply    uint8
	rxStatus uint8
	txStatus uint8
	arbLost  uint8
	nacks    uint8
	lowDrive uint8
	errors   uint8
	_        uint8
}

// event is struct cec_event.
type event struct {
	time  uint64
	kind  uint32
	flags uint32
	raw   [16]uint32 // a union
}

// stateChange is struct cec_event_state_change, at the start of event.raw.
type stateChange struct {
	physical  uint16
	mask      uint16
	connector uint16
}

// connectorInfo is struct cec_connector_info.
type connectorInfo struct {
	kind uint32
	raw  [16]uint32 // a union; of kind DRM: number of the card, id of the connector
}

// call is an ioctl.
type call struct {
	name   string
	number uint32
}

var (
	getCapabilities = call{"CEC_ADAP_G_CAPS", 0xc04c6100}
	getPhysical     = call{"CEC_ADAP_G_PHYS_ADDR", 0x80026101}
	setPhysical     = call{"CEC_ADAP_S_PHYS_ADDR", 0x40026102}
	getLogical      = call{"CEC_ADAP_G_LOG_ADDRS", 0x805c6103}
	setLogical      = call{"CEC_ADAP_S_LOG_ADDRS", 0xc05c6104}
	transmit        = call{"CEC_TRANSMIT", 0xc0386105}
	receive         = call{"CEC_RECEIVE", 0xc0386106}
	dequeueEvent    = call{"CEC_DQEVENT", 0xc0506107}
	setMode         = call{"CEC_S_MODE", 0x40046109}
	getConnector    = call{"CEC_ADAP_G_CONNECTOR_INFO", 0x8044610a}
)

const (
	capPhysical  = 1 << 0 // the physical address is the program's to set
	capLogical   = 1 << 1
	capTransmit  = 1 << 2
	capConnector = 1 << 8

	modeInitiator = 0x01
	modeFollower  = 0x10

	version14       = 5
	vendorNone      = 0xffffffff
	primaryPlayback = 4
	kindPlayback    = 3
	allPlayback     = 0x10

	eventState = 1
	eventLost  = 2

	connectorDRM = 1

	txOK   = 1 << 0
	txNack = 1 << 2
)
