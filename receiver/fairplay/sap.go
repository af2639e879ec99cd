package fairplay

import (
	"crypto/subtle"
	"math/bits"
	"sync"
)

// rounds is the number of rounds of AES-128.
const rounds = 10

// senderSAP decrypts the sender's contribution in m3, whose mode must have
// been checked: AES-128 in CBC mode, except that the round keys are constants
// rather than the output of the AES key expansion, which no library offers
// (FairPlay reference section 3).
func senderSAP(m3 *[m3Size]byte) [sapSize]byte {
	return decryptSAP(m3[12], (*[sapSize]byte)(m3[16:16+sapSize]))
}

func decryptSAP(mode byte, encrypted *[sapSize]byte) (sap [sapSize]byte) {
	keys, previous := &fixed().roundKeys[mode], fixed().iv[mode]
	for n := 0; n < sapSize; n += 16 {
		block := [16]byte(encrypted[n:])
		plain := decryptBlock(keys, block)
		subtle.XORBytes(sap[n:n+16], plain[:], previous[:])
		previous = block
	}
	return sap
}

// decryptBlock is the inverse cipher of FIPS 197 section 5.3 with the given
// round keys. Byte i of the state is in row i%4 and column i/4.
func decryptBlock(keys *[rounds + 1][16]byte, state [16]byte) [16]byte {
	addRoundKey(&state, &keys[rounds])
	for n := rounds - 1; n > 0; n-- {
		state = invShiftAndSubstitute(&state)
		addRoundKey(&state, &keys[n])
		state = invMixColumns(&state)
	}
	state = invShiftAndSubstitute(&state)
	addRoundKey(&state, &keys[0])
	return state
}

func addRoundKey(state, key *[16]byte) { subtle.XORBytes(state[:], state[:], key[:]) }

// invShiftAndSubstitute is InvShiftRows, which turns row r right by r
// columns, followed by InvSubBytes.
func invShiftAndSubstitute(state *[16]byte) (out [16]byte) {
	box := invSBox()
	for i, b := range state {
		row, column := i%4, i/4
		out[4*((column+row)%4)+row] = box[b]
	}
	return out
}

func invMixColumns(state *[16]byte) (out [16]byte) {
	for i := range out {
		column, row := i&^3, i%4
		for k, factor := range [4]byte{0x0e, 0x0b, 0x0d, 0x09} {
			out[i] ^= multiply(factor, state[column+(row+k)%4])
		}
	}
	return out
}

// multiply is the product in GF(2^8) modulo x^8+x^4+x^3+x+1 (FIPS 197 section
// 4.2).
func multiply(a, b byte) (product byte) {
	for ; a != 0; a >>= 1 {
		if a&1 != 0 {
			product ^= b
		}
		overflow := b >> 7
		b = b<<1 ^ overflow*0x1b
	}
	return product
}

// invSBox is the inverse of the AES S-box, made from its definition: the
// inverse in GF(2^8) followed by an affine map (FIPS 197 section 5.1.1).
var invSBox = sync.OnceValue(func() *[256]byte {
	box := new([256]byte)
	box[0x63] = 0 // zero has no inverse and is mapped to itself
	const generator, inverseGenerator = 0x03, 0xf6
	power, inverse := byte(1), byte(1)
	for range 255 {
		s := inverse
		for n := 1; n <= 4; n++ {
			s ^= bits.RotateLeft8(inverse, n)
		}
		box[s^0x63] = power
		power, inverse = multiply(generator, power), multiply(inverseGenerator, inverse)
	}
	return box
})
