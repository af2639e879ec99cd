package receiver

import (
	"bytes"
	"os"
	"runtime"
	"strconv"

	"aerie/receiver/metric"
)

// registerProcess names what the process takes of the machine, as Prometheus'
// own libraries name it, so that dashboards made for those show it.
func registerProcess(set *metric.Set) {
	set.GaugeFunc("go_goroutines", "Goroutines that exist.", func() float64 { return float64(runtime.NumGoroutine()) })
	set.GaugeFunc("process_open_fds", "Open file descriptors.", openDescriptors)
	set.GaugeFunc("process_resident_memory_bytes", "Resident memory.", residentMemory)
}

// openDescriptors counts them; 0 without procfs.
func openDescriptors() float64 {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return float64(len(entries) - 1) // one is of this very look
}

// residentMemory is in bytes; 0 without procfs (proc(5), /proc/pid/statm).
func residentMemory() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseFloat(string(fields[1]), 64)
	if err != nil {
		return 0
	}
	return pages * float64(os.Getpagesize())
}
