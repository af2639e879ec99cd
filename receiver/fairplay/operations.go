package fairplay

import "math/bits"

// An operation computes the result of a gate from up to three operands, each
// below 256. Of the result only the lower eight bits count; inside, sums and
// products keep all of theirs.
type operation func(m *machine, a, b, c uint32) uint32

// operations are those of the circuit by name, with their number of operands
// (FairPlay reference section 6.3).
var operations = map[string]struct {
	arity int
	eval  operation
}{
	"mov": {1, func(_ *machine, a, _, _ uint32) uint32 { return a }},
	"add": {2, func(_ *machine, a, b, _ uint32) uint32 { return a + b }},
	"sub": {2, func(_ *machine, a, b, _ uint32) uint32 { return a - b }},
	"mul": {2, func(_ *machine, a, b, _ uint32) uint32 { return a * b }},
	"and": {2, func(_ *machine, a, b, _ uint32) uint32 { return a & b }},
	"or":  {2, func(_ *machine, a, b, _ uint32) uint32 { return a | b }},
	"xor": {2, func(_ *machine, a, b, _ uint32) uint32 { return a ^ b }},
	"not": {1, func(_ *machine, a, _, _ uint32) uint32 { return ^a }},
	"shl": {2, func(_ *machine, a, n, _ uint32) uint32 { return a << n }},
	"shr": {2, func(_ *machine, a, n, _ uint32) uint32 { return a >> n }},
	"div": {2, func(_ *machine, a, n, _ uint32) uint32 { return a / n }},
	"adv": {3, func(_ *machine, a, b, n uint32) uint32 { return (a + b) / n }},
	"mdv": {3, func(_ *machine, a, b, n uint32) uint32 { return a * b / n }},
	"cub": {1, func(_ *machine, a, _, _ uint32) uint32 { return a * a * a }},
	"cbh": {1, func(_ *machine, a, _, _ uint32) uint32 { return a * a * a / 2 }},
	"maj": {3, func(_ *machine, a, b, c uint32) uint32 { return a&b | a&c | b&c }},
	"sel": {3, func(_ *machine, mask, a, b uint32) uint32 { return mask&a | ^mask&b }},
	"rlz": {2, func(_ *machine, a, n, _ uint32) uint32 { return rotate(a, int(n%8)) }},
	"rrz": {2, func(_ *machine, a, n, _ uint32) uint32 { return rotate(a, -int(n%8)) }},
	"wrs": {2, wideRotateSubstitute},
}

// rotate turns the byte a left by n bits, -8 < n < 8, but gives 0 for n = 0.
func rotate(a uint32, n int) uint32 {
	if n == 0 {
		return 0
	}
	return uint32(bits.RotateLeft8(byte(a), n))
}

// wideRotateSubstitute looks up S at a rotated left by n modulo 8, where the
// bits that leave at the top stay in the index; a rotation by 0 gives S[0].
func wideRotateSubstitute(m *machine, a, n, _ uint32) uint32 {
	n %= 8
	if n == 0 {
		return uint32(m.s()[0])
	}
	return uint32(m.s()[(a<<n+a>>(8-n))%sSize])
}
