/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _DMAHEAP_H
#define _DMAHEAP_H

#include <linux/bitmap.h>
#include <linux/dma-buf.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/sizes.h>
#include <linux/types.h>

struct cma;
struct dmaheap_buffer;
struct dmaheap_pool;
struct dmaheap_region;
struct dmaheap_state;
struct seq_file;

/* Clearing looks for signals and other tasks each time it has done so much. */
#define DMAHEAP_PIECE_PAGES	(SZ_1M >> PAGE_SHIFT)

/**
 * enum dmaheap_failure - why a buffer was refused
 * @DMAHEAP_TOO_LARGE:	the request can never fit into the region
 * @DMAHEAP_EXHAUSTED:	the region has no free extent of that length now
 * @DMAHEAP_INTERRUPTED: the caller was killed while it waited
 * @DMAHEAP_BOOKKEEPING: the kernel had no memory to describe the buffer
 * @DMAHEAP_FAILURES:	number of causes
 */
enum dmaheap_failure {
	DMAHEAP_TOO_LARGE,
	DMAHEAP_EXHAUSTED,
	DMAHEAP_INTERRUPTED,
	DMAHEAP_BOOKKEEPING,
	DMAHEAP_FAILURES
};

/**
 * enum dmaheap_mode - how the memory of a region is used while no buffer has it
 * @DMAHEAP_LENT:	CMA lends it to the rest of the system
 * @DMAHEAP_FIRST_FIT:	it is held; a buffer gets the first extent that fits
 * @DMAHEAP_BEST_FIT:	it is held; a buffer gets the tightest extent
 */
enum dmaheap_mode {
	DMAHEAP_LENT,
	DMAHEAP_FIRST_FIT,
	DMAHEAP_BEST_FIT
};

/**
 * struct dmaheap_source - a way to get memory for buffers
 * @alloc:	finds the buffer's npages pages, contiguous and cleared, and sets
 *		its pfn; 0, -ENOMEM, or -EINTR if the caller was killed
 * @free:	takes them back; cannot fail
 * @state:	adds what only this source knows of the region; may be NULL
 * @rest:	what the free pages from @start on are like, in the map's word; @end
 *		is where free pages end, and receives where such pages do
 * @destroy:	undoes what made the region one of this source; may be NULL
 *
 * A region has one source. Some buffers of a region with @small_gfp have
 * another.
 */
struct dmaheap_source {
	int (*alloc)(struct dmaheap_region *region,
		     struct dmaheap_buffer *buffer);
	void (*free)(struct dmaheap_region *region,
		     struct dmaheap_buffer *buffer);
	void (*state)(struct dmaheap_region *region,
		      struct dmaheap_state *state);
	const char *(*rest)(struct dmaheap_region *region, unsigned long start,
			    unsigned long *end);
	void (*destroy)(struct dmaheap_region *region);
};

/**
 * struct dmaheap_region - contiguous memory and the heap that hands it out
 * @list:	all registered regions
 * @name:	name of the heap, of its node and of its buffers' exporter
 * @uncached_name: that of the heap of uncached buffers, NULL if there is none
 * @cma:	the area the memory comes from, NULL for a carve-out
 * @pfn:	first page frame
 * @npages:	length in pages
 * @align:	every buffer begins at a multiple of so many page frames
 * @source:	where buffers come from
 * @small_gfp:	how to ask the buddy allocator for small buffers, 0 for never
 * @pool:	held memory, NULL if the region is lent
 * @lock:	protects what follows, and what is in @pool
 * @used:	a bit for each page that is in a buffer
 * @used_pages:	pages of the region that are in buffers
 * @peak_pages:	highest value of @used_pages
 * @small_pages: pages in buffers that came from the buddy allocator
 * @charged_pages: pages in buffers and in requests that are being served
 * @buffers:	live buffers, small ones included
 * @live:	those that were exported, by their place
 * @failures:	refused requests by cause
 */
struct dmaheap_region {
	struct list_head list;
	const char *name;
	const char *uncached_name;
	struct cma *cma;
	unsigned long pfn;
	unsigned long npages;
	unsigned long align;
	const struct dmaheap_source *source;
	gfp_t small_gfp;
	struct dmaheap_pool *pool;

	struct mutex lock; /* accounts, pool */
	unsigned long *used;
	unsigned long used_pages;
	unsigned long peak_pages;
	unsigned long small_pages;
	unsigned long charged_pages;
	unsigned long buffers;
	struct rb_root live;
	unsigned long failures[DMAHEAP_FAILURES];
};

/**
 * struct dmaheap_buffer - one buffer: an extent of page frames
 * @region:	whose buffer it is
 * @source:	where its memory came from
 * @pfn:	first page frame
 * @npages:	length in pages
 * @uncached:	the CPU's mappings are write-combined
 * @dmabuf:	what it was exported as, NULL before
 * @inode:	the number of that one's file
 * @node:	entry among its region's @live ones
 * @lock:	protects @attachments, their mapped state, and @vaddr
 * @attachments: devices that are attached
 * @vaddr:	kernel address while there is one
 */
struct dmaheap_buffer {
	struct dmaheap_region *region;
	const struct dmaheap_source *source;
	unsigned long pfn;
	unsigned long npages;
	bool uncached;
	struct dma_buf *dmabuf;
	unsigned long inode;
	struct rb_node node;

	struct mutex lock; /* attachments, vaddr */
	struct list_head attachments;
	void *vaddr;
};

/**
 * struct dmaheap_state - a region as it is at one moment
 * @size:	of the region, in bytes
 * @held:	bytes of the region that are lent to nobody: all or none
 * @used:	bytes of the region that are in buffers
 * @largest_free: bytes of the longest buffer that there is room for
 * @high_water:	highest value of @used
 * @small:	bytes in buffers that came from the page allocator instead
 * @clearing:	bytes that were freed and are yet to be cleared
 * @buffers:	number of live buffers
 * @failures:	numbers of requests that were refused, by cause
 */
struct dmaheap_state {
	u64 size;
	u64 held;
	u64 used;
	u64 largest_free;
	u64 high_water;
	u64 small;
	u64 clearing;
	u64 buffers;
	u64 failures[DMAHEAP_FAILURES];
};

/* region.c */
struct dmaheap_region *dmaheap_region_create(const char *name, struct cma *cma,
					     unsigned long pfn,
					     unsigned long npages,
					     enum dmaheap_mode mode);
void dmaheap_region_destroy(struct dmaheap_region *region);
int dmaheap_region_register(struct dmaheap_region *region);
struct dmaheap_region *dmaheap_region_find(const char *name);
void dmaheap_region_state(struct dmaheap_region *region,
			  struct dmaheap_state *state);

/* alloc.c */
int dmaheap_alloc(struct dmaheap_region *region, struct dmaheap_buffer *buffer,
		  unsigned long npages);
void dmaheap_free(struct dmaheap_buffer *buffer);
int dmaheap_clear(unsigned long pfn, unsigned long npages);
void dmaheap_mark_used(struct dmaheap_region *region, unsigned long pfn,
		       unsigned long npages);
void dmaheap_mark_free(struct dmaheap_region *region, unsigned long pfn,
		       unsigned long npages);

/* lent.c, held.c */
extern const struct dmaheap_source dmaheap_lent_source;
extern const struct dmaheap_source dmaheap_small_source;
extern const struct dmaheap_source dmaheap_held_source;
int dmaheap_hold(struct dmaheap_region *region, enum dmaheap_mode fit);

/* buffer.c, mapping.c */
struct dma_buf *dmaheap_export(struct dmaheap_region *region, size_t len,
			       u32 fd_flags, bool uncached);
int dmaheap_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma);
int dmaheap_vmap(struct dma_buf *dmabuf, struct iosys_map *map);
void dmaheap_vunmap(struct dma_buf *dmabuf, struct iosys_map *map);

/* uncached.c */
int dmaheap_uncached_init(void);
int dmaheap_uncache(struct dmaheap_buffer *buffer);

/* sysfs.c */
int dmaheap_sysfs_add(struct dmaheap_region *region);

/* map.c */
void dmaheap_map_add(struct dmaheap_buffer *buffer, struct dma_buf *dmabuf);
void dmaheap_map_remove(struct dmaheap_buffer *buffer);
int dmaheap_map_show(struct seq_file *m, void *unused);
void dmaheap_debugfs_add(struct dmaheap_region *region);

/* trace.c */
void dmaheap_trace_stat(unsigned long inode, long len);

#endif /* _DMAHEAP_H */
