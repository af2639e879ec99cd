package stamp

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// driver runs stamp.js in Node. Its arguments are files of grey samples named
// WIDTHxHEIGHT; it prints what find and read at place make of each.
const driver = `
import {readFileSync} from "node:fs"
import {basename} from "node:path"
import {find, read, place} from "./stamp.mjs"
const results = process.argv.slice(2).map(file => {
  const [width, height] = basename(file).split("x").map(s => parseInt(s))
  const grey = readFileSync(file)
  const data = new Uint8ClampedArray(4 * width * height)
  grey.forEach((v, i) => data.fill(v, 4 * i, 4 * i + 3))
  const image = {width, height, data}
  const at = place(width, height)
  return {found: find(image), read: at && read(image, at), at}
})
console.log(JSON.stringify(results))
`

type scriptStamp struct{ Frame, Time uint64 }

type scriptPlace struct{ X, Y, Width, Height float64 }

// near allows for processors that fuse multiplications and additions.
func (p scriptPlace) near(g Geometry) bool {
	return max(math.Abs(p.X-g.X), math.Abs(p.Y-g.Y), math.Abs(p.Width-g.CellWidth), math.Abs(p.Height-g.CellHeight)) < 1e-9
}

type scriptResult struct {
	Found *struct {
		Stamp scriptStamp
		At    scriptPlace
	}
	Read *scriptStamp
	At   *scriptPlace
}

// TestScript compares what stamp.js makes of pictures with what this package
// makes of them.
func TestScript(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed: it runs the script under test")
	}
	original := picture(1920, 1080, someStamp)
	small := scaled(original, 444, 250)
	planes := []Plane{
		original,
		picture(1170, 2532, Stamp{1, MaxTime}),
		picture(160, 120, Stamp{}),
		scaled(original, 1000, 400),
		small,
		blurred(small, 3),
		mapped(small, func(v float64) float64 { return 10 + v/5 }),
		mapped(small, func(v float64) float64 { return 255 - v }),    // none
		mapped(small, func(v float64) float64 { return 100 + v/20 }), // none
		{make([]byte, 100*50), 100, 100, 50},                         // none, no room
	}
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("stamp.mjs", Script)
	args := []string{write("driver.mjs", []byte(driver))}
	for i, p := range planes {
		args = append(args, write(fmt.Sprintf("%dx%dx%d", p.Width, p.Height, i), p.Pix))
	}
	cmd := exec.Command(node, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var results []scriptResult
	if err := json.Unmarshal(out, &results); err != nil || len(results) != len(planes) {
		t.Fatalf("%d results, %v", len(results), err)
	}
	for i, p := range planes {
		t.Run(fmt.Sprintf("%d, %dx%d", i, p.Width, p.Height), func(t *testing.T) { check(t, p, results[i]) })
	}
}

func check(t *testing.T, p Plane, got scriptResult) {
	place := Place(p.Width, p.Height)
	if (got.At != nil) != (place != Geometry{}) || got.At != nil && !got.At.near(place) {
		t.Errorf("place %+v, want %+v", got.At, place)
	}
	s, ok := Read(p, place)
	if (got.Read != nil) != ok || ok && *got.Read != (scriptStamp{uint64(s.Frame), s.Time}) {
		t.Errorf("read %+v, want %v %+v", got.Read, ok, s)
	}
	s, g, ok := Find(p)
	if (got.Found != nil) != ok {
		t.Fatalf("found %+v, want %v %+v", got.Found, ok, s)
	}
	if ok && (got.Found.Stamp != scriptStamp{uint64(s.Frame), s.Time} || !got.Found.At.near(g)) {
		t.Errorf("found %+v, want %+v at %+v", got.Found, s, g)
	}
}
