package settings

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"
)

const (
	pinDigits = 6
	// pinLasts is how long a PIN is on the TV: to walk there and back.
	pinLasts = 3 * time.Minute
	// maxTries is how often a PIN may be entered wrong before it is taken away.
	maxTries = 5
	// firstWait is for how long there is no other then; it doubles each time, up
	// to lastWait, and forgotten is how long the gate must be left in peace for it
	// to be as at first. So 20 guesses an hour remain, of a million.
	firstWait = time.Minute
	lastWait  = 15 * time.Minute
	forgotten = 2 * time.Hour
	// maxUnused is how many PINs may go by without a try: somebody has the TV show
	// them who does not see it. It counts like wrong ones.
	maxUnused = 3
	// sessionLasts counts from the last request.
	sessionLasts = 15 * time.Minute
	maxSessions  = 4
)

var (
	errWrong = errors.New("This is not the PIN on the TV.")
	errNone  = errors.New("The PIN on the TV is not valid any more. Ask for another.")
)

// session is somebody who has entered the PIN.
type session struct {
	key   [sha256.Size]byte // of what the cookie has
	token string
	until time.Time
}

// gate lets in those who see the TV. One PIN is valid at a time, for everybody:
// guesses are counted together, wherever they come from.
type gate struct {
	show func(pin string)

	mu       sync.Mutex
	pin      string // "" for none
	until    time.Time
	timer    *time.Timer
	tries    int
	unused   int           // PINs in a row
	wait     time.Duration // the last one
	blocked  time.Time     // until then
	sessions []*session
}

func newGate(show func(string)) *gate { return &gate{show: show} }

// ask shows a PIN, and returns how long there will be none.
func (g *gate) ask() (wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if g.pin != "" && !now.Before(g.until) {
		g.lapse(now) // before the timer
	}
	switch {
	case now.Before(g.blocked):
		return g.blocked.Sub(now)
	case g.pin != "":
		return 0 // it is there to be read
	}
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		panic(err) // the kernel always has random numbers
	}
	g.pin, g.until, g.tries = fmt.Sprintf("%0*d", pinDigits, n), now.Add(pinLasts), 0
	pin := g.pin
	g.timer = time.AfterFunc(pinLasts, func() { g.expire(pin) })
	g.show(pin)
	return 0
}

// shown tells whether a PIN can be read.
func (g *gate) shown() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pin != "" && time.Now().Before(g.until)
}

// expire takes a PIN away, if it is still that one.
func (g *gate) expire(pin string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pin == pin {
		g.lapse(time.Now())
	}
}

// lapse takes away a PIN whose time is over.
func (g *gate) lapse(now time.Time) {
	g.remove()
	if g.tries == 0 {
		g.unused++
	}
	if g.unused >= maxUnused {
		g.block(now)
	}
}

// block has no PIN shown for a while.
func (g *gate) block(now time.Time) {
	if now.Sub(g.blocked) > forgotten {
		g.wait = 0
	}
	g.wait = min(max(2*g.wait, firstWait), lastWait)
	g.blocked, g.unused = now.Add(g.wait), maxUnused-1
}

// hide takes away whatever PIN there is.
func (g *gate) hide() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pin != "" {
		g.remove()
	}
}

func (g *gate) remove() {
	g.pin = ""
	g.timer.Stop()
	g.show("")
}

// enter tries a PIN. The right one begins a session, whose id goes into a
// cookie, and is used up.
func (g *gate) enter(pin string) (id string, wait time.Duration, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	switch {
	case now.Before(g.blocked):
		return "", g.blocked.Sub(now), errWrong
	case g.pin == "" || !now.Before(g.until):
		return "", 0, errNone
	case subtle.ConstantTimeCompare([]byte(pin), []byte(g.pin)) != 1:
		g.tries++
		if g.tries < maxTries {
			return "", 0, errWrong
		}
		g.block(now)
		g.remove()
		return "", g.wait, errWrong
	}
	g.remove()
	g.wait, g.unused = 0, 0
	return g.begin(now), 0, nil
}

// begin begins a session; the oldest makes room.
func (g *gate) begin(now time.Time) (id string) {
	id = random()
	if len(g.sessions) >= maxSessions {
		g.sessions = g.sessions[1:]
	}
	g.sessions = append(g.sessions, &session{key: sha256.Sum256([]byte(id)), token: random(), until: now.Add(sessionLasts)})
	return id
}

func random() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// session returns the session that a cookie names, and keeps it alive; nil for
// none. What is compared is a hash, so that time tells nothing.
func (g *gate) session(id string) *session {
	key := sha256.Sum256([]byte(id))
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	for _, s := range g.sessions {
		if s.key == key && now.Before(s.until) {
			s.until = now.Add(sessionLasts)
			return s
		}
	}
	return nil
}

func (g *gate) leave(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s.until = time.Time{}
}
