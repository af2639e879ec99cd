package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"aerie/receiver/discovery"
	"aerie/receiver/message"
	"aerie/receiver/pairing/keystore"
	"aerie/receiver/rtsp"
	"aerie/receiver/transcript"
)

const defaultPort = "7000"

// resolve returns the address of a receiver that is given as HOST:PORT, HOST,
// or by its name in a sender's list.
func resolve(ctx context.Context, receiver string) (string, error) {
	if _, _, err := net.SplitHostPort(receiver); err == nil {
		return receiver, nil
	}
	if host := strings.Trim(receiver, "[]"); net.ParseIP(host) != nil {
		return net.JoinHostPort(host, defaultPort), nil
	}
	if !strings.Contains(receiver, " ") {
		lookup, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		if _, err := net.DefaultResolver.LookupHost(lookup, receiver); err == nil {
			return net.JoinHostPort(receiver, defaultPort), nil
		}
	}
	return browse(ctx, receiver)
}

// browse looks for a receiver by name.
func browse(ctx context.Context, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	found, err := discovery.Browse(ctx, discovery.TypeAirPlay, "")
	if err != nil {
		return "", err
	}
	var others []string
	for e := range found {
		if strings.EqualFold(e.Instance, name) {
			return net.JoinHostPort(e.Addrs[0].String(), fmt.Sprint(e.Port)), nil
		}
		others = append(others, fmt.Sprintf("%q", e.Instance))
	}
	if len(others) == 0 {
		return "", fmt.Errorf("no receiver called %q on this network, nor any other", name)
	}
	return "", fmt.Errorf("no receiver called %q on this network; there are %s", name, strings.Join(others, ", "))
}

// replay plays a recorded conversation back and prints where the answers are
// other than recorded.
func replay(addr, file string, out io.Writer) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	entries, err := transcript.Read(f)
	if err != nil {
		return err
	}
	dial := func() (net.Conn, error) { return net.DialTimeout("tcp", addr, 5*time.Second) }
	key, err := publicKey(dial)
	if err != nil {
		return err
	}
	_, identity, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	p := &transcript.Player{Dial: dial, Identity: identity, Receiver: key}
	err = p.Play(entries)
	fmt.Fprintf(out, "%d requests, %d answers other than recorded\n", p.Requests, len(p.Differences))
	for _, d := range p.Differences {
		fmt.Fprintln(out, " ", d)
	}
	return err
}

// publicKey asks the receiver for its long-term key.
func publicKey(dial func() (net.Conn, error)) (keystore.Key, error) {
	nc, err := dial()
	if err != nil {
		return keystore.Key{}, err
	}
	defer nc.Close()
	c := rtsp.NewConn(nc, rtsp.DefaultLimits, rtsp.DefaultTimeouts)
	if err := c.WriteRequest(&rtsp.Request{Method: "GET", Target: "/info", Proto: rtsp.RTSP, Header: rtsp.Header{{Name: "CSeq", Value: "0"}}}); err != nil {
		return keystore.Key{}, err
	}
	var p rtsp.Response
	if err := c.ReadResponse(&p); err != nil {
		return keystore.Key{}, err
	}
	in, err := message.ParseInfo(p.Body)
	if err != nil || len(in.PublicKey) != ed25519.PublicKeySize {
		return keystore.Key{}, fmt.Errorf("the receiver tells no key (%v)", err)
	}
	return keystore.Key(in.PublicKey), nil
}
