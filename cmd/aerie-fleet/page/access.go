package page

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// headers go with every answer. Scripts, styles and connections are the
// server's own only.
var headers = map[string]string{
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Referrer-Policy":              "no-referrer",
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
	"Cache-Control":                "no-store",
}

const (
	cookieName = "aerie-fleet"
	// marker has to be there in requests that change anything; a page of
	// another site cannot send it.
	marker    = "X-Aerie"
	loginLife = 12 * time.Hour
)

// localKey marks connections over the local socket.
type localKey struct{}

func local(ctx context.Context, c net.Conn) context.Context {
	if c.LocalAddr().Network() == "unix" {
		return context.WithValue(ctx, localKey{}, true)
	}
	return ctx
}

// owner lets the owner in.
func (s *Server) owner(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Context().Value(localKey{}) != nil:
		case s.bearer(r):
		case !s.session(r):
			http.Error(w, `{"error":"sign in first"}`, http.StatusUnauthorized)
			return
		case r.Method != http.MethodGet && r.Header.Get(marker) == "":
			http.Error(w, `{"error":"pages of other sites are not answered"}`, http.StatusForbidden)
			return
		}
		next(w, r)
	})
}

func (s *Server) bearer(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && s.isToken(token)
}

func (s *Server) isToken(token string) bool {
	a, b := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(s.o.Token))
	return s.o.Token != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// A session is its end, in Unix seconds, and a proof that the token was known. So
// a new token ends all of them, and none have to be kept.
func (s *Server) sign(end string) string {
	mac := hmac.New(sha256.New, []byte(s.o.Token))
	mac.Write([]byte("aerie-fleet session " + end))
	return end + "." + hex.EncodeToString(mac.Sum(nil))
}

func (s *Server) session(r *http.Request) bool {
	c, err := r.Cookie(cookieName)
	if err != nil || s.o.Token == "" {
		return false
	}
	end, _, _ := strings.Cut(c.Value, ".")
	at, err := strconv.ParseInt(end, 10, 64)
	return err == nil && s.o.Now().Unix() < at && hmac.Equal([]byte(c.Value), []byte(s.sign(end)))
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	var order struct{ Token string }
	switch {
	case !s.logins.ok(s.o.Now()):
		http.Error(w, `{"error":"too many attempts; try again in a few seconds"}`, http.StatusTooManyRequests)
	case r.Header.Get(marker) == "" || read(r, &order) != nil:
		http.Error(w, `{"error":"a token is wanted"}`, http.StatusBadRequest)
	case !s.isToken(strings.TrimSpace(order.Token)):
		s.o.Log.Warn("page: a wrong token", "from", r.RemoteAddr)
		http.Error(w, `{"error":"this is not the owner's token"}`, http.StatusForbidden)
	default:
		s.setCookie(w, r, s.sign(strconv.FormatInt(s.o.Now().Add(loginLife).Unix(), 10)), int(loginLife/time.Second))
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	s.setCookie(w, r, "", -1)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) setCookie(w http.ResponseWriter, r *http.Request, value string, age int) {
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode})
}

// limiter lets through a few attempts a second.
type limiter struct {
	mu sync.Mutex
	at int64
	n  int
}

func (l *limiter) ok(now time.Time) bool {
	const perSecond = 5
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Unix() != l.at {
		l.at, l.n = now.Unix(), 0
	}
	l.n++
	return l.n <= perSecond
}
