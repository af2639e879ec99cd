package dmaheap

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"unsafe"
)

var update = flag.Bool("update", false, "write the golden text anew with the C compiler")

// layout says the same as testdata/uapi.c about the Go types and constants.
func layout() string {
	var w bytes.Buffer
	var a heapAllocation
	fmt.Fprintf(&w, "sizeof(dma_heap_allocation_data) %d\n", unsafe.Sizeof(a))
	fmt.Fprintf(&w, "dma_heap_allocation_data.len %d\n", unsafe.Offsetof(a.length))
	fmt.Fprintf(&w, "dma_heap_allocation_data.fd %d\n", unsafe.Offsetof(a.fd))
	fmt.Fprintf(&w, "dma_heap_allocation_data.fd_flags %d\n", unsafe.Offsetof(a.fdFlags))
	fmt.Fprintf(&w, "dma_heap_allocation_data.heap_flags %d\n", unsafe.Offsetof(a.heapFlags))
	var s dmaBufSync
	fmt.Fprintf(&w, "sizeof(dma_buf_sync) %d\ndma_buf_sync.flags %d\n", unsafe.Sizeof(s), unsafe.Offsetof(s.flags))
	var u udmabufCreate
	fmt.Fprintf(&w, "sizeof(udmabuf_create) %d\n", unsafe.Sizeof(u))
	fmt.Fprintf(&w, "udmabuf_create.memfd %d\nudmabuf_create.flags %d\n", unsafe.Offsetof(u.memfd), unsafe.Offsetof(u.flags))
	fmt.Fprintf(&w, "udmabuf_create.offset %d\nudmabuf_create.size %d\n", unsafe.Offsetof(u.offset), unsafe.Offsetof(u.size))
	for _, c := range []call{dmaHeapAlloc, dmaBufSyncCall, udmabufCreateCall} {
		fmt.Fprintf(&w, "%s %#x\n", c.name, c.number)
	}
	fmt.Fprintf(&w, "DMA_BUF_SYNC_RW %#x\nDMA_BUF_SYNC_START %d\nDMA_BUF_SYNC_END %#x\nUDMABUF_FLAGS_CLOEXEC %#x\n",
		dmaBufSyncRW, dmaBufSyncStart, dmaBufSyncEnd, udmabufCloexec)
	return w.String()
}

// TestUAPI holds the Go types against the golden text, on whatever
// architecture the test runs.
func TestUAPI(t *testing.T) {
	golden, err := os.ReadFile("testdata/uapi.golden")
	if err != nil {
		t.Fatal(err)
	}
	if got := layout(); got != string(golden) {
		t.Errorf("Go has\n%s\nC has\n%s", got, golden)
	}
}

// TestUAPIGolden holds the golden text against the kernel's headers, for every
// architecture whose compiler is there.
func TestUAPIGolden(t *testing.T) {
	for arch, tools := range map[string][]string{
		"amd64": {"gcc", ""}, "arm64": {"aarch64-linux-gnu-gcc", "qemu-aarch64-static"}, "arm": {"arm-linux-gnueabihf-gcc", "qemu-arm-static"},
	} {
		t.Run(arch, func(t *testing.T) {
			for _, tool := range tools {
				if _, err := exec.LookPath(tool); tool != "" && err != nil {
					t.Skip(err)
				}
			}
			bin := filepath.Join(t.TempDir(), "uapi")
			if out, err := exec.Command(tools[0], "-static", "-o", bin, "testdata/uapi.c").CombinedOutput(); err != nil {
				if bytes.Contains(out, []byte("No such file")) {
					t.Skipf("no kernel headers for %s", arch)
				}
				t.Fatalf("%v\n%s", err, out)
			}
			run := exec.Command(bin)
			if tools[1] != "" {
				run = exec.Command(tools[1], bin)
			}
			out, err := run.Output()
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile("testdata/uapi.golden", out, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if golden, err := os.ReadFile("testdata/uapi.golden"); err != nil || !bytes.Equal(out, golden) {
				t.Errorf("the golden text is not what the compiler says: go test -run UAPIGolden -update (%v)\n%s", err, out)
			}
		})
	}
}
