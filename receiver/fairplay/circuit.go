package fairplay

import (
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// circuitText is the table of FairPlay reference section 6.3, one gate a
// line: row, operation, operands and, after a ">", a cell that takes the
// result as well. An operand is a number (#hh), a cell (P12), the result of
// an earlier row (v41), or the cell of Q, R or S that a cell or a result
// points at (Q[P12], S[v41]).
//
//go:embed circuit.txt
var circuitText string

// circuit parses the table at first use.
var circuit = sync.OnceValue(func() []gate {
	c, err := parseCircuit(circuitText)
	if err != nil {
		panic(err) // the table is part of this package: the first test finds it
	}
	return c
})

func parseCircuit(text string) ([]gate, error) {
	var circuit []gate
	for line := range strings.Lines(text) {
		g, err := parseGate(len(circuit), strings.Fields(line))
		if err != nil {
			return nil, fmt.Errorf("fairplay: circuit row %q: %w", strings.TrimSpace(line), err)
		}
		circuit = append(circuit, g)
	}
	if len(circuit) != gates {
		return nil, fmt.Errorf("fairplay: circuit of %d rows, want %d", len(circuit), gates)
	}
	return circuit, nil
}

// parseGate parses the fields of one row.
func parseGate(row int, fields []string) (g gate, err error) {
	if len(fields) < 2 || fields[0] != strconv.Itoa(row) || row >= gates {
		return g, fmt.Errorf("not row %d", row)
	}
	g.out, g.store = uint16(vBase+row), noStore
	args := fields[2:]
	if n := len(args); n >= 2 && args[n-2] == ">" {
		cell, err := parseOperand(args[n-1], 0)
		if err != nil || cell.kind != direct || cell.address >= sBase {
			return g, fmt.Errorf("bad cell %q", args[n-1])
		}
		g.store, args = cell.address, args[:n-2]
	}
	op, ok := operations[fields[1]]
	if !ok || op.arity != len(args) {
		return g, fmt.Errorf("no operation %q of %d operands", fields[1], len(args))
	}
	g.op = op.eval
	for i, arg := range args {
		if g.args[i], err = parseOperand(arg, row); err != nil {
			return g, err
		}
	}
	return g, nil
}

// arrays are the parts of the memory by the letter that names them.
var arrays = map[string]struct{ base, size uint16 }{
	"P": {pBase, pSize}, "Q": {qBase, qSize}, "R": {rBase, rSize}, "L": {lBase, lSize}, "S": {sBase, sSize},
}

// parseOperand parses one operand of the given row, which may refer to the
// results of the rows before it.
func parseOperand(s string, row int) (operand, error) {
	if array, index, ok := strings.Cut(s, "["); ok {
		return parseIndexed(array, index, row)
	}
	if s == "" {
		return operand{}, errors.New("empty operand")
	}
	letter, base := s[0], 10
	if letter == '#' {
		base = 16
	}
	n, err := strconv.ParseUint(s[1:], base, 16)
	array, known := arrays[s[:1]]
	switch {
	case err != nil:
	case letter == '#' && n < 256:
		return operand{kind: number, value: uint8(n)}, nil
	case letter == 'v' && n < uint64(row):
		return operand{kind: direct, address: vBase + uint16(n)}, nil
	case known && n < uint64(array.size):
		return operand{kind: direct, address: array.base + uint16(n)}, nil
	}
	return operand{}, fmt.Errorf("bad operand %q", s)
}

// parseIndexed parses what follows the bracket of an indexed operand.
func parseIndexed(name, rest string, row int) (operand, error) {
	array, known := arrays[name]
	inner, closed := strings.CutSuffix(rest, "]")
	index, err := parseOperand(inner, row)
	if !known || !closed || err != nil || index.kind != direct {
		return operand{}, fmt.Errorf("bad operand \"%s[%s\"", name, rest)
	}
	return operand{kind: indexed, address: index.address, base: array.base, size: uint8(array.size)}, nil
}
