package message

// PINSetup is the body of POST /pair-setup-pin and of its answers; which
// fields are set tells the step (reference section 5.2).
type PINSetup struct {
	Method, User string // step 1, request: "pin", the sender's device id
	Salt         []byte // step 1, answer: 16 bytes
	PublicKey    []byte // pk: B (step 1, answer) or A (step 2, request), 256 bytes
	Proof        []byte // step 2: M1 or M2, 20 bytes
	EncryptedKey []byte // epk, step 3: 32 bytes
	AuthTag      []byte // step 3: 16 bytes
}

// ParsePINSetup parses such a body. Lengths are for the pairing to check.
func ParsePINSetup(body []byte) (*PINSetup, error) {
	d, err := decodePlist(body)
	if err != nil {
		return nil, err
	}
	r := newReader(d)
	p := &PINSetup{
		Method:       r.str("method"),
		User:         r.str("user"),
		Salt:         r.data("salt"),
		PublicKey:    r.data("pk"),
		Proof:        r.data("proof"),
		EncryptedKey: r.data("epk"),
		AuthTag:      r.data("authTag"),
	}
	return p, r.err
}

// Encode is the inverse of ParsePINSetup.
func (p *PINSetup) Encode() []byte {
	d := dict{}
	d.setString("method", p.Method)
	d.setString("user", p.User)
	d.setData("salt", p.Salt)
	d.setData("pk", p.PublicKey)
	d.setData("proof", p.Proof)
	d.setData("epk", p.EncryptedKey)
	d.setData("authTag", p.AuthTag)
	return encodePlist(d)
}
