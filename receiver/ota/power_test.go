package ota

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
)

var quiet = slog.New(slog.DiscardHandler)

// theFactory is the release in the read-only root of these tests.
var theFactory = Release{Version: "0", Counter: 1}

// storeOn returns a store as a process opens it.
func storeOn(d *disk) *Store {
	return New(Options{Disk: d, Path: "/ota", Factory: theFactory, Log: quiet})
}

// program is what the binary of a release consists of here.
func program(n int) string { return fmt.Sprintf("program %d, which works", n) }

func releaseOf(n int) Release {
	text := program(n)
	return Release{Version: fmt.Sprint(n), Counter: uint64(n) + 1, Size: int64(len(text)), SHA256: sha256.Sum256([]byte(text))}
}

// update is release n as it would be fetched: in two pieces.
func update(n int) Update {
	return Update{Release: releaseOf(n), Fetch: fetchOf(program(n)), Test: func(context.Context, string) error { return nil }}
}

func fetchOf(text string) func(context.Context, Partial, int64) error {
	return func(_ context.Context, to Partial, have int64) error {
		for _, end := range []int64{int64(len(text)) / 2, int64(len(text))} {
			if have < end {
				if _, err := to.WriteAt([]byte(text[have:end]), have); err != nil {
					return err
				}
				have = end
			}
		}
		return nil
	}
}

// started starts what the launcher chooses and returns which program that
// is: its number, or "factory".
func started(t testing.TB, d *disk) string {
	t.Helper()
	what, calls := "", 0
	err := storeOn(d).Launch(func(c Choice) error {
		calls++
		if what = "factory"; c.Slot != Factory {
			what = whole(t, d, c)
		}
		return nil
	})
	if err != nil || calls == 0 {
		t.Fatalf("nothing was started: %v", err)
	}
	return what
}

// whole checks that what is started is one of the programs to the last byte.
func whole(t testing.TB, d *disk, c Choice) string {
	t.Helper()
	n := d.view[binaryName(c.Slot)]
	if n == nil || n.mode&0o111 != 0o111 {
		t.Fatalf("slot %s is started and cannot be run", c.Slot)
	}
	number, _, _ := strings.Cut(strings.TrimPrefix(string(n.now), "program "), ",")
	if string(n.now) != "program "+number+", which works" || number != c.Release.Version {
		t.Fatalf("slot %s is started as %s, with %q in it", c.Slot, c.Release.Version, n.now)
	}
	return number
}

// change is one thing that happens to a device.
type change struct {
	name string
	do   func(*Store) error
}

func install(n int) change {
	return change{fmt.Sprint("install ", n), func(s *Store) error { return s.Install(context.Background(), update(n)) }}
}

func launched(s *Store) error { return s.Launch(func(Choice) error { return nil }) }

var (
	launchIt  = change{"launch", launched}
	confirmIt = change{"confirm", func(s *Store) error { return s.Confirm(s.Status("").Slot) }}
	forgiveIt = change{"forgive", func(s *Store) error { return s.Forgive(s.Status("").Slot) }}
	sendBack  = change{"send back", func(s *Store) error { _, err := s.SendBack(); return err }}
)

// life is what a device goes through in these tests. Release 3 crashes before
// it is healthy, release 4 after it has proved itself, and 5 is sent back.
var life = []change{
	launchIt, install(1), launchIt, confirmIt, install(2), launchIt, forgiveIt, launchIt, confirmIt,
	install(3), launchIt, launchIt, launchIt, launchIt, confirmIt,
	install(4), launchIt, confirmIt, launchIt, launchIt, launchIt, launchIt, launchIt, launchIt, launchIt, confirmIt,
	install(5), launchIt, confirmIt, sendBack, launchIt,
}

// futures returns what the next start takes before the first and after every
// change of life.
func futures(t *testing.T) []string {
	d := newDisk()
	all := []string{started(t, d.copy())}
	for _, c := range life {
		if err := c.do(storeOn(d)); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		all = append(all, started(t, d.copy()))
	}
	return all
}

func TestLife(t *testing.T) {
	want := strings.Fields("factory factory 1 1 1 2 2 2 2 2" + " 3 3 3 2 2 2" + " 4 4 4 4 4 4 4 4 2 2 2" + " 5 5 5 2 2")
	if got := futures(t); !slices.Equal(got, want) {
		t.Errorf("the next starts are\n%v, want\n%v", got, want)
	}
}

// TestPowerLoss cuts the power at every operation of every change, and goes
// through every state that the disk may then be found in: a whole program is
// started, the one from before the change or the one from after it. So it is
// when the power is cut once more while the device recovers. In the end the
// device takes another update.
func TestPowerLoss(t *testing.T) {
	want := futures(t)
	d := newDisk()
	cuts, found, again := 0, 0, 0
	for i, c := range life {
		// The start that recovers counts too, so it may end the last try.
		allowed := []string{want[i], want[i+1], want[min(i+2, len(want)-1)]}
		if !strings.HasPrefix(c.name, "launch") {
			allowed = allowed[:2]
		}
		look := map[string]bool{}
		for cut := 1; ; cut++ {
			broken := d.copy()
			broken.failAt, broken.cut, broken.err, broken.halfWrite = cut, true, errPower, cut%2 == 0
			_ = c.do(storeOn(broken))
			done := broken.operations < cut
			if done {
				// What was reported done is still so after a cut.
				allowed, look = []string{want[i+1]}, map[string]bool{}
			}
			cuts++
			for _, after := range broken.afterPowerLoss() {
				if look[after.String()] {
					continue
				}
				look[after.String()] = true
				found++
				what := fmt.Sprintf("%s, cut at operation %d", c.name, cut)
				recover1(t, after, what, allowed)
				again += recover2(t, after, what, append(allowed, want[min(i+2, len(want)-1)]))
			}
			if done {
				break
			}
		}
		if err := c.do(storeOn(d)); err != nil {
			t.Fatal(err)
		}
		d = d.copy()
	}
	t.Logf("%d cuts, %d disks found after them, %d after a second cut", cuts, found, again)
}

// recover1 starts a device after a cut and has it take an update.
func recover1(t *testing.T, after *disk, what string, allowed []string) {
	t.Helper()
	d := after.copy()
	if got := started(t, d); !slices.Contains(allowed, got) {
		t.Fatalf("%s: %s is started, want one of %v; the disk before was\n%v", what, got, allowed, after)
	}
	// It says what happened.
	if st := storeOn(d).Status(""); st.Last.Kind == StateLost || st.Problem != "" || !st.Proven && st.Last.To != st.Version {
		t.Fatalf("%s: %+v", what, st)
	}
	u := update(9)
	u.ByHand = true
	if err := storeOn(d).Install(context.Background(), u); err != nil {
		t.Fatalf("%s: no update is taken any more: %v\n%v", what, err, d)
	}
	if got := started(t, d); got != "9" {
		t.Fatalf("%s: %s is started after an update to 9", what, got)
	}
}

// recover2 cuts the power at every operation of the start after a cut.
func recover2(t *testing.T, after *disk, what string, allowed []string) (found int) {
	t.Helper()
	look := map[string]bool{after.String(): true}
	for cut := 1; ; cut++ {
		broken := after.copy()
		broken.failAt, broken.cut, broken.err = cut, true, errPower
		_ = launched(storeOn(broken))
		if broken.operations < cut {
			return found
		}
		for _, d := range broken.afterPowerLoss() {
			if look[d.String()] {
				continue
			}
			look[d.String()] = true
			found++
			if got := started(t, d); !slices.Contains(allowed, got) {
				t.Fatalf("%s, and again at %d: %s is started, want one of %v", what, cut, got, allowed)
			}
		}
	}
}

// TestResume cuts a download short in every way, and has it go on from what
// is there; what belongs to another release is not continued.
func TestResume(t *testing.T) {
	d := newDisk()
	cut := errors.New("the network is gone")
	text := program(1)
	for _, n := range []int{5, 10, len(text) - 1} {
		u := update(1)
		from := int64(-1)
		u.Fetch = func(_ context.Context, to Partial, have int64) error {
			from = have
			if _, err := to.WriteAt([]byte(text[have:n]), have); err != nil {
				return err
			}
			return cut
		}
		if err := storeOn(d).Install(context.Background(), u); !errors.Is(err, cut) {
			t.Fatal(err)
		}
		if from > int64(n) || n > 5 && from == 0 {
			t.Errorf("the download begins at %d", from)
		}
		if got := started(t, d.copy()); got != "factory" {
			t.Errorf("%s is started in the middle of a download", got)
		}
	}
	u := update(1)
	u.Fetch = func(_ context.Context, to Partial, have int64) error {
		if have != int64(len(text))-1 {
			t.Errorf("the last byte is missing, and %d are there", have)
		}
		_, err := to.WriteAt([]byte(text[have:]), have)
		return err
	}
	other := d.copy()
	if err := storeOn(d).Install(context.Background(), u); err != nil {
		t.Fatal(err)
	}
	if got := started(t, d); got != "1" {
		t.Errorf("%s is started", got)
	}
	u = update(2)
	u.Fetch = func(ctx context.Context, to Partial, have int64) error {
		if have != 0 {
			t.Errorf("release 2 continues what there is of 1")
		}
		return fetchOf(program(2))(ctx, to, have)
	}
	if err := storeOn(other).Install(context.Background(), u); err != nil {
		t.Fatal(err)
	}
}

// TestResumeOfNoise continues what a loss of power has made noise of: it is
// fetched once more, from the beginning.
func TestResumeOfNoise(t *testing.T) {
	for _, size := range []int{1, len(program(1)) - 1, len(program(1)), len(program(1)) + 1} {
		d := newDisk()
		u := update(1)
		u.Fetch = func(context.Context, Partial, int64) error { return errPower }
		_ = storeOn(d).Install(context.Background(), u)
		d.put(binaryName(A)+partialSuffix, strings.Repeat("\x00", size))
		if err := storeOn(d).Install(context.Background(), update(1)); err != nil {
			t.Errorf("%d bytes of noise: %v", size, err)
		}
		if got := started(t, d); got != "1" {
			t.Errorf("%d bytes of noise: %s is started", size, got)
		}
	}
}

// TestWrongContent: what was fetched is not what was signed.
func TestWrongContent(t *testing.T) {
	text := program(1)
	for name, wrong := range map[string]string{"another": program(2), "short": text[:len(text)-1], "long": text + "!", "empty": "", "one bit": "P" + text[1:]} {
		d := newDisk()
		u := update(1)
		u.Fetch = fetchOf(wrong)
		u.Test = func(context.Context, string) error { t.Errorf("%s: run before it was checked", name); return nil }
		err := storeOn(d).Install(context.Background(), u)
		if err == nil {
			t.Errorf("%s: installed", name)
		}
		if got := started(t, d); got != "factory" {
			t.Errorf("%s: %s is started", name, got)
		}
		if err := storeOn(d).Install(context.Background(), update(1)); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: the right one afterwards: %v", name, err)
		}
	}
}
