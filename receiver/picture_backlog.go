package receiver

import (
	"aerie/receiver/clock"
	"aerie/receiver/mirror"
)

// backlog keeps the access units since the last key picture, so that another
// decoder can take over from the one that has them. It is bounded: beyond that
// it keeps only those that have given no picture yet.
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

// full tells whether there is no room for another access unit.
func (b *backlog) full(au *mirror.AccessUnit) bool {
	return !au.IDR && (len(b.units) == cap(b.units) || len(b.data)+len(au.Data) > cap(b.data))
}

// trim keeps the last so many access units.
func (b *backlog) trim(keep int) {
	if keep > len(b.units) || keep == cap(b.units) {
		keep = 0
	}
	b.whole = false
	from := len(b.data)
	if first := len(b.units) - keep; keep > 0 {
		from = b.units[first].from
	}
	b.data = b.data[:copy(b.data, b.data[from:])]
	b.units = b.units[:copy(b.units, b.units[len(b.units)-keep:])]
	for i := range b.units {
		b.units[i].from -= from
		b.units[i].to -= from
	}
}

// add keeps a copy of an access unit, as it came; one that finds no room is not
// kept.
func (b *backlog) add(au *mirror.AccessUnit) {
	if au.IDR {
		b.clear()
		b.whole = true
	}
	if b.full(au) {
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
	*au = mirror.AccessUnit{Data: b.data[u.from:u.to], Parameters: b.parameters, New: b.whole && i == 0, IDR: b.whole && i == 0, Time: u.time, Begun: u.begun, Arrived: u.arrived}
}
