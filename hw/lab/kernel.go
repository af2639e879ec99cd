package main

import (
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// sibling is where a prebuilt kernel may lie, relative to the repository.
const sibling = "../shared/lab/out/x86_64"

// kernel is a kernel image and its modules.
type kernel struct {
	image   string // bzImage
	modules string // directory that holds lib/modules/VERSION
}

// findKernel takes the kernel that is there, or builds one; progress of the
// build goes to log.
func findKernel(log io.Writer) (kernel, error) {
	k, err := readyKernel()
	if err == nil || os.Getenv("AERIE_LAB_KERNEL") != "" {
		return k, err
	}
	return buildKernel(log)
}

// readyKernel takes the kernel the user names, else the sibling's, else one
// that an earlier run has built.
func readyKernel() (kernel, error) {
	if dir := os.Getenv("AERIE_LAB_KERNEL"); dir != "" {
		k, err := openKernel(dir)
		if err != nil {
			err = fmt.Errorf("AERIE_LAB_KERNEL: %w", err)
		}
		return k, err
	}
	var places []string
	if root, err := moduleRoot(); err == nil {
		places = append(places, filepath.Join(root, sibling))
	}
	if cache, err := cacheDir(); err == nil {
		for _, s := range series {
			places = append(places, builtDir(cache, s))
		}
	}
	for _, dir := range places {
		if k, err := openKernel(dir); err == nil {
			return k, nil
		}
	}
	return kernel{}, errors.New("no lab kernel has been built yet")
}

// openKernel checks that dir is laid out as a kernel's build leaves it.
func openKernel(dir string) (kernel, error) {
	k := kernel{image: filepath.Join(dir, "bzImage"), modules: filepath.Join(dir, "root")}
	if _, err := os.Stat(k.image); err != nil {
		return k, err
	}
	versions, err := filepath.Glob(filepath.Join(k.modules, "lib", "modules", "*", "modules.dep"))
	if err == nil && len(versions) == 0 {
		err = fmt.Errorf("%s/lib/modules holds no modules.dep", k.modules)
	}
	return k, err
}

// moduleRoot is the folder of the go.mod above the present directory.
func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if mod == "" || mod == os.DevNull {
		return "", errors.New("run it inside the repository: no go.mod above this directory")
	}
	return filepath.Dir(mod), nil
}

//go:embed kernel
var recipe embed.FS

// series are the kernels there is a configuration for, the preferred first.
// Debian has the source of the first in trixie-backports, of the second in
// trixie and in bookworm's security archive. The older one's vkms has no NV12
// planes and no connector that can be unplugged; tests say so and skip.
var series = []string{"7.3", "6.12"}

// builtDir is where the kernel of a series is kept.
func builtDir(cache, series string) string {
	return filepath.Join(cache, "lab-"+series+"-"+recipeHash(series))
}

// buildKernel builds the newest series Debian's archive offers this machine.
func buildKernel(log io.Writer) (kernel, error) {
	cache, err := cacheDir()
	if err != nil {
		return kernel{}, err
	}
	for _, s := range series {
		dir := builtDir(cache, s)
		pkg := "linux-source-" + s
		if exec.Command("apt-cache", "show", pkg).Run() != nil {
			continue
		}
		if err := runRecipe(s, pkg, dir, log); err != nil {
			return kernel{}, err
		}
		return openKernel(dir)
	}
	return kernel{}, fmt.Errorf("no lab kernel: set AERIE_LAB_KERNEL to one, or let apt offer the package linux-source-%s (apt-get update?)",
		strings.Join(series, " or linux-source-"))
}

// runRecipe runs kernel/build.sh, about ten minutes on two cores.
func runRecipe(series, pkg, dir string, log io.Writer) error {
	tmp, err := os.MkdirTemp("", "lab-kernel.")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.CopyFS(tmp, recipe); err != nil {
		return err
	}
	fmt.Fprintf(log, "lab: building the kernel of %s once, into %s\n", pkg, dir)
	in := filepath.Join(tmp, "kernel")
	cmd := exec.Command("bash", filepath.Join(in, "build.sh"), pkg, filepath.Join(in, series+".config"), dir)
	cmd.Dir, cmd.Stdout, cmd.Stderr = tmp, log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build the kernel of %s: %w", pkg, err)
	}
	return nil
}

// recipeHash changes when the kernel would.
func recipeHash(series string) string {
	h := sha256.New()
	for _, name := range []string{"kernel/build.sh", "kernel/" + series + ".config"} {
		b, err := recipe.ReadFile(name)
		if err != nil {
			panic(err) // it is part of this program
		}
		h.Write(b)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:6])
}

// cacheDir is where things worth keeping between runs are.
func cacheDir() (string, error) {
	if dir := os.Getenv("AERIE_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("set AERIE_CACHE: %w", err)
	}
	return filepath.Join(dir, "aerie"), nil
}
