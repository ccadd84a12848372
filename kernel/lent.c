// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lent memory: CMA has it, and may have to move other people's pages first.
 *
 * Small buffers of the default region, of which nobody expects a certain
 * address, come from the buddy allocator if it has a contiguous extent at hand.
 */
#include <linux/cma.h>
#include <linux/gfp.h>
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>

#include "dmaheap.h"

static ulong small_max = SZ_64K;
module_param(small_max, ulong, 0644);
MODULE_PARM_DESC(small_max,
		 "largest buffer, in bytes, that the default region takes from the page allocator instead of CMA; 0 for none (default 65536)");

static int lent_alloc(struct dmaheap_region *region,
		      struct dmaheap_buffer *buffer)
{
	unsigned long npages = buffer->npages;
	unsigned int order = min_t(unsigned int, CONFIG_CMA_ALIGNMENT,
				   get_order(npages << PAGE_SHIFT));
	struct page *page;
	int ret;

	page = cma_alloc(region->cma, npages,
			 max_t(unsigned int, order, ilog2(region->align)), true);
	if (!page)
		return fatal_signal_pending(current) ? -EINTR : -ENOMEM;

	/* With init_on_alloc, CMA's pages come cleared. Once is enough. */
	if (!want_init_on_alloc(GFP_KERNEL)) {
		ret = dmaheap_clear(page_to_pfn(page), npages);
		if (ret) {
			cma_release(region->cma, page, npages);
			return ret;
		}
	}

	buffer->pfn = page_to_pfn(page);
	mutex_lock(&region->lock);
	dmaheap_mark_used(region, buffer->pfn, npages);
	mutex_unlock(&region->lock);

	return 0;
}

/* No longer ours before CMA has it: others may take it at once. */
static void lent_free(struct dmaheap_region *region,
		      struct dmaheap_buffer *buffer)
{
	mutex_lock(&region->lock);
	dmaheap_mark_free(region, buffer->pfn, buffer->npages);
	mutex_unlock(&region->lock);

	cma_release(region->cma, pfn_to_page(buffer->pfn), buffer->npages);
}

/* Whose they are nobody knows; that they are somebody's costs time to change. */
static bool is_busy(unsigned long pfn)
{
	return page_count(pfn_to_page(pfn));
}

static const char *lent_rest(struct dmaheap_region *region, unsigned long start,
			     unsigned long *end)
{
	bool busy = is_busy(region->pfn + start);

	while (++start < *end && is_busy(region->pfn + start) == busy)
		;
	*end = start;

	return busy ? "busy" : "free";
}

const struct dmaheap_source dmaheap_lent_source = {
	.alloc = lent_alloc,
	.free = lent_free,
	.rest = lent_rest,
};

static int small_alloc(struct dmaheap_region *region,
		       struct dmaheap_buffer *buffer)
{
	size_t size = buffer->npages << PAGE_SHIFT;
	void *vaddr;

	if (size > READ_ONCE(small_max) || get_order(size) > MAX_PAGE_ORDER ||
	    region->align > 1UL << get_order(size))
		return -ENOMEM;

	vaddr = alloc_pages_exact(size, region->small_gfp);
	if (!vaddr)
		return -ENOMEM;

	buffer->pfn = page_to_pfn(virt_to_page(vaddr));
	mutex_lock(&region->lock);
	region->small_pages += buffer->npages;
	mutex_unlock(&region->lock);

	return 0;
}

static void small_free(struct dmaheap_region *region,
		       struct dmaheap_buffer *buffer)
{
	mutex_lock(&region->lock);
	region->small_pages -= buffer->npages;
	mutex_unlock(&region->lock);

	free_pages_exact(page_address(pfn_to_page(buffer->pfn)),
			 buffer->npages << PAGE_SHIFT);
}

/* Never a region's only one: what there is to know of it is in the accounts. */
const struct dmaheap_source dmaheap_small_source = {
	.alloc = small_alloc,
	.free = small_free,
};
