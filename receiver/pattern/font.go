package pattern

// glyph is a letter as a pen draws it, on a grid where capitals are 10 units
// high, y counting downwards. The pen's path is a sequence of commands, each a
// letter and its end point:
//
//	m  lifts the pen and goes there
//	l  a line
//	a  a quarter of an ellipse that begins horizontally
//	b  a quarter of an ellipse that begins vertically
//	c  a cubic Bézier curve; two control points come first
type glyph struct {
	width float64 // of the path; the pen's width and the spacing come on top
	path  string
}

// font has what the pattern writes. Digits are equally wide.
var font = map[rune]glyph{
	'0': {6, "m3 0 a6 3.2 l6 6.8 b3 10 a0 6.8 l0 3.2 b3 0"},
	'1': {6, "m1.2 2.3 l3.8 0 l3.8 10"},
	'2': {6, "m.2 2.9 b3.1 0 a6 2.8 c6 5 3.4 6.6 .1 10 l6 10"},
	'3': {6, "m.4 2 c.8 .8 1.8 0 3 0 a5.6 2.4 b3 4.7 l2.1 4.7 m3 4.7 a6 7.4 b3 10 c1.6 10 .5 9.2 .1 7.9"},
	'4': {6, "m4.5 10 l4.5 0 l0 7.3 l6 7.3"},
	'5': {6, "m5.4 0 l1 0 l.6 4.5 c1.3 3.9 2.1 3.6 3 3.6 a6 6.8 b3 10 c1.6 10 .5 9.3 .1 8"},
	'6': {6, "m5.4 1.6 c5 .6 4.1 0 3.1 0 a0 3.4 l0 6.9 b3 10 a6 6.9 b3 3.9 a0 6.9"},
	'7': {6, "m0 0 l6 0 l2.2 10"},
	'8': {6, "m3 0 a5.6 2.35 b3 4.7 a.4 2.35 b3 0 m3 4.7 a6 7.35 b3 10 a0 7.35 b3 4.7"},
	'9': {6, "m.6 8.4 c1 9.4 1.9 10 2.9 10 a6 6.6 l6 3.1 b3 0 a0 3.1 b3 6.1 a6 3.1"},

	'A': {6.4, "m0 10 l3.2 0 l6.4 10 m1.1 6.8 l5.3 6.8"},
	'B': {5.9, "m0 0 l0 10 l3.2 10 a5.9 7.3 b3.2 4.7 l0 4.7 m3.2 4.7 a5.4 2.35 b3 0 l0 0"},
	'C': {5.9, "m5.9 2.4 c5.4 .9 4.3 0 3.1 0 a0 3.4 l0 6.6 b3.1 10 c4.3 10 5.4 9.1 5.9 7.6"},
	'D': {6, "m0 0 l2.6 0 a6 3.6 l6 6.4 b2.6 10 l0 10 l0 0"},
	'E': {5, "m5 0 l0 0 l0 10 l5 10 m0 4.8 l4.4 4.8"},
	'F': {5, "m5 0 l0 0 l0 10 m0 5 l4.4 5"},
	'G': {6, "m5.8 2.4 c5.3 .9 4.2 0 3 0 a0 3.4 l0 6.6 b3 10 a6 6.8 l6 5.4 l3.4 5.4"},
	'H': {6, "m0 0 l0 10 m6 0 l6 10 m0 4.9 l6 4.9"},
	'I': {0, "m0 0 l0 10"},
	'J': {4.4, "m4.4 0 l4.4 7.2 b2 10 c1 10 .3 9.5 0 8.6"},
	'K': {5.8, "m0 0 l0 10 m5.4 0 l0 6 m1.9 4 l5.8 10"},
	'L': {4.8, "m0 0 l0 10 l4.8 10"},
	'M': {7.2, "m0 10 l0 0 l3.6 6.2 l7.2 0 l7.2 10"},
	'N': {6, "m0 10 l0 0 l6 10 l6 0"},
	'O': {6.6, "m3.3 0 a6.6 3.4 l6.6 6.6 b3.3 10 a0 6.6 l0 3.4 b3.3 0"},
	'P': {5.8, "m0 10 l0 0 l3.1 0 a5.8 2.8 b3.1 5.6 l0 5.6"},
	'Q': {6.6, "m3.3 0 a6.6 3.4 l6.6 6.6 b3.3 10 a0 6.6 l0 3.4 b3.3 0 m4.2 7.6 l6.8 10.4"},
	'R': {5.9, "m0 10 l0 0 l3.1 0 a5.8 2.8 b3.1 5.6 l0 5.6 m3 5.6 l5.9 10"},
	'S': {5.8, "m5.5 2 c5 .8 4 0 2.9 0 a.3 2.5 c.3 5.7 5.8 4.2 5.8 7.4 b2.9 10 c1.6 10 .4 9.2 0 7.8"},
	'T': {6, "m0 0 l6 0 m3 0 l3 10"},
	'U': {6, "m0 0 l0 6.8 b3 10 a6 6.8 l6 0"},
	'V': {6.2, "m0 0 l3.1 10 l6.2 0"},
	'W': {8.8, "m0 0 l2.1 10 l4.4 2 l6.7 10 l8.8 0"},
	'X': {6, "m0 0 l6 10 m6 0 l0 10"},
	'Y': {6, "m0 0 l3 5 l6 0 m3 5 l3 10"},
	'Z': {5.8, "m0 0 l5.8 0 l0 10 l5.8 10"},

	' ': {2.4, ""},
	'.': {0, "m0 9.7 l0 9.7"},
	':': {0, "m0 3 l0 3 m0 7.6 l0 7.6"},
	'-': {3.4, "m0 5.2 l3.4 5.2"},
	'/': {3.6, "m0 10.8 l3.6 -.8"},
	'×': {4, "m0 3.4 l4 7.4 m4 3.4 l0 7.4"},
}
