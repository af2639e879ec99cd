package ota

// Status is what people and fleets want to know about the program of a device.
type Status struct {
	Version string `json:"version"` // that runs, or would be started
	Counter uint64 `json:"counter"` // of its release; 0 if that is not known
	Slot    Slot   `json:"slot"`
	// Proven tells that the version has been healthy for long enough; one that
	// has not may yet be given up.
	Proven bool `json:"proven"`
	// Pending is the version that the next start takes, if it is another.
	Pending string `json:"pending,omitempty"`
	// Available is a version that could be installed.
	Available string `json:"available,omitempty"`
	// Doing is what is under way, such as "downloading 42 %".
	Doing string `json:"doing,omitempty"`
	// Last is what happened last, and WentBack the same as a sentence where it
	// is that a version was given up by the device.
	Last     Event  `json:"last"`
	WentBack string `json:"went_back,omitempty"`
	// Problem is why the last check or installation failed.
	Problem string `json:"problem,omitempty"`
	// Floor is the counter below which nothing is installed.
	Floor uint64 `json:"floor"`
	// Bad are the versions that did not work, the oldest first.
	Bad []BadVersion `json:"bad,omitempty"`
}

// BadVersion is a version that was given up.
type BadVersion struct {
	Version string `json:"version"`
	Why     string `json:"why"`
}

// Status describes the store to who runs in a slot; "" stands for somebody
// beside it, who means what was started last.
func (s *Store) Status(running Slot) Status {
	st, err := s.load()
	if running == "" {
		running = st.Started
	}
	if running == "" {
		running = s.Current()
	}
	release := func(slot Slot) Release {
		r, err := s.describe(slot)
		switch {
		case slot == Factory:
			return s.factory
		case err != nil:
			return Release{Version: "unknown"}
		}
		return r
	}
	runs := release(running)
	status := Status{Version: runs.Version, Counter: runs.Counter, Slot: running, Proven: s.proven(st, running), Last: st.Last, Floor: max(st.Floor, s.factory.Counter)}
	switch next := s.Current(); next {
	case running:
	case Factory:
		status.Pending = versionName("")
	default:
		status.Pending = release(next).Version
	}
	if st.Last.Kind == WentBack && st.Last.From != status.Version {
		status.WentBack = st.Last.String()
	}
	for _, b := range st.Bad {
		if b.Chance != usedChance {
			status.Bad = append(status.Bad, BadVersion{b.Version, b.Why})
		}
	}
	if err != nil {
		status.Problem = short(err.Error())
	}
	return status
}
