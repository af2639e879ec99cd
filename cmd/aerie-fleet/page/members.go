package page

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"

	"aerie/cmd/aerie-fleet/enrolment"
	"aerie/receiver/fleet/content"
)

// errNoAuthority is returned where another instance has the authority.
var errNoAuthority = errors.New("page: this instance does not enrol devices; ask the one with the broker")

func (s *Server) enrolment(*http.Request) (any, error) {
	e := s.o.Enrolment
	if e == nil {
		return nil, errNoAuthority
	}
	codes, err := e.Codes()
	if err != nil {
		return nil, err
	}
	members, err := e.Members()
	// The table of devices shows them; here it is enough how many there are.
	return struct {
		Codes   []enrolment.Code    `json:"codes"`
		Waiting []enrolment.Waiting `json:"waiting"`
		Members int                 `json:"members"`
	}{codes, e.Waiting(), len(members)}, err
}

func (s *Server) issue(r *http.Request) (any, error) {
	var order struct{ Note string }
	if err := read(r, &order); err != nil {
		return nil, err
	}
	if s.o.Enrolment == nil {
		return nil, errNoAuthority
	}
	s.o.Log.Info("page: a code was issued", "from", r.RemoteAddr)
	return s.o.Enrolment.Issue(order.Note)
}

func (s *Server) admit(r *http.Request) (any, error) {
	var order struct{ Device, Code string }
	if err := read(r, &order); err != nil {
		return nil, err
	}
	if s.o.Enrolment == nil {
		return nil, errNoAuthority
	}
	return struct{}{}, s.o.Enrolment.Admit(order.Device, order.Code)
}

func (s *Server) revoke(r *http.Request) (any, error) {
	if s.o.Enrolment == nil {
		return nil, errNoAuthority
	}
	return struct{}{}, s.o.Enrolment.Revoke(r.PathValue("id"))
}

// maxBundle bounds a diagnostics bundle in bytes.
const maxBundle = 16 << 20

// diagnostics fetches a bundle piece by piece.
func (s *Server) diagnostics(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	bundle, name, err := s.fetch(ctx, r.PathValue("id"))
	if err != nil {
		answerWith(func(*http.Request) (any, error) { return nil, err })(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.Header().Set("Content-Length", strconv.Itoa(len(bundle)))
	w.Write(bundle)
}

func (s *Server) fetch(ctx context.Context, id string) (all []byte, name string, err error) {
	for {
		argument, err := json.Marshal(content.Part{Offset: len(all)})
		if err != nil {
			return nil, "", fmt.Errorf("page: %w", err)
		}
		result, err := s.o.Fleet.Call(ctx, id, content.MethodDiagnostics, argument)
		if err != nil {
			return nil, "", err
		}
		var part content.Bundle
		if result.Status != http.StatusOK || json.Unmarshal(result.Payload, &part) != nil {
			return nil, "", fmt.Errorf("page: the device answers %d: %.200s", result.Status, result.Payload)
		}
		// The device says how much there is; it need not be true.
		if part.Offset != len(all) || len(part.Data) == 0 || part.Size > maxBundle || len(all)+len(part.Data) > part.Size {
			return nil, "", errors.New("page: the device's bundle makes no sense")
		}
		all = append(all, part.Data...)
		if len(all) < part.Size {
			continue
		}
		if sum := sha256.Sum256(all); hex.EncodeToString(sum[:]) != part.SHA256 {
			return nil, "", errors.New("page: the device's bundle arrived damaged")
		}
		return all, fileName(id, part.Name), nil
	}
}

// fileName is a name that harms no header and no file system.
func fileName(id, name string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '_'
	}, path.Base(name))
	if len(clean) > 80 {
		clean = clean[len(clean)-80:]
	}
	return id + "-" + clean
}
