package phone

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"aerie/receiver/message"
	"aerie/receiver/pairing"
	"aerie/receiver/pairing/keystore"
	"aerie/receiver/rtsp"
)

// identifier is what the phone calls itself in HomeKit pairing: it goes with
// its device id.
func (p *Phone) identifier() string { return message.SystemIdentity(p.o.Device) }

// pairHomeKit pairs as senders of AirPlay 2 do: for this connection, or for
// good; from then on everything is encrypted.
func (p *Phone) pairHomeKit() error {
	if err := p.makeIdentity(); err != nil {
		return err
	}
	i := pairing.NewHomeKitInitiator(p.o.Identity, p.identifier())
	known := p.o.PairForGood && len(p.o.Known) == ed25519.PublicKeySize
	if known {
		i.Trust(keystore.Key(p.o.Known))
	} else if err := p.homekitSetup(i); err != nil {
		return fmt.Errorf("pair-setup: %w", err)
	}
	if i.Secret() == nil {
		if err := p.homekitVerify(i); err != nil {
			return fmt.Errorf("pair-verify: %w", err)
		}
	}
	p.secret = i.Secret()
	keys := p.secret.Control()
	p.control.conn.Encrypt(keys.Receiver, keys.Sender)
	p.report.Paired, p.report.Encrypted = true, true
	return nil
}

func (p *Phone) makeIdentity() error {
	if p.o.Identity != nil {
		return nil
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	p.o.Identity = key
	return err
}

// step sends one request of pairing and returns the body of the answer.
func (p *Phone) step(path string, body []byte) ([]byte, error) {
	hkp := "4" // transient
	if p.o.PairForGood {
		hkp = "6"
	}
	r, err := p.control.ask("POST", path, rtsp.TypeOctets, body, "X-Apple-HKP", hkp)
	if err != nil {
		return nil, err
	}
	return r.Body, nil
}

func (p *Phone) homekitSetup(i *pairing.HomeKitInitiator) error {
	reply, err := p.step("/pair-setup", i.Setup(!p.o.PairForGood))
	if err != nil {
		return err
	}
	pin := p.o.Password
	if p.report.Receiver.Status&message.StatusPINRequired != 0 && p.o.PIN != nil {
		if pin, err = p.o.PIN(); err != nil {
			return err
		}
	}
	proof, err := i.SetupProof(reply, strings.TrimSpace(pin))
	if err != nil {
		return err
	}
	if reply, err = p.step("/pair-setup", proof); err != nil {
		return err
	}
	keys, err := i.SetupKeys(reply)
	if err != nil || keys == nil {
		return err
	}
	if reply, err = p.step("/pair-setup", keys); err != nil {
		return err
	}
	return i.SetupDone(reply)
}

func (p *Phone) homekitVerify(i *pairing.HomeKitInitiator) error {
	first, err := i.Verify()
	if err != nil {
		return err
	}
	reply, err := p.step("/pair-verify", first)
	if err != nil {
		return err
	}
	second, err := i.VerifyProof(reply)
	if err != nil {
		return err
	}
	if reply, err = p.step("/pair-verify", second); err != nil {
		return err
	}
	return i.VerifyDone(reply)
}

// openEvents connects to the receiver's event channel and answers what comes.
func (p *Phone) openEvents(ctx context.Context, port int) error {
	d := net.Dialer{Timeout: 5 * time.Second}
	host, _, _ := net.SplitHostPort(p.control.conn.RemoteAddr().String())
	nc, err := d.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("event channel: %w", err)
	}
	c := rtsp.NewConn(nc, rtsp.DefaultLimits, rtsp.Timeouts{Message: 10 * time.Second, Write: 5 * time.Second})
	keys := p.secret.Events()
	c.Encrypt(keys.Receiver, keys.Sender)
	p.events = c
	go p.answerEvents(c)
	return nil
}

func (p *Phone) answerEvents(c *rtsp.Conn) {
	var q rtsp.Request
	for c.ReadRequest(&q) == nil {
		status := 200
		in, ok, err := message.ParseUpdateInfo(q.Body)
		switch {
		case q.Method != "POST" || q.Path() != "/command" || err != nil:
			status = 400
		case ok:
			p.report.Updates.Inc()
			if p.o.Updated != nil {
				p.o.Updated(*in)
			}
		}
		r := rtsp.Response{Proto: rtsp.RTSP, Status: status}
		r.Header.Add("CSeq", q.CSeq())
		if c.WriteResponse(&r) != nil {
			return
		}
	}
}
