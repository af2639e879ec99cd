package tv

import (
	"aerie/receiver/clock"
	"aerie/receiver/remote"
)

// Messages (CEC tables 7 to 27).
const (
	featureAbort        = 0x00
	imageViewOn         = 0x04
	giveDeckStatus      = 0x1a
	deckStatus          = 0x1b
	standby             = 0x36
	playMode            = 0x41
	deckControl         = 0x42
	keyPressed          = 0x44
	keyReleased         = 0x45
	setName             = 0x47
	setAudioMode        = 0x72
	reportAudioStatus   = 0x7a
	audioModeStatus     = 0x7e
	routingChange       = 0x80
	routingInformation  = 0x81
	activeSource        = 0x82
	requestActiveSource = 0x85
	setStreamPath       = 0x86
	menuRequest         = 0x8d
	menuStatus          = 0x8e
	givePower           = 0x8f
	reportPower         = 0x90
	inactiveSource      = 0x9d
	reportVersion       = 0x9e
)

// way is how a message may be addressed.
type way int

const (
	direct way = 1 << iota
	broadcast
)

// form is how a message has to look.
type form struct {
	ways way
	size int // of the least operands; more are left unread, as the standard wants
	do   func(t *TV, m *received)
}

// received is a message that has the right form.
type received struct {
	at   clock.Time
	from int
	op   byte
	data []byte // its operands
}

// path is the physical address that begins at an operand.
func (m *received) path(i int) uint16 { return uint16(m.data[i])<<8 | uint16(m.data[i+1]) }

// forms are the messages that mean something to us. The others are for the
// kernel to answer, or for nobody.
var forms map[byte]form

func init() { // some handlers look into it
	forms = map[byte]form{
		standby:             {direct | broadcast, 0, func(t *TV, m *received) { t.slept(m.at) }},
		givePower:           {direct, 0, (*TV).tellPower},
		reportPower:         {direct | broadcast, 1, (*TV).readPower},
		requestActiveSource: {broadcast, 0, (*TV).tellSource},
		activeSource:        {broadcast, 2, (*TV).readSource},
		setStreamPath:       {broadcast, 2, (*TV).readSource},
		routingInformation:  {broadcast, 2, (*TV).readSource},
		routingChange:       {broadcast, 4, (*TV).readRouting},
		inactiveSource:      {direct, 2, nil},
		menuRequest:         {direct, 1, (*TV).tellMenu},
		giveDeckStatus:      {direct, 1, (*TV).tellDeck},
		playMode:            {direct, 1, (*TV).pressPlay},
		deckControl:         {direct, 1, (*TV).pressDeck},
		keyPressed:          {direct, 1, (*TV).press},
		keyReleased:         {direct, 0, (*TV).release},
		setAudioMode:        {direct | broadcast, 1, nil},
		audioModeStatus:     {direct, 1, nil},
		reportAudioStatus:   {direct, 1, nil},
		featureAbort:        {direct, 0, nil},
		setName:             {direct, 0, nil},
		reportVersion:       {direct, 0, nil},
		deckStatus:          {direct, 0, nil},
		menuStatus:          {direct, 0, nil},
	}
}

// Receive takes a message from the bus: the addresses of who sent it and whom it
// is for, and what it says. Whatever it is, nothing panics, and what it leads to
// is limited.
func (t *TV) Receive(now clock.Time, from, to int, data []byte) {
	t.Counts.Messages.Inc()
	if len(data) == 0 {
		return // somebody wants to know whether we are there; the hardware has answered
	}
	f, known := forms[data[0]]
	m := &received{at: now, from: from, op: data[0], data: data[1:]}
	is := direct
	if to == everybody {
		is = broadcast
	}
	switch {
	case !known && is == direct:
		t.refuse(m)
	case !known || f.ways&is == 0 || len(m.data) < f.size || f.do == nil:
		t.Counts.Ignored.Inc()
	default:
		f.do(t, m)
	}
}

// say answers whoever sent a message, unless there were too many.
func (t *TV) say(m *received, data ...byte) {
	if m.from == everybody {
		return // who has no address cannot be answered
	}
	if !t.answer.spend(m.at) {
		t.Counts.Limited.Inc()
		return
	}
	t.owner.Send(m.from, data...)
}

// refuse says that a message is not understood (CEC 12.3).
func (t *TV) refuse(m *received) {
	t.Counts.Ignored.Inc()
	const unrecognised = 0
	t.say(m, featureAbort, m.op, unrecognised)
}

// order gives the sender a command, unless there were too many.
func (t *TV) order(now clock.Time, c remote.Command) {
	if !t.playing {
		return
	}
	if !t.command.spend(now) {
		t.Counts.Limited.Inc()
		return
	}
	t.Counts.Commands.Inc()
	t.owner.Command(c)
}

// tellPower says that we are on, unless the television has sent us to sleep.
func (t *TV) tellPower(m *received) {
	const on, asleep = 0, 1
	power := byte(on)
	if t.dark {
		power = asleep
	}
	t.say(m, reportPower, power)
}

// readPower reads the power of the television.
func (t *TV) readPower(m *received) {
	if m.from != television {
		t.Counts.Ignored.Inc()
		return
	}
	switch m.data[0] {
	case 0:
		t.reported(m.at, On, false)
	case 1:
		t.reported(m.at, Asleep, false)
	case 2:
		t.reported(m.at, Changing, false)
	case 3:
		t.reported(m.at, Changing, true)
	default:
		t.Counts.Ignored.Inc()
	}
}

// tellSource says that we are on the screen, if a session is. Where that is not
// known, a television that was just switched on would come to us.
func (t *TV) tellSource(m *received) {
	if !t.playing || !t.bus.Ready || t.shown != us {
		return
	}
	if !t.answer.spend(m.at) {
		t.Counts.Limited.Inc()
		return
	}
	t.takeScreen()
}

// readSource reads what is on the screen.
func (t *TV) readSource(m *received) { t.routed(m, m.path(0)) }

// readRouting reads to which socket a switch was turned.
func (t *TV) readRouting(m *received) { t.routed(m, m.path(2)) }

// routed takes note that the screen shows what is at a physical address.
func (t *TV) routed(m *received, path uint16) {
	switch {
	case t.bus.Ready && path == t.bus.Physical:
		if m.op == activeSource {
			return // nobody else can be where we are
		}
		if !t.answer.spend(m.at) {
			t.Counts.Limited.Inc()
			return
		}
		t.chosen()
	case m.op != activeSource && t.bus.Ready && leadsTo(path, t.bus.Physical):
		// A switch on the way to us, which will say where it is turned to.
		t.shown = unknown
	default:
		t.others(m.at)
	}
}

// leadsTo tells whether a physical address is that of a switch on the way to
// another: 1.0.0.0 is on the way to 1.2.0.0.
func leadsTo(path, to uint16) bool {
	for mask := uint16(0xf000); mask != 0xffff; mask |= mask >> 4 {
		if path&^mask == 0 && path != 0 {
			return path == to&mask
		}
	}
	return false
}

// tellMenu says whether keys are wanted: some televisions ask before they pass
// any on.
func (t *TV) tellMenu(m *received) {
	const activated, deactivated = 0, 1
	state := byte(deactivated)
	if t.playing {
		state = activated
	}
	t.say(m, menuStatus, state)
}

// tellDeck says what a player would be doing.
func (t *TV) tellDeck(m *received) {
	const plays, stopped = 0x11, 0x1a
	state := byte(stopped)
	if t.playing {
		state = plays
	}
	t.say(m, deckStatus, state)
}
