// Package stamp puts a frame number and a time into a picture and reads them
// back, so that latency, loss and order can be measured wherever the picture
// is seen: in decoded planes, in what a display scans out, in a screenshot of
// a browser.
//
// # Geometry
//
// A stamp is a grid of 28 columns and 6 rows of square cells, each black or
// white, on a black ground that reaches at least half a cell beyond it. The
// outer ring of cells is a checkerboard: cell (row, column), counted from the
// top left corner at (0, 0), is white if row+column is even. The 4 rows by 26
// columns within hold 104 bits, row by row, the most significant bit first,
// white for 1:
//
//	32 bits  frame number
//	48 bits  time in microseconds
//	24 bits  CRC-24 of the ten bytes before (RFC 9580, section 6.1.1)
//
// The ring gives a reader the levels of black and white, the position and the
// pitch in both directions, and with its 64 cells and the checksum keeps
// other content from being taken for a stamp. A stamp may be scaled to
// another size or shape, blurred, dimmed and recoded as long as a cell stays
// at least 3 pixels wide and high; it may not be rotated, mirrored or
// inverted.
//
// Place says where in a picture of some size the test pattern has its stamp.
// The script stamp.js, for pages that show the picture in a <video>, reads
// the same grid.
//
// The package knows neither how the picture was coded nor whose clock the
// time is of.
//
// Proof: stamp_test.go reads stamps back after scaling, blur, noise, JPEG
// compression and out of larger pictures, and from none of a hundred thousand
// random grids; FuzzFind feeds any picture; script_test.go runs stamp.js in
// Node and in Chromium against pictures made here.
package stamp

import (
	_ "embed"
	"encoding/binary"
)

// The grid.
const (
	Columns = 28
	Rows    = 6

	dataColumns = Columns - 2
	dataRows    = Rows - 2
)

// MaxTime is the highest time a stamp can hold: 48 bits of microseconds,
// nearly nine years.
const MaxTime = 1<<48 - 1

// Script is stamp.js, an ECMAScript module that exports find, read and place.
//
//go:embed stamp.js
var Script []byte

// Stamp is what a picture says about itself.
type Stamp struct {
	Frame uint32
	Time  uint64 // µs; higher bits than the 48 lowest are lost
}

// Cells is the grid: bit c of element r is set if the cell in row r, column c
// is white.
type Cells [Rows]uint32

// White tells the colour of a cell.
func (c *Cells) White(row, column int) bool { return c[row]>>column&1 != 0 }

// ring holds the checkerboard's cells and where it is.
var ring, ringMask = func() (cells, mask Cells) {
	for r := range Rows {
		for c := range Columns {
			if r == 0 || r == Rows-1 || c == 0 || c == Columns-1 {
				mask[r] |= 1 << c
				if (r+c)%2 == 0 {
					cells[r] |= 1 << c
				}
			}
		}
	}
	return cells, mask
}()

// Cells returns the grid of the stamp.
func (s Stamp) Cells() Cells {
	b := s.bytes()
	cells := ring
	for i := range dataRows * dataColumns {
		if b[i/8]>>(7-i%8)&1 != 0 {
			cells[1+i/dataColumns] |= 2 << (i % dataColumns)
		}
	}
	return cells
}

// bytes returns the 104 bits.
func (s Stamp) bytes() (b [13]byte) {
	binary.BigEndian.PutUint32(b[:], s.Frame)
	binary.BigEndian.PutUint16(b[4:], uint16(s.Time>>32))
	binary.BigEndian.PutUint32(b[6:], uint32(s.Time))
	crc := crc24(b[:10])
	b[10], b[11], b[12] = byte(crc>>16), byte(crc>>8), byte(crc)
	return b
}

// Parse returns the stamp that cells show; false unless the ring and the
// checksum are right.
func (c *Cells) Parse() (Stamp, bool) {
	for r, row := range c {
		if (row^ring[r])&ringMask[r] != 0 {
			return Stamp{}, false
		}
	}
	var b [13]byte
	for i := range dataRows * dataColumns {
		if c.White(1+i/dataColumns, 1+i%dataColumns) {
			b[i/8] |= 0x80 >> (i % 8)
		}
	}
	s := Stamp{
		Frame: binary.BigEndian.Uint32(b[:]),
		Time:  uint64(binary.BigEndian.Uint16(b[4:]))<<32 | uint64(binary.BigEndian.Uint32(b[6:])),
	}
	return s, s.bytes() == b
}

func crc24(b []byte) uint32 {
	crc := uint32(0xb704ce)
	for _, x := range b {
		crc ^= uint32(x) << 16
		for range 8 {
			crc <<= 1
			if crc&0x1000000 != 0 {
				crc ^= 0x864cfb
			}
		}
	}
	return crc & 0xffffff
}
