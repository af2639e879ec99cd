// Package buildroot holds the tree from which Buildroot makes the image of the
// card; see docs/image.md. There is no Go in it but this test.
//
// Proof: buildroot_test.go checks what can be without Buildroot: that the files
// agree with each other, with the units and with the firmware's limits, and
// that a card is made of what would have been built. Whether the configurations
// fit Buildroot, "make image-check BUILDROOT=DIR" says.
package buildroot

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// lines are those of a file that say something.
func lines(t *testing.T, name string) (out []string) {
	t.Helper()
	for line := range strings.Lines(read(t, name)) {
		line = strings.TrimSpace(line)
		if unset := strings.HasSuffix(line, " is not set"); line != "" && (line[0] != '#' || unset) {
			out = append(out, line)
		}
	}
	return out
}

// first is what a pattern finds in a file.
func first(t *testing.T, name, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(read(t, name))
	if m == nil {
		t.Fatalf("%s has nothing like %s", name, pattern)
	}
	return m[1]
}

var boards = []string{"pi3", "pi4", "pi5"}

func defconfig(board string) string { return "configs/aerie_" + board + "_defconfig" }

// What Buildroot itself says of these configurations, it says by image-check.
func TestDefconfigs(t *testing.T) {
	t.Log("whether every option survives in Buildroot is for: make image-check BUILDROOT=DIR")
	names, err := filepath.Glob("configs/*")
	if err != nil || len(names) != len(boards) {
		t.Fatalf("%q, %v", names, err)
	}
	// What a board may have of its own.
	own := regexp.MustCompile(`BR2_cortex_|KERNEL_DEFCONFIG|KERNEL_CONFIG_FRAGMENT|INTREE_DTS|RPI_FIRMWARE_(BOOTCODE|VARIANT|CONFIG)`)
	path := regexp.MustCompile(`\$\(BR2_EXTERNAL_AERIE_PATH\)/([^" ]+)`)
	var common []string
	for _, board := range boards {
		var shared []string
		seen := map[string]bool{}
		for _, line := range lines(t, defconfig(board)) {
			if !regexp.MustCompile(`^(BR2_\w+=(y|[0-9]+|".*")|# BR2_\w+ is not set)$`).MatchString(line) {
				t.Errorf("%s: %q is no option", board, line)
			}
			name := regexp.MustCompile(`BR2_\w+`).FindString(line)
			if seen[name] {
				t.Errorf("%s: %s is there twice", board, name)
			}
			seen[name] = true
			for _, m := range path.FindAllStringSubmatch(line, -1) {
				if _, err := os.Stat(m[1]); err != nil {
					t.Errorf("%s: %v", board, err)
				}
			}
			if !own.MatchString(line) {
				shared = append(shared, line)
			}
		}
		if common == nil {
			common = shared
		}
		if !slices.Equal(common, shared) {
			t.Errorf("%s differs from %s in what is not the board's", board, boards[0])
		}
		for name := range seen {
			if regexp.MustCompile(`AVAHI|MDNS|SYSTEMD_NETWORKD`).MatchString(name) {
				t.Errorf("%s: %s", board, name)
			}
		}
	}
}

// The firmware cuts lines of config.txt after 98 characters, and reads the whole
// command line from the first one of its file.
func TestFirmwareFiles(t *testing.T) {
	for _, board := range boards {
		name := "board/aerie/config_" + board + ".txt"
		value := map[string]string{}
		for _, line := range lines(t, name) {
			if len(line) > 98 {
				t.Errorf("%s: a line of %d characters", name, len(line))
			}
			k, v, ok := strings.Cut(line, "=")
			if _, twice := value[k]; !ok || twice && k != "dtoverlay" && k != "dtparam" {
				t.Errorf("%s: %q", name, line)
			}
			value[k] += v + " "
		}
		if !strings.Contains(value["dtoverlay"], "vc4-kms-v3d,cma-") || !strings.Contains(value["dtparam"], "watchdog=on") || value["kernel"] != "Image " {
			t.Errorf("%s: %q", name, value)
		}
		// Only the full start files decode H.264, and only with memory.
		config := read(t, defconfig(board))
		start := map[string]string{"pi3": "start.elf ", "pi4": "start4.elf "}[board]
		if value["start_file"] != start || start != "" && value["gpu_mem"] != "128 " {
			t.Errorf("%s: starts %q with %q MB", name, value["start_file"], value["gpu_mem"])
		}
		for variant, file := range map[string]string{"VARIANT_PI=y": "start.elf ", "VARIANT_PI4=y": "start4.elf "} {
			if strings.Contains(config, variant) != (start == file) {
				t.Errorf("%s and %s in its configuration", name, variant)
			}
		}
		if strings.Contains(config, "BOOTCODE_BIN=y") != (board == "pi3") {
			t.Errorf("%s: bootcode.bin is what a Pi 3 begins with", board)
		}
	}
	cmdline := read(t, "board/aerie/cmdline.txt")
	if strings.Count(cmdline, "\n") != 1 || len(cmdline) > 1024 {
		t.Errorf("the command line: %q", cmdline)
	}
	// It finds the root where genimage puts it.
	signature := first(t, "board/aerie/genimage.cfg.in", `disk-signature = 0x([0-9a-f]{8})`)
	if !strings.Contains(cmdline, "root=PARTUUID="+signature+"-02 rootfstype=squashfs ro ") {
		t.Errorf("the command line %q does not find the second partition of %s", cmdline, signature)
	}
	for _, board := range boards {
		if !strings.Contains(read(t, defconfig(board)), "BR2_TARGET_ROOTFS_SQUASHFS=y") {
			t.Errorf("%s: the root is not the command line's", board)
		}
	}
}

// The kernel's options are each there once.
func TestKernelFragment(t *testing.T) {
	seen := map[string]bool{}
	for _, line := range lines(t, "board/aerie/linux.fragment") {
		name := regexp.MustCompile(`^(?:# )?(CONFIG_\w+)(?:=[ym]| is not set)$`).FindStringSubmatch(line)
		if name == nil || seen[name[1]] {
			t.Errorf("%q", line)
			continue
		}
		seen[name[1]] = true
	}
}

// What this tree repeats from others is what it is there.
func TestAgreement(t *testing.T) {
	const genimage, ffmpeg = "board/aerie/genimage.cfg.in", "../receiver/codec/ffmpeg/"
	fstab := read(t, "../systemd/fstab")
	for _, label := range regexp.MustCompile(`\tlabel = "([^"]+)"`).FindAllStringSubmatch(read(t, genimage), -1) {
		if !strings.Contains(fstab, "LABEL="+label[1]+" ") {
			t.Errorf("the units mount nothing that is called %s", label[1])
		}
	}
	version, sum := first(t, ffmpeg+"source.sh", `ffmpeg_version=(\S+)`), first(t, ffmpeg+"source.sh", `ffmpeg_sha256=(\S+)`)
	if got := first(t, "package/aerie-ffmpeg/aerie-ffmpeg.mk", `AERIE_FFMPEG_VERSION = (\S+)`); got != version {
		t.Errorf("FFmpeg %s and %s", got, version)
	}
	if hash := read(t, "package/aerie-ffmpeg/aerie-ffmpeg.hash"); !strings.Contains(hash, sum+"  ffmpeg-"+version+".tar.xz\n") {
		t.Errorf("the checksum of FFmpeg %s is not %s", version, sum)
	}
	tags := strings.ReplaceAll(first(t, ffmpeg+"env.sh", `variable AERIE_TAGS (\S+)`), ",", " ")
	if got := first(t, "package/aerie/aerie.mk", `AERIE_TAGS = (.*)`); got != tags {
		t.Errorf("tags %q and %q", got, tags)
	}
	groups := first(t, "../systemd/aerie.service", `SupplementaryGroups=(.*)`)
	if got := first(t, "package/aerie/aerie.mk", `/data/aerie - (\S+) Aerie`); got != strings.ReplaceAll(groups, " ", ",") {
		t.Errorf("groups %s and %s", got, groups)
	}
}

// Scripts are understood by their shells.
func TestScripts(t *testing.T) {
	found := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text := read(t, path)
		shell := "sh"
		switch {
		case strings.HasPrefix(text, "#!/usr/bin/env bash\n"), path == "release.sh":
			shell = "bash"
		case !strings.HasPrefix(text, "#!/bin/sh\n"):
			return nil
		}
		found++
		if out, err := exec.Command(shell, "-n", path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
		if info, err := d.Info(); err != nil || path != "release.sh" && info.Mode()&0o111 == 0 {
			t.Errorf("%s cannot be run (%v)", path, err)
		}
		if _, err := exec.LookPath("shellcheck"); err == nil {
			if out, err := exec.Command("shellcheck", "-x", "-s", shell, path).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", path, err, out)
			}
		}
		return nil
	})
	if err != nil || found < 5 {
		t.Errorf("%d scripts, %v", found, err)
	}
}

// Buildroot's "systemctl preset-all" leaves off what is to be off, and takes
// the rest in.
func TestPresets(t *testing.T) {
	systemctl, err := exec.LookPath("systemctl")
	if err != nil {
		t.Skip("systemctl is not here (Debian: apt install systemd)")
	}
	root := t.TempDir()
	if err := os.CopyFS(root, os.DirFS("board/aerie/rootfs-overlay")); err != nil {
		t.Fatal(err)
	}
	units := filepath.Join(root, "usr/lib/systemd/system")
	if err := os.MkdirAll(units, 0o755); err != nil {
		t.Fatal(err)
	}
	other := "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
	if err := os.WriteFile(filepath.Join(units, "other.service"), []byte(other), 0o644); err != nil {
		t.Fatal(err)
	}
	getty := "[Service]\nExecStart=/sbin/agetty\n[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n"
	if err := os.WriteFile(filepath.Join(units, "getty@.service"), []byte(getty), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(systemctl, "--root="+root, "preset-all").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := os.Lstat(filepath.Join(root, "etc/systemd/system/getty.target.wants/getty@tty1.service")); err == nil {
		t.Error("there is a login on the console")
	}
	if _, err := os.Lstat(filepath.Join(root, "etc/systemd/system/multi-user.target.wants/other.service")); err != nil {
		t.Error(err)
	}
}
