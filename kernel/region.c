// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA-BUF heaps for regions of physically contiguous memory.
 *
 * Here the regions are found, taken if they are to be held, and registered. A
 * region that fails is reported and does not keep the others from being there.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitmap.h>
#include <linux/cma.h>
#include <linux/dma-heap.h>
#include <linux/dma-map-ops.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_reserved_mem.h>
#include <linux/slab.h>

#include "cma_regions.h"
#include "compat.h"

#define DEFAULT_REGION_NAME	"default_cma_region"

static char *held[16];
static int held_count;
module_param_array(held, charp, &held_count, 0444);
MODULE_PARM_DESC(held,
		 "regions to hold, as if their nodes had the property dmaheap,held: NAME[:first-fit|:best-fit],...");

static LIST_HEAD(regions);

/* Take all pages of a CMA area, for good. */
static int take_area(struct heap_region *region)
{
	return cma_alloc(region->cma, region->npages, 0, true) ? 0 : -EBUSY;
}

/* A carve-out must be memory that the kernel knows but has not given away. */
static int check_carveout(struct heap_region *region)
{
	unsigned long i;

	for (i = region->pfn; i < region->pfn + region->npages; i++)
		if (!pfn_valid(i) || !PageReserved(pfn_to_page(i)))
			return -ENXIO;

	return 0;
}

static int hold_region(struct heap_region *region, enum region_mode mode)
{
	bool cleared = region->cma && want_init_on_alloc(GFP_KERNEL);
	struct held_pool *pool;
	int ret;

	ret = region->cma ? take_area(region) : check_carveout(region);
	if (ret)
		return ret;

	pool = held_pool_create(region->pfn, region->npages,
				mode == REGION_BEST_FIT ? gen_pool_best_fit :
							  gen_pool_first_fit,
				cleared);
	if (IS_ERR(pool)) {
		if (region->cma)
			cma_release(region->cma, pfn_to_page(region->pfn),
				    region->npages);
		return PTR_ERR(pool);
	}
	region->held = pool;

	return 0;
}

/**
 * heap_region_create() - make a region, without its heap
 * @name:	its name
 * @cma:	the area it lies in, or NULL for a carve-out
 * @pfn:	first page frame
 * @npages:	length in pages
 * @mode:	lent or held; a carve-out can only be held
 *
 * Return: the region or an error pointer.
 */
struct heap_region *heap_region_create(const char *name, struct cma *cma,
				       unsigned long pfn, unsigned long npages,
				       enum region_mode mode)
{
	struct heap_region *region;
	int ret = -ENOMEM;

	region = kzalloc(sizeof(*region), GFP_KERNEL);
	if (!region)
		return ERR_PTR(-ENOMEM);

	region->cma = cma;
	region->pfn = pfn;
	region->npages = npages;
	spin_lock_init(&region->lock);

	region->name = kstrdup(name, GFP_KERNEL);
	if (!region->name)
		goto free_region;

	if (mode == REGION_LENT) {
		region->used = bitmap_zalloc(npages, GFP_KERNEL);
		if (!region->used)
			goto free_name;
	} else {
		ret = hold_region(region, mode);
		if (ret)
			goto free_name;
	}

	return region;

free_name:
	kfree(region->name);
free_region:
	kfree(region);

	return ERR_PTR(ret);
}

/**
 * heap_region_destroy() - undo heap_region_create()
 * @region:	the region, of which no buffer is left
 */
void heap_region_destroy(struct heap_region *region)
{
	if (region->held) {
		held_pool_destroy(region->held);
		if (region->cma)
			cma_release(region->cma, pfn_to_page(region->pfn),
				    region->npages);
	}
	bitmap_free(region->used);
	kfree(region->name);
	kfree(region);
}

/* A device that can reach the region must be able to reach small buffers. */
static gfp_t small_gfp(unsigned long pfn)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_ZERO | __GFP_NORETRY | __GFP_NOWARN;

	switch (page_zonenum(pfn_to_page(pfn))) {
#ifdef CONFIG_ZONE_DMA
	case ZONE_DMA:
		return gfp | __GFP_DMA;
#endif
#ifdef CONFIG_ZONE_DMA32
	case ZONE_DMA32:
		return gfp | __GFP_DMA32;
#endif
	default:
		return gfp;
	}
}

static struct dma_buf *region_heap_allocate(struct dma_heap *heap,
					    unsigned long len, u32 fd_flags,
					    u64 heap_flags)
{
	return heap_region_export(dma_heap_get_drvdata(heap), len, fd_flags);
}

static const struct dma_heap_ops region_heap_ops = {
	.allocate = region_heap_allocate,
};

/* The regions that have a heap. They are all added by one thread. */
static struct heap_region *find_region(const char *name, size_t len)
{
	struct heap_region *region;

	list_for_each_entry(region, &regions, list)
		if (strlen(region->name) == len &&
		    !strncmp(region->name, name, len))
			return region;

	return NULL;
}

/**
 * heap_region_register() - give a region its heap
 * @region:	the region, which must stay for good if this succeeds: the
 *		kernel cannot remove a heap
 *
 * Return: 0 or a negative error, -EEXIST if the name is taken.
 */
int heap_region_register(struct heap_region *region)
{
	struct dma_heap_export_info exp_info = {
		.name = region->name,
		.ops = &region_heap_ops,
		.priv = region,
	};
	struct dma_heap *heap;

	/* The heap framework would notice too, but with a stack trace. */
	if (find_region(region->name, strlen(region->name)))
		return -EEXIST;

	heap = dma_heap_add(&exp_info);
	if (IS_ERR(heap))
		return PTR_ERR(heap);

	list_add_tail(&region->list, &regions);
	heap_region_debugfs(region);

	return 0;
}

static int __init mode_by_name(const char *name)
{
	if (!*name || !strcmp(name, "first-fit"))
		return REGION_FIRST_FIT;
	if (!strcmp(name, "best-fit"))
		return REGION_BEST_FIT;

	return -EINVAL;
}

/* How a region is to be used: an enum region_mode or a negative error. */
static int __init region_mode(const char *name, const struct device_node *np)
{
	const char *fit = "";
	size_t len;
	int i;

	if (of_property_present(np, "dmaheap,held")) {
		of_property_read_string(np, "dmaheap,held", &fit);
		return mode_by_name(fit);
	}

	for (i = 0; i < held_count; i++) {
		len = strcspn(held[i], ":");
		if (strlen(name) == len && !strncmp(held[i], name, len))
			return mode_by_name(held[i] + len + !!held[i][len]);
	}

	return REGION_LENT;
}

static int __init add_region(const char *name, struct cma *cma,
			     phys_addr_t base, phys_addr_t size,
			     enum region_mode mode)
{
	struct heap_region *region;
	int ret;

	if (!size || !base || !PAGE_ALIGNED(base | size))
		return -EINVAL;

	region = heap_region_create(name, cma, PHYS_PFN(base), PHYS_PFN(size),
				    mode);
	if (IS_ERR(region))
		return PTR_ERR(region);

	if (mode == REGION_LENT && cma == dev_get_cma_area(NULL))
		region->small_gfp = small_gfp(region->pfn);

	ret = heap_region_register(region);
	if (ret) {
		heap_region_destroy(region);
		return ret;
	}
	pr_info("%s: %lu KiB at %pa, %s\n", name, (ulong)(size / SZ_1K), &base,
		mode == REGION_LENT ? "lent" : "held");

	return 0;
}

static int __init add_node(struct device_node *np)
{
	bool is_area = of_device_is_compatible(np, "shared-dma-pool") &&
		       of_property_read_bool(np, "reusable");
	const char *name = kbasename(np->full_name);
	int mode = region_mode(name, np);
	struct reserved_mem *rmem;

	if (mode < 0)
		return mode;
	/* Reserved for something else. */
	if (!is_area && mode == REGION_LENT)
		return 0;

	rmem = of_reserved_mem_lookup(np);
	if (!rmem)
		return -ENODEV;

	if (is_area) {
		/* CMA found fault with the area, and has said so. */
		if (!rmem->priv)
			return -ENODEV;
	} else {
		if (rmem->ops)
			return -EBUSY;
		if (of_property_read_bool(np, "no-map"))
			return -ENXIO;
	}

	return add_region(name, is_area ? rmem->priv : NULL, rmem->base,
			  rmem->size, mode);
}

/* The default area has a node or not; its name is the same. */
static int __init add_default(struct cma *cma, struct device_node *np)
{
	struct reserved_mem *rmem = np ? of_reserved_mem_lookup(np) : NULL;
	int mode = region_mode(DEFAULT_REGION_NAME, np);
	phys_addr_t base, size;
	int ret;

	if (mode < 0)
		return mode;

	if (rmem && rmem->priv == cma) {
		base = rmem->base;
		size = rmem->size;
	} else {
		ret = compat_area_bounds(cma, &base, &size);
		if (ret)
			return ret;
	}

	return add_region(DEFAULT_REGION_NAME, cma, base, size, mode);
}

static void __init report(const char *name, int ret)
{
	if (ret)
		pr_err("%s: no heap, error %d\n", name, ret);
}

static int __init heap_regions_init(void)
{
	struct cma *cma = dev_get_cma_area(NULL);
	struct device_node *parent, *np;
	int i;

	if (cma) {
		np = of_find_node_with_property(NULL, "linux,cma-default");
		report(DEFAULT_REGION_NAME, add_default(cma, np));
		of_node_put(np);
	}

	parent = of_find_node_by_path("/reserved-memory");
	for_each_available_child_of_node(parent, np)
		if (!of_property_read_bool(np, "linux,cma-default"))
			report(kbasename(np->full_name), add_node(np));
	of_node_put(parent);

	for (i = 0; i < held_count; i++)
		if (!find_region(held[i], strcspn(held[i], ":")))
			pr_err("held=%s: no such region\n", held[i]);

	return 0;
}
module_init(heap_regions_init);

MODULE_DESCRIPTION("DMA-BUF heaps for contiguous memory regions");
MODULE_LICENSE("GPL");
MODULE_INFO(import_ns, "DMA_BUF");
MODULE_INFO(import_ns, "DMA_BUF_HEAP");

#ifdef CONFIG_DMABUF_HEAPS_CMA_REGIONS_KUNIT_TEST
#include "region_test.c"
#endif
