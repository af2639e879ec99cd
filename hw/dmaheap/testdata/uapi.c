/*
 * Prints what the kernel's headers say of every structure, ioctl number and
 * constant that package dmaheap uses. uapi_test.go makes uapi.golden of it.
 */
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>

#define S(t) printf("sizeof(%s) %zu\n", #t, sizeof(struct t));
#define F(t, f) printf("%s.%s %zu\n", #t, #f, offsetof(struct t, f));
#define N(n) printf("%s %#lx\n", #n, (unsigned long)(unsigned int)(n));

int main(void)
{
	S(dma_heap_allocation_data)
	F(dma_heap_allocation_data, len) F(dma_heap_allocation_data, fd)
	F(dma_heap_allocation_data, fd_flags) F(dma_heap_allocation_data, heap_flags)
	S(dma_buf_sync) F(dma_buf_sync, flags)
	S(udmabuf_create)
	F(udmabuf_create, memfd) F(udmabuf_create, flags) F(udmabuf_create, offset) F(udmabuf_create, size)
	N(DMA_HEAP_IOCTL_ALLOC) N(DMA_BUF_IOCTL_SYNC) N(UDMABUF_CREATE)
	N(DMA_BUF_SYNC_RW) N(DMA_BUF_SYNC_START) N(DMA_BUF_SYNC_END) N(UDMABUF_FLAGS_CLOEXEC)
	return 0;
}
