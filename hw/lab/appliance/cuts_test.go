package main

import (
	"fmt"
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
	cuts, workers, seed := number(t, "AERIE_VM_CUTS", 3), number(t, "AERIE_VM_WORKERS", 1), number(t, "AERIE_VM_SEED", uint64(time.Now().UnixNano()))
	t.Logf("AERIE_VM_SEED=%d", seed)
	b := newBench(t)
	updated := b.recordUpdate(t)
	for w := range workers {
		t.Run(fmt.Sprint(w), func(t *testing.T) {
			t.Parallel()
			c := cutter{b, rand.New(rand.NewPCG(seed, w)), updated, recording{}}
			for n := w; n < cuts; n += workers {
				c.cut(t, n+1 == cuts)
			}
		})
	}
}

// number reads a number from the environment.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// cutter cuts the power again and again.
type cutter struct {
	*bench
	random *rand.Rand
	update recording
	last   recording // the start after the last cut
}

// cut cuts the power at a random moment of the update, or of the start after the
// last cut, and boots from what is left; then, if asked to, it updates.
func (c *cutter) cut(t *testing.T, update bool) {
	t.Helper()
	from := c.update
	if c.last.disk != nil && c.random.IntN(4) == 0 {
		from = c.last
	}
	length := from.ended.Sub(from.begun)
	at := from.moment(c.random)
	d, l, err := from.disk.cut(from.begun.Add(at), c.random)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	m := c.boot(t, d, quick)
	version := ""
	m.until("a working version", func() bool { version = m.version(); return version != "" })
	u := m.updates()
	t.Logf("cut %v into %s of %v, %v: version %s works after %v; %+v", at.Round(time.Millisecond), from.what, length.Round(time.Millisecond),
		l, version, time.Since(began).Round(100*time.Millisecond), u)
	if version != "2" && version != "6" {
		t.Errorf("version %s, neither the old nor the new one", version)
	}
	if u.Problem != "" || len(u.Bad) > 0 {
		t.Errorf("the power was to blame, not %+v", u)
	}
	if update {
		m.mount()
		if version != "6" {
			m.sh("aerie ota install --state /data/aerie /run/host/6")
		}
		m.until("the update", func() bool { return m.version() == "6" })
	}
	c.last = recording{"the start after a cut", d, m.started, time.Now()}
	m.off()
}

// recording is a span of time in the life of a disk.
type recording struct {
	what         string
	disk         *disk
	begun, ended time.Time
}

// moment picks one: any, or one right after a write or a flush, for these are
// few and matter most.
func (v recording) moment(r *rand.Rand) time.Duration {
	var writes []time.Duration
	for _, q := range v.disk.log {
		if !q.at.Before(v.begun) && q.at.Before(v.ended) {
			writes = append(writes, q.at.Sub(v.begun))
		}
	}
	if len(writes) > 0 && r.IntN(2) == 0 {
		return writes[r.IntN(len(writes))]
	}
	return time.Duration(r.Int64N(int64(v.ended.Sub(v.begun))))
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
