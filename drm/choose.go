package drm

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// chooseCard opens the most suitable card and makes this program its master.
// Numbers of cards mean nothing: they change from one boot to the next
// (hardware reference section 3.1).
func chooseCard(sys system, o Options) (*card, error) {
	fit, errs := openCards(sys, o)
	slices.SortStableFunc(fit, func(a, b *card) int { return b.suits(o) - a.suits(o) })
	var chosen *card
	busy := false
	for _, c := range fit {
		if chosen != nil {
			c.close()
			continue
		}
		if err := c.becomeMaster(); err != nil {
			busy = busy || errors.Is(err, ErrBusy)
			errs = append(errs, err)
			c.close()
			continue
		}
		chosen = c
	}
	if chosen != nil {
		return chosen, nil
	}
	if busy {
		return nil, errors.Join(errs...)
	}
	return nil, errors.Join(append([]error{fmt.Errorf("drm: %w", ErrNoCard)}, errs...)...)
}

// openCards opens every card that may be used; the errors say why the others
// may not.
func openCards(sys system, o Options) (fit []*card, errs []error) {
	paths := []string{o.Card}
	if o.Card == "" {
		var err error
		if paths, err = sys.cards(); err != nil {
			return nil, []error{fmt.Errorf("drm: list cards: %w", err)}
		}
	}
	for _, path := range paths {
		c, err := openCard(sys, path)
		if err == nil {
			// What is connected decides. A card that is in use answers from
			// memory.
			if err = c.probe(); err == nil {
				err = c.has(o.Connector)
			}
			if err != nil {
				c.close()
			}
		}
		if err != nil {
			if !errors.Is(err, unix.ENOENT) || o.Card != "" {
				errs = append(errs, fmt.Errorf("%s: %w", path, err))
			}
			continue
		}
		fit = append(fit, c)
	}
	return fit, errs
}

// has checks that the card has the connector that is asked for.
func (c *card) has(name string) error {
	var names []string
	for _, n := range c.connectors {
		if n.name == name {
			return nil
		}
		if n.kind != connectorWriteback {
			names = append(names, n.name)
		}
	}
	if name == "" {
		return nil
	}
	return fmt.Errorf("%w: no connector %s, there are %s", errUnfit, name, strings.Join(names, " "))
}

// suits ranks a card: the preferred driver before one with a display connected
// before one that only could have.
func (c *card) suits(o Options) int {
	rank := 0
	if o.Driver != "" && c.driver == o.Driver {
		rank += 4
	}
	if n := c.pick(o.Connector, nil); n != nil && n.status == statusConnected {
		rank += 2
	}
	if slices.ContainsFunc(c.connectors, func(n *connector) bool { return strings.HasPrefix(n.name, "HDMI") }) {
		rank++
	}
	return rank
}

// CardInfo describes a card for a report.
type CardInfo struct {
	Path, Driver string
	Busy         bool            // another program controls it
	Connectors   []ConnectorInfo // without writeback ones
	Formats      []FormatInfo    // of all planes that are not cursors
	Err          error           // why it cannot be used
}

// ConnectorInfo describes a socket.
type ConnectorInfo struct {
	Name      string
	Connected bool
	Modes     []Mode
	EDID      EDID
}

// FormatInfo is a pixel format and the layouts in which a card reads it.
type FormatInfo struct {
	Format    Format
	Modifiers []Modifier
}

// Cards describes every display card, usable or not. It holds each for a moment
// and changes nothing on its screens.
func Cards() []CardInfo { return describeCards(linux{}) }

func describeCards(sys system) []CardInfo {
	paths, err := sys.cards()
	if err != nil {
		return nil
	}
	var out []CardInfo
	for _, path := range paths {
		i := CardInfo{Path: path}
		c, err := openCard(sys, path)
		if err == nil {
			i.Driver, i.Busy = c.driver, errors.Is(c.becomeMaster(), ErrBusy)
			if err = c.probe(); err == nil {
				c.describeInto(&i)
			}
			c.close()
		}
		i.Err = err
		out = append(out, i)
	}
	return out
}

func (c *card) describeInto(i *CardInfo) {
	for _, n := range c.connectors {
		if n.kind == connectorWriteback {
			continue
		}
		e, _ := n.parseEDID()
		i.Connectors = append(i.Connectors, ConnectorInfo{n.name, n.status == statusConnected, slices.Clone(n.modes), e})
	}
	all := map[Format][]Modifier{}
	for _, q := range c.planes {
		if q.kind == planeCursor {
			continue
		}
		for f, mods := range q.formats {
			for _, m := range mods {
				if !slices.Contains(all[f], m) {
					all[f] = append(all[f], m)
				}
			}
		}
	}
	for f, mods := range all {
		i.Formats = append(i.Formats, FormatInfo{f, mods})
	}
	slices.SortFunc(i.Formats, func(a, b FormatInfo) int { return strings.Compare(a.Format.String(), b.Format.String()) })
}
