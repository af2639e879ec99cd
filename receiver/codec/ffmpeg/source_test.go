// Package ffmpeg holds the scripts that build the FFmpeg libraries which
// aerie/receiver/codec links; see build.sh. There is no Go in it but this test.
//
// Proof: source_test.go has the scripts read apt's two kinds of sources, as
// Debian, a cloud image and a machine with foreign repositories have them, and
// refuse a tarball that is not the one meant; that the libraries are right is
// proven by the tests of aerie/receiver/codec.
package ffmpeg

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestDebianURIs(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"Debian 13": {map[string]string{"sources.list.d/debian.sources": `
Types: deb
URIs: http://mirror.example/debian/
Suites: trixie trixie-updates trixie-backports
Components: main non-free-firmware
Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp

# The other archive.
Types: deb deb-src
URIs: https://security.example/debian-security
Suites: trixie-security
Components: main`}, `
http://mirror.example/debian/ trixie
http://mirror.example/debian/ trixie-updates
https://security.example/debian-security trixie-security`},
		"Debian 12, one line": {map[string]string{"sources.list": `
# deb http://commented.example/debian bookworm main
deb http://mirror.example/debian bookworm main contrib # the mirror
deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example/debian bookworm-updates main
deb-src http://security.example/security bookworm-security main
deb cdrom:[Debian GNU/Linux 12]/ bookworm main
`}, `
http://mirror.example/debian trixie
http://mirror.example/debian trixie-updates
http://security.example/security trixie-security`},
		"cloud image": {map[string]string{"sources.list.d/debian.sources": `
Types: deb
URIs: mirror+file:/etc/apt/mirrors/debian.list
Suites: bookworm
 bookworm-updates
Components: main
`}, `
mirror+file:/etc/apt/mirrors/debian.list trixie
mirror+file:/etc/apt/mirrors/debian.list trixie-updates`},
		"foreign": {map[string]string{
			"sources.list.d/a.list": "deb [signed-by=/etc/apt/keyrings/a.gpg] https://a.example/debian bookworm main\n" +
				"deb https://docker.example/linux/debian bookworm stable\n" +
				"deb https://pg.example/apt bookworm-pgdg main\ndeb https://ubuntu.example/ubuntu noble main\n",
			"sources.list.d/b.sources": "Types: deb\nURIs: https://b.example/x\nSuites: nodistro\nComponents: main\n\n" +
				"Types: deb\nURIs: https://c.example/debian\nSuites: bookworm\nComponents: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n",
			"sources.list.d/off.sources": "Enabled: no\nTypes: deb\nURIs: https://d.example/debian\nSuites: bookworm\nComponents: main\n",
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			etc := t.TempDir()
			if err := os.Mkdir(filepath.Join(etc, "sources.list.d"), 0o700); err != nil {
				t.Fatal(err)
			}
			for file, text := range c.files {
				if err := os.WriteFile(filepath.Join(etc, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command("bash", "-euo", "pipefail", "-c", "here=$PWD; . ./source.sh; debian_uris trixie")
			cmd.Env = append(os.Environ(), "AERIE_APT_ETC="+etc)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if got, want := strings.TrimSpace(string(out)), strings.TrimSpace(c.want); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestForeignTarball has no Debian mirror, and another file at ffmpeg.org.
func TestForeignTarball(t *testing.T) {
	bin, dir := t.TempDir(), t.TempDir()
	for tool, script := range map[string]string{
		"apt-get": "exit 100",
		"curl":    `while [ "$1" != --output ]; do shift; done; echo garbage >"$2"`,
	} {
		if err := os.WriteFile(filepath.Join(bin, tool), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("bash", "-euo", "pipefail", "-c",
		`here=$PWD; say() { echo "$*"; }; die() { say "$*"; exit 1; }; . ./source.sh; obtain_source "$1"`, "bash", dir)
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "does not have the pinned checksum") || !strings.Contains(string(out), "put one at "+dir) {
		t.Errorf("%v\n%s", err, out)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
