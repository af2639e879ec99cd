package fairplay

import "testing"

// TestTraces compares all blocks and states of the derivation of four KEKs.
func TestTraces(t *testing.T) {
	vectors := loadVectors(t)
	for _, v := range vectors.Traces {
		sender := [sapSize]byte(v.SenderSAP)
		blocks := textBlocks(kekPrefix, kekSuffix, &sender, &fixed().receiverSAP)
		state := initialWords
		for n, want := range v.Blocks {
			equal(t, v.Exchange+" block", blocks[n][:], want.Block)
			sum := mash(&blocks[n])
			equal(t, v.Exchange+" mash", sum[:], want.Mash)
			bent := mdx(state, &blocks[n], swap)
			if bent != want.MDX.words() {
				t.Errorf("%s: mdx of block %d = %x, want %x", v.Exchange, n, bent, want.MDX)
			}
			state = bent.plus(mashWords(&blocks[n]))
			if state != want.After.words() {
				t.Errorf("%s: state after block %d = %x, want %x", v.Exchange, n, state, want.After)
			}
		}
		kek, ck := keyEncryptionKey(&sender, &fixed().receiverSAP), checkKey(&sender, &fixed().receiverSAP)
		equal(t, v.Exchange+" KEK", kek[:], v.KEK)
		equal(t, v.Exchange+" CK", ck[:], v.CK)
	}
}

// TestSecrets compares both secrets of all exchanges.
func TestSecrets(t *testing.T) {
	for _, v := range loadVectors(t).Exchanges {
		sender := [sapSize]byte(v.SenderSAP)
		kek, ck := keyEncryptionKey(&sender, &fixed().receiverSAP), checkKey(&sender, &fixed().receiverSAP)
		equal(t, v.ID+" KEK", kek[:], v.KEK)
		equal(t, v.ID+" CK", ck[:], v.CK)
	}
}

// TestExchangesWithEqualIndices shows what both exchanges make of indices
// that coincide.
func TestExchangesWithEqualIndices(t *testing.T) {
	var start [16]uint32
	for i := range start {
		start[i] = uint32(i)
	}

	m := start
	swap(&m, 0x0001, 0x0002, 0x0002, 0x0001) // 1-2, 2-1, then 0-0 three times
	if m != start {
		t.Errorf("swapping there and back gives %v", m)
	}

	m = start
	cycle(&m, 0x55, 0x55, 0x55, 0x75) // 5 5 5 5 5 5 5 7
	want := start
	want[5], want[7] = 7, 5
	if m != want {
		t.Errorf("cycling 5 5 5 5 5 5 5 7 gives %v, want %v", m, want)
	}
}
