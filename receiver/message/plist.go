package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"howett.net/plist"
)

// Limits of a property list from the network. A SETUP of an iPhone has 40
// objects on three levels.
const (
	maxPlistBytes   = 1 << 20
	maxPlistDepth   = 16
	maxPlistObjects = 20_000 // after references are followed
)

// ErrPlist is the error of a list that is malformed or beyond the limits.
var ErrPlist = errors.New("message: bad property list")

func plistError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrPlist, fmt.Sprintf(format, args...))
}

// decodePlist decodes a binary property list whose top object is a
// dictionary. An empty body is an empty dictionary.
func decodePlist(b []byte) (d dict, err error) {
	if len(b) == 0 {
		return dict{}, nil
	}
	if err := checkPlist(b); err != nil {
		return nil, err
	}
	// The check above is meant to leave nothing that the library trips over.
	// Should it do so nevertheless, one sender fails and not the process.
	defer func() {
		if r := recover(); r != nil {
			d, err = nil, plistError("%v", r)
		}
	}()
	var top any
	if _, err := plist.Unmarshal(b, &top); err != nil {
		return nil, plistError("%v", err)
	}
	m, ok := top.(map[string]any)
	if !ok {
		return nil, plistError("a %T instead of a dictionary", top)
	}
	return dict(m), nil
}

func encodePlist(v any) []byte {
	b, err := plist.Marshal(v, plist.BinaryFormat)
	if err != nil {
		// Only types that have no place in a property list fail, and those
		// stand in our own source.
		panic("message: " + err.Error())
	}
	return b
}

// Object types of the binary format: the high half of the first byte
// (CoreFoundation, CFBinaryPList.c).
const (
	tagSimple = 0x0
	tagInt    = 0x1
	tagReal   = 0x2
	tagDate   = 0x3
	tagData   = 0x4
	tagASCII  = 0x5
	tagUTF16  = 0x6
	tagUID    = 0x8
	tagArray  = 0xa
	tagDict   = 0xd
)

// checker walks a binary property list without building it.
type checker struct {
	b       []byte // everything before the offset table
	offsets []byte // the offset table
	offSize int
	refSize int
	seen    []extent
}

// extent is what one object stands for when its references are followed.
type extent struct {
	objects int // itself and everything below; 0 unknown, -1 being counted
	levels  int // below it
}

// checkPlist makes sure that a binary property list is well formed and that
// it stays small when its references are followed: the same array referred
// to ten times on each of ten levels is a hundred bytes long and ten billion
// objects large.
func checkPlist(b []byte) error {
	const header, trailer = 8, 32
	if len(b) > maxPlistBytes {
		return plistError("%d bytes, limit %d", len(b), maxPlistBytes)
	}
	if len(b) < header+1+trailer || string(b[:header]) != "bplist00" {
		return plistError("not a binary property list")
	}
	t := b[len(b)-trailer:]
	offSize, refSize := int(t[6]), int(t[7])
	num, top, table := binary.BigEndian.Uint64(t[8:]), binary.BigEndian.Uint64(t[16:]), binary.BigEndian.Uint64(t[24:])
	sizes := []int{1, 2, 4, 8}
	if !slices.Contains(sizes, offSize) || !slices.Contains(sizes, refSize) {
		return plistError("offsets of %d, references of %d bytes", offSize, refSize)
	}
	end := uint64(len(b) - trailer)
	if num == 0 || num > uint64(len(b)) || top >= num || table <= header || table >= end || end-table != num*uint64(offSize) {
		return plistError("trailer does not fit")
	}
	if refSize < 8 && num > 1<<(8*refSize) || offSize < 8 && table >= 1<<(8*offSize) {
		return plistError("references cannot address every object")
	}
	c := checker{b: b[:table], offsets: b[table:end], offSize: offSize, refSize: refSize, seen: make([]extent, num)}
	_, err := c.object(top, 0)
	return err
}

func sized(b []byte, n int) (v uint64) {
	for _, c := range b[:n] {
		v = v<<8 | uint64(c)
	}
	return v
}

// object returns the extent of object number n, which lies depth levels down.
func (c *checker) object(n uint64, depth int) (extent, error) {
	if n >= uint64(len(c.seen)) {
		return extent{}, plistError("reference to object %d of %d", n, len(c.seen))
	}
	e := c.seen[n]
	if e.objects < 0 {
		return e, plistError("contains itself")
	}
	if depth+e.levels > maxPlistDepth {
		return e, plistError("deeper than %d levels", maxPlistDepth)
	}
	if e.objects > 0 {
		return e, nil
	}
	off := sized(c.offsets[int(n)*c.offSize:], c.offSize)
	if off < 8 || off >= uint64(len(c.b)) {
		return e, plistError("object %d lies outside", n)
	}
	c.seen[n].objects = -1
	e, err := c.value(c.b[off:], depth)
	c.seen[n] = e
	return e, err
}

// value checks the object at the beginning of b.
func (c *checker) value(b []byte, depth int) (extent, error) {
	tag, low := b[0]>>4, int(b[0]&0xf)
	need := -1
	switch tag {
	case tagSimple:
		if low == 8 || low == 9 { // false, true
			need = 0
		}
	case tagInt:
		if low <= 4 {
			need = 1 << low
		}
	case tagReal:
		if low == 2 || low == 3 {
			need = 1 << low
		}
	case tagDate:
		if low == 3 {
			need = 8
		}
	case tagUID:
		if low == 0 || low == 1 || low == 3 || low == 7 {
			need = low + 1
		}
	case tagData, tagASCII, tagUTF16, tagArray, tagDict:
		return c.counted(tag, b, depth)
	}
	if need < 0 {
		return extent{}, plistError("unknown object type %#02x", b[0])
	}
	if len(b)-1 < need {
		return extent{}, plistError("object cut off")
	}
	return extent{objects: 1}, nil
}

// counted checks an object that has a length.
func (c *checker) counted(tag byte, b []byte, depth int) (extent, error) {
	count, rest := uint64(b[0]&0xf), b[1:]
	if count == 0xf {
		if len(rest) == 0 || rest[0]>>4 != tagInt || rest[0]&0xf > 3 || len(rest) < 1+1<<(rest[0]&0xf) {
			return extent{}, plistError("malformed length")
		}
		n := 1 << (rest[0] & 0xf)
		count, rest = sized(rest[1:], n), rest[1+n:]
	}
	unit := 1
	switch tag {
	case tagUTF16:
		unit = 2
	case tagArray:
		unit = c.refSize
	case tagDict:
		unit = 2 * c.refSize
	}
	if count > uint64(len(rest)/unit) {
		return extent{}, plistError("%d elements do not fit", count)
	}
	whole := extent{objects: 1}
	if tag != tagArray && tag != tagDict {
		return whole, nil
	}
	for i := range int(count) * unit / c.refSize {
		ref := sized(rest[i*c.refSize:], c.refSize)
		e, err := c.object(ref, depth+1)
		if err != nil {
			return extent{}, err
		}
		if tag == tagDict && i < int(count) && !c.isString(ref) {
			return extent{}, plistError("dictionary key is not a string")
		}
		whole.objects += e.objects
		whole.levels = max(whole.levels, e.levels+1)
		if whole.objects > maxPlistObjects {
			return extent{}, plistError("more than %d objects", maxPlistObjects)
		}
	}
	return whole, nil
}

func (c *checker) isString(n uint64) bool {
	t := c.b[sized(c.offsets[int(n)*c.offSize:], c.offSize)] >> 4
	return t == tagASCII || t == tagUTF16
}

// Decode decodes a binary property list under the limits of this package, for
// those who show or rewrite lists without knowing what they mean. The top
// object is a dictionary; values are of the types of package plist.
func Decode(b []byte) (map[string]any, error) { return decodePlist(b) }

// Encode is the inverse of Decode.
func Encode(m map[string]any) []byte { return encodePlist(m) }
