// Package metric counts and measures what the receiver does, for the status
// page, the JSON status and Prometheus.
//
// Counters, gauges and histograms are plain values that live where they are
// updated; updating one takes no lock and allocates nothing, so a frame can
// pass through a dozen of them. A Set gathers them under the names by which
// Prometheus knows them.
//
// Proof: metric_test.go checks quantiles against exact ones, the exposition
// text against golden text, and zero allocations.
package metric

import (
	"math"
	"sync/atomic"
)

// Counter counts events; it only grows.
type Counter struct{ v atomic.Uint64 }

// Add adds n.
func (c *Counter) Add(n uint64) { c.v.Add(n) }

// Inc adds one.
func (c *Counter) Inc() { c.v.Add(1) }

// Value returns the count.
func (c *Counter) Value() uint64 { return c.v.Load() }

// Gauge is a value that goes up and down, in the unit its name says.
type Gauge struct{ bits atomic.Uint64 }

// Set replaces the value.
func (g *Gauge) Set(v float64) { g.bits.Store(math.Float64bits(v)) }

// Value returns the value; 0 before the first Set.
func (g *Gauge) Value() float64 { return math.Float64frombits(g.bits.Load()) }
