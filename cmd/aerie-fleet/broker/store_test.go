package broker

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func read(t *testing.T, file string) map[string]string {
	t.Helper()
	s, err := openStore(file)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	all := map[string]string{}
	if err := s.each(func(topic string, b []byte) { all[topic] = string(b) }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestStore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "documents")
	s, err := openStore(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openStore(file); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("opened twice: %v", err)
	}
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			for version := range 10 {
				if err := s.keep(fmt.Sprint(i), fmt.Append(nil, version)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if err := s.keep("7", nil); err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if err := s.keep("8", nil); !errors.Is(err, errClosed) {
		t.Errorf("after the end: %v", err)
	}
	got := read(t, file)
	if len(got) != 99 || got["8"] != "9" || got["7"] != "" {
		t.Errorf("%d documents, 8 is %q and 7 is %q", len(got), got["8"], got["7"])
	}
}

// TestKilled kills a writer again and again. What it said was written, is.
func TestKilled(t *testing.T) {
	if file := os.Getenv("AERIE_STORE"); file != "" {
		write(file)
		return
	}
	file := filepath.Join(t.TempDir(), "documents")
	said := map[string]string{}
	for round := range 5 {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestKilled$")
		cmd.Env = append(os.Environ(), "AERIE_STORE="+file, fmt.Sprint("AERIE_ROUND=", round))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		time.AfterFunc(time.Duration(100+50*round)*time.Millisecond, func() { cmd.Process.Kill() })
		io.Copy(&text, out)
		cmd.Wait()
		lines := strings.Split(text.String(), "\n")
		for _, line := range lines[:len(lines)-1] {
			if topic, value, ok := strings.Cut(line, " "); ok && strings.HasPrefix(topic, "t") {
				said[topic] = value
			}
		}
		got := read(t, file)
		for topic, value := range said {
			if got[topic] < value {
				t.Fatalf("round %d: %s is %q, and %q was acknowledged", round, topic, got[topic], value)
			}
		}
	}
	if len(said) < 4 {
		t.Fatalf("only %d topics were written", len(said))
	}
}

// write writes documents until the process is killed, and says so.
func write(file string) {
	s, err := openStore(file)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	var mu sync.Mutex
	for i := range 4 {
		go func() {
			for version := 0; ; version++ {
				topic, value := fmt.Sprint("t", i), fmt.Sprintf("%s-%08d", os.Getenv("AERIE_ROUND"), version)
				if s.keep(topic, []byte(value)) == nil {
					mu.Lock()
					fmt.Println(topic, value)
					mu.Unlock()
				}
			}
		}()
	}
	select {}
}
