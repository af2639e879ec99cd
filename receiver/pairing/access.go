package pairing

import (
	"fmt"
	"slices"
	"strings"
)

// Access are lists of device IDs, such as "B4:19:74:50:E1:8A". Case and
// separators do not matter. Where Allow is empty everyone is allowed whom
// Block does not name.
//
// A device ID is what a sender claims: the lists keep order at home, a PIN or
// password keeps strangers out.
type Access struct {
	Allow, Block []string
}

// check fails with ErrForbidden unless the lists admit the device.
func (a *Access) check(id string) error {
	if a.blocks(id) {
		return fmt.Errorf("pairing: %w: sender %q is blocked", ErrForbidden, id)
	}
	if len(a.Allow) > 0 && !contains(a.Allow, id) {
		return fmt.Errorf("pairing: %w: sender %q is not among those allowed", ErrForbidden, id)
	}
	return nil
}

func (a *Access) blocks(id string) bool { return contains(a.Block, id) }

func contains(list []string, id string) bool {
	id = plainID(id)
	return id != "" && slices.ContainsFunc(list, func(x string) bool { return plainID(x) == id })
}

// plainID returns a device ID without separators, in upper case.
func plainID(id string) string {
	return strings.ToUpper(strings.NewReplacer(":", "", "-", "", " ", "").Replace(id))
}
