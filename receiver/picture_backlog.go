package receiver

import (
	"aerie/receiver/clock"
	"aerie/receiver/mirror"
)

// backlog keeps the access units since the last key picture, so that another
// decoder can take over from the one that has them. It is bounded: beyond that
// it keeps nothing, and who takes over needs a key picture.
type backlog struct {
	parameters *mirror.Parameters
	data       []byte
	units      []backlogUnit
	whole      bool // it begins with a key picture
}

type backlogUnit struct {
	from, to       int
	time           clock.Remote
	begun, arrived clock.Time
}

const (
	// backlogUnits is four seconds of a lively screen, which software decodes
	// in less than a second where it can follow at all.
	backlogUnits = 240
	backlogBytes = 16 << 20
)

func newBacklog() *backlog {
	// Pages that are never written are never there.
	return &backlog{data: make([]byte, 0, backlogBytes), units: make([]backlogUnit, 0, backlogUnits)}
}

// add keeps a copy of an access unit, as it came.
func (b *backlog) add(au *mirror.AccessUnit) {
	if au.IDR {
		b.clear()
		b.whole = true
	}
	if !b.whole {
		return
	}
	if len(b.units) == cap(b.units) || len(b.data)+len(au.Data) > cap(b.data) {
		b.clear()
		return
	}
	at := len(b.data)
	b.data = append(b.data, au.Data...)
	b.parameters = au.Parameters
	b.units = append(b.units, backlogUnit{at, len(b.data), au.Time, au.Begun, au.Arrived})
}

func (b *backlog) clear() { b.data, b.units, b.whole = b.data[:0], b.units[:0], false }

// unit fills in the access unit number i, whose data is the backlog's own.
func (b *backlog) unit(i int, au *mirror.AccessUnit) {
	u := &b.units[i]
	*au = mirror.AccessUnit{Data: b.data[u.from:u.to], Parameters: b.parameters, New: i == 0, IDR: i == 0, Time: u.time, Begun: u.begun, Arrived: u.arrived}
}
