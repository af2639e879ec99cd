// Package twin is the document that a device and its services share: a
// reported half that the device writes, and a desired half that services
// write.
//
// Either half is a JSON object. Changes are merge patches (RFC 7396), in which
// null takes a property away. A half that one writer owns goes about whole, as
// a Document that a Reader takes in order; one that a server keeps goes about
// as patches, which a Replica applies. A Setting is a property that several
// services may have written, one after another: the newest wins wherever the
// writings meet. How halves travel is the business of package wire, what is in
// them of packages pairing and fleet.
//
// Proof: twin_test.go (the examples of RFC 7396; limits; what a patch makes is
// undone by its difference), document_test.go (documents lost, doubled and out
// of order), replica_test.go (a server and a replica whose messages are lost
// and doubled), setting_test.go (services join in any order), and a fuzz target
// for each parser.
package twin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Limits of either half, which are those of Azure IoT Hub ("Understand and use
// device twins in IoT Hub") where that has one.
const (
	MaxSize  = 32 << 10 // bytes of JSON
	MaxDepth = 10       // objects and arrays in one another
	MaxName  = 256      // bytes of a property's name
)

// Object is a JSON object as encoding/json has it: nil, bool, float64, string,
// []any and Object below it. Objects are not changed once they were handed on.
type Object = map[string]any

// What is wrong with a half that is refused.
var (
	ErrMalformed = errors.New("twin: malformed JSON object")
	ErrTooLarge  = errors.New("twin: too large")
	ErrTooDeep   = errors.New("twin: too deep")
)

// Parse reads a half, or a patch for one. Errors wrap ErrMalformed,
// ErrTooLarge or ErrTooDeep.
func Parse(text []byte) (Object, error) { return parse(text, MaxSize, MaxDepth) }

// ParseBoth reads both halves of a twin in one object, "desired" and
// "reported". Errors are those of Parse.
func ParseBoth(text []byte) (desired, reported Object, err error) {
	o, err := parse(text, 2*MaxSize+64, MaxDepth+1)
	if err != nil {
		return nil, nil, err
	}
	return At(o, "desired"), At(o, "reported"), nil
}

func parse(text []byte, size, levels int) (Object, error) {
	if len(text) > size {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrTooLarge, len(text), size)
	}
	if depth(text) > levels {
		return nil, fmt.Errorf("%w: more than %d levels", ErrTooDeep, levels)
	}
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("%w: not UTF-8", ErrMalformed)
	}
	var o Object
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&o); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: something follows it", ErrMalformed)
	}
	if o == nil {
		return nil, fmt.Errorf("%w: null", ErrMalformed)
	}
	if err := checkNames(o); err != nil {
		return nil, err
	}
	return o, nil
}

// depth counts how many objects and arrays are open at once, before memory is
// spent on them.
func depth(text []byte) (deepest int) {
	open, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			open++
			deepest = max(deepest, open)
		case c == '}' || c == ']':
			open--
		}
	}
	return deepest
}

func checkNames(v any) error {
	switch v := v.(type) {
	case Object:
		for name, value := range v {
			if name == "" || len(name) > MaxName || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				return fmt.Errorf("%w: a property's name of %d bytes, or with a control character", ErrMalformed, len(name))
			}
			if err := checkNames(value); err != nil {
				return err
			}
		}
	case []any:
		for _, value := range v {
			if err := checkNames(value); err != nil {
				return err
			}
		}
	}
	return nil
}

// Encode writes a half. It fails where nobody would take it.
func Encode(o Object) ([]byte, error) {
	text, err := json.Marshal(o)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	case len(text) > MaxSize:
		return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrTooLarge, len(text), MaxSize)
	case depth(text) > MaxDepth:
		return nil, fmt.Errorf("%w: more than %d levels", ErrTooDeep, MaxDepth)
	}
	return text, nil
}

// Merge applies a merge patch (RFC 7396 section 2). Neither argument is
// changed; the result may share parts with both.
func Merge(target, patch Object) Object {
	out := maps.Clone(target)
	if out == nil {
		out = Object{}
	}
	for name, value := range patch {
		switch value := value.(type) {
		case nil:
			delete(out, name)
		case Object:
			below, _ := out[name].(Object)
			out[name] = Merge(below, value)
		default:
			out[name] = value
		}
	}
	return out
}

// Diff returns the merge patch that makes to out of from, empty if they are
// alike. Nulls in to count as properties that are not there, for a patch
// cannot make them.
func Diff(from, to Object) Object {
	patch := Object{}
	for name, old := range from {
		if old != nil && to[name] == nil {
			patch[name] = nil
		}
	}
	for name, value := range to {
		old, there := from[name]
		switch value := value.(type) {
		case nil:
		case Object:
			below, was := old.(Object)
			switch d := Diff(below, value); {
			case !was:
				if there {
					// What was no object is replaced by one, which
					// a patch does by itself.
					d = Diff(nil, value)
				}
				patch[name] = d
			case len(d) > 0:
				patch[name] = d
			}
		default:
			if !there || !reflect.DeepEqual(old, value) {
				patch[name] = value
			}
		}
	}
	return patch
}

// Equal tells whether two objects are alike, null being as good as nothing.
func Equal(a, b Object) bool { return len(Diff(a, b)) == 0 && len(Diff(b, a)) == 0 }

// At returns the object below o at a path of names, nil where there is none.
func At(o Object, path ...string) Object {
	for _, name := range path {
		o, _ = o[name].(Object)
	}
	return o
}

// Integer returns a property that is a whole number from 0 to 2^53.
func Integer(o Object, name string) (n int64, ok bool) {
	f, ok := o[name].(float64)
	if !ok || f < 0 || f > 1<<53 || f != float64(int64(f)) {
		return 0, false
	}
	return int64(f), true
}

// Text returns a property that is a string of 1 to limit bytes.
func Text(o Object, name string, limit int) (s string, ok bool) {
	s, ok = o[name].(string)
	if !ok || s == "" || len(s) > limit {
		return "", false
	}
	return s, true
}
