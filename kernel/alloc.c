// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the memory of a buffer comes from, and where it goes back to.
 *
 * There are three sources. A held region has a pool of cleared memory. A lent
 * region asks CMA, which may have to move other people's pages first. The
 * default region, of which nobody expects a certain address, tries the buddy
 * allocator before that if the request is small.
 */
#include <linux/cma.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "cma_regions.h"

static ulong small_max = SZ_64K;
module_param(small_max, ulong, 0644);
MODULE_PARM_DESC(small_max,
		 "largest buffer, in bytes, that the default region takes from the page allocator instead of CMA; 0 for none (default 65536)");

/**
 * clear_extent() - fill memory with zeroes
 * @pfn:	first page frame
 * @npages:	length in pages
 *
 * Return: 0, or -EINTR if the caller was killed meanwhile. The memory is then
 * partly cleared.
 */
int clear_extent(unsigned long pfn, unsigned long npages)
{
	unsigned long i;

	for (i = 0; i < npages; i++) {
		if (i && !(i % CLEAR_PIECE_PAGES)) {
			if (fatal_signal_pending(current))
				return -EINTR;
			cond_resched();
		}
		clear_highpage(pfn_to_page(pfn + i));
	}

	return 0;
}

static bool alloc_small(struct heap_region *region,
			struct region_buffer *buffer, unsigned long npages)
{
	void *vaddr;

	if (!region->small_gfp || npages > READ_ONCE(small_max) >> PAGE_SHIFT ||
	    get_order(npages << PAGE_SHIFT) > MAX_PAGE_ORDER)
		return false;

	vaddr = alloc_pages_exact(npages << PAGE_SHIFT, region->small_gfp);
	if (!vaddr)
		return false;

	buffer->pfn = page_to_pfn(virt_to_page(vaddr));
	buffer->small = true;

	return true;
}

static int alloc_cma(struct heap_region *region, struct region_buffer *buffer,
		     unsigned long npages)
{
	unsigned int align = min_t(unsigned int, CONFIG_CMA_ALIGNMENT,
				   get_order(npages << PAGE_SHIFT));
	struct page *page;
	int ret;

	page = cma_alloc(region->cma, npages, align, true);
	if (!page)
		return fatal_signal_pending(current) ? -EINTR : -ENOMEM;

	/* With init_on_alloc, CMA's pages come cleared. Once is enough. */
	if (!want_init_on_alloc(GFP_KERNEL)) {
		ret = clear_extent(page_to_pfn(page), npages);
		if (ret) {
			cma_release(region->cma, page, npages);
			return ret;
		}
	}

	buffer->pfn = page_to_pfn(page);

	return 0;
}

static int alloc_held(struct heap_region *region, struct region_buffer *buffer,
		      unsigned long npages)
{
	long pfn = held_pool_alloc(region->held, npages);

	if (pfn < 0)
		return pfn;

	buffer->pfn = pfn;

	return 0;
}

static void account(struct heap_region *region, struct region_buffer *buffer)
{
	spin_lock(&region->lock);
	region->buffers++;
	if (buffer->small) {
		region->small_pages += buffer->npages;
	} else {
		region->used_pages += buffer->npages;
		region->peak_pages = max(region->peak_pages, region->used_pages);
		if (region->used)
			bitmap_set(region->used, buffer->pfn - region->pfn,
				   buffer->npages);
	}
	spin_unlock(&region->lock);
}

static void unaccount(struct heap_region *region, struct region_buffer *buffer)
{
	spin_lock(&region->lock);
	region->buffers--;
	if (buffer->small) {
		region->small_pages -= buffer->npages;
	} else {
		region->used_pages -= buffer->npages;
		if (region->used)
			bitmap_clear(region->used, buffer->pfn - region->pfn,
				     buffer->npages);
	}
	spin_unlock(&region->lock);
}

/**
 * heap_region_alloc() - find cleared memory for a buffer
 * @region:	the region asked
 * @buffer:	receives the extent
 * @npages:	length in pages, not 0
 *
 * Return: 0, -ENOMEM, or -EINTR if the caller was killed.
 */
int heap_region_alloc(struct heap_region *region, struct region_buffer *buffer,
		      unsigned long npages)
{
	int ret;

	if (region->held)
		ret = alloc_held(region, buffer, npages);
	else if (alloc_small(region, buffer, npages))
		ret = 0;
	else
		ret = alloc_cma(region, buffer, npages);
	if (ret)
		return ret;

	buffer->region = region;
	buffer->npages = npages;
	account(region, buffer);

	return 0;
}

/**
 * heap_region_free() - give back a buffer and its memory
 * @buffer:	the buffer, which is gone afterwards
 */
void heap_region_free(struct region_buffer *buffer)
{
	struct heap_region *region = buffer->region;

	unaccount(region, buffer);

	if (region->held) {
		held_pool_free(region->held, buffer);
		return;
	}

	if (buffer->small)
		free_pages_exact(page_address(pfn_to_page(buffer->pfn)),
				 buffer->npages << PAGE_SHIFT);
	else
		cma_release(region->cma, pfn_to_page(buffer->pfn),
			    buffer->npages);
	kfree(buffer);
}
