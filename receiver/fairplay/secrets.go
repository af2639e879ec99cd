package fairplay

import (
	"crypto/sha1"
	"encoding/binary"
)

// words is the state of the two derivations.
type words [4]uint32

func (w words) plus(x words) words {
	for i := range w {
		w[i] += x[i]
	}
	return w
}

// initialWords is where both derivations start (FairPlay reference section 4).
var initialWords = words{0xb9f3dcdc, 0xfbdc740b, 0x60f77f86, 0x51907216}

// What stands before and after the two SAPs in the text of each derivation
// (FairPlay reference section 4).
const (
	kekPrefix = "\xfa\x9c\xad\x4d\x4b\x68\x26\x8c\x7f\xf3\x88\x99\xde\x92\x2e\x95\x1e"
	kekSuffix = "\xec\x4e\x27\x5e\xfd\xf2\xe8\x30\x97\xae\x70\xfb\xe0\x00\x3f\x1c\x39"
	ckPrefix  = "\xa0\x44\x9c\x4d\x09\xe4\xbd\x7f\x6e\xc5\xd0\xcc\x35\x9d\xa7\x46\x7a"
	ckSuffix  = "\x97\xb5\x0f\x84\xe2\x15\x5a\x9c\x24\x99\x1c\xf4\x3a\x09\x63\x55\x47"
)

// keyEncryptionKey derives the AES key that the session key is encrypted with.
func keyEncryptionKey(sender, receiver *[sapSize]byte) (kek [keySize]byte) {
	state := initialWords
	for _, block := range textBlocks(kekPrefix, kekSuffix, sender, receiver) {
		state = mdx(state, &block, swap).plus(mashWords(&block))
	}
	putWords(kek[:], state)
	return kek
}

// checkKey derives the HMAC key of the check value in an ekey.
func checkKey(sender, receiver *[sapSize]byte) (ck [sha1.Size]byte) {
	state := initialWords
	blocks := textBlocks(ckPrefix, ckSuffix, sender, receiver)
	for _, block := range blocks {
		state = mdx(state.plus(mashWords(&block)), &block, cycle)
	}
	binary.BigEndian.PutUint32(ck[:], state[0])
	putWords(ck[4:], mdx(state, &blocks[len(blocks)-1], cycle))
	return ck
}

// textBlocks returns prefix, both SAPs and suffix with the padding of MD5
// (RFC 1321 section 3), cut into blocks.
func textBlocks(prefix, suffix string, sender, receiver *[sapSize]byte) (blocks [5][64]byte) {
	text := make([]byte, 0, len(blocks)*64)
	text = append(text, prefix...)
	text = append(text, sender[:]...)
	text = append(text, receiver[:]...)
	text = append(text, suffix...)
	bitCount := 8 * uint64(len(text))
	text = append(text, 0x80)
	text = binary.LittleEndian.AppendUint64(text[:cap(text)-8], bitCount)
	for n := range blocks {
		copy(blocks[n][:], text[64*n:])
	}
	return blocks
}

// mashWords is the result of mash read as little-endian words.
func mashWords(block *[64]byte) (w words) {
	sum := mash(block)
	for i := range w {
		w[i] = binary.LittleEndian.Uint32(sum[4*i:])
	}
	return w
}

// putWords writes w to b, big-endian.
func putWords(b []byte, w words) {
	for i, v := range w {
		binary.BigEndian.PutUint32(b[4*i:], v)
	}
}
