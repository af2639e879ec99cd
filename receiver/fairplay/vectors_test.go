package fairplay

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"os"
	"strconv"
	"testing"
)

// hexBytes is a byte string that JSON holds as hex text; null is nil.
type hexBytes []byte

func (h *hexBytes) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	if text == "" {
		return nil
	}
	var err error
	*h, err = hex.DecodeString(text)
	return err
}

// hexWord is a 32-bit number that JSON holds as hex text.
type hexWord uint32

func (w *hexWord) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint(string(b), 16, 32)
	*w = hexWord(n)
	return err
}

func (w hexWords) words() words {
	return words{uint32(w[0]), uint32(w[1]), uint32(w[2]), uint32(w[3])}
}

type hexWords [4]hexWord

// vectors is testdata/vectors.json: what senders sent and receivers answered,
// with every intermediate value.
type vectors struct {
	Exchanges []exchangeVector
	Foreign   struct {
		exchangeVector
		ReceiverSAP hexBytes `json:"receiver_sap"`
	}
	EndToEnd struct {
		Exchange           string
		SessionKey         hexBytes `json:"session_key"`
		SharedSecret       hexBytes `json:"shared_secret"`
		StreamConnectionID string   `json:"stream_connection_id"`
		Payload            hexBytes `json:"payload_first64"`
		PayloadLength      int      `json:"payload_length"`
		PlaintextFirstWord uint32   `json:"plaintext_first_word"`
	} `json:"end_to_end"`
	Mash      []struct{ Block, Digest hexBytes }
	MashTrace []struct {
		Block       hexBytes
		AfterSpread hexBytes `json:"P_after_spread"`
		Rows        hexBytes
		P           hexBytes `json:"P_after_circuit"`
		Q           hexBytes `json:"Q_after_circuit"`
		R           hexBytes `json:"R_after_circuit"`
		L           hexBytes `json:"L_after_circuit"`
		LAfterFold  hexBytes `json:"L_after_fold"`
		Digest      hexBytes
	} `json:"mash_trace"`
	Traces []struct {
		Exchange  string
		SenderSAP hexBytes `json:"sender_sap"`
		Blocks    []struct {
			Block hexBytes
			MDX   hexWords
			Mash  hexBytes
			After hexWords `json:"state_after"`
		}
		KEK, CK, Key hexBytes
	}
}

type exchangeVector struct {
	ID                        string
	Mode                      byte
	M1, M2, M3, M4, EKey, Key hexBytes
	KEK, CK                   hexBytes
	SenderSAP                 hexBytes `json:"sender_sap"`
	Check                     string   // "valid" or "invalid"
}

func loadVectors(t testing.TB) *vectors {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	v := new(vectors)
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatal(err)
	}
	if len(v.Exchanges) != 35 || len(v.Mash) != 32 || len(v.MashTrace) != 3 || len(v.Traces) != 4 {
		t.Fatalf("%d exchanges, %d mash pairs, %d mash traces, %d traces: not the vectors expected",
			len(v.Exchanges), len(v.Mash), len(v.MashTrace), len(v.Traces))
	}
	return v
}

func (v *vectors) exchange(t testing.TB, id string) exchangeVector {
	t.Helper()
	for _, e := range v.Exchanges {
		if e.ID == id {
			return e
		}
	}
	t.Fatalf("no exchange %q", id)
	return exchangeVector{}
}

// newHandshake returns a Handshake and what it writes to its log.
func newHandshake() (*Handshake, *bytes.Buffer) {
	var log bytes.Buffer
	return New(slog.New(slog.NewTextHandler(&log, nil))), &log
}

func equal(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\n got %x\nwant %x", what, got, want)
	}
}
