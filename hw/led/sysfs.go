package led

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// sysfs is a light of the kernel's.
type sysfs struct {
	dir     string
	trigger string // what it showed before; "" if that cannot be known
	most    string // brightness
}

// maxFile bounds what is read of a file: the list of triggers has some hundred
// names at most.
const maxFile = 16 << 10

// openSysfs takes a light from what the kernel shows on it. The error wraps
// fs.ErrNotExist if there is none of that name.
func openSysfs(root, name string) (light, error) {
	if name == "" || name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return nil, fs.ErrNotExist
	}
	l := &sysfs{dir: filepath.Join(root, "sys/class/leds", name)}
	if _, err := os.Stat(l.dir); err != nil {
		return nil, err
	}
	most, err := l.read("max_brightness")
	if err != nil {
		return nil, fmt.Errorf("led: %w", err)
	}
	if n, err := strconv.Atoi(most); err != nil || n < 1 {
		return nil, fmt.Errorf("led: %s: a brightness of %.20q at most", name, most)
	}
	l.most = most
	// A kernel without triggers has no such file.
	if list, err := l.read("trigger"); err == nil {
		if l.trigger = chosen(list); l.trigger != "none" {
			if err := l.write("trigger", "none"); err != nil {
				return nil, fmt.Errorf("led: %w", err)
			}
		}
	}
	return l, nil
}

// chosen returns the trigger in use out of the list of all, in which it stands
// in brackets.
func chosen(list string) string {
	_, rest, _ := strings.Cut(list, "[")
	name, _, ok := strings.Cut(rest, "]")
	if !ok {
		return ""
	}
	return name
}

func (l *sysfs) read(file string) (string, error) {
	f, err := os.Open(filepath.Join(l.dir, file))
	if err != nil {
		return "", err
	}
	defer f.Close()
	b := make([]byte, maxFile)
	n, err := f.Read(b)
	if n == 0 && err != nil {
		return "", err
	}
	return strings.TrimSpace(string(b[:n])), nil
}

func (l *sysfs) write(file, value string) error {
	err := os.WriteFile(filepath.Join(l.dir, file), []byte(value), 0)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w (a rule of udev can give the file to a group)", err)
	}
	return err
}

func (l *sysfs) set(lit bool) error {
	if lit {
		return l.write("brightness", l.most)
	}
	return l.write("brightness", "0")
}

func (l *sysfs) close() error {
	if l.trigger == "" || l.trigger == "none" {
		return l.set(false)
	}
	return l.write("trigger", l.trigger)
}
