package release

import (
	"runtime/debug"
	"strconv"
	"time"
)

// KeyFile is where a device has the public keys of its owner.
const KeyFile = "/usr/lib/aerie/release.pub"

// What the linker writes into a release, by -X aerie/receiver/ota/release.NAME=.
var (
	// publicKeys are the owner's keys as minisign's "RW..." text, with commas
	// between them, for builds that have no KeyFile beside them.
	publicKeys string
	// counter is the release's own.
	counter string
	// built is when it was built, in seconds since 1970.
	built string
)

// Counter is that of the release which this program is, 0 for a build that is
// none: every release may follow it.
func Counter() uint64 {
	n, _ := strconv.ParseUint(counter, 10, 64) // 0 if there is none
	return n
}

// Built is when this program was built, or when its source was committed: a
// clock that shows less is wrong. Zero if neither is known.
func Built() time.Time {
	if s, err := strconv.ParseInt(built, 10, 64); err == nil {
		return time.Unix(s, 0)
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.time" {
				t, _ := time.Parse(time.RFC3339, s.Value) // zero if it is none
				return t
			}
		}
	}
	return time.Time{}
}
