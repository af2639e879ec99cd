package broker

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"aerie/cmd/aerie-fleet/authority"
	"aerie/cmd/aerie-fleet/simulate"
)

// A device that floods is slowed down and at last cut off; others do not notice.
func TestFlood(t *testing.T) {
	b := start(t, "", Limits{Rate: 200, Burst: 50, Patience: time.Second})
	flooder, other := b.client("flooder", authority.RoleDevice), b.client("other", authority.RoleDevice)
	go func() {
		for i := 0; ; i++ {
			if _, err := flooder.Publish("aerie/flooder/twin/reported", fmt.Append(nil, i), true); err != nil {
				return
			}
		}
	}()
	began := time.Now()
	for time.Since(began) < 500*time.Millisecond {
		asked := time.Now()
		done, err := other.Publish("aerie/other/twin/reported", []byte("{}"), true)
		must(t, done, err)
		if d := time.Since(asked); d > 2*time.Second {
			t.Errorf("beside a flood a message takes %v", d)
		}
		time.Sleep(20 * time.Millisecond)
	}
	flooder.ends(t, "a flood")
	if took := time.Since(began); took < 500*time.Millisecond {
		t.Errorf("it was cut off after %v already", took)
	}
	if b.b.Slowed.Value() == 0 || !strings.Contains(b.log.String(), "slowed down") || !strings.Contains(b.log.String(), "went on sending too much") {
		t.Error("nothing was slowed down, or the log does not say so")
	}
	// It is not banned: whoever behaves may come back.
	back := b.client("flooder", authority.RoleDevice)
	done, err := back.Publish("aerie/flooder/twin/reported", []byte("{}"), true)
	must(t, done, err)
}

func TestTooLarge(t *testing.T) {
	b := start(t, "", Limits{Topics: 4})
	in := b.client("tv", authority.RoleDevice)
	done, err := in.Publish("aerie/tv/twin/reported", bytes.Repeat([]byte("x"), maxPacket-1000), true)
	must(t, done, err)
	in.Publish("aerie/tv/twin/reported", bytes.Repeat([]byte("y"), maxPacket+1000), true) // it may be cut off while it writes
	in.ends(t, "a packet that is too large")
	if v, _ := b.b.Document("aerie/tv/twin/reported"); len(v) != maxPacket-1000 {
		t.Errorf("the document has %d bytes now", len(v))
	}
	many := b.client("tv", authority.RoleDevice)
	for i := range 10 {
		if _, err := many.Publish(fmt.Sprintf("aerie/tv/result/11111111-1111-4111-8111-111111111111/%d/200", i), []byte("x"), true); err != nil {
			break
		}
	}
	many.ends(t, "too many documents")
	if !strings.Contains(b.log.String(), "keeps too many documents") {
		t.Error("the log does not say so")
	}
}

// A service that reads slowly gets the newest version of every document, and
// does not hold up others.
func TestSlowReader(t *testing.T) {
	b := start(t, "", Limits{Rate: 1e6, Burst: 1 << 20})
	slow := b.client("33333333-1111-4111-8111-111111111111", authority.RoleService)
	hold := make(chan struct{})
	slow.mu.Lock()
	slow.hold = hold
	slow.mu.Unlock()
	done, err := slow.Subscribe("aerie/+/twin/reported")
	must(t, done, err)
	var devices []*inbox
	for i := range 20 {
		devices = append(devices, b.client(fmt.Sprint("tv", i), authority.RoleDevice))
	}
	// Far more than the queue and the buffers of two sockets hold.
	filler := strings.Repeat(" ", 16<<10)
	for version := range 60 {
		for i, d := range devices {
			done, err = d.Publish(fmt.Sprintf("aerie/tv%d/twin/reported", i), fmt.Appendf(nil, "%d%s", version, filler), true)
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	must(t, done, nil)
	if b.b.Conflated.Value() == 0 {
		t.Error("the queue did not overflow, so this proves nothing")
	}
	close(hold)
	eventually(t, "the last version of every document", func() bool {
		for i := range devices {
			if strings.TrimSpace(slow.value(fmt.Sprintf("aerie/tv%d/twin/reported", i))) != "59" {
				return false
			}
		}
		return true
	})
	slow.mu.Lock()
	defer slow.mu.Unlock()
	t.Logf("%d of 1200 messages delivered", slow.all)
}

func TestTooManyConnections(t *testing.T) {
	b := start(t, "", Limits{Connections: 2})
	b.client("a", authority.RoleDevice)
	b.client("b", authority.RoleDevice)
	if in, err := b.dial(certificate(t, b.authority, "c", authority.RoleDevice), simulate.Login{Name: "c"}); err == nil {
		in.ends(t, "one connection too many")
	}
	eventually(t, "the log says so", func() bool { return strings.Contains(b.log.String(), "too many connections") })
}
