package networkmanager

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/godbus/dbus/v5"

	"aerie/receiver/setup"
)

// maxFound bounds the list of networks: a page is not read any further.
const maxFound = 40

// Scan looks for networks. Without an answer to the wish for a scan it lists
// what was heard before.
func (m *Manager) Scan(ctx context.Context) ([]setup.Found, error) {
	device, err := m.radio(ctx)
	if err != nil {
		return nil, err
	}
	before := m.lastScan(ctx, device)
	limit := scanLimit
	if m.call(ctx, device, ifWireless+".RequestScan", []any{map[string]dbus.Variant{}}) != nil {
		limit = underWay // it is refused while another goes on, or has just ended
	}
	m.scanned(ctx, device, before, limit)
	// The list is worth having even if the time is up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	var paths []dbus.ObjectPath
	if err := m.call(ctx, device, ifWireless+".GetAllAccessPoints", nil, &paths); err != nil {
		return nil, err
	}
	best := map[string]setup.Found{}
	for _, path := range paths[:min(len(paths), maxList)] {
		p, err := m.properties(ctx, path, ifPoint)
		if err != nil {
			continue // out of reach again
		}
		f := setup.Found{SSID: string(get[[]byte](p, "Ssid")), Signal: int(min(get[byte](p, "Strength"), 100)),
			Secured: get[uint32](p, "Flags")&1 != 0 || get[uint32](p, "WpaFlags")|get[uint32](p, "RsnFlags") != 0}
		if old, there := best[f.SSID]; readable(f.SSID) && (!there || old.Signal < f.Signal) {
			best[f.SSID] = f
		}
	}
	list := make([]setup.Found, 0, len(best))
	for _, f := range best {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b setup.Found) int {
		return cmp.Or(b.Signal-a.Signal, strings.Compare(a.SSID, b.SSID))
	})
	return list[:min(len(list), maxFound)], nil
}

// readable tells whether a name can be shown and written into the settings.
func readable(ssid string) bool {
	return ssid != "" && len(ssid) <= 32 && utf8.ValidString(ssid) &&
		!strings.ContainsFunc(ssid, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) })
}

// lastScan is when the last scan ended, in milliseconds since the machine
// started; -1 for never.
func (m *Manager) lastScan(ctx context.Context, device dbus.ObjectPath) int64 {
	p, err := m.properties(ctx, device, ifWireless)
	if err != nil {
		return -1
	}
	return get[int64](p, "LastScan")
}

// scanLimit is more than the channels of both bands take, and underWay than the
// rest of a scan usually does.
const (
	scanLimit = 10 * time.Second
	underWay  = 3 * time.Second
)

// scanned waits until another scan than that before has ended.
func (m *Manager) scanned(ctx context.Context, device dbus.ObjectPath, before int64, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for ctx.Err() == nil && m.lastScan(ctx, device) == before {
		select {
		case <-ctx.Done():
		case <-t.C:
		}
	}
}
