package twin

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
)

func TestSettings(t *testing.T) {
	s, malformed := ParseSettings(object(t, `{"name":{"value":"Room 5","version":3,"by":"s"},"gone":{"version":1},"bad":7,"old":{"value":1,"version":0},"none":{"value":1}}`))
	want := Settings{"name": {"Room 5", 3, "s"}, "gone": {nil, 1, ""}}
	if !reflect.DeepEqual(s, want) || len(malformed) != 3 {
		t.Errorf("%v, %v", s, malformed)
	}
	many := Object{}
	for i := range 3 * maxSettings {
		many[fmt.Sprint(i)] = Setting{1.0, 1, "s"}.Object()
	}
	if s, malformed := ParseSettings(many); len(s) != maxSettings || len(malformed) != 2*maxSettings {
		t.Errorf("%d settings, %d refused", len(s), len(malformed))
	}
	back, malformed := ParseSettings(want.Object())
	if !reflect.DeepEqual(back, want) || malformed != nil {
		t.Errorf("%v, %v", back, malformed)
	}
}

func TestAcknowledgement(t *testing.T) {
	a := Acknowledgement{Setting{"x", 3, "s"}, 403, "no"}
	if back, err := ParseAcknowledgement(a.Object()); err != nil || back != a {
		t.Errorf("%v, %v", back, err)
	}
	for _, text := range []string{`{"v":{"value":1,"version":1}}`, `{"v":{"value":1,"version":1,"status":99}}`, `{"v":{"status":200}}`, `{"v":[]}`} {
		if a, err := ParseAcknowledgement(object(t, text)["v"]); err == nil {
			t.Errorf("%s is taken for %v", text, a)
		}
	}
}

// Services that write and take over from one another in any order have the
// last writing of those who knew of the others.
func TestTakingOver(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		halves := make([]Settings, 3)
		var device Setting // what it has acknowledged
		partner, last := 0, any(nil)
		for n := range 30 {
			switch r.IntN(4) {
			case 0:
				partner = r.IntN(len(halves))
				// The device acknowledges, and the new partner reads what is
				// retained, in any order and more than once.
				for range 2 {
					for _, i := range r.Perm(len(halves)) {
						halves[partner] = halves[partner].Join(halves[i])
					}
				}
			case 1:
				if s, ok := halves[partner]["name"]; ok && s.Later(device) {
					device = s
				}
			default:
				last = any(float64(n))
				if r.IntN(4) == 0 {
					last = nil
				}
				halves[partner] = halves[partner].Write("name", last, fmt.Sprint(partner), device)
			}
			if s := halves[partner]["name"]; s.Value != last {
				t.Fatalf("%v is desired, want %v", s, last)
			}
			if s := halves[partner]["name"]; device.Later(s) {
				t.Fatalf("the device acted on %v, and %v is desired", device, s)
			}
		}
	}
}

func TestJoinIsOneWhateverTheOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	draw := func() Settings {
		s := Settings{}
		for range r.IntN(4) {
			by := fmt.Sprint(r.IntN(2))
			version := int64(1 + r.IntN(3))
			s[fmt.Sprint(r.IntN(3))] = Setting{by + fmt.Sprint(version), version, by}
		}
		return s
	}
	for range 2000 {
		a, b, c := draw(), draw(), draw()
		if x, y := a.Join(b).Join(c), c.Join(a.Join(b)).Join(b); !reflect.DeepEqual(x, y) {
			t.Fatalf("%v %v %v: %v or %v", a, b, c, x, y)
		}
	}
}

func TestWritingTheSameAgain(t *testing.T) {
	s := Settings{}.Write("name", "x", "a", Setting{})
	if again := s.Write("name", "x", "b", s["name"]); !reflect.DeepEqual(again, s) {
		t.Errorf("written again: %v", again)
	}
	// The device has acted on something else meanwhile.
	if again := s.Write("name", "x", "b", Setting{"y", 5, "c"}); again["name"].Version != 6 {
		t.Errorf("not written anew: %v", again)
	}
}
