package intra

import "encoding/binary"

// mbIntraPCM is the mb_type of I_PCM and mbIntra16x16 that of Intra_16x16
// without residual and with prediction mode 0, in I slices (ITU-T H.264,
// table 7-11). P slices have five types more in front.
const (
	mbIntra16x16 = 1
	mbIntraPCM   = 25
	mbInP        = 5
)

// writeType writes mb_type.
func (e *Encoder) writeType(t uint32) {
	if !e.slice.key {
		t += mbInP
	}
	e.w.UE(t)
}

// unchanged tells whether a decoder has the macroblock already as it is.
func (e *Encoder) unchanged(x, y int) bool {
	p, d := e.Picture, e.Decoded
	for row := range 16 {
		at := (16*y+row)*p.Width + 16*x
		if [16]byte(p.Y[at:]) != [16]byte(d.Y[at:]) {
			return false
		}
	}
	for row := range 8 {
		at := (8*y+row)*p.Width/2 + 8*x
		if [8]byte(p.Cb[at:]) != [8]byte(d.Cb[at:]) || [8]byte(p.Cr[at:]) != [8]byte(d.Cr[at:]) {
			return false
		}
	}
	return true
}

// flat tells whether a square of a plane has one level throughout.
func flat(plane []byte, stride, size int) bool {
	want := uint64(plane[0]) * eachByte
	for row := range size {
		for i := 0; i < size; i += 8 {
			if binary.LittleEndian.Uint64(plane[row*stride+i:]) != want {
				return false
			}
		}
	}
	return true
}

// encodePCM writes a macroblock's samples as they are.
func (e *Encoder) encodePCM(x, y int) {
	e.writeType(mbIntraPCM)
	e.w.AlignZero()
	p, d := e.Picture, e.Decoded
	at, chromaAt := 16*y*p.Width+16*x, 4*y*p.Width+8*x
	copySquare(d.Y[at:], p.Y[at:], p.Width, 16)
	copySquare(d.Cb[chromaAt:], p.Cb[chromaAt:], p.Width/2, 8)
	copySquare(d.Cr[chromaAt:], p.Cr[chromaAt:], p.Width/2, 8)
	e.writeSquare(p.Y[at:], p.Width, 16)
	e.writeSquare(p.Cb[chromaAt:], p.Width/2, 8)
	e.writeSquare(p.Cr[chromaAt:], p.Width/2, 8)
	c := &e.coded[y*e.columns+x]
	fill(c.luma[:], 16)
	fill(c.chroma[0][:], 16)
	fill(c.chroma[1][:], 16)
}

// encodeFlat writes a macroblock of one luma level, whose chroma continues its
// neighbours', in a few bits and without any loss. It returns false, having
// written nothing, if the macroblock is not of that kind.
func (e *Encoder) encodeFlat(x, y int) bool {
	stride := e.Picture.Width
	at := 16*y*stride + 16*x
	level := e.Picture.Y[at]
	if !flat(e.Picture.Y[at:], stride, 16) {
		return false
	}
	mode, ok := e.predictChroma(x, y, 0)
	if !ok {
		return false
	}
	r, p := &e.residual, &e.predictor
	r.lumaMode, r.chromaMode, r.hasLuma, r.chromaBits = dc, mode, false, 0
	p.look(e.Decoded.Y, stride, 16*x, 16*y, 16)
	mean := p.mean(0, 16, true, true)
	if got := mean + e.qp.flatDC(int32(level)-mean, &r.lumaDC); got != int32(level) {
		return false // does not happen: the quantiser's step is finer than a level
	}
	copySquare(e.Decoded.Y[at:], e.Picture.Y[at:], stride, 16)
	e.writeIntra(x, y)
	return true
}

// predictChroma finds a mode that predicts both chroma planes to slack, leaves
// the prediction in Decoded and returns the mode; false if there is none.
func (e *Encoder) predictChroma(x, y int, slack uint8) (mode int, ok bool) {
	stride := e.Picture.Width / 2
	at := 8*y*stride + 8*x
	cb, cr := &e.predictor, &e.crPredictor
	cb.look(e.Decoded.Cb, stride, 8*x, 8*y, 8)
	cr.look(e.Decoded.Cr, stride, 8*x, 8*y, 8)
	for _, mode := range [...]int{dc, horizontal, vertical} {
		if !cb.has(mode) {
			continue
		}
		if cb.predict(mode); !cb.matches(e.Picture.Cb[at:], stride, slack) {
			continue
		}
		if cr.predict(mode); cr.matches(e.Picture.Cr[at:], stride, slack) {
			cb.store(e.Decoded.Cb[at:], stride)
			cr.store(e.Decoded.Cr[at:], stride)
			return mode, true
		}
	}
	return 0, false
}

func (e *Encoder) writeSquare(plane []byte, stride, size int) {
	for y := range size {
		e.w.Write(plane[y*stride:][:size])
	}
}

// residual is what Intra_16x16 codes beside the prediction modes.
type residual struct {
	lumaMode   int
	chromaMode int
	lumaDC     [16]int32
	luma       [16][15]int32 // by block in raster order
	hasLuma    bool          // any of luma differs from zero
	chromaDC   [2][4]int32
	chroma     [2][4][15]int32
	chromaBits uint32 // 0: nothing of chroma is coded, 1: DC only, 2: all
}

// encodeIntra codes a macroblock by Intra_16x16.
func (e *Encoder) encodeIntra(x, y int) {
	r := &e.residual
	e.codeLuma(r, x, y)
	e.codeChroma(r, x, y)
	e.writeIntra(x, y)
}

// writeIntra writes an Intra_16x16 macroblock, whose coefficients are in
// e.residual.
func (e *Encoder) writeIntra(x, y int) {
	r := &e.residual
	t := mbIntra16x16 + uint32(r.lumaMode) + 4*r.chromaBits
	if r.hasLuma {
		t += 12
	}
	e.writeType(t)
	e.w.UE(chromaMode[r.chromaMode])
	e.w.SE(0) // mb_qp_delta
	e.writeResiduals(r, x, y)
}

// codeLuma predicts, transforms and quantises luma and leaves in Decoded what
// a decoder makes of it.
func (e *Encoder) codeLuma(r *residual, x, y int) {
	stride := e.Picture.Width
	at := 16*y*stride + 16*x
	source, decoded := e.Picture.Y[at:], e.Decoded.Y[at:]
	p := &e.predictor
	p.look(e.Decoded.Y, stride, 16*x, 16*y, 16)
	r.hasLuma = false
	mode, close := p.choose(source, stride)
	r.lumaMode = mode
	if close {
		r.lumaDC = [16]int32{}
		p.store(decoded, stride)
		return
	}

	var dcs block
	var blocks [16]block
	for i := range blocks {
		b := &blocks[i]
		from := i>>2*4*stride + i&3*4
		b.subtract(source[from:], stride, p.samples[i>>2*64+i&3*4:], 16)
		b.forward()
		dcs[i] = b[0]
		if e.qp.ac(b, &r.luma[i]) {
			r.hasLuma = true
		}
	}
	e.qp.lumaDC(&dcs, &r.lumaDC)
	for i := range blocks {
		b := &blocks[i]
		b[0] = dcs[i]
		b.inverse()
		from := i>>2*4*stride + i&3*4
		b.add(decoded[from:], stride, p.samples[i>>2*64+i&3*4:], 16)
	}
}

// codeChroma does the same for both chroma planes, which share one mode.
func (e *Encoder) codeChroma(r *residual, x, y int) {
	stride := e.Picture.Width / 2
	at := 8*y*stride + 8*x
	source := [2][]byte{e.Picture.Cb[at:], e.Picture.Cr[at:]}
	decoded := [2][]byte{e.Decoded.Cb, e.Decoded.Cr}
	r.chromaBits = 0
	if mode, ok := e.predictChroma(x, y, keySlack); ok {
		r.chromaMode = mode
		return
	}
	p := &e.predictor
	for c := range 2 {
		p.look(decoded[c], stride, 8*x, 8*y, 8)
		if c == 0 {
			r.chromaMode, _ = p.choose(source[0], stride)
		} else {
			p.predict(r.chromaMode)
		}
		var dcs [4]int32
		var blocks [4]block
		for i := range blocks {
			b := &blocks[i]
			from := i>>1*4*stride + i&1*4
			b.subtract(source[c][from:], stride, p.samples[i>>1*32+i&1*4:], 8)
			b.forward()
			dcs[i] = b[0]
			if e.qp.ac(b, &r.chroma[c][i]) {
				r.chromaBits = 2
			}
		}
		if e.qp.chromaDC(&dcs, &r.chromaDC[c]) {
			r.chromaBits = max(r.chromaBits, 1)
		}
		for i := range blocks {
			b := &blocks[i]
			b[0] = dcs[i]
			b.inverse()
			from := at + i>>1*4*stride + i&1*4
			b.add(decoded[c][from:], stride, p.samples[i>>1*32+i&1*4:], 8)
		}
	}
}

// subtract fills b with the differences of a block of samples to their
// prediction.
func (b *block) subtract(source []byte, stride int, predicted []byte, predictedStride int) {
	for y := range 4 {
		s, p := source[y*stride:][:4], predicted[y*predictedStride:][:4]
		for x := range 4 {
			b[4*y+x] = int32(s[x]) - int32(p[x])
		}
	}
}

// add writes the sums of differences and prediction.
func (b *block) add(to []byte, stride int, predicted []byte, predictedStride int) {
	for y := range 4 {
		t, p := to[y*stride:][:4], predicted[y*predictedStride:][:4]
		for x := range 4 {
			t[x] = clamp(int32(p[x]) + b[4*y+x])
		}
	}
}

// writeResiduals writes the coefficients (section 7.3.5.3).
func (e *Encoder) writeResiduals(r *residual, x, y int) {
	w := &e.w
	at := y*e.columns + x
	here := &e.coded[at]
	var left, above *counts
	if x > 0 {
		left = &e.coded[at-1]
	}
	if y > 0 {
		above = &e.coded[at-e.columns]
	}
	writeResidual(w, r.lumaDC[:], lumaContext(here, left, above, 0))
	if r.hasLuma {
		for _, i := range blockOrder {
			here.luma[i] = writeResidual(w, r.luma[i][:], lumaContext(here, left, above, i))
		}
	}
	if r.chromaBits > 0 {
		writeResidual(w, r.chromaDC[0][:], chromaDC)
		writeResidual(w, r.chromaDC[1][:], chromaDC)
	}
	if r.chromaBits == 2 {
		for c := range 2 {
			for i := range 4 {
				here.chroma[c][i] = writeResidual(w, r.chroma[c][i][:], chromaContext(here, left, above, c, i))
			}
		}
	}
}

// lumaContext returns nC of a luma block: the mean of TotalCoeff of the
// blocks to the left and above (section 9.2.1).
func lumaContext(here, left, above *counts, i int) int {
	a, b := -1, -1
	switch {
	case i&3 > 0:
		a = int(here.luma[i-1])
	case left != nil:
		a = int(left.luma[i+3])
	}
	switch {
	case i >= 4:
		b = int(here.luma[i-4])
	case above != nil:
		b = int(above.luma[i+12])
	}
	return meanContext(a, b)
}

func chromaContext(here, left, above *counts, c, i int) int {
	a, b := -1, -1
	switch {
	case i&1 > 0:
		a = int(here.chroma[c][i-1])
	case left != nil:
		a = int(left.chroma[c][i+1])
	}
	switch {
	case i >= 2:
		b = int(here.chroma[c][i-2])
	case above != nil:
		b = int(above.chroma[c][i+2])
	}
	return meanContext(a, b)
}

// meanContext joins the counts of two neighbours, of which -1 is not there.
func meanContext(a, b int) int {
	switch {
	case a >= 0 && b >= 0:
		return (a + b + 1) >> 1
	case a >= 0:
		return a
	case b >= 0:
		return b
	}
	return 0
}
