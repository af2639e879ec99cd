// Package setup gets an appliance onto the network: it joins the Wi-Fi that the
// settings name and, where there is no network at all, opens an access point of
// its own, on which people find the page for the settings, until there is one.
//
//	     +--------- lost, for minutes ---------+
//	     v                                     |
//	Starting --> Joining <--> AccessPoint --> Online
//	     |                                     ^
//	     +--------------- a cable -------------+
//
// What failed is told in a sentence for the TV and the page, and the access
// point comes back. A known network is tried again from time to time, since
// after a power cut the router often starts last; never while somebody is at the
// page, whom it would throw out: one radio does one thing at a time.
//
// It knows no radios: a Network does what it decides; package networkmanager
// below is the real one. The page is that of package settings.
//
// Proof: manager_test.go drives the manager on a simulated clock through
// thousands of random hours of a house, with routers, cables, passwords,
// visitors and radios that fail, and checks after each minute what a person in
// front of it may expect; networkmanager's tests do the same to a real
// NetworkManager with the kernel's simulated radios.
package setup

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"strings"
)

// Credentials are what it takes to join a Wi-Fi network.
type Credentials struct {
	SSID     string // 1 to 32 bytes
	Password string // 8 to 63 characters, or "" for an open network
	Hidden   bool   // the network does not tell its name
}

// AccessPoint is the network that the receiver opens itself, with WPA2.
type AccessPoint struct {
	SSID, Password string
	Address        netip.Addr // of the receiver in it, once it is open
}

// Found is a network in reach.
type Found struct {
	SSID    string `json:"ssid"` // bytes that a stranger chose; valid UTF-8
	Signal  int    `json:"signal"`
	Secured bool   `json:"secured"`
}

// State is what the machine's network is like.
type State struct {
	Online bool   // a network other than the access point has given an address
	SSID   string // of the Wi-Fi that is joined, "" for none
	Open   bool   // the access point is open
}

// Network is what can be done to the machine's network. Its methods may take
// long, and end with their context.
type Network interface {
	State(ctx context.Context) (State, error)
	// Changes has a value when the state may have become another.
	Changes() <-chan struct{}
	// Join joins a network, from now on by itself too, and returns when there is
	// an address; the errors of this package say what went wrong. The access
	// point must be closed.
	Join(ctx context.Context, c Credentials) error
	// Open opens the access point and returns the receiver's address in it;
	// Close closes it, if it is open.
	Open(ctx context.Context, ap AccessPoint) (netip.Addr, error)
	Close(ctx context.Context) error
	// Scan looks for networks in reach, the strongest first, each once.
	Scan(ctx context.Context) ([]Found, error)
}

// What goes wrong when a network is joined, or the access point opened.
var (
	ErrPassword  = errors.New("the password is wrong")
	ErrNotFound  = errors.New("the network is not in reach")
	ErrNoAddress = errors.New("the network gives no address")
	ErrNoRadio   = errors.New("there is no Wi-Fi here")
)

// explain makes a sentence for people of what a network's being joined has come
// to.
func explain(ssid string, err error) string {
	switch {
	case errors.Is(err, ErrPassword):
		return fmt.Sprintf("The password of “%s” is wrong.", ssid)
	case errors.Is(err, ErrNotFound):
		return fmt.Sprintf("“%s” is not in reach.", ssid)
	case errors.Is(err, ErrNoAddress):
		return fmt.Sprintf("“%s” gives no address.", ssid)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("“%s” does not answer.", ssid)
	}
	return fmt.Sprintf("“%s” cannot be joined: %v.", ssid, err)
}

// NewAccessPoint returns an access point with a password of its own, for the
// receiver whose device id ends in the given digits.
func NewAccessPoint(deviceID string) AccessPoint {
	id := strings.ToUpper(strings.ReplaceAll(deviceID, ":", ""))
	return AccessPoint{SSID: "Aerie-" + id[max(0, len(id)-4):], Password: randomText(10)}
}

// randomText returns small letters and digits that are not taken for each other
// on a TV: 49 bits for ten of them, for a network that is there for minutes.
func randomText(n int) string {
	const letters = "abcdefghjkmnpqrstuvwxyz23456789"
	var b strings.Builder
	for range n {
		i, err := rand.Int(rand.Reader, big.NewInt(int64(len(letters))))
		if err != nil {
			panic(err) // the kernel always has random numbers
		}
		b.WriteByte(letters[i.Int64()])
	}
	return b.String()
}

// QR is the text of the QR code with which phones join the access point, in the
// form that ZXing introduced and phones read.
func (ap AccessPoint) QR() string {
	escape := strings.NewReplacer(`\`, `\\`, `;`, `\;`, `,`, `\,`, `"`, `\"`, `:`, `\:`)
	return "WIFI:T:WPA;S:" + escape.Replace(ap.SSID) + ";P:" + escape.Replace(ap.Password) + ";;"
}

// Page is where people in the access point find the page; "" while it is
// closed.
func (ap AccessPoint) Page() string {
	if !ap.Address.IsValid() {
		return ""
	}
	return "http://" + ap.Address.String() + "/settings/"
}
