package release

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"aead.dev/minisign"
)

// owner makes a key pair.
func owner(t testing.TB) (minisign.PrivateKey, Keys) {
	t.Helper()
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return private, Keys{public}
}

// program is a made-up program.
func program(size int) []byte {
	b := make([]byte, size)
	mathrand.NewChaCha8([32]byte{byte(size)}).Read(b)
	return b
}

// claims are what a release says of itself in these tests.
func claims() Info {
	return Info{Product: Product, Arch: "arm64", Version: "1.2.0", Counter: 12, File: "aerie-arm64-1.2.0"}
}

// signed signs a program with what the test claims of it.
func signed(t testing.TB, key minisign.PrivateKey, program []byte, info Info) []byte {
	t.Helper()
	text, err := Sign(key, bytes.NewReader(program), info)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// opened is a release that a device has found.
func opened(t testing.TB, program []byte) *Release {
	t.Helper()
	key, keys := owner(t)
	r, err := keys.Open(signed(t, key, program, claims()))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRelease(t *testing.T) {
	key, keys := owner(t)
	p := program(100_000)
	text := signed(t, key, p, claims())
	for name, text := range map[string][]byte{"as written": text, "CRLF": bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))} {
		r, err := keys.Open(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := claims()
		want.Size, want.SHA256 = int64(len(p)), r.SHA256
		if r.Info != want {
			t.Errorf("%s: %+v, want %+v", name, r.Info, want)
		}
		if err := r.Verify(bytes.NewReader(p)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	p := program(70_000)
	r := opened(t, p)
	flipped := slices.Clone(p)
	flipped[69_999] ^= 1
	for name, c := range map[string]struct {
		program io.Reader
		want    error
	}{
		"nothing":           {bytes.NewReader(nil), ErrContent},
		"a byte less":       {bytes.NewReader(p[:69_999]), ErrContent},
		"a byte more":       {bytes.NewReader(append(slices.Clone(p), 0)), ErrContent},
		"a bit flipped":     {bytes.NewReader(flipped), ErrContent},
		"a disk that fails": {io.MultiReader(bytes.NewReader(p[:100]), iotest.ErrReader(io.ErrNoProgress)), io.ErrNoProgress},
	} {
		if err := r.Verify(c.program); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	// The hash in the comment and the signature of the file are checked both.
	r.SHA256[0] ^= 1
	if err := r.Verify(bytes.NewReader(p)); !errors.Is(err, ErrContent) {
		t.Errorf("with another SHA-256: %v", err)
	}
	// A comment that tells the SHA-256 of a file does not make up for the
	// signature of another one.
	key, keys := owner(t)
	text := reader(program(70_001)).SignWithComments(key, opened(t, p).comment(), "x")
	if r, err := keys.Open(text); err != nil {
		t.Error(err)
	} else if err := r.Verify(bytes.NewReader(p)); !errors.Is(err, ErrContent) {
		t.Errorf("with the signature of another file: %v", err)
	}
	endless := &counting{}
	if err := r.Verify(endless); !errors.Is(err, ErrContent) || endless.n > r.Size+1 {
		t.Errorf("of an endless file %d bytes were read: %v", endless.n, err)
	}
}

// counting is an endless file.
type counting struct{ n int64 }

func (c *counting) Read(b []byte) (int, error) { c.n += int64(len(b)); return len(b), nil }

func TestOpenRefuses(t *testing.T) {
	key, keys := owner(t)
	stranger, _ := owner(t)
	p := program(1000)
	text := signed(t, key, p, claims())
	edit := func(from, to string) []byte {
		out := bytes.Replace(text, []byte(from), []byte(to), 1)
		if bytes.Equal(out, text) {
			t.Fatalf("no %q in the signature", from)
		}
		return out
	}
	var s minisign.Signature
	if err := s.UnmarshalText(signed(t, stranger, p, claims())); err != nil {
		t.Fatal(err)
	}
	s.KeyID = keys[0].ID()
	forged, _ := s.MarshalText()
	unhashed := minisign.SignWithComments(key, p, opened(t, p).comment(), "x")
	for name, c := range map[string]struct {
		text []byte
		want error
	}{
		"empty":                       {nil, ErrFormat},
		"a web page":                  {[]byte("<html>\n<body>\nlog in\n</body>\n"), ErrFormat},
		"too long":                    {append(slices.Clone(text), bytes.Repeat([]byte("\n"), MaxSignature)...), ErrFormat},
		"cut":                         {text[:len(text)-5], ErrFormat},
		"not hashed":                  {unhashed, ErrFormat},
		"another key":                 {signed(t, stranger, p, claims()), ErrKey},
		"another key by the same id":  {forged, ErrSignature},
		"another counter":             {edit("counter=12", "counter=13"), ErrSignature},
		"another product":             {edit("product=aerie", "product=other"), ErrSignature},
		"signed, but not of releases": {reader(p).SignWithComments(key, "timestamp:1", "x"), ErrFormat},
	} {
		if _, err := keys.Open(c.text); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := (Keys)(nil).Open(text); !errors.Is(err, ErrKey) {
		t.Errorf("without keys: %v", err)
	}
	// What changes one byte is refused or changes nothing that counts.
	r, _ := keys.Open(text)
	for i := range text {
		b := slices.Clone(text)
		b[i] ^= 4
		if got, err := keys.Open(b); err == nil && got.Info != r.Info {
			t.Errorf("byte %d changed: %+v", i, got.Info)
		}
		if _, err := keys.Open(text[:i]); err == nil && i < len(text)-1 {
			t.Errorf("the first %d bytes are taken", i)
		}
	}
}

// reader has read a program, to sign it.
func reader(p []byte) *minisign.Reader {
	r := minisign.NewReader(bytes.NewReader(p))
	_, _ = io.Copy(io.Discard, onlyReader{r})
	return r
}

func TestComment(t *testing.T) {
	i := claims()
	i.Size, i.SHA256 = 14_500_000, [32]byte{1, 2, 3}
	good := i.comment()
	for _, text := range []string{good, good + " channel=beta", "kernel=6.6 " + good} {
		if got, err := parseComment(text); err != nil || got != i {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, c := range [][2]string{
		{"product=aerie ", ""}, {"product=aerie", "product="}, {"product=aerie", "product=Aerie"}, {"product=aerie", "product=aerie product=aerie"},
		{"arch=arm64", "arch=../arm64"}, {"arch=arm64", "arch"}, {"version=1.2.0", "version="}, {"version=1.2.0", "version=" + strings.Repeat("1", 65)},
		{"counter=12", "counter=0"}, {"counter=12", "counter=-1"}, {"counter=12", "counter=012"}, {"counter=12", "counter=+12"},
		{"counter=12", "counter=18446744073709551616"}, {"counter=12", "counter=1e3"}, {"counter=12", "counter=٣"},
		{"size=14500000", "size=0"}, {"size=14500000", "size=-5"}, {"size=14500000", "size=99999999999"}, {"size=14500000", "size=14500000 "},
		{"sha256=0102", "sha256=01"}, {"sha256=0102", "sha256=010G"}, {"sha256=01020300", "sha256=0102030A"},
		{"file=aerie", "file=../aerie"}, {"file=aerie", "file=/aerie"}, {"file=aerie", "file=.aerie"}, {"file=aerie", "file=a%2fb"}, {"file=aerie-arm64-1.2.0", "file="},
		{"file=aerie", "file=" + strings.Repeat("a", 128)}, {" ", "  "}, {" ", "\t"}, {"arch=", "=="},
		{"file=", strings.Repeat("a=b ", 20) + "file="}, {"file=", "a=" + strings.Repeat("b", maxComment) + " file="},
	} {
		text := strings.Replace(good, c[0], c[1], 1)
		if text == good {
			t.Fatalf("no %q in the comment", c[0])
		}
		if got, err := parseComment(text); !errors.Is(err, ErrFormat) {
			t.Errorf("%.200s: %+v, %v", text, got, err)
		}
	}
	key, _ := owner(t)
	for _, change := range []func(*Info){func(i *Info) { i.Counter = 0 }, func(i *Info) { i.File = "a b" }, func(i *Info) { i.Version = "1 2" }} {
		i := claims()
		change(&i)
		if _, err := Sign(key, strings.NewReader("x"), i); err == nil {
			t.Errorf("signed %+v", i)
		}
	}
	if _, err := Sign(key, &counting{}, claims()); !errors.Is(err, ErrFormat) {
		t.Errorf("an endless program: %v", err)
	}
}

func TestFor(t *testing.T) {
	for _, c := range []struct {
		product, arch string
		after         uint64
		want          error
	}{
		{Product, "arm64", 0, nil}, {Product, "arm64", 11, nil}, {Product, "arm64", 12, ErrCurrent}, {Product, "arm64", 13, ErrCounter},
		{Product, "armhf", 0, ErrArchitecture}, {"other", "arm64", 0, ErrProduct},
	} {
		if err := claims().For(c.product, c.arch, c.after); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestKeys(t *testing.T) {
	old, k1 := owner(t)
	next, k2 := owner(t)
	first, _ := k1[0].MarshalText()
	second, _ := k2[0].MarshalText()
	dir := t.TempDir()
	file := filepath.Join(dir, "release.pub")
	write := func(parts ...[]byte) {
		if err := os.WriteFile(file, bytes.Join(parts, []byte("\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := LoadKeys(file); !errors.Is(err, ErrKey) {
		t.Errorf("without any key: %v", err)
	}
	// While the key is being changed, both are believed.
	write([]byte("# the owner's keys\r"), first, second, first)
	keys, err := LoadKeys(file)
	if err != nil || len(keys) != 2 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	for _, key := range []minisign.PrivateKey{old, next} {
		if _, err := keys.Open(signed(t, key, []byte("x"), claims())); err != nil {
			t.Error(err)
		}
	}
	publicKeys = k2[0].String() + "," + k1[0].String()
	defer func() { publicKeys = "" }()
	if keys, err := LoadKeys(filepath.Join(dir, "none")); err != nil || len(keys) != 2 {
		t.Errorf("compiled in: %d keys, %v", len(keys), err)
	}
	write(first)
	if keys, err := LoadKeys(file); err != nil || len(keys) != 2 {
		t.Errorf("compiled in and in the file: %d keys, %v", len(keys), err)
	}
	for name, text := range map[string][]byte{
		"half a key": second[:len(second)-9],
		"a private":  bytes.Repeat([]byte("RWRTY0IyAAA"), 20),
		"noise":      program(300),
		"too much":   bytes.Repeat([]byte("# x\n"), 2000),
	} {
		write(text)
		if keys, err := LoadKeys(file); err == nil {
			t.Errorf("%s: %d keys", name, len(keys))
		}
	}
	var many []byte
	for range maxKeys + 1 {
		_, k := owner(t)
		many = fmt.Appendf(many, "%s\n", k[0])
	}
	if _, err := ParseKeys(many); err == nil {
		t.Error("more keys than allowed")
	}
	if _, err := LoadKeys(dir); err == nil {
		t.Error("a folder is no file of keys")
	}
}

func TestBuilt(t *testing.T) {
	if Counter() != 0 {
		t.Errorf("a build that is no release has the counter %d", Counter())
	}
	counter, built = "412", "1700000000"
	defer func() { counter, built = "", "" }()
	if Counter() != 412 || Built().Unix() != 1_700_000_000 {
		t.Errorf("%d, %v", Counter(), Built())
	}
}

func FuzzOpen(f *testing.F) {
	key, keys := owner(f)
	f.Add(signed(f, key, []byte("x"), claims()))
	f.Add([]byte("untrusted comment: x\nRU==\ntrusted comment: product=aerie\nAA=="))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, _ = keys.Open(text)
		_, _ = ParseKeys(text)
	})
}

func FuzzComment(f *testing.F) {
	i := claims()
	i.Size = 5
	f.Add(i.comment())
	f.Add("a=b  c=")
	f.Fuzz(func(t *testing.T, text string) {
		i, err := parseComment(text)
		if err != nil {
			return
		}
		if again, err := parseComment(i.comment()); err != nil || again != i {
			t.Errorf("%q: %+v, again %+v, %v", text, i, again, err)
		}
	})
}
