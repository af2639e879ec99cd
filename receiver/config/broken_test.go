package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode"
)

// good are settings that no broken file must change.
func good(t *testing.T) *Config {
	t.Helper()
	c := Default()
	if err := c.parse("good.toml", []byte("name = \"Good\"\n[wifi]\nssid = \"Home\"\npassword = \"correct horse\"\n[access]\npin = \"once\"\nallow = [\"AA:BB:CC:DD:EE:FF\"]\n[video]\nfps = 25\n")); err != nil {
		t.Fatal(err)
	}
	return c
}

// Each broken file gives the one line that testdata/broken/expected has for it,
// and changes nothing.
func TestBrokenFiles(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "broken", "*.toml"))
	if err != nil || len(files) < 30 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var got strings.Builder
	for _, file := range files {
		c := good(t)
		err := c.ReadFile(file)
		var fe *FileError
		if !errors.As(err, &fe) {
			t.Errorf("%s: %v", file, err)
			continue
		}
		line := fe.Plain()
		if strings.ContainsFunc(line, unicode.IsControl) || len([]rune(line)) > 220 {
			t.Errorf("%s: not one line of a screen: %q", file, line)
		}
		if !reflect.DeepEqual(c, good(t)) {
			t.Errorf("%s: a setting was lost", file)
		}
		fmt.Fprintln(&got, line)
	}
	name := filepath.Join("testdata", "broken", "expected")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(name, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	is, should := strings.Split(got.String(), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(is), len(should)) {
		if i >= len(is) || i >= len(should) || is[i] != should[i] {
			t.Fatalf("line %d: %q, want %q (UPDATE=1 writes it anew)", i+1, is[min(i, len(is)-1)], should[min(i, len(should)-1)])
		}
	}
}

// What looks like damage and is none: other systems' editors.
func TestOtherEditors(t *testing.T) {
	const text = "name = \"Küche 📺\"\n\n[video]\nfps = 30\n"
	crlf := strings.ReplaceAll(text, "\n", "\r\n")
	for name, raw := range map[string]string{
		"plain":                    text,
		"a mark":                   "\ufeff" + text,
		"CRLF":                     crlf,
		"CRLF and a mark":          "\ufeff" + crlf,
		"CR":                       strings.ReplaceAll(text, "\n", "\r"),
		"no line end":              strings.TrimSpace(text),
		"UTF-16 of Windows":        utf16Text(crlf, "\xff\xfe", 0),
		"UTF-16, big end first":    utf16Text(text, "\xfe\xff", 1),
		"other case":               strings.ReplaceAll(strings.ReplaceAll(text, "name", "Name"), "video", "Video"),
		"tabs and blanks":          "\t name\t= \"Küche 📺\" \t# comment\n[ video ]\n\tfps=30   ",
		"dotted":                   "name = 'Küche 📺'\nvideo.fps = 30",
		"in one line":              "name = \"\"\"Küche 📺\"\"\"\nvideo = { fps = 30 }",
		"the end after some lines": firstLine + "\n" + text[:21] + "\n" + lastLine + "\n[video]\nfps = 30",
	} {
		c := Default()
		if err := c.parse("aerie.toml", []byte(raw)); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if c.Name != "Küche 📺" || c.Video.FPS != 30 {
			t.Errorf("%s: %q, %d", name, c.Name, c.Video.FPS)
		}
	}
}

func utf16Text(text, mark string, low int) string {
	b := []byte(mark)
	for _, r := range text {
		units := []uint16{uint16(r)}
		if r > 0xffff {
			r -= 0x10000
			units = []uint16{0xd800 + uint16(r>>10), 0xdc00 + uint16(r&0x3ff)}
		}
		for _, u := range units {
			pair := [2]byte{}
			pair[low], pair[1-low] = byte(u), byte(u>>8)
			b = append(b, pair[:]...)
		}
	}
	return string(b)
}

// No message repeats a secret, whatever is wrong with it or near it.
func TestSecretsStaySecret(t *testing.T) {
	const secret = "hunter2hunter2"
	for _, line := range []string{
		"password = " + secret, "password = \"" + secret, "password = “" + secret + "”", "password = '" + secret + "\"", "password = [\"" + secret + "\"]",
		"password = \"" + secret + "\\x\"", "password : \"" + secret + "\"", "password = \"" + secret + "ü\"", "password = \"" + strings.Repeat(secret, 5) + "\"",
		"password = \"" + secret + "\"\npassword = \"" + secret + "\"", "password \"" + secret + "\"", "password = { a = \"" + secret + "\" }", "password = \"" + secret + "\" x",
	} {
		err := Default().parse("aerie.toml", []byte("[wifi]\n"+line+"\n"))
		if err == nil || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%q: %v", line, err)
		}
	}
	c := good(t)
	c.Access.Password, c.MQTT.Password = secret, secret
	if text := string(c.File()); strings.Contains(text, "hunter") || strings.Contains(text, "correct horse") {
		t.Error("the file that is printed has a secret")
	}
}
