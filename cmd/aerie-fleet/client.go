package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"aerie/receiver/fleet/enrol"
)

// client asks a service: over its socket, or elsewhere with the token.
type client struct {
	http        *http.Client
	base, token string
}

// clientFlags are those of all commands that ask.
func clientFlags(name string) (f *flag.FlagSet, open func() (*client, error)) {
	f, state := flags(name)
	server := f.String("server", "", "ask the service at https://HOST:PORT, with the token in AERIE_FLEET_TOKEN")
	print := f.String("fingerprint", "", "SHA-256 of the certificate of that service's authority; empty trusts the system's")
	return f, func() (*client, error) {
		if *server == "" {
			return onSocket(filepath.Join(*state, "control")), nil
		}
		return remote(*server, *print)
	}
}

func onSocket(path string) *client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("no service runs here (%s); start one with \"aerie-fleet serve\", or name its folder with --state", path)
		}
		return c, err
	}
	return &client{http: &http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: time.Minute}, base: "http://fleet"}
}

// remote trusts the system's authorities, or the one whose certificate has the
// fingerprint.
func remote(server, fingerprint string) (*client, error) {
	token := os.Getenv("AERIE_FLEET_TOKEN")
	if token == "" || !strings.HasPrefix(server, "https://") {
		return nil, usageError("--server takes https://HOST:PORT, and AERIE_FLEET_TOKEN holds the owner's token")
	}
	t := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	if fingerprint != "" {
		want, err := hex.DecodeString(strings.ReplaceAll(fingerprint, ":", ""))
		if err != nil || len(want) != sha256.Size {
			return nil, usageError("--fingerprint takes 64 hexadecimal digits")
		}
		t.TLSClientConfig.InsecureSkipVerify = true // what follows takes its place
		t.TLSClientConfig.VerifyConnection = func(s tls.ConnectionState) error { return verify(s, want) }
	}
	return &client{http: &http.Client{Transport: t, Timeout: time.Minute}, base: server, token: token}, nil
}

// verify checks that a chain ends with the certificate that has a fingerprint.
func verify(s tls.ConnectionState, want []byte) error {
	chain := s.PeerCertificates
	if len(chain) < 2 {
		return errors.New("the server does not show its authority")
	}
	ca := chain[len(chain)-1]
	if got := sha256.Sum256(ca.Raw); !bytes.Equal(got[:], want) {
		return fmt.Errorf("the server's authority has the fingerprint %x", got)
	}
	if err := chain[0].CheckSignatureFrom(ca); err != nil {
		return err
	}
	if now := time.Now(); now.Before(chain[0].NotBefore) || now.After(chain[0].NotAfter) {
		return errors.New("the server's certificate is out of its time")
	}
	return chain[0].VerifyHostname(s.ServerName)
}

// ask asks and decodes the answer.
func (c *client) ask(method, path string, order, answer any) error {
	var body io.Reader
	if order != nil {
		b, err := json.Marshal(order)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequest(method, c.base+path, body)
	if err != nil {
		return err
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	const most = 16 << 20
	text, err := io.ReadAll(io.LimitReader(response.Body, most))
	if err != nil {
		return err
	}
	if response.StatusCode >= 400 {
		var e enrol.Error
		if json.Unmarshal(text, &e) != nil || e.Error == "" {
			e.Error = strings.TrimSpace(string(text))
		}
		return errors.New(cmp.Or(e.Error, response.Status))
	}
	if answer == nil || len(text) == 0 {
		return nil
	}
	return json.Unmarshal(text, answer)
}
