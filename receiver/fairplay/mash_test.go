package fairplay

import (
	"strings"
	"testing"
)

func TestMash(t *testing.T) {
	for _, v := range loadVectors(t).Mash {
		got := mash((*[64]byte)(v.Block))
		equal(t, "mash", got[:], v.Digest)
	}
}

// TestMashTrace compares the memory after each stage and the result of every
// single gate.
func TestMashTrace(t *testing.T) {
	for _, v := range loadVectors(t).MashTrace {
		m := newMachine()
		m.fill((*[64]byte)(v.Block))
		m.spread()
		equal(t, "P after spread", m.p(), v.AfterSpread)
		for row, g := range circuit() {
			m.step(g)
			if got := m.v()[row]; got != v.Rows[row] {
				t.Fatalf("row %d gives %02x, want %02x", row, got, v.Rows[row])
			}
		}
		equal(t, "P after circuit", m.p(), v.P)
		equal(t, "Q after circuit", m.q(), v.Q)
		equal(t, "R after circuit", m.r(), v.R)
		equal(t, "L after circuit", m.l(), v.L)
		m.fold()
		equal(t, "L after fold", m.l(), v.LAfterFold)
		m.finish()
		equal(t, "digest", m.l(), v.Digest)
	}
}

// TestCircuitDivisors shows that no gate can divide by zero: divisors are
// numbers in the table.
func TestCircuitDivisors(t *testing.T) {
	for line := range strings.Lines(circuitText) {
		f := strings.Fields(line)
		op := f[1]
		if op != "div" && op != "adv" && op != "mdv" {
			continue
		}
		divisor, err := parseOperand(f[1+operations[op].arity], 0)
		if err != nil || divisor.kind != number || divisor.value == 0 {
			t.Errorf("row %q has no constant divisor", line)
		}
	}
}

func TestParseCircuitRejects(t *testing.T) {
	for _, row := range []string{
		"", "0", "1 mov P0", "0 nop P0", "0 mov", "0 mov P0 P1", "0 mov P210", "0 mov Q20", "0 mov R35", "0 mov S21",
		"0 mov L16", "0 mov v0", "0 mov #100", "0 mov #", "0 mov X1", "0 mov P[#01]", "0 mov P[P1", "0 mov Q[Q[P1]]",
		"0 mov X[P1]", "0 mov P-1", "0 mov P0 > S0", "0 mov P0 > #01", "0 mov P0 > P[P0]", "0 mov P0 >",
	} {
		if _, err := parseGate(0, strings.Fields(row)); err == nil {
			t.Errorf("row %q was accepted", row)
		}
	}
	if _, err := parseCircuit("0 mov P0\n"); err == nil {
		t.Error("a circuit of one row was accepted")
	}
}

func BenchmarkParseCircuit(b *testing.B) {
	for b.Loop() {
		if _, err := parseCircuit(circuitText); err != nil {
			b.Fatal(err)
		}
	}
}
