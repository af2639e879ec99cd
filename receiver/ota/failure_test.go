package ota

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode"
)

// TestFailure lets every operation of every change fail, once or from then
// on: a whole program is started all the same, also while the disk fails. The
// change can be made again when it works again.
func TestFailure(t *testing.T) {
	want := futures(t)
	d := newDisk()
	for i, c := range life {
		allowed := []string{want[i], want[i+1], want[min(i+2, len(want)-1)]}
		for _, err := range []error{syscall.EIO, syscall.ENOSPC} {
			for failure := 1; ; failure++ {
				broken := d.copy()
				broken.failAt, broken.err, broken.halfWrite = failure, err, failure%2 == 0
				doErr := c.do(storeOn(broken))
				if broken.operations < failure {
					break
				}
				what := fmt.Sprintf("%s, operation %d fails with %v", c.name, failure, err)
				broken.cut = true
				started(t, broken) // something, with everything failing
				after := broken.restart()
				if got := started(t, after.restart()); !slices.Contains(allowed, got) {
					t.Fatalf("%s: %s is started, want one of %v\n%v", what, got, allowed, after)
				}
				if strings.HasPrefix(c.name, "install") && doErr != nil {
					err := c.do(storeOn(after))
					if errors.Is(err, ErrInstalled) {
						continue // all but the last flush was done
					}
					if err != nil {
						t.Fatalf("%s: the next try: %v", what, err)
					}
					// It is there to stay.
					for _, d := range after.afterPowerLoss() {
						if got := started(t, d); got != want[i+1] {
							t.Fatalf("%s: %s is started after the next try and a cut, want %s", what, got, want[i+1])
						}
					}
				}
			}
		}
		if err := c.do(storeOn(d)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullDisk: a download that fills the disk does not stay there.
func TestFullDisk(t *testing.T) {
	d := lived(t, 9)
	before := d.String()
	d.writes, d.halfWrite = syscall.ENOSPC, true
	if err := storeOn(d).Install(context.Background(), update(3)); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	d.writes = nil
	if got := d.String(); got != before {
		t.Errorf("what is left:\n%s\nbefore:\n%s", got, before)
	}
}

// lived returns a device after so many changes of life.
func lived(t *testing.T, n int) *disk {
	t.Helper()
	d := newDisk()
	for _, c := range life[:n] {
		if err := c.do(storeOn(d)); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// withMemory returns a store that keeps its state in memory where the disk
// does not take it.
func withMemory(d, memory *disk) *Store {
	s := storeOn(d)
	s.volatile = memory
	return s
}

// TestUnwritable goes through a loop of crashes on a disk that takes nothing,
// with memory to count in and without.
func TestUnwritable(t *testing.T) {
	run := func(s *Store) string {
		what := ""
		if err := s.Launch(func(c Choice) error { what = string(c.Release.Version); return nil }); err != nil {
			t.Fatal(err)
		}
		return what
	}
	for _, err := range []error{syscall.EROFS, syscall.ENOSPC, syscall.EIO} {
		// Release 2 has proved itself over 1, which did so before.
		d, memory := lived(t, 9), newDisk()
		d.changes = err
		var got []string
		for range 12 {
			got = append(got, run(withMemory(d, memory)))
		}
		want := strings.Split("2,2,2,2,2,2,1,1,1,,,", ",") // and then the factory's
		if !slices.Equal(got, want) {
			t.Errorf("%v: a loop of crashes starts %q, want %q", err, got, want)
		}
		if st := withMemory(d, memory).Status(""); st.WentBack == "" || st.Slot != Factory || !strings.Contains(st.WentBack, "2 did not stay up in 6 starts") {
			t.Errorf("%v: %+v", err, st)
		}
		// The disk takes things again: nothing is forgotten.
		d.changes = nil
		if got := run(withMemory(d, memory)); got != "" {
			t.Errorf("%v: %s is started when the disk works again", err, got)
		}
		if st := storeOn(d).Status(""); len(st.Bad) != 2 || memory.view[stateName] != nil {
			t.Errorf("%v: the disk does not know what memory knew: %+v", err, st)
		}

		// Without memory, what has proved itself is started, and what has
		// not is not.
		d = lived(t, 9)
		d.changes = err
		if got := run(storeOn(d)); got != "2" {
			t.Errorf("%v: %q is started, not what has proved itself", err, got)
		}
		d = lived(t, 10)
		d.changes = err
		if got := run(storeOn(d)); got != "2" {
			t.Errorf("%v: %q is started, which is new and cannot be counted", err, got)
		}
	}
}

// TestDamage damages what is on the disk in every way: a whole program is
// started, and the device says what happened.
func TestDamage(t *testing.T) {
	slot := func(d *disk) Slot { return storeOn(d).Current() }
	for _, c := range []struct {
		name   string
		damage func(d *disk)
		starts string
		says   string
	}{
		{"a bit", func(d *disk) { flip(d, binaryName(slot(d)), 8) }, "1", "digest"},
		{"cut short", func(d *disk) { d.put(binaryName(slot(d)), program(2)[:9]) }, "1", "9 bytes"},
		{"empty", func(d *disk) { d.put(binaryName(slot(d)), "") }, "1", "0 bytes"},
		{"another program", func(d *disk) { d.put(binaryName(slot(d)), program(3)) }, "1", "digest"},
		{"missing", func(d *disk) { d.drop(binaryName(slot(d))) }, "1", "not exist"},
		{"not executable", func(d *disk) { d.view[binaryName(slot(d))].mode = 0o644 }, "1", "executable"},
		{"a folder", func(d *disk) { d.view[binaryName(slot(d))].kind = fs.ModeDir }, "1", "not a file"},
		{"description cut", func(d *disk) { d.put(descriptionName(slot(d)), `{"version":"2"`) }, "1", "description"},
		{"description missing", func(d *disk) { d.drop(descriptionName(slot(d))) }, "1", ""},
		{"description without end", func(d *disk) { d.put(descriptionName(slot(d)), strings.Repeat(" ", 1<<20)) }, "1", "more than"},
		{"description of another", func(d *disk) { d.put(descriptionName(slot(d)), d.content(descriptionName(slot(d).other()))) }, "1", "digest"},
		{"both slots", func(d *disk) { flip(d, binaryName(A), 0); flip(d, binaryName(B), 0) }, "factory", "2 cannot be used"},
		{"state missing", func(d *disk) { d.drop(stateName) }, "2", ""},
		{"state empty", func(d *disk) { d.put(stateName, "") }, "2", "lost"},
		{"state of noise", func(d *disk) { d.put(stateName, "\x00\xff{}") }, "2", "lost"},
		{"state with a bit", func(d *disk) { flip(d, stateName, 150) }, "2", "lost"},
		{"state of a later format", func(d *disk) {
			d.put(stateName, strings.Replace(d.content(stateName), `"format": 1`, `"format": 7`, 1))
		}, "2", "lost"},
		{"state without end", func(d *disk) { d.put(stateName, strings.Repeat("[", 1<<20)) }, "2", "lost"},
		{"state a folder", func(d *disk) { d.view[stateName] = &inode{kind: fs.ModeDir} }, "2", ""},
		{"link missing", func(d *disk) { d.drop(currentName) }, "2", ""},
		{"link to nowhere", func(d *disk) { d.view[currentName].target = "../../etc" }, "2", ""},
		{"link a file", func(d *disk) { d.put(currentName, "b") }, "2", ""},
		{"link and state missing", func(d *disk) { d.drop(currentName); d.drop(stateName) }, "factory", ""},
		{"everything", func(d *disk) {
			for _, name := range []string{currentName, stateName, binaryName(A), binaryName(B), descriptionName(A), descriptionName(B)} {
				d.put(name, "noise")
			}
		}, "factory", "lost"},
		{"nothing left", func(d *disk) { *d = *newDisk() }, "factory", ""},
	} {
		d := lived(t, 9)
		c.damage(d)
		if got := started(t, d); got != c.starts {
			t.Errorf("%s: %s is started, want %s", c.name, got, c.starts)
		}
		if got := storeOn(d).Status("").Last.String(); !strings.Contains(got, c.says) {
			t.Errorf("%s: it says %q, want %q in it", c.name, got, c.says)
		}
		u := update(3)
		u.ByHand = true // a lost state makes what runs unproven
		if err := storeOn(d).Install(context.Background(), u); err != nil {
			t.Errorf("%s: no update is taken: %v", c.name, err)
		}
		if got := started(t, d); got != "3" {
			t.Errorf("%s: %s is started after an update to 3", c.name, got)
		}
	}
}

func (d *disk) content(name string) string { return string(d.view[name].now) }

func flip(d *disk, name string, at int) {
	b := []byte(d.content(name))
	b[at] ^= 1
	d.put(name, string(b))
}

// TestLaterState reads a state and a description with fields that a later
// version has added: the launcher is the oldest program on a device.
func TestLaterState(t *testing.T) {
	d := lived(t, 9)
	b := strings.Replace(d.content(stateName), `"state": {`, `"state": {"schedule": {"next": [1, 2]},`, 1)
	var e envelope
	if err := json.Unmarshal([]byte(b), &e); err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	if err := json.Compact(&body, e.State); err != nil {
		t.Fatal(err)
	}
	e.SHA256 = sha256.Sum256(body.Bytes())
	content, err := json.Marshal(struct {
		envelope
		Writer string `json:"writer"`
	}{e, "9.9"})
	if err != nil {
		t.Fatal(err)
	}
	d.put(stateName, string(content))
	d.put(descriptionName(B), strings.Replace(d.content(descriptionName(B)), `{`, `{"channel": "beta",`, 1))
	if got := started(t, d); got != "2" || !storeOn(d).Proven(B) {
		t.Errorf("%s is started, %+v", got, storeOn(d).Status(""))
	}
}

// TestNewerFactory: a card with a newer factory version and old slots starts
// the former.
func TestNewerFactory(t *testing.T) {
	d := lived(t, 9)
	s := storeOn(d)
	s.factory = Release{Version: "8", Counter: 9}
	if err := s.Launch(func(c Choice) error {
		if c.Slot != Factory {
			t.Errorf("%+v is started", c)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if st := s.Status(""); st.WentBack != "went back from 2 to the factory version: 2 is older than the factory version; 1 is older than the factory version" {
		t.Errorf("says %q", st.WentBack)
	}
	if err := s.Install(t.Context(), update(7)); !errors.Is(err, ErrOld) {
		t.Errorf("an old release is installed: %v", err)
	}
	if err := s.Install(t.Context(), update(9)); err != nil {
		t.Error(err)
	}
}

// TestUnstartable: a program that the kernel does not take is passed over, and
// the error of the factory binary is the launcher's.
func TestUnstartable(t *testing.T) {
	d := lived(t, 9)
	var tried []Slot
	err := storeOn(d).Launch(func(c Choice) error { tried = append(tried, c.Slot); return syscall.ENOEXEC })
	if !slices.Equal(tried, []Slot{B, A, Factory}) || !errors.Is(err, syscall.ENOEXEC) {
		t.Errorf("tried %v, %v", tried, err)
	}
	if st := storeOn(d).Status(""); !strings.Contains(st.WentBack, "2 could not be started") || !strings.Contains(st.WentBack, "1 could not be started") {
		t.Errorf("it says %q", st.WentBack)
	}
}

// TestRefusals: what is not installed, and why.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		life   int
		update Update
		err    error
	}{
		{"older than what proved itself", 9, update(1), ErrOld},
		{"older than the factory's", 0, Update{Release: Release{"x", 0, 5, Digest{}}}, ErrOld},
		{"the same", 9, update(2), ErrInstalled},
		{"bad", 16, update(3), ErrBad},
		{"sent back", len(life), update(5), ErrBad},
		{"while the last is tried", 11, update(4), ErrTrying},
		{"without a version", 9, Update{Release: Release{"", 9, 5, Digest{}}}, nil},
		{"with a line in its version", 9, Update{Release: Release{"3\nok", 9, 5, Digest{}}}, nil},
		{"without a size", 9, Update{Release: Release{"3", 9, 0, Digest{}}}, nil},
		{"of any size", 9, Update{Release: Release{"3", 9, MaxProgram + 1, Digest{}}}, nil},
	} {
		d := lived(t, c.life)
		before := d.String()
		err := storeOn(d).Install(context.Background(), c.update)
		if err == nil || c.err != nil && !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
		if got := d.String(); got != before {
			t.Errorf("%s: the disk has changed:\n%s", c.name, got)
		}
	}
}

// TestSelfTest: a release that fails its self-test three times is remembered
// as bad, and nothing of it stays.
func TestSelfTest(t *testing.T) {
	d := lived(t, 9)
	u := update(3)
	u.Test = func(context.Context, string) error { return errors.New("the decoder does not work") }
	for range Tries {
		if err := storeOn(d).Install(context.Background(), u); !errors.Is(err, ErrTest) {
			t.Errorf("installed with %v", err)
		}
	}
	if err := storeOn(d).Install(context.Background(), update(3)); !errors.Is(err, ErrBad) || !strings.Contains(err.Error(), "the decoder does not work") {
		t.Errorf("tried again with %v", err)
	}
	if got := started(t, d); got != "2" || d.view[binaryName(A)+partialSuffix] != nil {
		t.Errorf("%s is started, and on the disk is\n%v", got, d)
	}
}

// TestWhy: what a version said before it ended is why it was given up.
func TestWhy(t *testing.T) {
	for name, c := range map[string]struct {
		ends func(s *Store, memory *disk)
		says string
	}{
		"silently":       {func(*Store, *disk) {}, "3 did not stay up in 3 starts"},
		"stuck":          {func(s *Store, _ *disk) { _ = s.Trouble(A, "decoder: no\nprogress") }, "3 did not stay up in 3 starts: decoder: no progress"},
		"with a panic":   {func(_ *Store, m *disk) { m.put(CrashName, "panic: index\x1b out\ngoroutine 1\n") }, "in 3 starts: panic: index"},
		"with much text": {func(_ *Store, m *disk) { m.put(CrashName, strings.Repeat("much ", 1e5)) }, "in 3 starts: much much"},
		"with noise":     {func(_ *Store, m *disk) { m.put(CrashName, "\xff\xfe\x00\n") }, "in 3 starts"},
	} {
		d, memory := lived(t, 10), newDisk()
		for range Tries + 1 {
			if err := launched(withMemory(d, memory)); err != nil {
				t.Fatal(err)
			}
			if s := withMemory(d, memory); s.Status("").Version == "3" {
				c.ends(s, memory)
			}
		}
		if st := withMemory(d, memory).Status(""); st.Version != "2" || !strings.Contains(st.WentBack, c.says) || len(st.WentBack) > 500 || strings.ContainsFunc(st.WentBack, unicode.IsControl) {
			t.Errorf("%s: %+v", name, st)
		}
	}
	// A version that has been healthy since has no trouble.
	d := lived(t, 9)
	before := d.String()
	if err := storeOn(d).Trouble(B, "a moment"); err != nil || d.String() != before {
		t.Errorf("%v\n%v", err, d)
	}
}

// TestSecondChance: a release that worked and was then given up may come back
// by itself, once; it has to prove itself anew.
func TestSecondChance(t *testing.T) {
	d := lived(t, 26) // release 4 worked, and crashed then
	if err := storeOn(d).Install(context.Background(), update(4)); err != nil {
		t.Fatal(err)
	}
	for range Tries {
		if got := started(t, d); got != "4" {
			t.Errorf("%s is started", got)
		}
		if st := storeOn(d).Status(""); st.Proven || len(st.Bad) != 1 { // the one is release 3
			t.Errorf("%+v", st)
		}
	}
	if got := started(t, d); got != "2" {
		t.Errorf("%s is started in the end", got)
	}
	if err := storeOn(d).Install(context.Background(), update(4)); !errors.Is(err, ErrBad) {
		t.Errorf("once more: %v", err)
	}
}

// TestByHand: the owner may try again what was bad, and gets as many tries.
func TestByHand(t *testing.T) {
	d := lived(t, 16)
	u := update(3)
	u.ByHand = true
	if err := storeOn(d).Install(context.Background(), u); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 5 {
		got = append(got, started(t, d))
	}
	if want := strings.Fields("3 3 3 2 2"); !slices.Equal(got, want) {
		t.Errorf("started %v, want %v", got, want)
	}
}

// TestOneAtATime: no second installation begins while one is under way.
func TestOneAtATime(t *testing.T) {
	d := newDisk()
	u := update(1)
	fetch := u.Fetch
	u.Fetch = func(ctx context.Context, to Partial, have int64) error {
		if err := storeOn(d).Install(ctx, update(2)); !errors.Is(err, ErrBusy) {
			t.Errorf("a second installation: %v", err)
		}
		if _, err := storeOn(d).SendBack(); !errors.Is(err, ErrBusy) {
			t.Errorf("going back meanwhile: %v", err)
		}
		if got := started(t, d.copy()); got != "factory" {
			t.Errorf("%s is started meanwhile", got)
		}
		return fetch(ctx, to, have)
	}
	if err := storeOn(d).Install(context.Background(), u); err != nil {
		t.Error(err)
	}
}
