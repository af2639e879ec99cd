package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"aead.dev/minisign"
	"golang.org/x/term"
)

// keygen writes a pair of keys, and never over others: with them the devices
// that trust them would be out of reach.
func keygen(name string, open bool, in *os.File, out io.Writer) error {
	password := ""
	if !open {
		var err error
		if password, err = ask(in, out, "Password for the new key: ", true); err != nil {
			return err
		}
	}
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	secret, err := private.MarshalText()
	if err == nil && !open {
		secret, err = minisign.EncryptKey(password, private)
	}
	if err != nil {
		return err
	}
	text, err := public.MarshalText()
	if err != nil {
		return err
	}
	// minisign wants the last line to end.
	if err := create(name+".key", append(secret, '\n'), 0o600); err != nil {
		return err
	}
	if err := create(name+".pub", append(text, '\n'), 0o644); err != nil {
		return errors.Join(err, os.Remove(name+".key"))
	}
	fmt.Fprintf(out, "%s.key signs releases: keep it secret, and keep a copy.\n%s.pub is for devices: %s\n", name, name, public)
	return nil
}

// create writes a file that is not there yet, and leaves none behind that is
// not whole.
func create(path string, content []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// loadKey reads a secret key, and asks for its password if it has one.
func loadKey(path string, in *os.File, out io.Writer) (key minisign.PrivateKey, err error) {
	f, err := os.Open(path)
	if err != nil {
		return key, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 4<<10))
	if err != nil {
		return key, err
	}
	if !minisign.IsEncrypted(text) {
		if err := key.UnmarshalText(text); err != nil {
			return key, fmt.Errorf("%s is not a secret key of minisign", path)
		}
		return key, nil
	}
	password, err := ask(in, out, "Password of "+path+": ", false)
	if err != nil {
		return key, err
	}
	if key, err = minisign.DecryptKey(password, text); err != nil {
		return key, fmt.Errorf("%s does not open with this password", path)
	}
	return key, nil
}

// ask asks for a password, twice if it is a new one: on the terminal without
// showing it, else it reads one line.
func ask(in *os.File, out io.Writer, question string, twice bool) (string, error) {
	if !term.IsTerminal(int(in.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(in, 1<<10)).ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			return line, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		return "", errors.New("no password on standard input")
	}
	fmt.Fprint(out, question)
	first, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(out)
	if err != nil || !twice {
		return string(first), err
	}
	fmt.Fprint(out, "Once more: ")
	second, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(out)
	switch {
	case err != nil:
		return "", err
	case string(first) != string(second):
		return "", errors.New("the two are not the same")
	case len(first) == 0:
		return "", errors.New("a key without a password is made with --no-password")
	}
	return string(first), nil
}
