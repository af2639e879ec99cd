package transcript

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// JSON has fewer types than property lists. Strings and booleans are
// themselves; integers are {"int": "decimal"}, because JSON's numbers lose the
// low bits of 64; reals are numbers; data is {"data": "hex"}.

// toJSON turns a value of a property list into one of JSON.
func toJSON(v any) any {
	switch v := v.(type) {
	case string, bool, float64:
		return v
	case float32:
		return float64(v)
	case []byte:
		return map[string]any{"data": hex.EncodeToString(v)}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = toJSON(v[i])
		}
		return out
	case map[string]any:
		return map[string]any{"dict": dictToJSON(v)}
	case time.Time:
		return v.Format(time.RFC3339)
	}
	return map[string]any{"int": fmt.Sprint(v)}
}

func dictToJSON(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = toJSON(v)
	}
	return out
}

// fromJSON is the inverse of toJSON; what it does not know it refuses.
func fromJSON(v any) (any, error) {
	switch v := v.(type) {
	case string, bool, float64:
		return v, nil
	case []any:
		out := make([]any, len(v))
		for i := range v {
			e, err := fromJSON(v[i])
			if err != nil {
				return nil, err
			}
			out[i] = e
		}
		return out, nil
	case map[string]any:
		return wrapped(v)
	}
	return nil, fmt.Errorf("transcript: a %T in a property list", v)
}

func wrapped(v map[string]any) (any, error) {
	if text, ok := v["data"].(string); ok && len(v) == 1 {
		return hex.DecodeString(text)
	}
	if text, ok := v["int"].(string); ok && len(v) == 1 {
		if n, err := json.Number(text).Int64(); err == nil {
			return n, nil
		}
		var u uint64
		_, err := fmt.Sscan(text, &u)
		return u, err
	}
	if d, ok := v["dict"].(map[string]any); ok && len(v) == 1 {
		return dictFromJSON(d)
	}
	return nil, fmt.Errorf("transcript: a value that is none of int, data and dict")
}

func dictFromJSON(m map[string]any) (map[string]any, error) {
	out := make(map[string]any, len(m))
	for k, v := range m {
		e, err := fromJSON(v)
		if err != nil {
			return nil, fmt.Errorf("%w (key %q)", err, k)
		}
		out[k] = e
	}
	return out, nil
}
