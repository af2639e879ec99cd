package main

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"aerie/cmd/aerie-fleet/authority"
	"aerie/receiver/fleet/pairing"
)

// keep returns what a file of the state folder holds, and makes it at the first
// time. It is for the owner's eyes only.
func keep(dir, name string, first func() (string, error)) (string, error) {
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path)
	if err == nil && len(b) > 0 && len(b) < 1024 {
		return strings.TrimSpace(string(b)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	text, err := first()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(text + "\n")
	return text, errors.Join(err, f.Sync(), f.Close())
}

func newID() (string, error) { return pairing.NewID(rand.Reader) }

// newToken draws 160 bits, which nobody guesses.
func newToken() (string, error) {
	b := make([]byte, 20)
	_, err := rand.Read(b)
	return strings.ToLower(base32.StdEncoding.EncodeToString(b)), err
}

// ownNames are the names and addresses by which this machine may be called.
func ownNames(first string) []string {
	names := []string{}
	if first != "" {
		names = append(names, first)
	}
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
		if !strings.Contains(host, ".") {
			names = append(names, host+".local")
		}
	}
	names = append(names, "localhost", "127.0.0.1", "::1")
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return names // those of above will do
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() {
			names = append(names, ip.IP.String())
		}
	}
	return names
}

// publicName is how devices are told to call this machine, if the owner does
// not say.
func publicName() string {
	for _, n := range ownNames("") {
		if ip := net.ParseIP(n); ip != nil && !ip.IsLoopback() && ip.To4() != nil {
			return n
		}
	}
	return "localhost"
}

// Files of an instance that got its certificate elsewhere.
const (
	instanceBase = "instance"
	authorityPEM = "authority.pem"
)

// token prints the owner's token.
func token(args []string, out io.Writer) error {
	f, state := flags("token")
	if err := f.Parse(args); err != nil {
		return err
	}
	t, err := keep(*state, "token", newToken)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, t)
	return err
}

// instance makes what another machine needs to run one more instance.
func instance(args []string, out io.Writer) error {
	f, state := flags("instance")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() != 1 {
		return usageError("instance takes the folder that it makes")
	}
	dir := f.Arg(0)
	a, err := authority.Open(filepath.Join(*state, "authority"), ownNames(""), time.Now)
	if err != nil {
		return err
	}
	id, err := newID()
	if err != nil {
		return err
	}
	c, err := a.Issue(id)
	if err != nil {
		return err
	}
	t, err := keep(*state, "token", newToken)
	if err == nil {
		_, err = keep(dir, "token", func() (string, error) { return t, nil })
	}
	if err == nil {
		_, err = keep(dir, "id", func() (string, error) { return id, nil })
	}
	if err == nil {
		err = authority.WriteCertificate(filepath.Join(dir, instanceBase), c)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, authorityPEM), a.PEM(), 0o644)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s is the folder of instance %s. Move it to its machine and run there:\n  aerie-fleet serve --state %s --broker mqtts://THIS-MACHINE:8883\n", dir, id, filepath.Base(dir))
	return err
}

// certificate makes what a broker that is another program needs.
func certificate(args []string, out io.Writer) error {
	f, state := flags("certificate")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() < 2 {
		return usageError("certificate takes a folder and the names of the broker's machine")
	}
	dir := f.Arg(0)
	a, err := authority.Open(filepath.Join(*state, "authority"), ownNames(""), time.Now)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	c, err := a.IssueServer(f.Args()[1:])
	if err == nil {
		err = authority.WriteCertificate(filepath.Join(dir, "server"), c)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "ca.pem"), a.PEM(), 0o644)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s holds ca.pem, server.pem and server.key; the list of revoked certificates is %s\n", dir, filepath.Join(*state, "authority", "crl.pem"))
	return err
}

// instanceTLS is how an instance without an authority calls its broker.
func instanceTLS(dir string) (*tls.Config, error) {
	c, err := tls.LoadX509KeyPair(filepath.Join(dir, instanceBase+".pem"), filepath.Join(dir, instanceBase+".key"))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(filepath.Join(dir, authorityPEM))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s holds no certificate", filepath.Join(dir, authorityPEM))
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{c}, RootCAs: pool}, nil
}
