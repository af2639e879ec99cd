package buildroot

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"aerie/receiver/config"
)

// A card is made of files that stand for those that would have been built: the
// firmware's, a kernel and a root.
func TestCard(t *testing.T) {
	for program, pkg := range map[string]string{"genimage": "genimage", "mkfs.vfat": "dosfstools", "mcopy": "mtools", "sfdisk": "fdisk", "mke2fs": "e2fsprogs"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed (Debian: apt install %s)", program, pkg)
		}
	}
	images, build := t.TempDir(), t.TempDir()
	for name, content := range map[string]string{
		"Image": "kernel", "rootfs.squashfs": strings.Repeat("root", 300_000), "bcm2711-rpi-4-b.dtb": "tree",
		"rpi-firmware/config.txt": read(t, "board/aerie/config_pi4.txt"), "rpi-firmware/cmdline.txt": read(t, "board/aerie/cmdline.txt"),
		"rpi-firmware/start4.elf": "start", "rpi-firmware/overlays/vc4-kms-v3d.dtbo": "overlay",
	} {
		path := filepath.Join(images, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	top, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("board/aerie/post-image.sh", images)
	cmd.Env = append(os.Environ(), "BUILD_DIR="+build, "BR2_EXTERNAL_AERIE_PATH="+top)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := func(name string, args ...string) string {
		t.Helper()
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	card := filepath.Join(images, "aerie.img")
	table := strings.Join(strings.Fields(run("sfdisk", "--dump", card)), " ")
	for _, want := range []string{"label-id: 0x41455249", "type=c, bootable", "img2 : start= 198656, size= 4096, type=83", "img3 : start= 202752, size= 131072, type=83"} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in %s", want, table)
		}
	}

	// What the firmware and people find on it.
	boot := card + "@@1M"
	if listing := run("mdir", "-i", boot, "-/", "-b", "::"); !strings.Contains(listing, "/overlays/vc4-kms-v3d.dtbo") || !strings.Contains(listing, "/bcm2711-rpi-4-b.dtb") ||
		!strings.Contains(listing, "/Image") || !strings.Contains(listing, "/start4.elf") {
		t.Errorf("on the card:\n%s", listing)
	}
	if label := run("mlabel", "-i", boot, "-s", "::"); !strings.Contains(label, "AERIE-BOOT") {
		t.Errorf("the label: %s", label)
	}
	settings := filepath.Join(build, "aerie.toml")
	run("mcopy", "-i", boot, "::aerie.toml", settings)
	var c, want config.Config
	c, want = *config.Default(), *config.Default()
	c.Appliance()
	want.Appliance()
	if err := c.ReadFile(settings); err != nil || string(c.File()) != string(want.File()) {
		t.Errorf("the settings on the card change something: %v", err)
	}
	if text := read(t, settings); !strings.Contains(text, "\n#ssid = \"\"\n") || strings.Contains(text, "\nssid") {
		t.Error("the settings on the card are not ready to be filled in")
	}
	if info := run("dumpe2fs", "-h", filepath.Join(images, "data.ext4")); !strings.Contains(info, "aerie-data") {
		t.Errorf("the data: %s", info)
	}
}
