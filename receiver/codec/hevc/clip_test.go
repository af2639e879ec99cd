package hevc

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"aerie/receiver/codec/h264"
)

// clips are what x265 is asked for. Each makes it use something else that
// slice headers, order counts or reference pictures depend on; uses tells
// whether a slice has it.
var clips = []struct {
	name, filter, params string
	uses                 func(s *Slice) bool
}{
	{"low delay", "null", "bframes=0:ref=3", func(s *Slice) bool { return s.SliceType == SliceP && s.RefIdxL0 == 3 }},
	{"pyramid", "null", "bframes=4:b-pyramid=1:ref=4:b-adapt=0", func(s *Slice) bool { return s.SliceType == SliceB && s.RefIdxL1 > 1 }},
	{"open GOP", "null", "bframes=4:b-adapt=0:keyint=12:min-keyint=12:open-gop=1", func(s *Slice) bool { return s.Type.isRASL() }},
	{"closed GOP with RADL", "null", "bframes=3:b-adapt=0:keyint=12:min-keyint=12:open-gop=0:radl=2", func(s *Slice) bool { return s.Type.isRADL() }},
	{"weighted prediction", "fade=in:0:20", "bframes=3:weightp=1:weightb=1:b-adapt=0:ref=3", func(s *Slice) bool { return s.Weights.Lists[0][0] != PredWeight{} }},
	{"slices", "null", "bframes=2:slices=3:ctu=32", func(s *Slice) bool { return s.Address > 0 }},
	{"wavefronts", "null", "bframes=2:wpp=1:ctu=16:slices=2", func(s *Slice) bool { return len(s.EntryPoints) > 2 }},
	{"intra refresh", "null", "bframes=0:intra-refresh=1:keyint=10", func(s *Slice) bool { return s.POCLSB > 30 }},
	{"temporal layers", "null", "bframes=7:b-pyramid=1:b-adapt=0:temporal-layers=3", func(*Slice) bool { return true /* if this x265 counts layers so */ }},
	{"filters", "null", "bframes=1:scaling-list=default:deblock=-2,3:cbqpoffs=3:crqpoffs=-2:no-sao=1:tskip=1", func(s *Slice) bool { return s.BetaOffset != 0 && !s.SAOLuma }},
}

// clip is an encoded clip and what its encoder noted of each picture.
type clip struct {
	file   string
	stream []byte
	units  [][]byte // access units
	notes  []note
}

// note is what x265 says of a picture, in the order of the stream. Its order
// counts run through the whole clip.
type note struct {
	poc   int
	lists [2][]int
}

func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed (Debian: apt install ffmpeg)", name)
	}
	return path
}

// encode makes a clip of 40 pictures.
func encode(t *testing.T, filter, params string) *clip {
	t.Helper()
	dir := t.TempDir()
	c := &clip{file: filepath.Join(dir, "clip.265")}
	cmd := exec.Command(tool(t, "ffmpeg"), "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=256x192:rate=30", "-vf", filter, "-frames:v", "40",
		"-c:v", "libx265", "-preset", "fast", "-x265-params", params+":aud=0:csv=notes.csv:csv-log-level=2:log-level=error:pools=1:frame-threads=1", c.file)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		if bytes.Contains(out, []byte("Unknown encoder")) {
			t.Skip("this ffmpeg has no libx265")
		}
		t.Fatalf("%v\n%s", err, out)
	}
	var err error
	if c.stream, err = os.ReadFile(c.file); err != nil {
		t.Fatal(err)
	}
	c.units = accessUnits(c.stream)
	c.notes = readNotes(t, filepath.Join(dir, "notes.csv"))
	if len(c.units) != 40 || len(c.notes) != 40 {
		t.Fatalf("%d access units, %d notes", len(c.units), len(c.notes))
	}
	return c
}

// accessUnits cuts a byte stream where a new picture, or what precedes it,
// begins.
func accessUnits(stream []byte) (units [][]byte) {
	var unit []byte
	slices := false
	for nal := range h264.AnnexB(stream) {
		before := !TypeOf(nal).IsSlice() && TypeOf(nal) != TypeSEISuffix && TypeOf(nal) != TypeEOS && TypeOf(nal) != TypeEOB
		if slices && (before || IsFirstSlice(nal)) {
			units, unit, slices = append(units, unit), nil, false
		}
		unit = h264.AppendAnnexB(unit, nal)
		slices = slices || TypeOf(nal).IsSlice()
	}
	return append(units, unit)
}

func readNotes(t *testing.T, file string) (notes []note) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	column := map[string]int{}
	for lines.Scan() {
		cells := strings.Split(lines.Text(), ",")
		if len(column) == 0 {
			for i, c := range cells {
				column[strings.TrimSpace(c)] = i
			}
			continue
		}
		if len(cells) < column["List 1"] || !strings.Contains(cells[column["Type"]], "SLICE") {
			break // the summary
		}
		var n note
		n.poc, _ = strconv.Atoi(strings.TrimSpace(cells[column["POC"]]))
		for i := range n.lists {
			for _, w := range strings.Fields(cells[column[fmt.Sprintf("List %d", i)]]) {
				if poc, err := strconv.Atoi(w); err == nil {
					n.lists[i] = append(n.lists[i], poc)
				}
			}
		}
		notes = append(notes, n)
	}
	return notes
}

// printed is an element as ffmpeg's trace_headers prints it.
type printed struct {
	bit   int
	value int64
}

// tracedSlice is a slice segment header: its elements by name, and in order.
type tracedSlice struct {
	elements map[string]printed
	names    []string
}

var tracedElement = regexp.MustCompile(`\] (\d+) +(\S+) +[01]+ = (-?\d+)$`)

// traceSlices has ffmpeg print the slice segment headers of a stream.
func traceSlices(t *testing.T, file string) (slices []tracedSlice) {
	t.Helper()
	out, err := exec.Command(tool(t, "ffmpeg"), "-v", "trace", "-f", "hevc", "-i", file, "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-").CombinedOutput()
	if err != nil {
		t.Logf("ffmpeg: %v", err) // a made-up stream ends in an error
	}
	inside := false
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		line := lines.Text()
		if !strings.Contains(line, "trace_headers @") {
			continue
		}
		m := tracedElement.FindStringSubmatch(line)
		switch {
		case strings.HasSuffix(line, "] Slice Segment Header"):
			slices, inside = append(slices, tracedSlice{elements: map[string]printed{}}), true
		case m == nil:
			inside = false
		case inside:
			bit, _ := strconv.Atoi(m[1])
			v, _ := strconv.ParseInt(m[3], 10, 64)
			s := &slices[len(slices)-1]
			s.elements[m[2]] = printed{bit, v}
			s.names = append(s.names, m[2])
		}
	}
	return slices
}

var pocLine = regexp.MustCompile(`\[hevc @ (\S+)\] (Decoded|Output) frame with POC (-?\d+)\.`)

// decodedOrder has libavcodec decode a stream, and returns the order counts of
// the pictures in the order in which it decodes and shows them.
func decodedOrder(t *testing.T, file string) (decoded, shown []int) {
	t.Helper()
	out, err := exec.Command(tool(t, "ffmpeg"), "-v", "debug", "-threads", "1", "-f", "hevc", "-i", file, "-f", "null", "-").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	all := pocLine.FindAllSubmatch(out, -1)
	for _, m := range all {
		if !bytes.Equal(m[1], all[len(all)-1][1]) {
			continue // the decoder that looked at the beginning
		}
		poc, _ := strconv.Atoi(string(m[3]))
		if string(m[2]) == "Decoded" {
			decoded = append(decoded, poc)
		} else {
			shown = append(shown, poc)
		}
	}
	return decoded, shown
}
