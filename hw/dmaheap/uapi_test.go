package dmaheap

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"unsafe"

	"aerie/hw/lab/headers"
)

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

// TestUAPIGolden holds the golden text against the kernel's headers.
func TestUAPIGolden(t *testing.T) { headers.Golden(t, headers.One) }
