package main

import (
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"aerie/cmd/aerie-sender/phone"
	"aerie/receiver/audio"
	"aerie/receiver/config"
	"aerie/receiver/message"
)

// What a classic sender plays is known to those who ask the broker.
func TestPublishing(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("mosquitto_sub"); err != nil {
		t.Skip("mosquitto is not installed (Debian: apt install mosquitto mosquitto-clients)")
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	broker := free.Addr().String()
	free.Close()
	_, port, _ := net.SplitHostPort(broker)
	// Without a configuration it serves this machine, and everybody on it.
	cmd := exec.Command("/usr/sbin/mosquitto", "-p", port)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Skipf("mosquitto: %v", err)
	}
	defer func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	}()
	value := func(topic string) string {
		out, _ := exec.Command("mosquitto_sub", "-h", "127.0.0.1", "-p", port, "-t", "tv/"+topic, "-C", "1", "-W", "1").Output()
		return strings.TrimSuffix(string(out), "\n")
	}
	expect := func(topic, want string) {
		t.Helper()
		got := ""
		for range 30 {
			if got = value(topic); got == want {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Errorf("%s is %q, want %q", topic, got, want)
	}
	g := newRig(t, func(c *config.Config) { c.MQTT.Broker, c.MQTT.Topic = broker, "tv" })
	expect("status", "online")
	expect("active", "false")
	o := phone.Options{Address: g.addr, Name: "Ann's computer", Sound: tone(t, audio.ALAC), Duration: 20 * time.Second,
		Classic: &phone.Classic{Playing: message.NowPlaying{Title: "Für Elise", Artist: "Beethoven", Length: 3 * time.Minute}, Artwork: []byte("\xff\xd8\xff picture")}}
	playing := make(chan struct{})
	go func() {
		defer close(playing)
		if _, err := phone.Play(t.Context(), o); err != nil {
			t.Errorf("playing: %v", err)
		}
	}()
	for topic, want := range map[string]string{"active": "true", "sender": "Ann's computer", "title": "Für Elise", "artist": "Beethoven", "length": "180",
		"volume": "0.0", "artwork": "\xff\xd8\xff picture"} {
		expect(topic, want)
	}
	<-playing
	expect("active", "false")
	expect("title", "")
	g.stop()
	expect("status", "offline")
}
