package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// root is the folder of the repository, above the present one.
func root() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if mod := strings.TrimSpace(string(out)); err == nil && mod != "" && mod != os.DevNull {
		return filepath.Dir(mod), nil
	}
	return "", fmt.Errorf("run it inside the repository: %v", err)
}

// build builds a command of the repository for an architecture, as releases
// are built. The environment must be that of the Makefile.
func build(arch, pkg, out string, stamp ...string) error {
	top, err := root()
	if err != nil {
		return err
	}
	flags := []string{os.Getenv("AERIE_LDFLAGS")}
	for _, s := range stamp {
		flags = append(flags, "-X "+s)
	}
	cmd := exec.Command("go", "build", "-trimpath", "-tags", os.Getenv("AERIE_TAGS"), "-ldflags", strings.Join(flags, " "), "-o", out, pkg)
	cmd.Dir = top
	cmd.Env = append(os.Environ(), "GOARCH="+arch)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, text)
	}
	return nil
}

// errNoDebian: the machine has no way to Debian's packages.
var errNoDebian = errors.New("Debian's packages cannot be fetched here")

// makeImage makes an image with a program, and with the files of a folder
// besides, if that is not "".
func makeImage(arch, program, extra, dir string) (image, error) {
	top, err := root()
	if err != nil {
		return image{}, err
	}
	cmd := exec.Command(filepath.Join(top, "hw/lab/appliance/image.sh"), arch, program, dir, extra)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	var status *exec.ExitError
	if err := cmd.Run(); errors.As(err, &status) && status.ExitCode() == 3 {
		return image{}, errNoDebian
	} else if err != nil {
		return image{}, fmt.Errorf("the image: %w", err)
	}
	return image{arch, dir}, nil
}
