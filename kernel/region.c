// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions and their heaps.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cma.h>
#include <linux/dma-heap.h>
#include <linux/err.h>
#include <linux/slab.h>

#include "compat.h"
#include "dmaheap.h"

static LIST_HEAD(regions);

/**
 * dmaheap_region_create() - make a region, without its heap
 * @name:	its name
 * @cma:	the area it lies in, or NULL for a carve-out
 * @pfn:	first page frame
 * @npages:	length in pages
 * @mode:	lent or held; a carve-out can only be held
 *
 * Return: the region or an error pointer.
 */
struct dmaheap_region *dmaheap_region_create(const char *name, struct cma *cma,
					     unsigned long pfn,
					     unsigned long npages,
					     enum dmaheap_mode mode)
{
	struct dmaheap_region *region;
	int ret = -ENOMEM;

	region = kzalloc_obj(*region);
	if (!region)
		return ERR_PTR(-ENOMEM);

	region->cma = cma;
	region->pfn = pfn;
	region->npages = npages;
	region->align = 1;
	region->live = RB_ROOT;
	region->source = &dmaheap_lent_source;
	mutex_init(&region->lock);

	region->name = kstrdup(name, GFP_KERNEL);
	region->used = bitmap_zalloc(npages, GFP_KERNEL);
	if (!region->name || !region->used)
		goto free_region;

	if (mode != DMAHEAP_LENT) {
		ret = dmaheap_hold(region, mode);
		if (ret)
			goto free_region;
	}

	return region;

free_region:
	bitmap_free(region->used);
	kfree(region->name);
	kfree(region);

	return ERR_PTR(ret);
}

/**
 * dmaheap_region_destroy() - undo dmaheap_region_create()
 * @region:	the region, of which no buffer is left
 */
void dmaheap_region_destroy(struct dmaheap_region *region)
{
	if (region->source->destroy)
		region->source->destroy(region);
	bitmap_free(region->used);
	kfree(region->uncached_name);
	kfree(region->name);
	kfree(region);
}

static struct dma_buf *allocate(struct dma_heap *heap, unsigned long len,
				u32 fd_flags, u64 heap_flags)
{
	return dmaheap_export(dma_heap_get_drvdata(heap), len, fd_flags, false);
}

static const struct dma_heap_ops cached_ops = {
	.allocate = allocate,
};

static struct dma_buf *allocate_uncached(struct dma_heap *heap,
					 unsigned long len, u32 fd_flags,
					 u64 heap_flags)
{
	return dmaheap_export(dma_heap_get_drvdata(heap), len, fd_flags, true);
}

static const struct dma_heap_ops uncached_ops = {
	.allocate = allocate_uncached,
};

/**
 * dmaheap_region_find() - look a region up among those that have a heap
 * @name:	its name, or that of its uncached heap
 *
 * They are all added by one thread.
 *
 * Return: the region, or NULL.
 */
struct dmaheap_region *dmaheap_region_find(const char *name)
{
	struct dmaheap_region *region;

	list_for_each_entry(region, &regions, list)
		if (!strcmp(region->name, name) ||
		    (region->uncached_name &&
		     !strcmp(region->uncached_name, name)))
			return region;

	return NULL;
}

static int add_heap(struct dmaheap_region *region, const char *name,
		    const struct dma_heap_ops *ops)
{
	struct dma_heap_export_info exp_info = {
		.name = name,
		.ops = ops,
		.priv = region,
	};

	/* The heap framework would notice too, but with a stack trace. */
	if (dmaheap_region_find(name) || compat_name_taken(name, region->cma))
		return -EEXIST;

	return PTR_ERR_OR_ZERO(dma_heap_add(&exp_info));
}

/**
 * dmaheap_region_register() - give a region its heap, or both of them
 * @region:	the region, which must stay for good if this succeeds: the
 *		kernel cannot remove a heap
 *
 * Return: 0 or a negative error, -EEXIST if the name is taken.
 */
int dmaheap_region_register(struct dmaheap_region *region)
{
	int ret;

	ret = add_heap(region, region->name, &cached_ops);
	if (ret)
		return ret;
	if (region->uncached_name &&
	    add_heap(region, region->uncached_name, &uncached_ops))
		pr_err("%s: no heap\n", region->uncached_name);

	list_add_tail(&region->list, &regions);
	if (dmaheap_sysfs_add(region))
		pr_warn("%s: not in sysfs\n", region->name);
	dmaheap_debugfs_add(region);

	return 0;
}

/* The length of the longest run of clear bits. */
static unsigned long longest_clear_run(const unsigned long *map,
				       unsigned long nbits)
{
	unsigned long longest = 0;
	unsigned long start, end;

	for_each_clear_bitrange(start, end, map, nbits)
		longest = max(longest, end - start);

	return longest;
}

/**
 * dmaheap_region_state() - look at a region
 * @region:	the region
 * @state:	receives what it is like at this moment
 */
void dmaheap_region_state(struct dmaheap_region *region,
			  struct dmaheap_state *state)
{
	int i;

	mutex_lock(&region->lock);
	*state = (struct dmaheap_state) {
		.size = (u64)region->npages << PAGE_SHIFT,
		.used = (u64)region->used_pages << PAGE_SHIFT,
		.largest_free = (u64)longest_clear_run(region->used,
						       region->npages)
				<< PAGE_SHIFT,
		.high_water = (u64)region->peak_pages << PAGE_SHIFT,
		.small = (u64)region->small_pages << PAGE_SHIFT,
		.buffers = region->buffers,
	};
	for (i = 0; i < DMAHEAP_FAILURES; i++)
		state->failures[i] = region->failures[i];
	if (region->source->state)
		region->source->state(region, state);
	mutex_unlock(&region->lock);
}
