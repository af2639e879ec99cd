package drm

import (
	"encoding/binary"
	"sort"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// model is a display controller in memory behind the system interface, so that
// everything above it runs on any machine. It keeps the kernel's rules that
// matter here: one commit in flight, TEST_ONLY changes nothing, events only for
// CRTCs that are or were active, frame buffers checked, mastery. What a driver
// may refuse is in its knobs. vblank completes the commit in flight: nothing
// happens by itself.
type model struct {
	mu      sync.Mutex
	t       testing.TB
	driver  string
	next    uint32
	props   map[string]uint32 // name to id
	enums   map[string][]string
	objs    map[uint32]*modelObject
	crtcs   []*modelObject
	conns   []*modelObject
	planes  []*modelObject
	blobs   map[uint32][]byte
	fbs     map[uint32]fbCmd2
	handles map[uint32]int
	byFD    map[int32]uint32 // dma-buf to handle
	files   map[int]*modelFile
	master  *modelFile
	pending bool
	user    uint64
	crtc    uint32
	seq     uint32
	clock   int64
	uevent  [2]int
	commits int // real ones
	tests   int

	// Knobs.
	noScaling  bool // planes must be shown at their size
	noModifier bool // no ADDFB2 modifiers
	veto       func(s map[uint32]map[string]uint64, modeset bool) error
	noAtomic   bool
	noDumb     bool
	lax        bool // frame buffers may be removed while they are shown
	interval   int64
	skew       int64
}

type modelFile struct{ r, w int }

type modelObject struct {
	id, kind uint32
	values   map[string]uint64
	formats  []Format
	crtcs    uint32
	typ      uint32
	typeID   uint32
	status   uint32
	modes    []modeInfo
}

// newModel makes a controller like the Raspberry Pi's: two HDMI ports, each
// with a CRTC and a primary plane, and four overlays for both.
func newModel(t testing.TB) *model {
	m := &model{t: t, driver: "vc4", next: 10, props: map[string]uint32{}, objs: map[uint32]*modelObject{}, blobs: map[uint32][]byte{},
		fbs: map[uint32]fbCmd2{}, handles: map[uint32]int{}, byFD: map[int32]uint32{}, files: map[int]*modelFile{},
		clock: 1e9, interval: 16_666_667,
		enums: map[string][]string{
			"COLOR_ENCODING":   encodingNames[:],
			"COLOR_RANGE":      rangeNames[:],
			"pixel blend mode": {"None", "Pre-multiplied", "Coverage"},
			"link-status":      {"Good", "Bad"},
			"type":             {"Overlay", "Primary", "Cursor"},
		}}
	formats := []Format{XRGB8888, ARGB8888, RGB565, NV12, YUV420}
	for i := range 2 {
		c := m.object(objectCRTC, map[string]uint64{"ACTIVE": 0, "MODE_ID": 0, "GAMMA_LUT": 0, "CTM": 0})
		m.crtcs = append(m.crtcs, c)
		p := m.plane(planePrimary, 1<<i, 0, formats)
		m.planes = append(m.planes, p)
	}
	for i := range 4 {
		m.planes = append(m.planes, m.plane(planeOverlay, 3, uint64(i+1), formats))
	}
	for i := range 2 {
		c := m.object(objectConnector, map[string]uint64{"CRTC_ID": 0, "EDID": 0, "link-status": 0, "non-desktop": 0, "Colorspace": 0})
		c.typ, c.typeID, c.crtcs, c.status = 11, uint32(i+1), 1<<i, 2
		m.conns = append(m.conns, c)
	}
	w := m.object(objectConnector, map[string]uint64{"CRTC_ID": 0, "WRITEBACK_FB_ID": 0})
	w.typ, w.typeID, w.crtcs, w.status = connectorWriteback, 1, 3, 3
	m.conns = append(m.conns, w)
	var err error
	if m.uevent, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(m.uevent[0]); unix.Close(m.uevent[1]) })
	return m
}

func (m *model) object(kind uint32, values map[string]uint64) *modelObject {
	m.next++
	o := &modelObject{id: m.next, kind: kind, values: values}
	m.objs[o.id] = o
	for name := range values {
		if m.props[name] == 0 {
			m.next++
			m.props[name] = m.next
		}
	}
	return o
}

func (m *model) plane(kind uint64, crtcs uint32, zpos uint64, formats []Format) *modelObject {
	v := map[string]uint64{"type": kind, "zpos": zpos, "IN_FORMATS": 0, "rotation": 1, "COLOR_ENCODING": 0, "COLOR_RANGE": 0, "alpha": 0, "pixel blend mode": 0}
	for _, n := range []string{"FB_ID", "CRTC_ID", "SRC_X", "SRC_Y", "SRC_W", "SRC_H", "CRTC_X", "CRTC_Y", "CRTC_W", "CRTC_H"} {
		v[n] = 0
	}
	p := m.object(objectPlane, v)
	p.crtcs, p.formats = crtcs, formats
	m.next++
	m.blobs[m.next] = inFormats(formats, map[Modifier][]Format{Linear: formats, SAND128(0): {NV12}})
	v["IN_FORMATS"] = uint64(m.next)
	return p
}

// inFormats builds an IN_FORMATS blob.
func inFormats(formats []Format, mods map[Modifier][]Format) []byte {
	var list []Modifier
	for k := range mods {
		list = append(list, k)
	}
	sort.Slice(list, func(i, j int) bool { return list[i] < list[j] })
	ne := binary.NativeEndian
	b := make([]byte, 24)
	for i, v := range []int{1, 0, len(formats), 24, len(mods), 24 + 4*len(formats)} {
		ne.PutUint32(b[4*i:], uint32(v))
	}
	for _, f := range formats {
		b = ne.AppendUint32(b, uint32(f))
	}
	for _, mod := range list {
		var mask uint64
		for i, f := range formats {
			for _, g := range mods[mod] {
				if f == g {
					mask |= 1 << i
				}
			}
		}
		b = ne.AppendUint64(b, mask)
		b = ne.AppendUint64(b, 0)
		b = ne.AppendUint64(b, uint64(mod))
	}
	return b
}

// plug connects a display to a port, or takes it away with no modes.
func (m *model) plug(port int, edid []byte, modes ...modeInfo) {
	m.mu.Lock()
	c := m.conns[port]
	c.status, c.modes, c.values["EDID"] = statusConnected, modes, 0
	if len(modes) == 0 {
		c.status = 2
	}
	if edid != nil {
		m.next++
		m.blobs[m.next] = edid
		c.values["EDID"] = uint64(m.next)
	}
	m.mu.Unlock()
}

// announce sends the uevent of a hotplug.
func (m *model) announce() {
	unix.Write(m.uevent[1], []byte("change@/devices/platform/gpu/drm/card0\x00ACTION=change\x00DEVPATH=/devices/platform/gpu/drm/card0\x00SUBSYSTEM=drm\x00HOTPLUG=1\x00"))
}

// vblank completes the commit in flight, if there is one, one interval on.
func (m *model) vblank() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clock += m.interval
	m.seq++
	if !m.pending {
		return false
	}
	m.pending = false
	b := make([]byte, 0, eventSize)
	ne := binary.NativeEndian
	b = ne.AppendUint32(b, eventFlipComplete)
	b = ne.AppendUint32(b, eventSize)
	b = ne.AppendUint64(b, m.user)
	b = ne.AppendUint32(b, uint32(m.clock/1e9))
	b = ne.AppendUint32(b, uint32(m.clock%1e9/1e3))
	b = ne.AppendUint32(b, m.seq)
	b = ne.AppendUint32(b, m.crtc)
	for _, f := range m.files {
		if f == m.master {
			unix.Write(f.w, b)
		}
	}
	return true
}

// plane gives a plane's state as committed.
func (m *model) planeState(i int) map[string]uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]uint64{}
	for k, v := range m.planes[i].values {
		out[k] = v
	}
	return out
}
