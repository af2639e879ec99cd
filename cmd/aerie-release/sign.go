package main

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"aead.dev/minisign"

	"aerie/receiver/ota/release"
)

// signing is what the flags of sign say.
type signing struct {
	key, version, out string
	counter           uint64
	noPassword        bool
}

// candidate is a program that is going to be part of a release.
type candidate struct {
	program []byte
	info    release.Info
}

// sign puts programs into the folder that devices read. What they look for
// first, the index, is written last.
func (s *signing) sign(programs []string, in *os.File, out io.Writer) error {
	var all []candidate
	for _, path := range programs {
		c, err := s.candidate(path)
		if err != nil {
			return err
		}
		for _, other := range all {
			if other.info.Arch == c.info.Arch {
				return fmt.Errorf("%s is a second program for %s", path, c.info.Arch)
			}
		}
		all = append(all, c)
	}
	key, err := loadKey(s.key, in, out)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return err
	}
	for _, c := range all {
		if err := s.grows(key, c); err != nil {
			return err
		}
	}
	for _, c := range all {
		if err := s.write(key, c); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s  %d bytes, counter %d\n", filepath.Join(s.out, c.info.File), len(c.program), c.info.Counter)
	}
	return nil
}

// candidate reads a program. What it is for, its header says.
func (s *signing) candidate(path string) (c candidate, err error) {
	f, err := os.Open(path)
	if err != nil {
		return c, err
	}
	defer f.Close()
	if c.program, err = io.ReadAll(io.LimitReader(f, release.MaxSize+1)); err != nil {
		return c, err
	}
	e, err := elf.NewFile(bytes.NewReader(c.program))
	if err != nil {
		return c, fmt.Errorf("%s is not a program of Linux: %w", path, err)
	}
	arch := map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_ARM: "armhf"}[e.Machine]
	if arch == "" {
		return c, fmt.Errorf("%s is for %v, which releases are not made for", path, e.Machine)
	}
	for _, p := range e.Progs {
		if p.Type == elf.PT_INTERP {
			return c, fmt.Errorf("%s is linked dynamically: a device may not have its libraries (make build makes static ones)", path)
		}
	}
	c.info = release.Info{
		Product: release.Product, Arch: arch, Version: s.version, Counter: s.counter,
		File: release.FileName(release.Product, arch, s.version),
	}
	return c, nil
}

// grows refuses a release which devices that have the folder's newest one
// would refuse, or which would change a release that is out already.
func (s *signing) grows(key minisign.PrivateKey, c candidate) error {
	text, err := os.ReadFile(filepath.Join(s.out, release.IndexName(release.Product, c.info.Arch)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	newest, err := release.Keys{key.Public().(minisign.PublicKey)}.Open(text)
	if errors.Is(err, release.ErrKey) {
		return nil // of another key: what it says is not known to be true
	}
	if err != nil {
		return fmt.Errorf("what is in %s: %w", s.out, err)
	}
	if newest.Counter >= c.info.Counter {
		return fmt.Errorf("%s already has %s for %s with the counter %d: %d is not more, and no device would take it",
			s.out, newest.Version, newest.Arch, newest.Counter, c.info.Counter)
	}
	return nil
}

// write writes program, signature and index.
func (s *signing) write(key minisign.PrivateKey, c candidate) error {
	text, err := release.Sign(key, bytes.NewReader(c.program), c.info)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name    string
		content []byte
		mode    os.FileMode
	}{
		{c.info.File, c.program, 0o755},
		{release.SignatureName(c.info.File), text, 0o644},
		{release.IndexName(c.info.Product, c.info.Arch), text, 0o644},
	} {
		// Devices may be reading: a file is there whole or not at all.
		path, part := filepath.Join(s.out, f.name), filepath.Join(s.out, f.name+".part")
		if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := create(part, f.content, f.mode); err != nil {
			return err
		}
		if err := os.Rename(part, path); err != nil {
			return err
		}
	}
	return nil
}
