package pairing

import "fmt"

// PINPolicy says when a sender must enter a PIN. As text it is "off", "once"
// or "always".
type PINPolicy int

const (
	PINOff    PINPolicy = iota // never
	PINOnce                    // once; the sender is remembered from then on
	PINAlways                  // for each connection
)

var policyNames = [...]string{PINOff: "off", PINOnce: "once", PINAlways: "always"}

// String returns the policy as text.
func (p PINPolicy) String() string {
	if p < 0 || int(p) >= len(policyNames) {
		return fmt.Sprintf("PINPolicy(%d)", int(p))
	}
	return policyNames[p]
}

// MarshalText returns the policy as text.
func (p PINPolicy) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a policy.
func (p *PINPolicy) UnmarshalText(text []byte) error {
	for policy, name := range policyNames {
		if string(text) == name {
			*p = PINPolicy(policy)
			return nil
		}
	}
	return fmt.Errorf("pairing: PIN policy %q is none of %q", text, policyNames)
}
