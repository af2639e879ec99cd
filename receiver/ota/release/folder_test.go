package release

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestFolder(t *testing.T) {
	p := program(100_000)
	key, keys := owner(t)
	text := signed(t, key, p, claims())
	dir := t.TempDir()
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(claims().File, p)
	write(SignatureName(claims().File), text)
	write(IndexName(Product, "arm64"), text)
	s, err := NewFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Latest(t.Context(), s, keys, Product, "arm64")
	if err != nil {
		t.Fatal(err)
	}
	named, err := Named(t.Context(), s, keys, claims().File)
	if err != nil || named.Info != r.Info {
		t.Errorf("by its name: %+v, %v", named, err)
	}
	// A download goes to a real file too.
	f, err := os.Create(filepath.Join(t.TempDir(), "partial"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(p[:1000]); err != nil {
		t.Fatal(err)
	}
	if err := Download(t.Context(), s, r, f, 1000, Limits{}); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, p) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	write(claims().File, p[:500])
	if err := Download(t.Context(), s, r, f, 1000, Limits{}); !errors.Is(err, ErrContent) {
		t.Errorf("a shorter file: %v", err)
	}
}

// A medium may hold anything by the names that are looked for.
func TestHostileFolder(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("untrusted comment: of this machine"), 0o600); err != nil {
		t.Fatal(err)
	}
	name := IndexName(Product, "arm64")
	for what, c := range map[string]struct {
		make func(path string) error
		want error
	}{
		"nothing":                      {func(string) error { return nil }, ErrNone},
		"a link out of it":             {func(p string) error { return os.Symlink(secret, p) }, errAny},
		"a link up":                    {func(p string) error { return os.Symlink("../secret", p) }, errAny},
		"a link to itself":             {func(p string) error { return os.Symlink(name, p) }, errAny},
		"a link to an endless file":    {func(p string) error { return os.Symlink("/dev/zero", p) }, errAny},
		"a folder":                     {func(p string) error { return os.Mkdir(p, 0o755) }, errAny},
		"a pipe":                       {func(p string) error { return syscall.Mkfifo(p, 0o644) }, errAny},
		"a file of a gigabyte of zero": {func(p string) error { _ = os.WriteFile(p, nil, 0o644); return os.Truncate(p, 1<<30) }, ErrFormat},
		"noise":                        {func(p string) error { return os.WriteFile(p, program(3000), 0o644) }, ErrFormat},
	} {
		if err := c.make(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		s, err := NewFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		_, keys := owner(t)
		_, err = Latest(t.Context(), s, keys, Product, "arm64")
		if c.want == errAny && err == nil || c.want != errAny && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	s, _ := NewFolder(dir)
	for _, name := range []string{"", ".", "..", "../secret", "/etc/passwd", "a/b", strings.Repeat("a", 200), "a\x00b"} {
		if _, err := s.Open(t.Context(), name, 0, ""); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), name, 0, ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("pulled out: %v", err)
	}
	if _, err := NewFolder(secret); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("a file: %v", err)
	}
}
