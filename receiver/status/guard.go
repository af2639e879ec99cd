package status

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// maxBody bounds the body of a request.
const maxBody = 4 << 10

// headers go with every answer. Scripts, styles and connections are the
// server's own only; blob: is what a <video> has for a MediaSource.
var headers = map[string]string{
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
		"media-src blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
		"require-trusted-types-for 'script'",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy":           "camera=(), microphone=(), geolocation=(), usb=()",
	"Referrer-Policy":              "no-referrer",
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
	"Cache-Control":                "no-store",
}

// guard refuses what does not come from a page or a program of this server's
// own. A page of another site cannot read answers, for there is no CORS; but
// its site's name may be made to point here (DNS rebinding), so the Host
// header must be one that only this machine can have.
func guard(next http.Handler, hosts []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		switch {
		case !ownHost(r.Host, hosts):
			http.Error(w, "This server goes by its IP address or by a name in .local.", http.StatusMisdirectedRequest)
		case foreign(r):
			http.Error(w, "Pages of other sites are not answered.", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// ownHost tells whether a Host header is one that nobody else can have.
func ownHost(host string, names []string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return true
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || strings.HasSuffix(name, ".local") ||
		name != "" && slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// SettingsPath is below what the settings are.
const SettingsPath = "/settings/"

// portal leads phones in the access point to the page there. A phone that joins
// a network asks a well-known name for a well-known answer; in the access point
// every name is the receiver's, and another answer than the expected one has the
// phone open the page. Nothing is told: the answer is the same to everybody.
func portal(next http.Handler, hosts []string, where func() string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if where != nil && r.Method == http.MethodGet && !ownHost(r.Host, hosts) {
			if to := where(); to != "" {
				w.Header().Set("Cache-Control", "no-store")
				http.Redirect(w, r, to, http.StatusFound)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// foreign tells whether a browser says that a page of another site has made
// the request, other than by a link to one of the pages.
func foreign(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	if site == "cross-site" || site == "same-site" {
		return r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.URL.Path != "/" && r.URL.Path != SettingsPath
	}
	return false
}
