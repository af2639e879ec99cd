package fairplay

// The machine's memory is one array, so that an operand of the circuit is an
// address whichever of the arrays of the reference it lies in.
const (
	pSize = 210
	qSize = 20
	rSize = 35
	lSize = 16
	sSize = 21
	gates = 333 // rows of the circuit, each with one result

	pBase = 0
	qBase = pBase + pSize
	rBase = qBase + qSize
	lBase = rBase + rSize
	sBase = lBase + lSize
	vBase = sBase + sSize // results of the gates

	memorySize = vBase + gates
)

// machine is the memory that mash works in.
type machine struct{ cell [memorySize]byte }

func (m *machine) p() []byte { return m.cell[pBase:qBase] }
func (m *machine) q() []byte { return m.cell[qBase:rBase] }
func (m *machine) r() []byte { return m.cell[rBase:lBase] }
func (m *machine) l() []byte { return m.cell[lBase:sBase] }
func (m *machine) s() []byte { return m.cell[sBase:vBase] }
func (m *machine) v() []byte { return m.cell[vBase:] }

// operand says where a gate takes a byte from.
type operand struct {
	kind    operandKind
	value   uint8  // number
	address uint16 // direct: of the cell; indexed: of the cell that holds the index
	base    uint16 // indexed: where the array begins
	size    uint8  // indexed: how long it is
}

type operandKind uint8

const (
	number operandKind = iota
	direct
	indexed
)

// gate is one row of the circuit: its result goes to address out, and to
// store as well where that is not noStore.
type gate struct {
	op         operation
	args       [3]operand
	out, store uint16
}

const noStore = ^uint16(0)

func (m *machine) load(o operand) uint32 {
	switch o.kind {
	case direct:
		return uint32(m.cell[o.address])
	case indexed:
		return uint32(m.cell[o.base+uint16(m.cell[o.address]%o.size)])
	}
	return uint32(o.value)
}

// run passes through the gates once. It is a straight line: only table
// indices depend on data.
func (m *machine) run(circuit []gate) {
	for _, g := range circuit {
		m.step(g)
	}
}

func (m *machine) step(g gate) {
	result := byte(g.op(m, m.load(g.args[0]), m.load(g.args[1]), m.load(g.args[2])))
	m.cell[g.out] = result
	if g.store != noStore {
		m.cell[g.store] = result
	}
}
