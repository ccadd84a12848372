// SPDX-License-Identifier: GPL-2.0-only
/*
 * What every buffer goes through, whatever source its memory has: accounts,
 * and the choice between the sources.
 */
#include <linux/highmem.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "dmaheap.h"
#include "trace.h"

static int clear(unsigned long pfn, unsigned long npages)
{
	unsigned long i;

	for (i = 0; i < npages; i++) {
		if (i && !(i % DMAHEAP_PIECE_PAGES)) {
			if (fatal_signal_pending(current))
				return -EINTR;
			cond_resched();
		}
		clear_highpage(pfn_to_page(pfn + i));
	}

	return 0;
}

/**
 * dmaheap_clear() - fill memory with zeroes
 * @pfn:	first page frame
 * @npages:	length in pages
 *
 * Return: 0, or -EINTR if the caller was killed meanwhile. The memory is then
 * partly cleared.
 */
int dmaheap_clear(unsigned long pfn, unsigned long npages)
{
	ktime_t start;
	int ret;

	if (!trace_dmaheap_clear_enabled())
		return clear(pfn, npages);

	start = ktime_get();
	ret = clear(pfn, npages);
	trace_dmaheap_clear((u64)pfn << PAGE_SHIFT, npages << PAGE_SHIFT,
			    ktime_to_ns(ktime_sub(ktime_get(), start)), ret);

	return ret;
}

/**
 * dmaheap_mark_used() - note that pages of the region are in a buffer
 * @region:	the region, whose lock is held
 * @pfn:	first page frame
 * @npages:	length in pages
 */
void dmaheap_mark_used(struct dmaheap_region *region, unsigned long pfn,
		       unsigned long npages)
{
	lockdep_assert_held(&region->lock);

	bitmap_set(region->used, pfn - region->pfn, npages);
	region->used_pages += npages;
	region->peak_pages = max(region->peak_pages, region->used_pages);
}

/**
 * dmaheap_mark_free() - undo dmaheap_mark_used()
 * @region:	the region, whose lock is held
 * @pfn:	first page frame
 * @npages:	length in pages
 */
void dmaheap_mark_free(struct dmaheap_region *region, unsigned long pfn,
		       unsigned long npages)
{
	lockdep_assert_held(&region->lock);

	bitmap_clear(region->used, pfn - region->pfn, npages);
	region->used_pages -= npages;
}

/*
 * All buffers of a region together are no longer than the region, also where
 * some of them lie elsewhere.
 */
static int charge(struct dmaheap_region *region, unsigned long npages)
{
	int ret = 0;

	mutex_lock(&region->lock);
	if (region->small_gfp &&
	    npages > region->npages - region->charged_pages) {
		ret = -ENOMEM;
	} else {
		region->charged_pages += npages;
		region->buffers++;
	}
	mutex_unlock(&region->lock);

	return ret;
}

static void uncharge(struct dmaheap_region *region, unsigned long npages)
{
	mutex_lock(&region->lock);
	region->charged_pages -= npages;
	region->buffers--;
	mutex_unlock(&region->lock);
}

/**
 * dmaheap_alloc() - find cleared memory for a buffer
 * @region:	the region asked
 * @buffer:	receives the extent
 * @npages:	length in pages, not 0
 *
 * Return: 0, -ENOMEM, or -EINTR if the caller was killed.
 */
int dmaheap_alloc(struct dmaheap_region *region, struct dmaheap_buffer *buffer,
		  unsigned long npages)
{
	int ret;

	ret = charge(region, npages);
	if (ret)
		return ret;

	buffer->region = region;
	buffer->npages = npages;

	ret = -ENOMEM;
	if (region->small_gfp) {
		buffer->source = &dmaheap_small_source;
		ret = buffer->source->alloc(region, buffer);
	}
	if (ret) {
		buffer->source = region->source;
		ret = buffer->source->alloc(region, buffer);
	}
	if (ret)
		uncharge(region, npages);

	return ret;
}

/**
 * dmaheap_free() - give back a buffer and its memory
 * @buffer:	the buffer, which is gone afterwards
 */
void dmaheap_free(struct dmaheap_buffer *buffer)
{
	struct dmaheap_region *region = buffer->region;

	dmaheap_map_remove(buffer);
	buffer->source->free(region, buffer);
	uncharge(region, buffer->npages);
	kfree(buffer);
}
