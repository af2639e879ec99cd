package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// GPIO is a chip of gpio-sim made for a test.
type GPIO struct {
	tb    testing.TB
	lines []string
	dir   string // of its lines in sysfs
}

// Lines makes a GPIO chip whose lines have the names given. It goes with the
// test.
func Lines(tb testing.TB, names ...string) *GPIO {
	tb.Helper()
	Need(tb)
	g := &GPIO{tb: tb, lines: names}
	top := "/sys/kernel/config/gpio-sim/" + strings.ReplaceAll(tb.Name(), "/", "-")
	bank := top + "/bank0"
	made := []string{top, bank}
	for _, d := range made {
		g.must(os.Mkdir(d, 0o755))
	}
	g.write(bank+"/num_lines", fmt.Sprint(len(names)))
	for i, name := range names {
		d := fmt.Sprintf("%s/line%d", bank, i)
		g.must(os.Mkdir(d, 0o755))
		made = append(made, d)
		g.write(d+"/name", name)
	}
	g.write(top+"/live", "1")
	g.dir = filepath.Join("/sys/devices/platform", g.read(top+"/dev_name"), g.read(bank+"/chip_name"))
	tb.Cleanup(func() {
		g.write(top+"/live", "0")
		for i := len(made) - 1; i >= 0; i-- {
			os.Remove(made[i])
		}
	})
	return g
}

func (g *GPIO) must(err error) {
	g.tb.Helper()
	if err != nil {
		g.tb.Fatal(err)
	}
}

func (g *GPIO) write(path, text string) {
	g.tb.Helper()
	g.must(os.WriteFile(path, []byte(text), 0o644))
}

func (g *GPIO) read(path string) string {
	g.tb.Helper()
	b, err := os.ReadFile(path)
	g.must(err)
	return strings.TrimSpace(string(b))
}

// file is a file of a line.
func (g *GPIO) file(line, name string) string {
	for i, l := range g.lines {
		if l == line {
			return fmt.Sprintf("%s/sim_gpio%d/%s", g.dir, i, name)
		}
	}
	g.tb.Fatalf("no line %s", line)
	return ""
}

// Level reads the level of a line, as an instrument would.
func (g *GPIO) Level(line string) bool {
	g.tb.Helper()
	return g.read(g.file(line, "value")) == "1"
}

// Pull pulls a line up, or down as a button to ground does.
func (g *GPIO) Pull(line string, up bool) {
	g.tb.Helper()
	pull := "pull-down"
	if up {
		pull = "pull-up"
	}
	g.write(g.file(line, "pull"), pull)
}
