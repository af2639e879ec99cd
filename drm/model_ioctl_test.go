package drm

import (
	"bytes"
	"fmt"
	"sort"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// system interface.

func (m *model) cards() ([]string, error) { return []string{"/dev/dri/card0"}, nil }

func (m *model) open(path string) (int, error) {
	if path != "/dev/dri/card0" {
		return -1, unix.ENOENT
	}
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return -1, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f := &modelFile{p[0], p[1]}
	m.files[p[0]] = f
	if m.master == nil {
		m.master = f
	}
	return p[0], nil
}

func (m *model) close(fd int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.files[fd]; f != nil {
		unix.Close(f.w)
		delete(m.files, fd)
		if m.master == f {
			m.master = nil
		}
	}
	return unix.Close(fd)
}

func (m *model) mmap(fd int, offset int64, length int) ([]byte, error) {
	return unix.Mmap(-1, 0, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
}

func (m *model) munmap(b []byte) error { return unix.Munmap(b) }

func (m *model) uevents() (int, error) { return unix.Dup(m.uevent[0]) }

func (m *model) receive(fd int, b []byte) (int, bool, error) {
	n, err := unix.Read(fd, b)
	return n, true, err
}

func (m *model) now() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return linux{}.now() + m.skew
}

// skip makes time pass.
func (m *model) skip(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.skew += int64(d)
}

// user is the memory behind a user pointer.
func user[T any](p uint64, n uint32) []T {
	if p == 0 || n == 0 {
		return nil
	}
	at := uintptr(p)
	return unsafe.Slice((*T)(*(*unsafe.Pointer)(unsafe.Pointer(&at))), n)
}

// put copies an answer out if there is room, as the kernel does, and sets the
// count.
func put[T any](p uint64, count *uint32, answer []T) {
	if int(*count) >= len(answer) {
		copy(user[T](p, *count), answer)
	}
	*count = uint32(len(answer))
}

func ids(l []*modelObject) (out []uint32) {
	for _, o := range l {
		out = append(out, o.id)
	}
	return out
}

func (m *model) ioctl(fd int, c call, arg unsafe.Pointer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.files[fd]
	if f == nil {
		return unix.EBADF
	}
	switch c {
	case callVersion:
		v := (*version)(arg)
		copy(user[byte](uint64(v.name), uint32(v.nameLen)), m.driver)
		v.nameLen = uintptr(len(m.driver))
	case callSetClientCap:
		if (*setClientCap)(arg).capability == clientAtomic && m.noAtomic {
			return unix.EOPNOTSUPP
		}
	case callGetCap:
		g := (*getCap)(arg)
		switch g.capability {
		case capDumbBuffer:
			if !m.noDumb {
				g.value = 1
			}
		case capPrime:
			g.value = 1
		case capAddFB2Modifiers:
			if !m.noModifier {
				g.value = 1
			}
		default:
			return unix.EINVAL
		}
	case callSetMaster:
		if m.master == nil {
			m.master = f
		}
		if m.master != f {
			return unix.EBUSY
		}
	case callDropMaster:
		if m.master != f {
			return unix.EINVAL
		}
		m.master = nil
	case callGetResources:
		r := (*cardRes)(arg)
		put(r.crtcIDPtr, &r.countCRTCs, ids(m.crtcs))
		put(r.connectorIDPtr, &r.countConnectors, ids(m.conns))
		r.maxWidth, r.maxHeight = 4096, 4096
	case callGetPlaneRes:
		r := (*getPlaneRes)(arg)
		put(r.planeIDPtr, &r.countPlanes, ids(m.planes))
	case callGetPlane:
		r := (*getPlane)(arg)
		o := m.objs[r.planeID]
		r.possibleCRTCs = o.crtcs
		put(r.formatTypePtr, &r.countFormatTypes, o.formats)
	case callGetEncoder:
		r := (*getEncoder)(arg)
		r.possibleCRTCs = m.objs[r.encoderID-100000].crtcs
	case callGetConnector:
		r := (*getConnector)(arg)
		o := m.objs[r.connectorID]
		r.connectorType, r.connectorTypeID, r.connection = o.typ, o.typeID, o.status
		put(r.modesPtr, &r.countModes, o.modes)
		put(r.encodersPtr, &r.countEncoders, []uint32{o.id + 100000})
	case callObjGetProperties:
		m.getProperties((*objGetProperties)(arg))
	case callGetProperty:
		return m.getProperty((*getProperty)(arg))
	case callGetPropBlob:
		g := (*getBlob)(arg)
		b, ok := m.blobs[g.blobID]
		if !ok {
			return unix.ENOENT
		}
		put(g.data, &g.length, b)
	case callCreatePropBlob:
		g := (*createBlob)(arg)
		m.next++
		m.blobs[m.next], g.blobID = bytes.Clone(user[byte](g.data, g.length)), m.next
	case callDestroyPropBlob:
		g := (*destroyBlob)(arg)
		if _, ok := m.blobs[g.blobID]; !ok {
			return unix.ENOENT
		}
	case callCreateDumb:
		g := (*createDumb)(arg)
		m.next++
		g.handle, g.pitch = m.next, (g.width*g.bpp/8+63)&^63
		g.size = (uint64(g.pitch)*uint64(g.height) + 4095) &^ 4095
		m.handles[g.handle]++
	case callMapDumb:
		(*mapDumb)(arg).offset = 4096
	case callDestroyDumb:
		delete(m.handles, (*destroyDumb)(arg).handle)
	case callPrimeFDToHandle:
		g := (*primeHandle)(arg)
		if m.byFD[g.fd] == 0 {
			m.next++
			m.byFD[g.fd] = m.next
		}
		g.handle = m.byFD[g.fd]
		m.handles[g.handle] = 1
	case callGemClose:
		h := (*gemClose)(arg).handle
		if m.handles[h] == 0 {
			return unix.EINVAL
		}
		delete(m.handles, h)
		for fd, o := range m.byFD {
			if o == h {
				delete(m.byFD, fd)
			}
		}
	case callAddFB2:
		g := (*fbCmd2)(arg)
		if m.handles[g.handles[0]] == 0 || g.width > 4096 || g.height > 4096 || g.flags != 0 && m.noModifier {
			return unix.EINVAL
		}
		m.next++
		g.fbID = m.next
		m.fbs[g.fbID] = *g
	case callRmFB:
		id := (*rmFB)(arg).fbID
		if _, ok := m.fbs[id]; !ok {
			return unix.ENOENT
		}
		for _, p := range m.planes {
			if p.values["FB_ID"] == uint64(id) && !m.lax {
				m.t.Errorf("frame buffer %d removed while plane %d shows it", id, p.id)
			}
		}
		delete(m.fbs, id)
	case callAtomic:
		return m.atomic(f, (*atomic)(arg))
	default:
		return unix.ENOTTY
	}
	return nil
}

func (m *model) getProperties(g *objGetProperties) {
	o := m.objs[g.objID]
	var names []string
	for n := range o.values {
		names = append(names, n)
	}
	sort.Strings(names)
	var ids []uint32
	var values []uint64
	for _, n := range names {
		ids, values = append(ids, m.props[n]), append(values, o.values[n])
	}
	count := g.countProps
	put(g.propsPtr, &count, ids)
	put(g.propValuesPtr, &g.countProps, values)
}

func (m *model) getProperty(g *getProperty) error {
	for name, id := range m.props {
		if id != g.propID {
			continue
		}
		copy(g.name[:], name)
		var e []propertyEnum
		add := func(n string, v uint64) {
			x := propertyEnum{value: v}
			copy(x.name[:], n)
			e = append(e, x)
		}
		if name == "rotation" {
			g.flags = propBitmask
			for _, bit := range []uint64{0, 2, 4, 5} {
				add(fmt.Sprint("bit", bit), bit)
			}
		} else if l := m.enums[name]; l != nil {
			g.flags = propEnum
			for i, n := range l {
				add(n, uint64(i))
			}
		}
		if name == "type" || name == "EDID" || name == "IN_FORMATS" {
			g.flags |= propImmutable
		}
		put(g.enumBlobPtr, &g.countEnumBlobs, e)
		return nil
	}
	return unix.ENOENT
}

// atomic checks a commit against the state it would make, and takes it over
// unless it is a test.
func (m *model) atomic(f *modelFile, a *atomic) error {
	if m.master != f {
		return unix.EACCES
	}
	state := map[uint32]map[string]uint64{}
	for id, o := range m.objs {
		state[id] = map[string]uint64{}
		for k, v := range o.values {
			state[id][k] = v
		}
	}
	names := map[uint32]string{}
	for n, id := range m.props {
		names[id] = n
	}
	objs, counts := user[uint32](a.objsPtr, a.countObjs), user[uint32](a.countPropsPtr, a.countObjs)
	at := uint32(0)
	touched := map[uint32]bool{}
	for i, id := range objs {
		props, values := user[uint32](a.propsPtr, at+counts[i])[at:], user[uint64](a.propValuesPtr, at+counts[i])[at:]
		at += counts[i]
		for k, p := range props {
			n, o := names[p], m.objs[id]
			if o == nil || n == "" {
				return unix.ENOENT
			}
			if _, ok := o.values[n]; !ok {
				return unix.ENOENT
			}
			state[id][n] = values[k]
			touched[id] = true
		}
	}
	modeset := false
	for _, c := range m.crtcs {
		modeset = modeset || c.values["ACTIVE"] != state[c.id]["ACTIVE"] || c.values["MODE_ID"] != state[c.id]["MODE_ID"]
		if state[c.id]["ACTIVE"] != 0 && state[c.id]["MODE_ID"] == 0 {
			return unix.EINVAL
		}
		if touched[c.id] && a.flags&atomicPageFlipEvent != 0 && c.values["ACTIVE"] == 0 && state[c.id]["ACTIVE"] == 0 {
			return unix.EINVAL
		}
	}
	if modeset && a.flags&atomicAllowModeset == 0 {
		return unix.EINVAL
	}
	crtc := uint32(0)
	for _, p := range m.planes {
		s := state[p.id]
		if (s["FB_ID"] == 0) != (s["CRTC_ID"] == 0) {
			return unix.EINVAL
		}
		if s["FB_ID"] == 0 {
			continue
		}
		fb, ok := m.fbs[uint32(s["FB_ID"])]
		if !ok || state[uint32(s["CRTC_ID"])] == nil {
			return unix.EINVAL
		}
		x, y, w, h := s["SRC_X"]>>16, s["SRC_Y"]>>16, s["SRC_W"]>>16, s["SRC_H"]>>16
		if w == 0 || h == 0 || x+w > uint64(fb.width) || y+h > uint64(fb.height) {
			return unix.ENOSPC
		}
		if m.noScaling && (w != s["CRTC_W"] || h != s["CRTC_H"]) {
			return unix.ERANGE
		}
		if touched[p.id] {
			crtc = uint32(s["CRTC_ID"])
		}
	}
	for _, c := range m.crtcs {
		if touched[c.id] && state[c.id]["ACTIVE"] != 0 {
			crtc = c.id
		}
	}
	if m.veto != nil {
		if err := m.veto(state, a.flags&atomicAllowModeset != 0); err != nil {
			return err
		}
	}
	if a.flags&atomicTestOnly != 0 {
		m.tests++
		return nil
	}
	if m.pending && a.flags&atomicNonblock != 0 {
		return unix.EBUSY
	}
	m.commits++
	for id, s := range state {
		m.objs[id].values = s
	}
	m.pending = false // a blocking commit waits for the one before
	if a.flags&atomicPageFlipEvent != 0 {
		m.pending, m.user, m.crtc = true, a.userData, crtc
	}
	return nil
}
