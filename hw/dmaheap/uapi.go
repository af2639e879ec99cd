package dmaheap

// The kernel's structures and numbers, of linux/dma-heap.h, linux/dma-buf.h
// and linux/udmabuf.h; the same on all architectures.

// heapAllocation is struct dma_heap_allocation_data.
type heapAllocation struct {
	length    uint64
	fd        uint32 // answer
	fdFlags   uint32
	heapFlags uint64
}

// dmaBufSync is struct dma_buf_sync.
type dmaBufSync struct{ flags uint64 }

// udmabufCreate is struct udmabuf_create.
type udmabufCreate struct {
	memfd  uint32
	flags  uint32
	offset uint64
	size   uint64
}

// call is an ioctl.
type call struct {
	name   string
	number uint32
}

var (
	dmaHeapAlloc      = call{"DMA_HEAP_IOCTL_ALLOC", 0xc0184800}
	dmaBufSyncCall    = call{"DMA_BUF_IOCTL_SYNC", 0x40086200}
	udmabufCreateCall = call{"UDMABUF_CREATE", 0x40187542}
)

const (
	dmaBufSyncRW    = 3
	dmaBufSyncStart = 0
	dmaBufSyncEnd   = 4
	udmabufCloexec  = 1
)
