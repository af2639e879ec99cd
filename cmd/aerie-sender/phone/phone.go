// Package phone plays the sender: it mirrors the test pattern or a clip, with
// sound, to any AirPlay receiver, as an iPhone does, or plays sound alone, as
// iTunes did, and measures what it sees from its side. With a receiver that
// pairs by HomeKit it speaks AirPlay 2, with another the legacy protocol; a
// classic sender it is where it is told to be. Group plays to several at once.
//
// Its half of FairPlay replays a recorded exchange (package fairplay/replay);
// everything else is made anew for each session. It can also do what phones do
// not do on purpose: lose and reorder sound, drift, be silent, turn round.
//
// Proof: the tests of cmd/aerie mirror with it to the receiver. Without one,
// phone_test.go holds what it sends to the wire formats and its partner to
// refusing, vanishing and talking rubbish at every step; sound_test.go counts
// what is lost, reordered, doubled and sent again; clip_test.go reads clips,
// hostile ones too (FuzzClip); group_test.go has a group wait for its members.
package phone

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net"
	"sync"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/message"
	"aerie/receiver/pairing"
	"aerie/receiver/rtsp"
)

// Options say what to mirror, to whom, and how well.
type Options struct {
	Address string // host:port of the receiver
	Name    string // the name it gives itself
	Device  string // its device id
	// Identity is the key pair it pairs with; nil is a new one.
	Identity ed25519.PrivateKey
	// PIN is asked for the code that the receiver shows.
	PIN func() (string, error)
	// Password answers a receiver that wants one.
	Password string
	// Pair makes it pair even where the receiver does not ask for it.
	Pair bool
	// PairForGood pairs by HomeKit in the way that the receiver remembers;
	// Known is the receiver's key from then, nil for a first time.
	PairForGood bool
	Known       ed25519.PublicKey
	// Updated is told when the receiver says that it has changed; nil for
	// nobody.
	Updated func(message.Info)

	// Classic is for Play.
	Classic *Classic

	Picture Picture // nil for none
	Sound   Sound   // nil for none
	// Duration ends the session; 0 is when the context ends or the picture
	// has no more frames.
	Duration time.Duration
	// Fast sends as fast as the receiver takes it, not in real time. Only
	// pictures are sent then.
	Fast bool

	// PTPPort is the first of the receiver's ports for PTP, which is then the
	// clock of AirPlay 2; 0 is NTP. Buffered sends sound ahead of its time, as
	// music players do.
	PTPPort  int
	Buffered bool
	// Sequel follows the sound in a buffered stream, one after the other, each
	// after so long, in formats of their own.
	Sequel      []Sound
	SequelEvery time.Duration

	Loss       float64 // part of the packets of sound that are lost
	Reorder    float64 // part that change places with the next
	Deaf       bool    // does not answer resend requests
	NoClock    bool    // does not answer timing requests
	NoFeedback bool    // sends no feedback
	Seed       uint64

	// Ahead and Drift set its clock apart from that of this machine: by so
	// much, and so many parts in one.
	Ahead time.Duration
	Drift float64

	// PauseEvery and RotateEvery lock the phone for a second, and turn it
	// round, again and again; 0 is never.
	PauseEvery  time.Duration
	RotateEvery time.Duration
}

// Phone is one session.
type Phone struct {
	o      Options
	report Report
	group  *group         // its clock, and who else plays
	shared []byte         // secret of pair-verify, nil without
	secret pairing.Secret // of HomeKit pairing, nil without
	events *rtsp.Conn     // event channel, nil without
	key    [16]byte
	iv     [16]byte
	local  net.IP
	remote net.IP

	control *control
	timing  *net.UDPConn
}

// Mirror connects, mirrors, and tears down. The report tells what happened as
// far as it got.
func Mirror(ctx context.Context, o Options) (*Report, error) {
	p := &Phone{o: o, group: newGroup(1)}
	err := p.run(ctx)
	return &p.report, err
}

// now is the phone's clock: time since it booted, some hours ago.
func (p *Phone) now() clock.Remote { return p.at(clock.Now()) }

// at returns what the phone's clock shows at a local instant.
func (p *Phone) at(t clock.Time) clock.Remote {
	d := t.Sub(p.group.zero)
	return clock.Remote(p.group.zero).Add(p.o.Ahead + d + time.Duration(float64(d)*p.o.Drift))
}

func (p *Phone) run(ctx context.Context) error {
	began := clock.Now()
	c, err := dial(ctx, p.o.Address)
	if err != nil {
		return err
	}
	defer c.close()
	p.control = c
	// While the streams run, the end of the context ends in a TEARDOWN;
	// before that there is nothing to tear down.
	stop := context.AfterFunc(ctx, c.close)
	defer p.closePorts()
	if p.o.Device == "" {
		p.o.Device = "02:AE:21:E0:00:01"
	}
	if p.o.Name == "" {
		p.o.Name = "Aerie Sender"
	}
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"info", p.info}, {"pairing", p.pair}, {"FairPlay", p.fairplay}, {"SETUP", func() error { return p.setup(ctx) }}, {"volume", p.volume}, {"RECORD", p.record},
	} {
		if err := step.do(); err != nil {
			if ctx.Err() != nil {
				err = ctx.Err() // the answer to it is none
			}
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	if !stop() {
		return ctx.Err()
	}
	p.report.Connect = clock.Now().Sub(began)
	if err := p.stream(ctx, began); err != nil {
		return err // what is broken cannot be torn down
	}
	return p.teardown()
}

// ptp tells whether the clock of the sound is PTP.
func (p *Phone) ptp() bool { return p.secret != nil && p.o.PTPPort != 0 }

// closePorts closes what was opened beside the control connection.
func (p *Phone) closePorts() {
	if p.timing != nil {
		p.timing.Close()
	}
	if p.events != nil {
		p.events.Close()
	}
}

// stream sends picture and sound until there is an end to it.
func (p *Phone) stream(parent context.Context, began clock.Time) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	if p.o.Duration > 0 {
		timer := time.AfterFunc(p.o.Duration, func() { cancel(errDone) })
		defer timer.Stop()
	}
	// The first to end ends the others; what breaks because of that is no
	// error.
	var wg sync.WaitGroup
	start := func(f func(context.Context) error) {
		wg.Go(func() {
			if err := f(ctx); err != nil {
				cancel(err)
			}
		})
	}
	if p.ptp() {
		if err := p.startClock(ctx); err != nil {
			return err
		}
	}
	// Picture and sound count pattern time from the same instant.
	begin := clock.Now().Add(20 * time.Millisecond)
	if p.o.Picture != nil {
		v, err := p.openPicture(ctx, begin, began)
		if err != nil {
			return fmt.Errorf("picture: %w", err)
		}
		start(func(ctx context.Context) error {
			if err := v.run(ctx); err != nil {
				return err
			}
			return errDone // without a picture there is nothing to mirror
		})
	}
	if p.o.Sound != nil && p.o.Buffered {
		m, err := p.openMusic(ctx)
		if err != nil {
			cancel(errDone)
			wg.Wait()
			return fmt.Errorf("buffered sound: %w", err)
		}
		start(m.run)
	} else if p.o.Sound != nil && !p.o.Fast {
		a, err := p.openSound(begin)
		if err != nil {
			cancel(errDone)
			wg.Wait()
			return fmt.Errorf("sound: %w", err)
		}
		start(a.run)
	}
	start(p.feedback)
	wg.Wait()
	if cause := context.Cause(ctx); cause != errDone && parent.Err() == nil {
		return cause
	}
	return nil
}

var errDone = fmt.Errorf("done")
