package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"aerie/cmd/aerie-sender/phone"
	"aerie/receiver/audio"
	"aerie/receiver/config"
)

// What the whole program costs and how fast it is. These are figures for
// people, printed by "make bench"; no test asserts them, for they depend on
// the machine and on what else it does.

// BenchmarkHandOver is the time from the last byte of a picture off the socket
// to the decoder holding it, and from the sender's stamp to the decoded picture
// by the stamp drawn in it: 1080p60 with sound over loopback, in real time.
func BenchmarkHandOver(b *testing.B) {
	for b.Loop() {
		g := newMeasuredRig(b)
		g.mirror(phone.Options{Picture: testPattern(b, 1920, 1080, 60, 600), Sound: tone(b, audio.AACELD)})
		l := g.latency()
		handover, decode, pattern := l["hand over"], l["decode"], l["pattern to shown"]
		b.ReportMetric(handover.P99, "ms-to-decoder-p99")
		b.ReportMetric(decode.Median, "ms-decode-median")
		b.ReportMetric(pattern.Median, "ms-pattern-median")
		g.stop()
	}
}

// BenchmarkFirstPicture is the time from a session's SETUP to its first
// picture.
func BenchmarkFirstPicture(b *testing.B) {
	after := regexp.MustCompile(`picture codec=.* after=(\S+)`)
	var sum time.Duration
	n := 0
	for b.Loop() {
		g := newRig(b, func(c *config.Config) { c.Video.Output = "raw:" + os.DevNull })
		g.mirror(phone.Options{Picture: testPattern(b, 1920, 1080, 60, 3), Sound: tone(b, audio.AACELD)})
		g.stop()
		m := after.FindStringSubmatch(g.log.String())
		if m == nil {
			b.Fatal("no first picture in the log")
		}
		d, err := time.ParseDuration(m[1])
		if err != nil {
			b.Fatal(err)
		}
		sum += d
		n++
	}
	b.ReportMetric(float64(sum.Microseconds())/1000/float64(n), "ms-to-picture")
}

// BenchmarkStart is the time from the start of the process to its first mDNS
// probe, and until it is announced; the three probes of RFC 6762 take 750 ms
// of that.
func BenchmarkStart(b *testing.B) {
	group := &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353}
	network, err := net.ListenMulticastUDP("udp4", nil, group)
	if err != nil {
		b.Skipf("no multicast here: %v", err)
	}
	defer network.Close()
	program(b, "aerie") // is built before the clock runs
	var probe, announced time.Duration
	n := 0
	packet := make([]byte, 9000)
	for b.Loop() {
		name := fmt.Sprintf("Bench %d", n)
		began := time.Now()
		cmd, log := started(b, "--http", "", "--video", "none", "--name", name)
		network.SetReadDeadline(began.Add(time.Minute))
		for {
			size, err := network.Read(packet)
			if err != nil {
				b.Fatalf("no probe: %v\n%s", err, log)
			}
			if bytes.Contains(packet[:size], []byte(name)) {
				break
			}
		}
		probe += time.Since(began)
		log.wait(b, `announced name=`)
		announced += time.Since(began)
		n++
		ended(b, cmd)
	}
	b.ReportMetric(float64(probe.Milliseconds())/float64(n), "ms-to-probe")
	b.ReportMetric(float64(announced.Milliseconds())/float64(n), "ms-to-announced")
}

// BenchmarkMemory is the resident memory of the program while it decodes
// 1080p60 in software, and the size of its file.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		cmd, log := started(b, "--http", "127.0.0.1:0", "--discovery=false", "--measure")
		port := log.wait(b, `Address +\S+ port (\d+)`)[1]
		sender := exec.Command(program(b, "aerie-sender"), "--seconds", "10", "127.0.0.1:"+port)
		if out, err := sender.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		b.ReportMetric(resident(b, cmd.Process.Pid), "MB-resident-most")
		ended(b, cmd)
	}
	info, err := os.Stat(program(b, "aerie"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size())/1e6, "MB-binary")
}

// BenchmarkMusic is what one stream of AirPlay 2 costs the program, in percent
// of one core, from pairing to the end: decrypted, decoded, placed by the
// sender's clock and written as PCM. Sound that is sent ahead of its time comes
// in one burst of 20 s at first. It can only be run where network namespaces
// can be made.
func BenchmarkMusic(b *testing.B) {
	const seconds = 40
	for name, flags := range map[string][]string{"buffered": {"--buffered"}, "realtime": nil} {
		b.Run(name, func(b *testing.B) {
			sender := newNetwork(b)
			room := newRoom(b, sender.join())
			args := append([]string{"--sound-only", "--seconds", strconv.Itoa(seconds)}, flags...)
			var used time.Duration
			played := 0
			for b.Loop() {
				before := processorTime(b, room.program.Process.Pid)
				sender.run(program(b, "aerie-sender"), append(args, room.on.addr)...)
				used += processorTime(b, room.program.Process.Pid) - before
				played += seconds
			}
			b.ReportMetric(100*used.Seconds()/float64(played), "%-of-a-core")
		})
	}
}

// processorTime is how long a process has been running on any core, to 10 ms
// (proc(5), /proc/pid/stat: utime and stime, in hundredths of a second).
func processorTime(b *testing.B, pid int) (sum time.Duration) {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	// What follows the name, which may hold spaces, begins with the third field.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	for _, f := range fields[14-3 : 16-3] {
		ticks, err := strconv.Atoi(f)
		if err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(ticks) * time.Second / 100
	}
	return sum
}

// resident is the most memory that a process had at any time, in megabytes.
func resident(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kB, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kB * 1024 / 1e6
		}
	}
	b.Fatal("the kernel does not say")
	return 0
}
