package drm

// Rect is a rectangle in pixels.
type Rect struct{ X, Y, W, H int }

// Empty reports whether the rectangle has no area.
func (r Rect) Empty() bool { return r.W <= 0 || r.H <= 0 }

// in reports whether r lies in a surface of w by h pixels.
func (r Rect) in(w, h int) bool {
	return r.X >= 0 && r.Y >= 0 && r.W > 0 && r.H > 0 && r.W <= w && r.H <= h && r.X <= w-r.W && r.Y <= h-r.H
}

// center places w by h pixels in the middle of r.
func (r Rect) center(w, h int) Rect { return Rect{r.X + (r.W-w)/2, r.Y + (r.H-h)/2, w, h} }

// Letterbox is the largest rectangle in the middle of box with the shape of w
// by h pixels. A bar of a single line on either side is rounded away: it would
// only show as a flickering edge.
func Letterbox(w, h int, box Rect) Rect {
	if w <= 0 || h <= 0 || box.Empty() {
		return Rect{box.X, box.Y, 0, 0}
	}
	fw := int((int64(w)*int64(box.H) + int64(h)/2) / int64(h))
	fh := int((int64(h)*int64(box.W) + int64(w)/2) / int64(w))
	if fw <= box.W {
		fh = box.H
	} else {
		fw = box.W
	}
	if box.W-fw <= 2 {
		fw = box.W
	}
	if box.H-fh <= 2 {
		fh = box.H
	}
	return box.center(max(1, fw), max(1, fh))
}

// evenOrigin moves the origin of a source rectangle onto whole chroma samples,
// taking what it moved over into the rectangle.
func (r Rect) evenOrigin(f Format) Rect {
	for _, c := range f.channels() {
		if d := r.X % c.hsub; d != 0 {
			r.X, r.W = r.X-d, r.W+d
		}
		if d := r.Y % c.vsub; d != 0 {
			r.Y, r.H = r.Y-d, r.H+d
		}
	}
	return r
}

// turn maps a rectangle on an upright screen of w by h pixels to where it is
// on one that is rotated.
func (r Rect) turn(rot Rotation, w, h int) Rect {
	if rot == UpsideDown || rot == MirrorX {
		r.X = w - r.X - r.W
	}
	if rot == UpsideDown || rot == MirrorY {
		r.Y = h - r.Y - r.H
	}
	return r
}
