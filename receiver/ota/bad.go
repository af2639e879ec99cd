package ota

import "slices"

// badRelease is a release that was given up: it is not started, nor installed
// by itself, but by the owner.
type badRelease struct {
	Version string `json:"version"`
	SHA256  Digest `json:"sha256"`
	Why     string `json:"why"`
	Chance  chance `json:"chance,omitempty"`
}

// chance is whether a release may be installed again by itself. One that had
// proved itself may, once: it can have failed for what is around it, such as
// a setting, a plug that was pulled again and again, a disk that was full.
type chance string

const (
	noChance   chance = ""
	leftChance chance = "left"
	usedChance chance = "used" // it was installed again, and is not bad for now
)

// verdict returns what is remembered of a release, nil for nothing bad.
func (st *state) verdict(d Digest) *badRelease {
	for i := range st.Bad {
		if st.Bad[i].SHA256 == d {
			return &st.Bad[i]
		}
	}
	return nil
}

// bad returns why a release is not started, "" if it may be.
func (st *state) bad(d Digest) string {
	if b := st.verdict(d); b != nil && b.Chance != usedChance {
		return b.Why
	}
	return ""
}

// mayReturn tells whether a release that is bad may be installed by itself.
func (st *state) mayReturn(d Digest) bool {
	b := st.verdict(d)
	return b != nil && b.Chance == leftChance
}

// setBad remembers a release as bad, which ends the counting of its starts.
func (st *state) setBad(r Release, why string, proved bool) {
	c := noChance
	if proved && st.verdict(r.SHA256) == nil {
		c = leftChance
	}
	st.dropBad(r.SHA256)
	st.setStarts(starts{SHA256: r.SHA256})
	st.Bad = append(st.Bad, badRelease{r.Version, r.SHA256, short(why), c})
	st.Bad = st.Bad[max(0, len(st.Bad)-maxBad):]
}

// lift lets a release be started again, from the beginning: it has to prove
// itself.
func (st *state) lift(d Digest) {
	switch b := st.verdict(d); {
	case b == nil:
	case b.Chance == noChance:
		st.dropBad(d)
	default:
		again := *b
		again.Chance = usedChance
		st.dropBad(d)
		st.Bad = append(st.Bad, again)
	}
	st.setStarts(starts{SHA256: d})
	if st.Proven == d {
		st.Proven = Digest{}
	}
}

func (st *state) dropBad(d Digest) {
	st.Bad = slices.DeleteFunc(slices.Clone(st.Bad), func(b badRelease) bool { return b.SHA256 == d })
}
