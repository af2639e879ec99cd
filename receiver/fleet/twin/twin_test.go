package twin

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// object reads JSON that is known to be good.
func object(t *testing.T, text string) Object {
	t.Helper()
	o, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return o
}

// The examples of RFC 7396, appendix A, whose target and patch are objects.
func TestMergeExamples(t *testing.T) {
	for _, c := range []struct{ target, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{`{"a":"b"}`, `{"a":{"c":null,"d":1}}`, `{"a":{"d":1}}`},
	} {
		target := object(t, c.target)
		if got := Merge(target, object(t, c.patch)); !reflect.DeepEqual(got, object(t, c.want)) {
			t.Errorf("%s and %s make %v, want %s", c.target, c.patch, got, c.want)
		}
		if !reflect.DeepEqual(target, object(t, c.target)) {
			t.Errorf("%s was changed", c.target)
		}
	}
}

// random draws an object; nulls only where asked for.
func random(r *rand.Rand, levels int, nulls bool) Object {
	o := Object{}
	for range r.IntN(4) {
		name := string('a' + rune(r.IntN(4)))
		switch n := r.IntN(6); {
		case n == 0 && nulls:
			o[name] = nil
		case n == 1:
			o[name] = float64(r.IntN(3))
		case n == 2:
			o[name] = []any{float64(r.IntN(2)), Object{"x": nil}}
		case n < 5 && levels > 0:
			o[name] = random(r, levels-1, nulls)
		default:
			o[name] = "text"
		}
	}
	return o
}

func TestDifference(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		from, to := random(r, 3, true), random(r, 3, false)
		if got := Merge(from, Diff(from, to)); !Equal(got, to) || !Equal(to, got) {
			t.Fatalf("from %v to %v by %v: %v", from, to, Diff(from, to), got)
		}
		if Equal(from, to) != (len(Diff(from, to)) == 0) {
			t.Fatalf("%v and %v", from, to)
		}
	}
	if d := Diff(object(t, `{"a":null}`), object(t, `{}`)); len(d) != 0 {
		t.Errorf("null is as good as nothing, but %v", d)
	}
}

func TestLimits(t *testing.T) {
	nested := func(n int) string { return strings.Repeat(`{"a":`, n-1) + "{}" + strings.Repeat("}", n-1) }
	for text, want := range map[string]error{
		nested(MaxDepth):       nil,
		nested(MaxDepth + 1):   ErrTooDeep,
		nested(200_000):        ErrTooLarge,
		`{"[[[[[[[[[[[[":1}`:   nil,
		`{"\"[[[[[[[[[[[[":1}`: nil,
		`{"a":"` + strings.Repeat("x", MaxSize-8) + `"}`: nil,
		`{"a":"` + strings.Repeat("x", MaxSize-7) + `"}`: ErrTooLarge,
		`{"` + strings.Repeat("x", MaxName) + `":1}`:     nil,
		`{"` + strings.Repeat("x", MaxName+1) + `":1}`:   ErrMalformed,
		`{"a":[{"` + strings.Repeat("x", 300) + `":1}]}`: ErrMalformed,
		`{"":1}`:           ErrMalformed,
		"{\"a\\u0000\":1}": ErrMalformed,
		"{\"a\":\"\xff\"}": ErrMalformed,
		`{"a":1e999}`:      ErrMalformed,
		`null`:             ErrMalformed,
		`[]`:               ErrMalformed,
		`"text"`:           ErrMalformed,
		`{} {}`:            ErrMalformed,
		`{"a":`:            ErrMalformed,
		``:                 ErrMalformed,
	} {
		if _, err := Parse([]byte(text)); !errors.Is(err, want) {
			t.Errorf("%.40q: %v, want %v", text, err, want)
		}
	}
	if _, err := Encode(Object{"a": strings.Repeat("x", MaxSize)}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("an object that is too large is written: %v", err)
	}
	if _, err := Encode(Object{"a": func() {}}); !errors.Is(err, ErrMalformed) {
		t.Errorf("what is no JSON is written: %v", err)
	}
	deep := Object{}
	for range MaxDepth {
		deep = Object{"a": deep}
	}
	if _, err := Encode(deep); !errors.Is(err, ErrTooDeep) {
		t.Errorf("an object that is too deep is written: %v", err)
	}
}

func TestParseBoth(t *testing.T) {
	// Each half may be as deep as it may be alone.
	half := strings.Repeat(`{"a":`, MaxDepth-1) + "{}" + strings.Repeat("}", MaxDepth-1)
	desired, reported, err := ParseBoth(fmt.Appendf(nil, `{"desired":%s,"reported":{"b":1}}`, half))
	if err != nil || At(desired, "a", "a") == nil || reported["b"] != 1.0 {
		t.Errorf("%v %v %v", desired, reported, err)
	}
	if desired, _, err := ParseBoth([]byte(`{"desired":7}`)); desired != nil || err != nil {
		t.Errorf("%v %v", desired, err)
	}
}

func TestProperties(t *testing.T) {
	o := object(t, `{"n":7,"f":1.5,"neg":-1,"big":1e300,"s":"text","e":"","o":{"p":{"q":1}}}`)
	for name, want := range map[string]bool{"n": true, "f": false, "neg": false, "big": false, "s": false, "none": false} {
		if _, ok := Integer(o, name); ok != want {
			t.Errorf("%s is a whole number: %v", name, ok)
		}
	}
	if s, ok := Text(o, "s", 4); !ok || s != "text" {
		t.Errorf("%q %v", s, ok)
	}
	if _, ok := Text(o, "s", 3); ok {
		t.Error("a text that is too long")
	}
	if _, ok := Text(o, "e", 3); ok {
		t.Error("an empty text")
	}
	if At(o, "o", "p")["q"] != 1.0 || At(o, "n", "p") != nil || At(nil, "a") != nil {
		t.Error("paths")
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{"$run":"r","$version":3,"a":{"b":[1,null,"x"]}}`, `{"desired":{"$version":2},"reported":{}}`, `{"name":{"value":1,"version":2,"by":"x","status":200}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if d, err := ParseDocument(text); err == nil {
			again, err := d.Encode()
			if err != nil {
				// Escapes may take more room than what they stand for.
				if !errors.Is(err, ErrTooLarge) {
					t.Fatalf("%q is read but not written: %v", text, err)
				}
				return
			}
			if e, err := ParseDocument(again); err != nil || !reflect.DeepEqual(d, e) {
				t.Fatalf("%v became %v, %v", d, e, err)
			}
		}
		o, err := Parse(text)
		_, _, bothErr := ParseBoth(text)
		if err != nil {
			return
		}
		if bothErr != nil {
			t.Fatalf("a half, but not both: %v", bothErr)
		}
		settings, _ := ParseSettings(o)
		if len(settings) > maxSettings {
			t.Fatalf("%d settings", len(settings))
		}
		for _, v := range o {
			_, _ = ParseAcknowledgement(v)
		}
		if !Equal(Merge(Object{}, o), o) {
			t.Fatal("a patch of nothing makes something else")
		}
	})
}

func TestFloatsSurvive(t *testing.T) {
	text, err := Encode(object(t, `{"a":0.1,"b":1e21,"c":-0.0}`))
	var back Object
	if err != nil || json.Unmarshal(text, &back) != nil || back["a"] != 0.1 || back["b"] != 1e21 {
		t.Errorf("%s, %v", text, err)
	}
}
