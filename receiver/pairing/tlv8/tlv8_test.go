package tlv8

import (
	"bytes"
	"reflect"
	"testing"
)

// Values of every length on both sides of a cut survive, and so do two items
// of one type where a separator or another type stands between them.
func TestThereAndBack(t *testing.T) {
	for _, n := range []int{0, 1, 254, 255, 256, 384, 509, 510, 511, 1000} {
		value := bytes.Repeat([]byte{byte(n), 7}, n)[:n]
		want := Message{Byte(State, 1), {PublicKey, value}, {Separator, []byte{}}, {PublicKey, []byte{1, 2}}, {Identifier, []byte("a")}}
		got, err := Parse(want.Append(nil))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%d bytes: %v, %v", n, got, err)
		}
	}
}

func TestForm(t *testing.T) {
	m := Message{Byte(State, 3), {Proof, bytes.Repeat([]byte{9}, 256)}}
	b := m.Append(nil)
	if want := append([]byte{6, 1, 3, 4, 255}, bytes.Repeat([]byte{9}, 255)...); !bytes.Equal(b, append(want, 4, 1, 9)) {
		t.Errorf("%x", b)
	}
	// Two short items of a type are two items.
	got, err := Parse([]byte{1, 1, 'a', 1, 1, 'b'})
	if err != nil || len(got) != 2 || string(got.Bytes(Identifier)) != "a" {
		t.Errorf("%v, %v", got, err)
	}
}

// The parts of a value that is put together must not run over what follows.
func TestPartsDoNotOverwrite(t *testing.T) {
	b := Message{{Salt, bytes.Repeat([]byte{1}, 300)}, {Proof, bytes.Repeat([]byte{2}, 300)}}.Append(nil)
	before := bytes.Clone(b)
	if _, err := Parse(b); err != nil || !bytes.Equal(b, before) {
		t.Errorf("the message was changed, %v", err)
	}
}

func TestIntegers(t *testing.T) {
	for _, c := range []struct {
		value []byte
		want  uint32
		bad   bool
	}{{nil, 0, false}, {[]byte{0x10}, 16, false}, {[]byte{0x10, 0, 0, 1}, 1<<24 + 16, false}, {make([]byte, 5), 0, true}} {
		got, err := Message{{Flags, c.value}}.Uint(Flags)
		if got != c.want || (err != nil) != c.bad {
			t.Errorf("%x: %d, %v", c.value, got, err)
		}
	}
}

func TestRefused(t *testing.T) {
	for name, b := range map[string][]byte{
		"half an item":   {6},
		"a short value":  {6, 2, 1},
		"too long":       make([]byte, MaxSize+2),
		"too many items": bytes.Repeat([]byte{1, 0, 2, 0}, maxItems/2+1),
	} {
		if m, err := Parse(b); err == nil {
			t.Errorf("%s: %v", name, m)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{6, 1, 1, 0, 1, 0, 0x13, 1, 0x10})
	f.Add(Message{{PublicKey, make([]byte, 384)}}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Parse(m.Append(nil))
		// An item that is empty behind a full one of its type is part of it.
		if err != nil || !reflect.DeepEqual(again, m) && len(m.Append(nil)) == len(b) {
			t.Errorf("%x: %v, then %v, %v", b, m, again, err)
		}
	})
}
