/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The driver's own events: requests and clearing, and how long they took.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM dmaheap

#if !defined(_DMAHEAP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _DMAHEAP_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(dmaheap_alloc,
	    TP_PROTO(const char *heap, size_t len, unsigned long inode,
		     u64 addr, s64 ns, int error),
	    TP_ARGS(heap, len, inode, addr, ns, error),
	    TP_STRUCT__entry(__string(heap, heap)
			     __field(size_t, len)
			     __field(unsigned long, inode)
			     __field(u64, addr)
			     __field(s64, ns)
			     __field(int, error)
	    ),
	    TP_fast_assign(__assign_str(heap);
			   __entry->len = len;
			   __entry->inode = inode;
			   __entry->addr = addr;
			   __entry->ns = ns;
			   __entry->error = error;
	    ),
	    TP_printk("heap=%s len=%zu inode=%lu addr=%#llx ns=%lld error=%d",
		      __get_str(heap), __entry->len, __entry->inode,
		      __entry->addr, __entry->ns, __entry->error)
);

TRACE_EVENT(dmaheap_clear,
	    TP_PROTO(u64 addr, size_t len, s64 ns, int error),
	    TP_ARGS(addr, len, ns, error),
	    TP_STRUCT__entry(__field(u64, addr)
			     __field(size_t, len)
			     __field(s64, ns)
			     __field(int, error)
	    ),
	    TP_fast_assign(__entry->addr = addr;
			   __entry->len = len;
			   __entry->ns = ns;
			   __entry->error = error;
	    ),
	    TP_printk("addr=%#llx len=%zu ns=%lld error=%d", __entry->addr,
		      __entry->len, __entry->ns, __entry->error)
);

#endif /* _DMAHEAP_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
