package message

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// dict is a decoded dictionary. Its getters take a missing key for the zero
// value and note wrong types in errs; integers may stand for booleans and
// reals for integers, as senders write both.
type dict map[string]any

// reader reads the keys of one dictionary and remembers which it was asked
// for and what was wrong.
type reader struct {
	d     dict
	asked map[string]bool
	err   error
}

func newReader(d dict) *reader { return &reader{d: d, asked: map[string]bool{}} }

func (r *reader) get(key string) (any, bool) {
	r.asked[key] = true
	v, ok := r.d[key]
	return v, ok
}

func (r *reader) fail(key string, v any, want string) {
	if r.err == nil {
		r.err = plistError("%q is a %T instead of %s", key, v, want)
	}
}

// adopt takes over what was wrong in a dictionary below.
func (r *reader) adopt(below *reader) {
	if r.err == nil {
		r.err = below.err
	}
}

func (r *reader) str(key string) string {
	v, ok := r.get(key)
	s, is := v.(string)
	if ok && !is {
		r.fail(key, v, "a string")
	}
	// The library's strings share memory with the whole list.
	return strings.Clone(s)
}

// uuid returns a string that is fit for a TXT record; "" stands for one that is
// longer than any UUID or has other characters.
func (r *reader) uuid(key string) string {
	const longest = 40
	s := r.str(key)
	if len(s) > longest || strings.Trim(s, "0123456789abcdefABCDEF-") != "" {
		return ""
	}
	return s
}

func (r *reader) data(key string) []byte {
	v, ok := r.get(key)
	b, is := v.([]byte)
	if ok && !is {
		r.fail(key, v, "data")
	}
	return slices.Clone(b)
}

// bits returns a 64-bit integer as it stands on the wire, signed or not.
func (r *reader) bits(key string) (v uint64, ok bool) {
	x, ok := r.get(key)
	switch x := x.(type) {
	case nil:
	case uint64:
		v = x
	case int64:
		v = uint64(x)
	case bool:
		if x {
			v = 1
		}
	case float64:
		if x != math.Trunc(x) || math.Abs(x) > 1<<53 {
			r.fail(key, x, "an integer")
			return 0, false
		}
		v = uint64(int64(x))
	default:
		r.fail(key, x, "an integer")
		return 0, false
	}
	return v, ok
}

// integer returns an integer between low and high.
func (r *reader) integer(key string, low, high int) int {
	return int(r.wide(key, int64(low), int64(high)))
}

// wide is integer for what an int of 32 bits may not hold.
func (r *reader) wide(key string, low, high int64) int64 {
	v, ok := r.bits(key)
	if !ok {
		return 0
	}
	if n := int64(v); n >= low && n <= high {
		return n
	}
	if r.err == nil {
		r.err = plistError("%q is %d, not between %d and %d", key, int64(v), low, high)
	}
	return 0
}

func (r *reader) boolean(key string) bool {
	v, _ := r.bits(key)
	return v != 0
}

// dicts returns an array of dictionaries, and whether the key is there.
func (r *reader) dicts(key string, limit int) ([]dict, bool) {
	v, ok := r.get(key)
	if !ok {
		return nil, false
	}
	a, is := v.([]any)
	if !is {
		r.fail(key, v, "an array")
		return nil, true
	}
	if len(a) > limit {
		r.err = plistError("%q has %d entries, limit %d", key, len(a), limit)
		return nil, true
	}
	out := make([]dict, 0, len(a))
	for _, e := range a {
		m, is := e.(map[string]any)
		if !is {
			r.fail(key, e, "a dictionary")
			return nil, true
		}
		out = append(out, dict(m))
	}
	return out, true
}

// strings returns an array of strings.
func (r *reader) strings(key string, limit int) (out []string) {
	v, ok := r.get(key)
	a, is := v.([]any)
	if ok && !is {
		r.fail(key, v, "an array")
	}
	for _, e := range a[:min(len(a), limit)] {
		if s, is := e.(string); is {
			out = append(out, strings.Clone(s))
		} else {
			r.fail(key, e, "a string")
		}
	}
	return out
}

// unknown returns the keys nobody asked for, sorted, under the given prefix.
func (r *reader) unknown(prefix string) (out []string) {
	for _, k := range slices.Sorted(maps.Keys(r.d)) {
		if !r.asked[k] {
			out = append(out, fmt.Sprintf("%s%.64q", prefix, k))
		}
	}
	return out
}

// The setters leave out what is zero: a key that is not there is the usual
// way to say so on this wire.

func (d dict) setInt(key string, v int64) {
	if v != 0 {
		d[key] = v
	}
}

func (d dict) setString(key, v string) {
	if v != "" {
		d[key] = v
	}
}

func (d dict) setData(key string, v []byte) {
	if v != nil {
		d[key] = v
	}
}

func (d dict) setBool(key string, v bool) {
	if v {
		d[key] = true
	}
}
