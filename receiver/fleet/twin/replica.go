package twin

import "slices"

// maxPending bounds the patches that wait for the document they belong to.
const maxPending = 64

// A Replica is a copy of a half that a server keeps and changes by patches,
// one version at a time. After each connection: subscribe, ask for the
// document, ignore patches at or below its version. The zero value is a
// replica that is not connected.
type Replica struct {
	properties Object
	version    int64
	current    bool // the document of this connection has come
	pending    []versioned
}

type versioned struct {
	version int64
	patch   Object
}

// Connected notes a new connection: what arrives before its document has to
// wait for it. The properties stay as they were.
func (r *Replica) Connected() { r.current, r.pending = false, nil }

// Document takes the answer to the question for the document, and applies the
// patches that came before it. It tells whether anything differs from what was
// known before.
func (r *Replica) Document(version int64, properties Object) (changed bool) {
	if r.current && version <= r.version {
		return false // an answer that a newer one has overtaken
	}
	changed = !Equal(r.properties, properties)
	r.properties, r.version, r.current = properties, version, true
	pending := r.pending
	r.pending = nil
	slices.SortFunc(pending, func(a, b versioned) int { return int(a.version - b.version) })
	for _, p := range pending {
		applied, gap := r.Patch(p.version, p.patch)
		changed = changed || applied
		if gap {
			r.current = false
			break
		}
	}
	return changed
}

// Patch takes a change. Applied tells that it was news; gap, that others are
// missing before it, and the document has to be asked for again.
func (r *Replica) Patch(version int64, patch Object) (applied, gap bool) {
	switch {
	case !r.current:
		if len(r.pending) < maxPending {
			r.pending = append(r.pending, versioned{version, patch})
		}
		return false, false
	case version <= r.version:
		return false, false
	case version > r.version+1:
		r.Connected()
		r.pending = append(r.pending, versioned{version, patch})
		return false, true
	}
	r.properties, r.version = Merge(r.properties, patch), version
	return true, false
}

// Properties is the half as far as it is known, nil at first.
func (r *Replica) Properties() Object { return r.properties }

// Version is the version of Properties.
func (r *Replica) Version() int64 { return r.version }

// Current tells that the document of this connection has come, and nothing is
// missing since.
func (r *Replica) Current() bool { return r.current }
