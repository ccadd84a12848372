/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _CMA_REGIONS_H
#define _CMA_REGIONS_H

#include <linux/bitmap.h>
#include <linux/dma-buf.h>
#include <linux/genalloc.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct cma;
struct held_pool;

/* Clearing looks for signals and other tasks each time it has done so much. */
#define CLEAR_PIECE_PAGES	(SZ_1M >> PAGE_SHIFT)

/**
 * enum region_failure - why a buffer was refused
 * @FAIL_TOO_LARGE:	the request can never fit into the region
 * @FAIL_EXHAUSTED:	the region has no free extent of that length now
 * @FAIL_INTERRUPTED:	the caller was killed while it waited
 * @FAIL_BOOKKEEPING:	the kernel had no memory to describe the buffer
 * @FAIL_CAUSES:	number of causes
 */
enum region_failure {
	FAIL_TOO_LARGE,
	FAIL_EXHAUSTED,
	FAIL_INTERRUPTED,
	FAIL_BOOKKEEPING,
	FAIL_CAUSES
};

/**
 * enum region_mode - how the memory of a region is used while no buffer has it
 * @REGION_LENT:	CMA lends it to the rest of the system
 * @REGION_FIRST_FIT:	it is held; a buffer gets the first extent that fits
 * @REGION_BEST_FIT:	it is held; a buffer gets the tightest extent
 */
enum region_mode {
	REGION_LENT,
	REGION_FIRST_FIT,
	REGION_BEST_FIT
};

/**
 * struct heap_region - contiguous memory and the heap that hands it out
 * @list:	all registered regions
 * @name:	name of the heap, of its node and of its buffers' exporter
 * @cma:	the area the memory comes from, NULL for a carve-out
 * @pfn:	first page frame
 * @npages:	length in pages
 * @small_gfp:	how to ask the buddy allocator for small buffers, 0 for never
 * @held:	the pool of held memory, NULL if the region is lent
 * @lock:	protects what follows
 * @used:	lent regions: a bit for each page that is in a buffer
 * @used_pages:	pages of the region that are in buffers
 * @peak_pages:	highest value of @used_pages
 * @small_pages: pages in buffers that came from the buddy allocator
 * @buffers:	live buffers, small ones included
 * @failures:	refused requests by cause
 */
struct heap_region {
	struct list_head list;
	const char *name;
	struct cma *cma;
	unsigned long pfn;
	unsigned long npages;
	gfp_t small_gfp;
	struct held_pool *held;

	spinlock_t lock; /* accounts */
	unsigned long *used;
	unsigned long used_pages;
	unsigned long peak_pages;
	unsigned long small_pages;
	unsigned long buffers;
	unsigned long failures[FAIL_CAUSES];
};

/**
 * struct region_buffer - one buffer: an extent of a region
 * @region:	where the memory came from
 * @list:	place among a held pool's dirty extents, once freed
 * @pfn:	first page frame
 * @npages:	length in pages
 * @small:	the memory is the buddy allocator's, not the region's
 * @lock:	protects @attachments, their mapped state, and @vaddr
 * @attachments: devices that are attached
 * @vaddr:	kernel address while there is one
 */
struct region_buffer {
	struct heap_region *region;
	struct list_head list;
	unsigned long pfn;
	unsigned long npages;
	bool small;

	struct mutex lock; /* attachments, vaddr */
	struct list_head attachments;
	void *vaddr;
};

/* region.c */
struct heap_region *heap_region_create(const char *name, struct cma *cma,
				       unsigned long pfn, unsigned long npages,
				       enum region_mode mode);
void heap_region_destroy(struct heap_region *region);
int heap_region_register(struct heap_region *region);

/* alloc.c */
int heap_region_alloc(struct heap_region *region, struct region_buffer *buffer,
		      unsigned long npages);
void heap_region_free(struct region_buffer *buffer);
int clear_extent(unsigned long pfn, unsigned long npages);

/* buffer.c */
struct dma_buf *heap_region_export(struct heap_region *region, size_t len,
				   u32 fd_flags);

/* held.c */
struct held_pool *held_pool_create(unsigned long pfn, unsigned long npages,
				   genpool_algo_t fit, bool cleared);
void held_pool_destroy(struct held_pool *pool);
long held_pool_alloc(struct held_pool *pool, unsigned long npages);
void held_pool_free(struct held_pool *pool, struct region_buffer *buffer);
void held_pool_state(struct held_pool *pool, unsigned long *largest,
		     unsigned long *backlog);

#ifdef CONFIG_DEBUG_FS
void heap_region_debugfs(struct heap_region *region);
#else
static inline void heap_region_debugfs(struct heap_region *region)
{
}
#endif

/* The length of the longest run of clear bits. */
static inline unsigned long longest_clear_run(const unsigned long *map,
					      unsigned long nbits)
{
	unsigned long longest = 0;
	unsigned long start, end;

	for_each_clear_bitrange(start, end, map, nbits)
		longest = max_t(unsigned long, longest, end - start);

	return longest;
}

#endif /* _CMA_REGIONS_H */
