// Package board tells which machine this is, how it fares, and what it can be
// asked for.
//
// Read looks once at what does not change: model, generation, memory,
// processors, decoders. A Monitor follows what does: temperature, clock,
// under-voltage and throttling. Limits says what follows for a receiver:
// the picture size and rate to advertise and the number of decode threads.
//
// Everything is read from files below a root directory, which is / on a real
// machine; only the firmware's mailbox is a device, and it is optional. The
// package changes nothing, logs nothing and knows nothing of AirPlay; whether
// a decoder really opens is for package hw/v4l2 to find out.
//
// Proof: board_test.go reads trees recorded or built after the hardware
// reference for each Pi and a PC, and hostile ones; limits_test.go checks the
// advertised sizes per model; monitor_test.go follows a machine that
// overheats on a simulated clock; mailbox_test.go checks the mailbox's bytes
// and numbers; FuzzRead feeds any bytes to any file.
package board

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Family is the kind of machine.
type Family int

// Families, as far as they differ for a receiver.
const (
	Unknown Family = iota
	PC
	Pi0    // Zero, Zero W, 1: ARMv6, which the receiver is not built for
	Pi2    // 2
	Pi3    // 3, 3+, 3A+, CM3
	Zero2W // Zero 2 W: a Pi 3 with 512 MB
	Pi4    // 4, 400, CM4
	Pi5    // 5, 500, CM5
)

func (f Family) String() string {
	return [...]string{"unknown", "PC", "Raspberry Pi 0/1", "Raspberry Pi 2", "Raspberry Pi 3", "Raspberry Pi Zero 2 W",
		"Raspberry Pi 4", "Raspberry Pi 5"}[f]
}

// Pi reports whether the machine is a Raspberry Pi of any kind.
func (f Family) Pi() bool { return f >= Pi0 }

// Board is what does not change while the machine runs.
type Board struct {
	Family   Family
	Model    string // in the machine's own words, such as "Raspberry Pi 4 Model B Rev 1.4"
	SoC      string // such as "bcm2711"; "" on a PC
	Memory   int64  // bytes the kernel can use; 0 if unknown
	CMA      int64  // bytes of it reserved for contiguous buffers; 0 if none or unknown
	CPUs     int    // processors online, at least 1
	PageSize int
	H264     bool // the model has an H.264 decoder
	HEVC     bool // the model has an HEVC decoder
	Jack     bool // the model has a headphone jack
}

// Read looks at the machine whose files are below root: "/" on a real one. It
// does not fail: what cannot be read is unknown.
func Read(root string) Board {
	r := tree(root)
	b := Board{PageSize: os.Getpagesize(), CPUs: r.cpus()}
	b.Memory, b.CMA = r.memory()
	compatible := strings.Split(r.text("proc/device-tree/compatible", "sys/firmware/devicetree/base/compatible"), "\x00")
	b.Model = clean(r.text("proc/device-tree/model", "sys/firmware/devicetree/base/model"))
	for _, c := range compatible {
		if soc, ok := strings.CutPrefix(c, "brcm,"); ok && b.SoC == "" {
			b.SoC = clean(soc)
		}
	}
	if b.Model == "" {
		b.Family, b.Model = r.pc()
		return b
	}
	b.Family = family(b.Model, b.SoC)
	b.H264 = b.Family >= Pi0 && b.Family <= Pi4
	b.HEVC = b.Family == Pi4 || b.Family == Pi5
	b.Jack = b.Family.Pi() && b.Family < Pi5 && b.Family != Zero2W &&
		!anyOf(b.Model, "Pi 400", "Zero", "Compute Module")
	return b
}

// models are what the device tree's model begins with, behind "Raspberry Pi ";
// a whole word, and the first that fits.
var models = []struct {
	name   string
	family Family
}{
	{"Zero 2", Zero2W},
	{"5", Pi5}, {"500", Pi5}, {"500+", Pi5}, {"Compute Module 5", Pi5},
	{"4", Pi4}, {"400", Pi4}, {"Compute Module 4", Pi4}, {"Compute Module 4S", Pi4},
	{"3", Pi3}, {"Compute Module 3", Pi3}, {"Compute Module 3+", Pi3},
	{"2", Pi2},
	{"Zero", Pi0}, {"Model", Pi0}, {"Compute Module", Pi0},
}

// family tells the family from the model, or from the chip for a model that
// came after this was written.
func family(model, soc string) Family {
	if name, ok := strings.CutPrefix(model, "Raspberry Pi "); ok {
		for _, m := range models {
			if rest, ok := strings.CutPrefix(name, m.name); ok && (rest == "" || rest[0] == ' ') {
				return m.family
			}
		}
	}
	if strings.HasPrefix(model, "Raspberry Pi") {
		switch soc {
		case "bcm2712":
			return Pi5
		case "bcm2711":
			return Pi4
		case "bcm2837":
			return Pi3
		case "bcm2836":
			return Pi2
		case "bcm2835":
			return Pi0
		}
	}
	return Unknown
}

func anyOf(s string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

// String describes the board in one line.
func (b Board) String() string {
	s := b.Model
	if s == "" {
		s = "unknown machine"
	}
	if b.Memory > 0 {
		s += fmt.Sprintf(", %d MiB", b.Memory>>20)
	}
	return s + fmt.Sprintf(", %d CPUs", b.CPUs)
}

// tree is a root directory.
type tree string

// maxFile bounds what is read of a file: the kernel's are a page long.
const maxFile = 64 << 10

// read returns a file's beginning, or nil.
func (r tree) read(name string) []byte {
	// A pipe would block the open already.
	f, err := os.OpenFile(filepath.Join(string(r), filepath.FromSlash(name)), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil
	}
	b := make([]byte, maxFile)
	n := 0
	for n < len(b) {
		k, err := f.Read(b[n:])
		if n += k; err != nil {
			break
		}
	}
	return b[:n]
}

// text is the first of the files that is there, without blanks and NULs at
// its ends.
func (r tree) text(names ...string) string {
	for _, n := range names {
		if b := bytes.Trim(r.read(n), " \t\r\n\x00"); len(b) > 0 {
			return string(b)
		}
	}
	return ""
}

// clean makes text from a file fit to be shown: printable, of one line.
func clean(s string) string {
	const long = 100
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == '\ufffd' {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(s, " "))
	s = strings.Join(strings.Fields(s), " ")
	for i := range s {
		if i >= long {
			return s[:i]
		}
	}
	return s
}

// cpus counts the processors online, from a list such as "0-3" or "0,2-3".
func (r tree) cpus() int {
	n := 0
	for _, part := range strings.Split(r.text("sys/devices/system/cpu/online"), ",") {
		first, last, dash := strings.Cut(part, "-")
		a, err := strconv.ParseUint(first, 10, 12)
		if err != nil {
			return runtime.NumCPU()
		}
		b := a
		if dash {
			if b, err = strconv.ParseUint(last, 10, 12); err != nil || b < a {
				return runtime.NumCPU()
			}
		}
		n += int(b-a) + 1
	}
	return n
}

// memory reads MemTotal and CmaTotal from /proc/meminfo.
func (r tree) memory() (total, cma int64) {
	for _, l := range strings.Split(r.text("proc/meminfo"), "\n") {
		w := strings.Fields(l)
		if len(w) != 3 || w[2] != "kB" {
			continue
		}
		n, err := strconv.ParseInt(w[1], 10, 52)
		if err != nil || n < 0 {
			continue
		}
		switch w[0] {
		case "MemTotal:":
			total = n << 10
		case "CmaTotal:":
			cma = n << 10
		}
	}
	return total, cma
}

// pc names a machine that has no device tree but DMI tables.
func (r tree) pc() (Family, string) {
	vendor, product := clean(r.text("sys/class/dmi/id/sys_vendor")), clean(r.text("sys/class/dmi/id/product_name"))
	if vendor == "" && product == "" {
		return Unknown, ""
	}
	if strings.HasPrefix(product, vendor) {
		return PC, product
	}
	return PC, strings.TrimSpace(vendor + " " + product)
}
