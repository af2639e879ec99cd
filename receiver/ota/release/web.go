package release

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// WebOptions say how a Web asks.
type WebOptions struct {
	// Insecure allows http:// too: for a house's own server. The signature
	// protects all the same, but anybody on the way can see and hold up updates.
	Insecure bool
	// Roots are the authorities to trust instead of the system's.
	Roots *x509.CertPool
	// Now and Built are for tests: the clock, and what it must have passed.
	Now   func() time.Time
	Built time.Time

	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Bounds on what a server may do before the first byte of a file. Its time is
// bounded by the context.
const (
	maxRedirects = 3
	maxHeader    = 16 << 10 // bytes
	// One address that does not answer leaves time for the next one.
	dialTime = 15 * time.Second
)

// Web is a folder of an HTTPS server.
type Web struct {
	base   *url.URL
	client *http.Client
}

// NewWeb makes a source of the folder at an address.
func NewWeb(address string, o WebOptions) (*Web, error) {
	base, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, fmt.Errorf("release: %w", err)
	case base.Scheme != "https" && !(base.Scheme == "http" && o.Insecure):
		return nil, fmt.Errorf("release: %w: %.80q", ErrInsecure, base.Redacted())
	case base.Hostname() == "" || base.Opaque != "" || base.RawQuery != "" || base.Fragment != "":
		return nil, fmt.Errorf("release: %.80q is not the address of a folder", base.Redacted())
	}
	o.Built = cmp.Or(o.Built, Built())
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.dial == nil {
		o.dial = (&net.Dialer{Timeout: dialTime}).DialContext
	}
	transport := &http.Transport{
		Proxy:          http.ProxyFromEnvironment,
		DialContext:    o.dial,
		DialTLSContext: (&tlsDialer{o}).dial,
		// A compressed answer could grow without end, and has no ranges.
		DisableCompression:     true,
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: maxHeader,
		Protocols:              new(http.Protocols),
	}
	transport.Protocols.SetHTTP1(true)
	return &Web{base, &http.Client{Transport: transport, CheckRedirect: redirect(base.Scheme)}}, nil
}

// redirect follows few redirections, and none to where the conversation could
// be listened to, unless it can be anyway.
func redirect(scheme string) func(*http.Request, []*http.Request) error {
	return func(to *http.Request, via []*http.Request) error {
		switch {
		case len(via) > maxRedirects:
			return final{fmt.Errorf("more than %d redirections", maxRedirects)}
		case to.URL.Scheme != "https" && to.URL.Scheme != scheme:
			return final{fmt.Errorf("%w: redirected to %.80q", ErrInsecure, to.URL.Redacted())}
		}
		return nil
	}
}

// Open asks for a file, from a byte on if there is one (RFC 9110, section 14).
func (w *Web) Open(ctx context.Context, name string, from int64, tag string) (*Content, error) {
	if !fileName.MatchString(name) {
		return nil, fmt.Errorf("release: %w: file name %.80q", ErrFormat, name)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.base.JoinPath(name).String(), nil)
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	req.Header.Set("User-Agent", Product)
	req.Header.Set("Accept-Encoding", "identity")
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
		if tag != "" {
			req.Header.Set("If-Range", tag)
		}
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	if from > 0 && resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		resp.Body.Close()
		return w.Open(ctx, name, 0, "")
	}
	c, err := content(resp, from)
	if err != nil {
		resp.Body.Close()
		return nil, fmt.Errorf("release: %s: %w", resp.Request.URL.Redacted(), err)
	}
	return c, nil
}

// content reads what an answer says about its body.
func content(resp *http.Response, from int64) (*Content, error) {
	if e := resp.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, final{fmt.Errorf("the answer is encoded (%.20q), which was not asked for", e)}
	}
	c := &Content{ReadCloser: resp.Body, Size: resp.ContentLength, Tag: resp.Header.Get("ETag")}
	// A weak tag does not promise the same bytes.
	if strings.HasPrefix(c.Tag, "W/") {
		c.Tag = ""
	}
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
		return c, nil
	case code == http.StatusPartialContent && from > 0:
		var err error
		if c.From, c.Size, err = contentRange(resp.Header.Get("Content-Range")); err != nil {
			return nil, final{err}
		}
		return c, nil
	case code == http.StatusNotFound, code == http.StatusGone:
		return nil, fmt.Errorf("%s: %w", resp.Status, fs.ErrNotExist)
	case code >= 500, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout:
		return nil, errors.New(resp.Status) // it may pass
	default:
		return nil, final{errors.New(resp.Status)}
	}
}

// contentRange reads "bytes FIRST-LAST/SIZE" (RFC 9110, section 14.4), of which
// the size may be unknown (*): -1.
func contentRange(s string) (first, size int64, err error) {
	bad := fmt.Errorf("the range %.60q makes no sense", s)
	s, ok := strings.CutPrefix(s, "bytes ")
	span, total, ok2 := strings.Cut(s, "/")
	a, b, ok3 := strings.Cut(span, "-")
	if !ok || !ok2 || !ok3 {
		return 0, 0, bad
	}
	f, err1 := strconv.ParseUint(a, 10, 62)
	l, err2 := strconv.ParseUint(b, 10, 62)
	if err1 != nil || err2 != nil || l < f {
		return 0, 0, bad
	}
	if total == "*" {
		return int64(f), -1, nil
	}
	t, err := strconv.ParseUint(total, 10, 62)
	if err != nil || t <= l {
		return 0, 0, bad
	}
	return int64(f), int64(t), nil
}
