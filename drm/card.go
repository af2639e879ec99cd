package drm

import (
	"errors"
	"fmt"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// card is an open primary node with what it consists of.
type card struct {
	sys    system
	path   string
	fd     int
	driver string

	names      map[uint32]*property // by property id: they are shared among objects
	crtcs      []object
	planes     []*plane
	connectors []*connector

	canImport, canModify bool           // PRIME import; modifiers in ADDFB2
	handles              map[uint32]int // references to each GEM handle

	minW, minH, maxW, maxH int // limits of a frame buffer
}

// object is a KMS object and its properties by name.
type object struct {
	id    uint32
	index int // its place among its kind, the bit in masks
	props map[string]propertyValue
}

// property is a property's description.
type property struct {
	id    uint32
	name  string
	flags uint32
	enums map[string]uint64
}

type propertyValue struct {
	*property
	value uint64
}

// prop gives the id of a property, 0 if the object has none of that name.
func (o *object) prop(name string) uint32 {
	if p, ok := o.props[name]; ok {
		return p.id
	}
	return 0
}

// value gives a property's value as it was read, 0 without the property.
func (o *object) value(name string) uint64 { return o.props[name].value }

// on makes a call on the card.
func on[T any](c *card, k call, arg *T) error { return do(c.sys, c.fd, c.path, k, arg) }

// openCard opens a primary node and reads its resources. The errors say why it
// cannot be used for atomic mode setting; errUnfit then is among them.
func openCard(sys system, path string) (*card, error) {
	fd, err := sys.open(path)
	if err != nil {
		return nil, fmt.Errorf("drm: open %s: %w", path, err)
	}
	c := &card{sys: sys, path: path, fd: fd, names: map[uint32]*property{}, handles: map[uint32]int{}}
	if err := c.read(); err != nil {
		sys.close(fd)
		return nil, err
	}
	return c, nil
}

// errUnfit marks a card that is no display of the kind needed.
var errUnfit = errors.New("not a display")

func (c *card) read() error {
	if err := c.readDriver(); err != nil {
		return err
	}
	for _, k := range []struct {
		capability uint64
		need       string
	}{{clientUniversal, "universal planes"}, {clientAtomic, "atomic mode setting"}, {clientWriteback, ""}} {
		err := on(c, callSetClientCap, &setClientCap{k.capability, 1})
		if err != nil && k.need != "" {
			return fmt.Errorf("%w: driver %s has no %s: %w", errUnfit, c.driver, k.need, err)
		}
	}
	if v, err := c.capability(capDumbBuffer); err != nil || v == 0 {
		return errors.Join(fmt.Errorf("%w: driver %s has no dumb buffers", errUnfit, c.driver), err)
	}
	// Older kernels lack the question; then the answer is no.
	v, _ := c.capability(capPrime)
	c.canImport = v&primeCapImport != 0
	v, _ = c.capability(capAddFB2Modifiers)
	c.canModify = v != 0
	if err := c.readResources(); err != nil {
		return err
	}
	return c.readPlanes()
}

func (c *card) readDriver() error {
	var p pins
	defer p.Unpin()
	name := make([]byte, 64)
	v := version{nameLen: uintptr(len(name)), name: uintptr(pin(&p, name))}
	if err := on(c, callVersion, &v); err != nil {
		return err
	}
	c.driver = string(name[:min(int(v.nameLen), len(name))])
	return nil
}

func (c *card) capability(n uint64) (uint64, error) {
	g := getCap{capability: n}
	err := on(c, callGetCap, &g)
	return g.value, err
}

// maxObjects bounds how many objects of a kind a card may claim to have.
const maxObjects = 1024

// list runs a call that fills arrays whose lengths it also gives: ask for the
// lengths, then for the contents, again if they grew in between.
func list[T any](c *card, k call, arg *T, size func() error, grown func() bool) error {
	for range 8 {
		if err := on(c, k, arg); err != nil {
			return err
		}
		if !grown() {
			return nil
		}
		if err := size(); err != nil {
			return err
		}
	}
	return fmt.Errorf("drm: %s: %s: the answer keeps growing", c.path, k.name)
}

func (c *card) readResources() error {
	var p pins
	defer p.Unpin()
	var r cardRes
	var crtcs, connectors []uint32
	grown := func() bool {
		return int(r.countCRTCs) > len(crtcs) || int(r.countConnectors) > len(connectors)
	}
	size := func() error {
		if r.countCRTCs > maxObjects || r.countConnectors > maxObjects {
			return fmt.Errorf("drm: %s: %d CRTCs and %d connectors are too many", c.path, r.countCRTCs, r.countConnectors)
		}
		crtcs, connectors = make([]uint32, r.countCRTCs), make([]uint32, r.countConnectors)
		r = cardRes{crtcIDPtr: pin(&p, crtcs), connectorIDPtr: pin(&p, connectors),
			countCRTCs: uint32(len(crtcs)), countConnectors: uint32(len(connectors))}
		return nil
	}
	if err := list(c, callGetResources, &r, size, grown); err != nil {
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("%w: driver %s only renders: %w", errUnfit, c.driver, err)
		}
		return err
	}
	crtcs, connectors = crtcs[:min(len(crtcs), int(r.countCRTCs))], connectors[:min(len(connectors), int(r.countConnectors))]
	if len(crtcs) == 0 || len(connectors) == 0 {
		return fmt.Errorf("%w: driver %s has %d CRTCs and %d connectors", errUnfit, c.driver, len(crtcs), len(connectors))
	}
	c.minW, c.minH, c.maxW, c.maxH = int(r.minWidth), int(r.minHeight), int(r.maxWidth), int(r.maxHeight)
	c.crtcs = c.crtcs[:0]
	for i, id := range crtcs {
		o, err := c.object(id, objectCRTC, i)
		if err != nil {
			return err
		}
		c.crtcs = append(c.crtcs, o)
	}
	return c.readConnectors(connectors)
}

// object reads an object's properties.
func (c *card) object(id, kind uint32, index int) (object, error) {
	o := object{id: id, index: index, props: map[string]propertyValue{}}
	return o, c.refresh(&o, kind)
}

// refresh reads the values of an object's properties anew.
func (c *card) refresh(o *object, kind uint32) error {
	var p pins
	defer p.Unpin()
	g := objGetProperties{objID: o.id, objType: kind}
	var ids []uint32
	var values []uint64
	size := func() error {
		if g.countProps > maxObjects {
			return fmt.Errorf("drm: %s: object %d: %d properties are too many", c.path, o.id, g.countProps)
		}
		ids, values = make([]uint32, g.countProps), make([]uint64, g.countProps)
		g = objGetProperties{objID: o.id, objType: kind, countProps: g.countProps,
			propsPtr: pin(&p, ids), propValuesPtr: pin(&p, values)}
		return nil
	}
	if err := list(c, callObjGetProperties, &g, size, func() bool { return int(g.countProps) > len(ids) }); err != nil {
		return err
	}
	for i, id := range ids[:min(len(ids), int(g.countProps))] {
		d, err := c.describe(id)
		if err != nil {
			return err
		}
		o.props[d.name] = propertyValue{d, values[i]}
	}
	return nil
}

// describe reads what a property is called and, for an enumeration, the names
// of its values.
func (c *card) describe(id uint32) (*property, error) {
	if d := c.names[id]; d != nil {
		return d, nil
	}
	var p pins
	defer p.Unpin()
	g := getProperty{propID: id}
	var enums []propertyEnum
	grown := func() bool {
		return g.flags&(propEnum|propBitmask) != 0 && int(g.countEnumBlobs) > len(enums)
	}
	size := func() error {
		if g.countEnumBlobs > maxObjects {
			return fmt.Errorf("drm: %s: property %d: %d values are too many", c.path, id, g.countEnumBlobs)
		}
		enums = make([]propertyEnum, g.countEnumBlobs)
		g = getProperty{propID: id, countEnumBlobs: g.countEnumBlobs, enumBlobPtr: pin(&p, enums)}
		return nil
	}
	if err := list(c, callGetProperty, &g, size, grown); err != nil {
		return nil, err
	}
	d := &property{id: id, name: cString(g.name[:]), flags: g.flags, enums: map[string]uint64{}}
	for _, e := range enums[:min(len(enums), int(g.countEnumBlobs))] {
		d.enums[cString(e.name[:])] = e.value
	}
	c.names[id] = d
	return d, nil
}

// maxBlob bounds a property blob: an EDID has at most 32 KiB.
const maxBlob = 1 << 20

// blob reads a property blob, nil for id 0.
func (c *card) blob(id uint32) ([]byte, error) {
	if id == 0 {
		return nil, nil
	}
	var p pins
	defer p.Unpin()
	g := getBlob{blobID: id}
	var b []byte
	size := func() error {
		if g.length > maxBlob {
			return fmt.Errorf("drm: %s: blob %d: %d bytes are too many", c.path, id, g.length)
		}
		b = make([]byte, g.length)
		g = getBlob{blobID: id, length: g.length, data: pin(&p, b)}
		return nil
	}
	if err := list(c, callGetPropBlob, &g, size, func() bool { return int(g.length) > len(b) }); err != nil {
		return nil, err
	}
	return b[:min(len(b), int(g.length))], nil
}

// modeBlob hands a timing to the kernel, which then knows it by a number.
func (c *card) modeBlob(m modeInfo) (uint32, error) {
	var p pins
	defer p.Unpin()
	s := []modeInfo{m}
	b := createBlob{data: pin(&p, s), length: uint32(unsafe.Sizeof(m))}
	err := on(c, callCreatePropBlob, &b)
	return b.blobID, err
}

func (c *card) destroyBlob(id uint32) error {
	if id == 0 {
		return nil
	}
	return on(c, callDestroyPropBlob, &destroyBlob{id})
}

// name is the card's name in sysfs and in uevents: card0.
func (c *card) name() string { return filepath.Base(c.path) }

// becomeMaster makes sure that this open file controls the display. The first
// opener of a free card is master already; then the call does nothing.
func (c *card) becomeMaster() error {
	err := do(c.sys, c.fd, c.path, callSetMaster, (*byte)(nil))
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	return err
}

// close gives the display up. Mastery must be dropped by name: a dumb buffer
// that is still mapped somewhere keeps the open file, and with it mastery,
// alive after the descriptor is gone.
func (c *card) close() error {
	_ = do(c.sys, c.fd, c.path, callDropMaster, (*byte)(nil)) // fails if another has it: as wanted
	if err := c.sys.close(c.fd); err != nil {
		return fmt.Errorf("drm: close %s: %w", c.path, err)
	}
	return nil
}

func cString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
