package ota

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// FuzzState reads hostile state files: what is accepted is within the limits
// and survives being written again, and whatever the file, something is
// started and an update is taken.
func FuzzState(f *testing.F) {
	st := state{Floor: 3, Proven: releaseOf(2).SHA256, Started: B, Last: Event{WentBack, "3", "2", "it <crashed> & burned"}}
	st.setStarts(starts{releaseOf(1).SHA256, 2, "panic: <nil>"})
	st.setBad(releaseOf(3), "did not \"stay\" up", true)
	good, err := st.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(nil))
	f.Add([]byte(`{"format":1}`))
	f.Add([]byte(`{"format":1,"sha256":"","state":{}}`))
	f.Add([]byte(strings.Replace(string(good), "factory", "a", 1)))
	f.Add([]byte(strings.Repeat("[", 5000)))
	d := newDisk()
	for _, c := range life[:9] {
		if err := c.do(storeOn(d)); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if st, err := decodeState(data); err == nil {
			again, err := st.encode()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := decodeState(again); err != nil || !reflect.DeepEqual(got, st) {
				t.Fatalf("%+v becomes %+v, %v", st, got, err)
			}
		}
		d := d.copy()
		d.put(stateName, string(data))
		started(t, d)
		_ = storeOn(d).Status("").Last.String()
		u := update(9)
		u.ByHand = true
		if err := storeOn(d).Install(context.Background(), u); err == nil && started(t, d) != "9" {
			t.Fatal("an update is taken and not started")
		}
	})
}

// FuzzDescription reads hostile descriptions of slots.
func FuzzDescription(f *testing.F) {
	good, err := json.Marshal(releaseOf(2))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"version":"2","counter":-1}`))
	f.Add([]byte(`{"version":"2\u001b[2J","counter":3,"size":22}`))
	f.Add([]byte(`{"version":"2","counter":18446744073709551615,"size":9223372036854775807,"sha256":"00"}`))
	d := newDisk()
	for _, c := range life[:9] {
		if err := c.do(storeOn(d)); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := decodeRelease(data); err == nil && r.check() != nil {
			t.Fatalf("%+v is accepted", r)
		}
		d := d.copy()
		d.put(descriptionName(B), string(data))
		_ = storeOn(d).Launch(func(c Choice) error {
			if c.Slot == B && c.Release.SHA256 != releaseOf(2).SHA256 {
				t.Fatalf("%+v is started", c)
			}
			return nil
		})
	})
}

// FuzzWindow reads windows of settings.
func FuzzWindow(f *testing.F) {
	for _, s := range []string{"", "02:00-05:00", "23:59-00:00", "-", "24:00-25:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if w, err := ParseWindow(text); err == nil && text != "" && w.from == w.to {
			t.Fatalf("%q is empty", text)
		}
	})
}
