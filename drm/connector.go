package drm

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
)

// connector is a socket for a display.
type connector struct {
	object
	kind  uint32
	name  string // HDMI-A-1
	crtcs uint32 // mask of CRTCs that can feed it

	// As the last probe found it.
	status  uint32
	modes   []Mode
	edid    []byte
	linkBad bool // the kernel asks for the mode to be set again
}

// The kernel's names of the connector types (drm_connector.c); sysfs and the
// kernel's video= parameter use the same.
var connectorNames = [...]string{"Unknown", "VGA", "DVI-I", "DVI-D", "DVI-A", "Composite", "SVIDEO", "LVDS", "Component",
	"DIN", "DP", "HDMI-A", "HDMI-B", "TV", "eDP", "Virtual", "DSI", "DPI", "Writeback", "SPI", "USB"}

// readConnectors takes up connectors that are new and drops those that have
// gone. It leaves what is on their other end for probe.
func (c *card) readConnectors(ids []uint32) error {
	old := c.connectors
	c.connectors = nil
	for i, id := range ids {
		if k := slices.IndexFunc(old, func(n *connector) bool { return n.id == id }); k >= 0 {
			c.connectors = append(c.connectors, old[k])
			continue
		}
		o, err := c.object(id, objectConnector, i)
		if err != nil {
			return err
		}
		n := &connector{object: o}
		if err := c.readConnector(n); err != nil {
			return err
		}
		c.connectors = append(c.connectors, n)
	}
	return nil
}

// readConnector reads what never changes: type, name and the CRTCs that can
// feed it.
func (c *card) readConnector(n *connector) error {
	g, _, encoders, err := c.getConnector(n.id, false)
	if err != nil {
		return err
	}
	n.kind = g.connectorType
	kind := "Unknown"
	if int(n.kind) < len(connectorNames) {
		kind = connectorNames[n.kind]
	}
	n.name = kind + "-" + strconv.Itoa(int(g.connectorTypeID))
	for _, id := range encoders {
		e := getEncoder{encoderID: id}
		if err := on(c, callGetEncoder, &e); err != nil {
			return err
		}
		n.crtcs |= e.possibleCRTCs
	}
	return nil
}

// getConnector asks about a connector. With force the kernel looks at the wire
// again and reads the EDID, which takes tens of milliseconds; without, it gives
// what it knows.
func (c *card) getConnector(id uint32, force bool) (getConnector, []modeInfo, []uint32, error) {
	var p pins
	defer p.Unpin()
	var modes []modeInfo
	var encoders []uint32
	// A count of modes of 0 is what forces the probe.
	var first [1]modeInfo
	g := getConnector{connectorID: id}
	if !force {
		g.countModes, g.modesPtr = 1, pin(&p, first[:])
	}
	asked := false
	grown := func() bool {
		return !asked || int(g.countModes) > len(modes) || int(g.countEncoders) > len(encoders)
	}
	size := func() error {
		if g.countModes > maxObjects || g.countEncoders > maxObjects {
			return fmt.Errorf("drm: %s: connector %d: %d modes and %d encoders are too many", c.path, id, g.countModes, g.countEncoders)
		}
		// One more than needed keeps the count from being 0, and so from probing.
		modes, encoders, asked = make([]modeInfo, g.countModes+1), make([]uint32, g.countEncoders), true
		g = getConnector{connectorID: id, modesPtr: pin(&p, modes), encodersPtr: pin(&p, encoders),
			countModes: uint32(len(modes)), countEncoders: uint32(len(encoders))}
		return nil
	}
	if err := list(c, callGetConnector, &g, size, grown); err != nil {
		return g, nil, nil, err
	}
	return g, modes[:min(len(modes), int(g.countModes))], encoders[:min(len(encoders), int(g.countEncoders))], nil
}

// glance reads a connector's status as the kernel knows it, without a probe.
func (c *card) glance(n *connector) (uint32, error) {
	g, _, _, err := c.getConnector(n.id, false)
	return g.connection, err
}

// probe looks at every connector's other end.
func (c *card) probe() error {
	for _, n := range c.connectors {
		if n.kind == connectorWriteback {
			continue
		}
		if err := c.probeOne(n); err != nil {
			return err
		}
	}
	return nil
}

func (c *card) probeOne(n *connector) error {
	g, modes, _, err := c.getConnector(n.id, true)
	if err != nil {
		return err
	}
	if err := c.refresh(&n.object, objectConnector); err != nil {
		return err
	}
	n.status, n.modes, n.edid = g.connection, n.modes[:0], nil
	for _, m := range modes {
		n.modes = append(n.modes, newMode(m))
	}
	n.linkBad = n.value("link-status") == linkStatusBad
	if n.status != statusConnected && n.status != statusUnknown {
		return nil
	}
	// A display without a readable EDID is one with the kernel's default modes.
	if n.edid, err = c.blob(uint32(n.value("EDID"))); err != nil {
		n.edid = nil
	}
	return nil
}

// pick chooses the connector to show on: the wanted one, else the present one
// while it is connected, else the first connected one, else one that cannot
// say. Connectors without modes, writeback and virtual-reality headsets are no
// choice.
func (c *card) pick(wanted string, present *connector) *connector {
	usable := func(status uint32) func(n *connector) bool {
		return func(n *connector) bool {
			return n.kind != connectorWriteback && n.status == status && len(n.modes) > 0 && n.crtcs != 0 &&
				n.value("non-desktop") == 0 && (wanted == "" || n.name == wanted)
		}
	}
	for _, status := range []uint32{statusConnected, statusUnknown} {
		if present != nil && slices.Contains(c.connectors, present) && usable(status)(present) {
			return present
		}
		if i := slices.IndexFunc(c.connectors, usable(status)); i >= 0 {
			return c.connectors[i]
		}
	}
	return nil
}

// crtcFor is the CRTC that feeds a connector already, else the first that can.
func (c *card) crtcFor(n *connector) *object {
	routed := uint32(n.value("CRTC_ID"))
	var first *object
	for i := range c.crtcs {
		o := &c.crtcs[i]
		if n.crtcs&(1<<o.index) == 0 {
			continue
		}
		if o.id == routed {
			return o
		}
		if first == nil {
			first = o
		}
	}
	return first
}

// sameDisplay reports whether the display behind a connector is the one that
// gave this EDID and these modes.
func (n *connector) sameDisplay(edid []byte, modes []Mode) bool {
	return bytes.Equal(n.edid, edid) && slices.Equal(n.modes, modes)
}
