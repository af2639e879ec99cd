package receiver

import (
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"aerie/receiver/light"
	"aerie/receiver/ota"
	"aerie/receiver/screen"
)

// Topic is what a notice on the TV is about. There is one notice a topic, and
// they are shown in this order: what keeps people from using the receiver first.
type Topic int

// Topics.
const (
	TopicDisplay  Topic = iota // the display does not do as it should
	TopicSettings              // a mistake in the settings file
	TopicNetwork
	TopicPower
	TopicHeat
	TopicUpdate
	TopicFleet
	topics
)

const (
	// identifyMost bounds how long a name fills the screen.
	identifyMost = 5 * time.Minute
	// troubleShown is how long trouble of power or heat is told on the TV, once
	// a start; the page tells it for good.
	troubleShown = 10 * time.Minute
	// wentBackShown is how long the TV tells that an update was undone. The page
	// tells it until the next one.
	wentBackShown = 24 * time.Hour
)

// poster is what other parts of the appliance want people to read on the TV.
// It is drawn while no picture is mirrored: nothing is ever laid over one.
type poster struct {
	mu       sync.Mutex
	notices  [topics]screen.Notice // without a title: none
	until    [topics]time.Time     // zero: for good
	setup    screen.Setup
	identify time.Time   // until then
	update   *ota.Status // nil for nothing
	changed  func()      // must not block
}

// change changes what is posted, and has it drawn.
func (p *poster) change(do func()) {
	p.mu.Lock()
	do()
	changed := p.changed
	p.mu.Unlock()
	if changed != nil {
		changed()
	}
}

// Notify shows a notice below what the TV shows, until another one about the
// same topic takes its place; one without a title takes it away.
func (r *Receiver) Notify(about Topic, n screen.Notice) { r.post(about, n, time.Time{}) }

func (r *Receiver) post(about Topic, n screen.Notice, until time.Time) {
	if about < 0 || about >= topics {
		return
	}
	r.poster.change(func() { r.poster.notices[about], r.poster.until[about] = n, until })
}

// displayFailed tells of trouble with the display, once in a while: telling of it
// is what may fail the next time.
func (r *Receiver) displayFailed(err error) {
	r.poster.mu.Lock()
	told := time.Now().Before(r.poster.until[TopicDisplay])
	r.poster.mu.Unlock()
	if !told {
		r.post(TopicDisplay, screen.Notice{Level: screen.Warning, Title: "Trouble with the display", Text: sentence(err.Error())}, time.Now().Add(troubleShown))
	}
}

// ShowSetup fills the TV with what to do before the receiver can be used, until
// it is called with one without a title. A PIN that a sender is asked for goes
// first.
func (r *Receiver) ShowSetup(s screen.Setup) {
	r.poster.change(func() { r.poster.setup = s })
}

// Identify fills the TV with the receiver's name, in colours that are seen from
// far, for a time of five minutes at most. It changes nothing about a picture
// that is mirrored. The light on the case says so, too.
func (r *Receiver) Identify(d time.Duration) {
	d = min(max(d, 0), identifyMost)
	r.Light().SetFor(light.Identify, d)
	r.poster.change(func() { r.poster.identify = time.Now().Add(d) })
	time.AfterFunc(d, r.redrawIdle)
}

// SetUpdate tells what is known of updates, for the page and for the TV. There
// it is a notice: why a version was given up, what is under way, that a version
// has yet to prove itself, or that one is ready.
func (r *Receiver) SetUpdate(u ota.Status) {
	r.Light().Set(light.Updating, u.Doing != "")
	r.poster.mu.Lock()
	r.poster.update = &u
	same := r.poster.notices[TopicUpdate] == updateNotice(u)
	r.poster.mu.Unlock()
	if !same {
		var until time.Time
		if u.WentBack != "" {
			until = time.Now().Add(wentBackShown)
		}
		r.post(TopicUpdate, updateNotice(u), until)
	}
}

// Update is what SetUpdate was told last; nil for nothing.
func (r *Receiver) Update() *ota.Status {
	r.poster.mu.Lock()
	defer r.poster.mu.Unlock()
	return r.poster.update
}

// updateNotice says what of an update people should know.
func updateNotice(u ota.Status) screen.Notice {
	what, why, _ := strings.Cut(u.WentBack, ": ")
	switch {
	case u.WentBack != "":
		return screen.Notice{Level: screen.Warning, Title: sentence(what), Text: sentence(why)}
	case u.Doing != "":
		title := "Updating"
		if u.Available != "" {
			title += " to version " + u.Available
		}
		return screen.Notice{Level: screen.Working, Title: title, Text: sentence(u.Doing) + ". Nothing breaks if the power fails."}
	case !u.Proven && u.Slot != ota.Factory:
		return screen.Notice{Level: screen.Working, Title: "Trying version " + u.Version, Text: "If it does not work, the one before comes back by itself."}
	case u.Available != "":
		return screen.Notice{Level: screen.Info, Title: "Version " + u.Available + " is ready", Text: "It is installed when nobody is watching."}
	}
	return screen.Notice{}
}

// tell adds to a state what is posted, and the receiver's warnings.
func (p *poster) tell(st *screen.State, warnings []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	st.Setup, st.Identify = p.setup, st.Time.Before(p.identify)
	if u := p.update; u != nil {
		st.Slot = string(u.Slot)
	}
	for _, w := range warnings {
		title, text, _ := strings.Cut(w, ": ")
		st.Notices = append(st.Notices, screen.Notice{Level: screen.Warning, Title: sentence(title), Text: sentence(text)})
	}
	for i, n := range p.notices {
		if n.Title != "" && (p.until[i].IsZero() || st.Time.Before(p.until[i])) {
			st.Notices = append(st.Notices, n)
		}
	}
	// What is wrong goes before what is well; the order is kept else.
	slices.SortStableFunc(st.Notices, func(a, b screen.Notice) int { return int(b.Level) - int(a.Level) })
}

// sentence begins with a capital letter.
func sentence(s string) string {
	first, n := utf8.DecodeRuneInString(s)
	if n == 0 || first == utf8.RuneError {
		return s
	}
	return string(unicode.ToUpper(first)) + s[n:]
}
