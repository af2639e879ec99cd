package metric

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Set is a list of metrics under the names by which Prometheus knows them.
// The values live elsewhere: the set holds pointers, or functions that tell a
// value when it is asked for, and reads them in WritePrometheus.
//
// Names follow the conventions of Prometheus: lower case, the unit at the
// end, "_total" behind a counter. Labels are given as pairs of name and
// value. Metrics that share a name must be of one type; their labels tell
// them apart. A name that is not valid, or taken, is a mistake in the program,
// and registering it panics.
//
// The zero value is an empty set. It is safe for concurrent use.
type Set struct {
	mu       sync.Mutex
	families []*family
}

// A family is the metrics of one name.
type family struct {
	name, help, kind string
	series           []series
}

// A series is one metric: a value or, if value is nil, a histogram.
type series struct {
	labels    string // as they stand between braces
	value     func() float64
	histogram *Histogram
}

// Counter registers a counter.
func (s *Set) Counter(name, help string, c *Counter, labels ...string) {
	s.add(name, help, "counter", series{value: func() float64 { return float64(c.Value()) }}, labels)
}

// CounterFunc registers a value that only grows.
func (s *Set) CounterFunc(name, help string, value func() float64, labels ...string) {
	s.add(name, help, "counter", series{value: value}, labels)
}

// Gauge registers a gauge.
func (s *Set) Gauge(name, help string, g *Gauge, labels ...string) {
	s.add(name, help, "gauge", series{value: g.Value}, labels)
}

// GaugeFunc registers a value that goes up and down.
func (s *Set) GaugeFunc(name, help string, value func() float64, labels ...string) {
	s.add(name, help, "gauge", series{value: value}, labels)
}

// Histogram registers a histogram, which is written in seconds.
func (s *Set) Histogram(name, help string, h *Histogram, labels ...string) {
	s.add(name, help, "histogram", series{histogram: h}, labels)
}

func (s *Set) add(name, help, kind string, added series, labels []string) {
	if !validName(name, ":") {
		panic(fmt.Sprintf("metric: name %q is not valid", name))
	}
	added.labels = joinLabels(name, labels)
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.families, func(f *family) bool { return f.name == name })
	if i < 0 {
		s.families = append(s.families, &family{name: name, help: help, kind: kind})
		i = len(s.families) - 1
	}
	f := s.families[i]
	if f.kind != kind || slices.ContainsFunc(f.series, func(o series) bool { return o.labels == added.labels }) {
		panic(fmt.Sprintf("metric: %s %s{%s} is registered twice", kind, name, added.labels))
	}
	f.series = append(f.series, added)
}

// validName tells whether a name consists of letters, digits, underscores and
// the extra characters, and does not begin with a digit.
func validName(name, extra string) bool {
	for i, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && !strings.ContainsRune(extra, rune(c)) && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

var escapeLabel = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

func joinLabels(metric string, pairs []string) string {
	if len(pairs)%2 != 0 {
		panic(fmt.Sprintf("metric: %s has a label without a value", metric))
	}
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		if !validName(pairs[i], "") {
			panic(fmt.Sprintf("metric: label %q of %s is not valid", pairs[i], metric))
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(pairs[i] + `="` + escapeLabel.Replace(pairs[i+1]) + `"`)
	}
	return b.String()
}

// PrometheusType is the media type of what WritePrometheus writes.
const PrometheusType = "text/plain; version=0.0.4; charset=utf-8"

// WritePrometheus writes all metrics in the order in which they were
// registered, in the text format 0.0.4 of Prometheus' exposition formats. The
// only errors are those of w.
func (s *Set) WritePrometheus(w io.Writer) error {
	s.mu.Lock()
	var b bytes.Buffer
	for _, f := range s.families {
		f.write(&b)
	}
	s.mu.Unlock()
	_, err := w.Write(b.Bytes())
	return err
}

var escapeHelp = strings.NewReplacer(`\`, `\\`, "\n", `\n`)

func (f *family) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", f.name, escapeHelp.Replace(f.help), f.name, f.kind)
	for _, s := range f.series {
		if s.histogram != nil {
			f.writeHistogram(b, s.labels, s.histogram)
			continue
		}
		writeSample(b, f.name, s.labels, s.value())
	}
}

// The bounds of the buckets in the exposition, every power of two from 16 µs
// to 2.1 s: they are ends of the histogram's own buckets, so the counts are
// exact.
const (
	firstBound = 1024 << 4
	lastBound  = 1024 << 21
)

// writeHistogram writes cumulative buckets, sum and count. Observations may
// be made meanwhile: the count is never less than what the buckets hold.
func (f *family) writeHistogram(b *bytes.Buffer, labels string, h *Histogram) {
	comma := ""
	if labels != "" {
		comma = ","
	}
	var n uint64
	for bound := time.Duration(firstBound); bound <= lastBound; bound *= 2 {
		n = max(n, h.CountBelow(bound))
		le := strconv.FormatFloat(bound.Seconds(), 'g', -1, 64)
		writeSample(b, f.name+"_bucket", labels+comma+`le="`+le+`"`, float64(n))
	}
	n = max(n, h.Count())
	writeSample(b, f.name+"_bucket", labels+comma+`le="+Inf"`, float64(n))
	writeSample(b, f.name+"_sum", labels, h.Sum().Seconds())
	writeSample(b, f.name+"_count", labels, float64(n))
}

// writeSample writes one line. FormatFloat spells infinities and NaN as the
// format wants them.
func writeSample(b *bytes.Buffer, name, labels string, v float64) {
	b.WriteString(name)
	if labels != "" {
		b.WriteString("{" + labels + "}")
	}
	b.WriteByte(' ')
	if v == float64(int64(v)) {
		b.WriteString(strconv.FormatInt(int64(v), 10))
	} else {
		b.WriteString(strconv.FormatFloat(v, 'g', -1, 64))
	}
	b.WriteByte('\n')
}
