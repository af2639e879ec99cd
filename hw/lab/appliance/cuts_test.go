package main

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// quick is how those boot who boot often: past systemd.
const quick = "init=/usr/lib/aerie-lab/init"

// The power is cut at random moments of an update: while it is fetched,
// written, tried and switched to, while the new version starts and proves
// itself; and now and then again during the start that follows. Each time the
// device starts the old version or the new one, and the update can be made.
//
// The update runs once, on a disk that remembers when what was written and
// flushed. From that follows what a disk could have lost at any moment of it;
// each cut takes another moment and another loss, and boots from what is left.
func TestPowerCuts(t *testing.T) {
	need(t)
	cuts, seed := 3, uint64(time.Now().UnixNano())
	for name, to := range map[string]func(uint64){
		"AERIE_VM_CUTS": func(n uint64) { cuts = int(n) },
		"AERIE_VM_SEED": func(n uint64) { seed = n },
	} {
		if text := os.Getenv(name); text != "" {
			n, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			to(n)
		}
	}
	t.Logf("AERIE_VM_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	b := newBench(t)
	updated := b.recordUpdate(t)
	var last recording
	for n := 1; n <= cuts; n++ {
		from := updated
		if last.disk != nil && r.IntN(4) == 0 {
			from = last
		}
		at := from.begun.Add(time.Duration(r.Int64N(int64(from.ended.Sub(from.begun)))))
		d, l, err := from.disk.cut(at, r)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		m := b.boot(t, d, quick)
		version := ""
		m.until("a working version", func() bool { version = m.version(); return version != "" })
		u := m.updates()
		t.Logf("cut %d, %s at %v of %v, %v: version %s works after %v; %+v", n, from.what, at.Sub(from.begun).Round(time.Millisecond),
			from.ended.Sub(from.begun).Round(time.Millisecond), l, version, time.Since(began).Round(100*time.Millisecond), u)
		if version != "2" && version != "6" {
			t.Errorf("version %s, neither the old nor the new one", version)
		}
		if u.Problem != "" || len(u.Bad) > 0 {
			t.Errorf("the power was to blame, not %+v", u)
		}
		if n == cuts || n%20 == 0 {
			m.mount()
			if version != "6" {
				m.sh("aerie ota install --state /data/aerie /run/host/6")
			}
			m.until("the update", func() bool { return m.version() == "6" })
		}
		last = recording{"the start after a cut", d, m.started, time.Now()}
		m.off()
	}
}

// recording is a span of time in the life of a disk.
type recording struct {
	what         string
	disk         *disk
	begun, ended time.Time
}

// recordUpdate updates a device from version 2, which has proved itself, to
// version 6, which does so too.
func (b *bench) recordUpdate(t *testing.T) recording {
	t.Helper()
	d, err := b.image.openDisk()
	if err != nil {
		t.Fatal(err)
	}
	m := b.boot(t, d, quick)
	m.mount()
	m.until("version 1", func() bool { return m.version() == "1" })
	m.update("2")
	m.sh("sync")
	m.off()

	d = d.kept()
	m = b.boot(t, d, quick)
	m.mount()
	m.until("version 2", func() bool { return m.version() == "2" })
	begun := time.Now()
	m.update("6")
	ended := time.Now()
	m.off()
	t.Logf("the update took %v and %d writes and flushes", ended.Sub(begun).Round(time.Millisecond), len(d.log))
	return recording{"the update", d, begun, ended}
}

// update installs a release and waits until it has proved itself.
func (m *machine) update(n string) {
	m.t.Helper()
	m.sh("aerie ota install --state /data/aerie /run/host/" + n)
	m.until("version "+n, func() bool { return m.version() == n })
	m.until("its confirmation", func() bool { return m.updates().Proven })
}
