// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a tracer is told. Without one it costs a branch that is not taken.
 */
#include <linux/atomic.h>

#include "dmaheap.h"

#define CREATE_TRACE_POINTS
#include "trace.h"
#include "trace_stat.h"

static atomic_long_t total;

/**
 * dmaheap_trace_stat() - tell that a buffer is there, or is gone
 * @inode:	the number of its file
 * @len:	its bytes, negative if it is gone
 */
void dmaheap_trace_stat(unsigned long inode, long len)
{
	trace_dma_heap_stat(inode, len, atomic_long_add_return(len, &total));
}
