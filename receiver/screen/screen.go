// Package screen draws what a TV shows when no phone does: the name to look
// for, how to connect, the time, the PIN when one is asked for, what is playing
// while there is sound alone, how to set the receiver up, and what is wrong.
//
// A State says what is to be shown, all of it at once; which part of it fills
// the screen follows from the order in State's comment. A layout makes a list
// of elements out of it, and a Screen draws of those what has changed. It
// draws into plain memory and knows neither displays nor sessions; when to draw
// is decided by its caller, once a minute and when something changes.
//
// What is to be read from a sofa is large: capital letters of what matters are
// a 25th of the screen's height or more, all others a 42nd. Everything stays in
// the middle 90 % of each side, and wanders about it by a few pixels, a step a
// minute, so that nothing burns in.
//
// Proof: golden_test.go compares every kind of screen with a picture of it in
// testdata and, with -update, makes those; screen_test.go checks in many sizes
// that nothing leaves the safe area, that letters are as large as said and
// differ enough from what is behind them, that pictures depend on nothing but
// the state, and that drawing what changed gives the same as drawing all;
// text_test.go has the names that are too long or have letters that no font
// has, code_test.go reads QR codes back with another program's eyes, and
// artwork_test.go has the covers. FuzzText and FuzzDecodeArtwork look for what
// is not among those.
package screen

import (
	"image"
	"time"

	"golang.org/x/image/font/opentype"
)

// State is what is to be shown. The first of these that there is fills the
// screen: the PIN, the name of a receiver that is to identify itself, the
// set-up, what is playing, and else how to connect. The notices are below any
// of them but the first two.
type State struct {
	Name    string // of the receiver
	Version string // of the program; "" for none
	Slot    string // that it was started from; "" for none
	Address string // of the receiver on the network; "" without a network
	Page    string // where its page is, "" for nowhere within reach
	// Time is now, in the zone of the clock that is shown. The clock of a
	// machine without a battery is wrong at first: before 2020 none is shown.
	Time time.Time

	PIN      string // that a sender is to be told; "" for none
	Identify bool   // fill the screen with the name
	Setup    Setup

	Sender  string // who is connected and sends no picture; "" for nobody
	Title   string // of what is playing
	Artist  string
	Album   string
	Artwork *Artwork // its cover; nil for none
	// Position is how far it is, of Length; a Length of 0 is not known.
	Position, Length time.Duration

	// Loudspeaker tells that senders are offered sound alone.
	Loudspeaker bool

	// Notices are what people should know, the most important first. Of
	// several each is shown for a minute.
	Notices []Notice
}

// Setup is what to do before the receiver can be used; one without a Title is
// none.
type Setup struct {
	Title string
	Steps []string // up to four lines
	Code  string   // to be entered, such as the PIN of the set-up page; "" for none
	QR    string   // text of a QR code, up to 300 bytes; "" for none
	Below string   // the code: what it says, for those who cannot scan it
}

// Level is how much a notice matters.
type Level int

// Levels.
const (
	Info    Level = iota // all is well
	Working              // something is going on
	Done                 // something went well
	Warning              // something is not as it should be
)

// Notice is something that people should know.
type Notice struct {
	Level Level
	Title string // a few words
	Text  string // a sentence or two: why, and what to do; "" for none
}

// Screen draws states, one after the other. It is not safe for use by several
// goroutines.
type Screen struct {
	canvas    *image.RGBA
	clip      image.RGBA // of the canvas, while an element is drawn
	now       scene      // what is on the canvas
	next      scene
	areas     []image.Rectangle
	differing []image.Rectangle

	glow  glowTable
	fonts fonts
	icons icons
}

// New returns a screen that has drawn nothing. fallback has the fonts for
// letters that the program's own do not have, see Fallback; nil for none.
func New(fallback func() []*opentype.Font) *Screen { return &Screen{fonts: fonts{fallback: fallback}} }

// Draw draws a state for a display with the given bounds. It returns all of the
// picture, which is valid until the next call, and which areas of it differ
// from what the call before returned: none if nothing has changed. Time without
// a change of what is seen costs nothing but the layout.
func (s *Screen) Draw(bounds image.Rectangle, st *State) (m *image.RGBA, changed []image.Rectangle) {
	if s.canvas == nil || s.canvas.Rect != bounds {
		s.canvas, s.now = image.NewRGBA(bounds), s.now[:0]
	}
	s.next = s.layOut(s.next[:0], bounds, st)
	s.areas = s.areas[:0]
	s.differing = differences(s.differing[:0], s.now, s.next)
	for _, r := range s.differing {
		s.areas = Merge(s.areas, r.Intersect(bounds))
	}
	for _, r := range s.areas {
		s.paint(s.next, r)
	}
	s.now, s.next = s.next, s.now
	return s.canvas, s.areas
}

// layOut makes the scene of a state, in the memory of another one.
func (s *Screen) layOut(in scene, bounds image.Rectangle, st *State) scene {
	p := plan{Screen: s, bounds: bounds, st: st, unit: unit(bounds), scene: in}
	p.area = safe(bounds, st.Time.Unix()/60)
	p.compose()
	return p.scene
}

// clockKnown tells whether the time can be that of a clock that was set.
func clockKnown(t time.Time) bool { return t.Year() >= 2020 }
