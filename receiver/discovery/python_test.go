package discovery

import (
	"os/exec"
	"strings"
	"testing"
)

// python returns the interpreter that has python3-zeroconf.
func python(t *testing.T) string {
	t.Helper()
	const debian = "/usr/bin/python3" // another one on the path may lack Debian's modules
	if err := exec.Command(debian, "-c", "import zeroconf").Run(); err != nil {
		t.Skipf("python3-zeroconf is not installed (apt-get install python3-zeroconf): %v", err)
	}
	return debian
}

// An independent implementation resolves both services with everything in
// them, on a machine that has nothing but the loopback.
func TestPythonFindsUs(t *testing.T) {
	if !alone(t) {
		return
	}
	py := python(t)
	a := announceTV(t, "Living Room", "AA:BB:CC:A1:B2:C3", 7000)
	waitAnnounced(t, a)
	for _, s := range []struct {
		typ, instance string
		txt           []string
	}{
		{TypeAirPlay, "Living Room", identityTXT},
		{TypeRAOP, "AABBCCA1B2C3@Living Room", raopTXT},
	} {
		out := run(t, py, "testdata/zeroconf_peer.py", "browse", s.typ, s.instance)
		for _, want := range append([]string{"server aerie-a1b2c3.local.", "port 7000", "address 127.0.0.1"}, prefixed("txt ", s.txt)...) {
			if !strings.Contains(out, want+"\n") {
				t.Errorf("%s: %q is missing:\n%s", s.typ, want, out)
			}
		}
	}
}

func prefixed(prefix string, list []string) (out []string) {
	for _, s := range list {
		out = append(out, prefix+s)
	}
	return out
}

// A name that it holds is left to it.
func TestPythonConflict(t *testing.T) {
	if !alone(t) {
		return
	}
	cmd := exec.Command(python(t), "testdata/zeroconf_peer.py", "hold", TypeAirPlay, "Living Room")
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out := spawn(t, cmd)
	eventually(t, "registered", func() bool { return strings.Contains(out.String(), "registered") })
	a := announceTV(t, "Living Room", "AA:BB:CC:A1:B2:C3", 7000)
	if st := waitAnnounced(t, a); st.Name != "Living Room (2)" {
		t.Errorf("status %+v", st)
	}
}
