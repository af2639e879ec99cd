package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"aerie/receiver/ota/release"
)

// verify takes the newest release from a source as a device does.
func verify(ctx context.Context, key, where string, archs []string, out io.Writer) error {
	text, err := os.ReadFile(key)
	if err != nil {
		return err
	}
	keys, err := release.ParseKeys(text)
	if err != nil {
		return err
	}
	source, err := release.ParseSource(where, release.WebOptions{})
	if err != nil {
		return err
	}
	if len(archs) == 0 {
		archs = []string{"arm64"}
	}
	for _, arch := range archs {
		r, err := release.Latest(ctx, source, keys, release.Product, arch)
		if err != nil {
			return err
		}
		if err := fetch(ctx, source, r); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s %s for %s is genuine: counter %d, %d bytes, %s\n", r.Product, r.Version, r.Arch, r.Counter, r.Size, r.File)
	}
	return nil
}

// fetch downloads a program and throws it away.
func fetch(ctx context.Context, source release.Source, r *release.Release) error {
	f, err := os.CreateTemp("", r.File)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	return release.Download(ctx, source, r, f, 0, release.Limits{})
}
