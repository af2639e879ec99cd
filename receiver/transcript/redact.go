package transcript

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"aerie/receiver/message"
	"aerie/receiver/rtsp"
)

// Everything is replaced but what is known to be harmless: a new key of a new
// system may hold a password as well as a version.

// Keys of property lists whose texts stay.
var harmlessKeys = set("et type timingProtocol model osName osVersion osBuildVersion sourceVersion audioMode method qualifier " +
	"protocolVersion sourceVersion audioType category state streamType")

// Keys whose texts get a pseudonym of their own kind.
var personalKeys = map[string]string{
	"name": "name", "Device_Name": "name", "deviceID": "device", "macAddress": "device", "SenderMACAddress": "device", "ID": "device",
	"sessionUUID": "uuid", "groupUUID": "uuid", "clientUUID": "uuid", "pi": "uuid", "psi": "uuid", "uuid": "uuid", "gid": "uuid",
	"user": "device", "senderAddress": "address", "Addresses": "address",
}

// Header fields whose values stay.
var harmlessFields = set("cseq content-type content-length user-agent server public range rtp-info session date connection upgrade " +
	"audio-latency audio-jack-status transport x-apple-protocolversion x-apple-et x-apple-hkp x-apple-pd x-apple-vv " +
	"x-apple-purpose x-apple-absolutetime")

// Header fields whose values get a pseudonym of their own kind.
var personalFields = map[string]string{
	"dacp-id": "dacp", "active-remote": "remote", "x-apple-client-name": "name", "x-apple-device-id": "device", "x-apple-session-id": "uuid",
}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}

// headBytes is how much of a body of bytes is kept: the header of a FairPlay
// message, and nothing of a key.
const headBytes = 16

// redactor replaces what is secret or personal.
type redactor struct{ names map[string]string }

// pseudonym returns the name that stands for a personal value: a device id
// keeps its form.
func (r *redactor) pseudonym(kind, value string) string {
	if value == "" {
		return ""
	}
	if r.names == nil {
		r.names = map[string]string{}
	}
	key := kind + "\x00" + value
	if p, ok := r.names[key]; ok {
		return p
	}
	n := len(r.names) + 1
	p := fmt.Sprintf("%s-%d", kind, n)
	switch {
	case kind == "device" && strings.Count(value, ":") == 5:
		p = fmt.Sprintf("02:00:00:00:%02X:%02X", n>>8&0xff, n&0xff)
	case kind == "uuid":
		p = fmt.Sprintf("00000000-0000-4000-8000-%012d", n)
	}
	r.names[key] = p
	return p
}

// target takes addresses out of a target: what stands between the slashes of a
// URL.
func (r *redactor) target(t string) string {
	parts := strings.Split(t, "://")
	for i, p := range parts[1:] {
		_, path, slash := strings.Cut(p, "/")
		parts[i+1] = "receiver"
		if slash {
			parts[i+1] += "/" + path
		}
	}
	return strings.Join(parts, "://")
}

func (r *redactor) header(h rtsp.Header) (out [][2]string) {
	for _, f := range h {
		name, v := strings.ToLower(f.Name), f.Value
		if !harmlessFields[name] {
			v = r.pseudonym(orText(personalFields[name]), v)
		}
		out = append(out, [2]string{f.Name, v})
	}
	return out
}

func orText(kind string) string {
	if kind == "" {
		return "text"
	}
	return kind
}

func (r *redactor) body(contentType string, b []byte) *Body {
	if len(b) == 0 {
		return nil
	}
	out := &Body{Size: len(b)}
	switch {
	case strings.HasPrefix(contentType, "image/") || contentType == rtsp.TypeDMAP:
		// Media, and what somebody listens to.
	case strings.HasPrefix(string(b[:min(len(b), 8)]), "bplist00"):
		if m, err := message.Decode(b); err == nil {
			out.Plist = dictToJSON(r.dict(m))
		}
	case contentType == rtsp.TypeParameters && utf8.Valid(b):
		out.Text = string(b)
	case strings.HasPrefix(contentType, "text/") && utf8.Valid(b):
		// Other texts may name anything.
	default:
		out.Head = hex.EncodeToString(head(b))
	}
	return out
}

// head returns the first bytes of a body if they are the header of a FairPlay
// message or of a pair-verify, which tell the version and the step; nothing
// of others, which begin with keys.
func head(b []byte) []byte {
	switch {
	case len(b) > headBytes && string(b[:4]) == "FPLY":
		return b[:headBytes]
	case len(b) == headBytes && string(b[:4]) == "FPLY":
		return b
	case len(b) == 68:
		return b[:4]
	}
	return nil
}

// dict takes the keys in their order, so that the same conversation gets the
// same pseudonyms whenever it is held.
func (r *redactor) dict(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out[k] = r.value(k, m[k])
	}
	return out
}

func (r *redactor) value(key string, v any) any {
	switch v := v.(type) {
	case []byte:
		return redactData(key, v)
	case string:
		if harmlessKeys[key] {
			return v
		}
		return r.pseudonym(orText(personalKeys[key]), v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = r.value(key, v[i])
		}
		return out
	case map[string]any:
		return r.dict(v)
	case uint64, int64:
		if key == "seed" || personalKeys[key] != "" {
			return int64(0)
		}
	}
	return v
}

// redactData keeps the length of data, and of an ekey its form.
func redactData(key string, v []byte) []byte {
	if strings.HasPrefix(key, "txt") {
		return []byte{} // TXT records name the receiver and its key
	}
	out := make([]byte, len(v))
	if key == "ekey" && len(v) == 72 {
		copy(out[:16], v[:16])
		copy(out[32:36], v[32:36])
	}
	return out
}
