package fairplay

import (
	"crypto/aes"
	"crypto/subtle"
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

func TestSenderSAP(t *testing.T) {
	for _, v := range loadVectors(t).Exchanges {
		sap := senderSAP((*[m3Size]byte)(v.M3))
		equal(t, v.ID, sap[:], v.SenderSAP)
	}
}

// TestReceiverSAP shows that the SAP of every reply is the one the receiver
// computes with.
func TestReceiverSAP(t *testing.T) {
	for mode := range modeCount {
		sap := decryptSAP(byte(mode), &fixed().encryptedSAP[mode])
		equal(t, "SAP in m2", sap[:], fixed().receiverSAP[:])
	}
}

// TestDecryptBlockIsAES compares the block function with crypto/aes under
// round keys that the AES key expansion made (FIPS 197 appendix A.1).
func TestDecryptBlockIsAES(t *testing.T) {
	var keys [rounds + 1][16]byte
	for n, text := range []string{
		"2b7e151628aed2a6abf7158809cf4f3c", "a0fafe1788542cb123a339392a6c7605",
		"f2c295f27a96b9435935807a7359f67f", "3d80477d4716fe3e1e237e446d7a883b",
		"ef44a541a8525b7fb671253bdb0bad00", "d4d1c6f87c839d87caf2b8bc11f915bc",
		"6d88a37a110b3efddbf98641ca0093fd", "4e54f70e5f5fc9f384a64fb24ea6dc4f",
		"ead27321b58dbad2312bf5607f8d292f", "ac7766f319fadc2128d12941575c006e",
		"d014f9a8c9ee2589e13f0cc8b6630ca6",
	} {
		mustDecode(keys[n][:], text)
	}
	library, err := aes.NewCipher(keys[0][:])
	if err != nil {
		t.Fatal(err)
	}
	random := rand.NewChaCha8([32]byte{1})
	for range 1000 {
		var block, want [16]byte
		random.Read(block[:])
		library.Decrypt(want[:], block[:])
		got := decryptBlock(&keys, block)
		equal(t, "block", got[:], want[:])
	}
}

// TestInvSBox compares corners of the table with FIPS 197 figure 14 and shows
// that it is a permutation.
func TestInvSBox(t *testing.T) {
	box := invSBox()
	equal(t, "first row", box[:16], unhex(t, "52096ad53036a538bf40a39e81f3d7fb"))
	equal(t, "last row", box[240:], unhex(t, "172b047eba77d626e169146355210c7d"))
	var seen [256]byte
	for _, b := range box {
		seen[b]++
	}
	for b, n := range seen {
		if n != 1 {
			t.Errorf("%02x stands in the table %d times", b, n)
		}
	}
}

// TestEncryptedByCBC shows that changing one block of the message garbles
// that block and flips the same bits of the next, as CBC does.
func TestEncryptedByCBC(t *testing.T) {
	before := fixed().encryptedSAP[2]
	after := before
	after[16] ^= 0x40
	a, b := decryptSAP(2, &before), decryptSAP(2, &after)
	var difference [sapSize]byte
	subtle.XORBytes(difference[:], a[:], b[:])
	want := [sapSize]byte{32: 0x40}
	copy(want[16:32], difference[16:32])
	if difference != want || difference[16] == 0 && difference[17] == 0 && difference[18] == 0 {
		t.Errorf("difference %x", difference)
	}
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
