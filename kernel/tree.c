// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA-BUF heaps for regions of physically contiguous memory.
 *
 * Here the regions are found: in the device tree, and in what the kernel made
 * of it. A region that is wrong is reported, in one line, and does not keep the
 * others from being there.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cma.h>
#include <linux/dma-map-ops.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_reserved_mem.h>
#include <linux/slab.h>

#include "compat.h"
#include "dmaheap.h"

#define DEFAULT_REGION_NAME	"default_cma_region"

/* Names have commas, so there is one in each parameter. */
static const char *held[16];
static bool held_found[ARRAY_SIZE(held)];
static int held_count;

static int set_held(const char *val, const struct kernel_param *kp)
{
	if (held_count == ARRAY_SIZE(held))
		return -ENOSPC;
	val = compat_keep_parameter(val);
	if (!val)
		return -ENOMEM;
	held[held_count++] = val;

	return 0;
}

static const struct kernel_param_ops held_ops = {
	.set = set_held,
};

module_param_cb(held, &held_ops, NULL, 0);
MODULE_PARM_DESC(held,
		 "NAME[:first-fit|:best-fit]: a region to hold, as if its node had the property dmaheap,held; once for each");

static int __init refuse(const char *name, const char *why, int error)
{
	pr_err("%s: no heap: %s (error %d)\n", name, why, error);

	return error;
}

static int __init mode_by_name(const char *name)
{
	if (!*name || !strcmp(name, "first-fit"))
		return DMAHEAP_FIRST_FIT;
	if (!strcmp(name, "best-fit"))
		return DMAHEAP_BEST_FIT;

	return -EINVAL;
}

/* How a region is to be used: an enum dmaheap_mode or a negative error. */
static int __init wanted_mode(const char *name, const struct device_node *np)
{
	const char *fit;
	int len, i;

	if (of_find_property(np, "dmaheap,held", &len)) {
		if (!len)
			return DMAHEAP_FIRST_FIT;
		if (of_property_read_string(np, "dmaheap,held", &fit) || !*fit)
			return -EINVAL;
		return mode_by_name(fit);
	}

	for (i = 0; i < held_count; i++) {
		len = strcspn(held[i], ":");
		if (strlen(name) == len && !strncmp(held[i], name, len)) {
			held_found[i] = true;
			return mode_by_name(held[i] + len + !!held[i][len]);
		}
	}

	return DMAHEAP_LENT;
}

/* In pages, or 0 if the property is wrong. */
static unsigned long __init wanted_align(const struct device_node *np)
{
	u32 bytes;

	if (!of_find_property(np, "dmaheap,align", NULL))
		return 1;
	if (of_property_read_u32(np, "dmaheap,align", &bytes) ||
	    !is_power_of_2(bytes))
		return 0;

	return max(bytes >> PAGE_SHIFT, 1U);
}

/**
 * struct wish - what is wanted of a region
 * @mode:	how it is to be used
 * @align:	every buffer begins at a multiple of so many page frames
 * @uncached:	it has a heap of uncached buffers as well
 */
struct wish {
	enum dmaheap_mode mode;
	unsigned long align;
	bool uncached;
};

/* What is wrong with the wish, or NULL. What is right of it is read anyway. */
static const char * __init read_wish(struct wish *wish, const char *name,
				     const struct device_node *np)
{
	unsigned long align = wanted_align(np);
	int mode = wanted_mode(name, np);

	wish->mode = max(mode, DMAHEAP_LENT);
	wish->align = max(align, 1UL);
	wish->uncached = of_property_read_bool(np, "dmaheap,uncached");
	if (mode < 0)
		return "dmaheap,held is neither first-fit nor best-fit";
	if (!align)
		return "dmaheap,align is no power of two";

	return NULL;
}

/* A device that can reach the region must be able to reach small buffers. */
static gfp_t __init small_gfp(unsigned long pfn)
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

static bool __init overlaps(const struct reserved_mem *rmem, phys_addr_t base,
			    phys_addr_t end)
{
	return rmem->base < end && base < rmem->base + rmem->size;
}

static bool __init overlaps_initrd(const struct reserved_mem *rmem)
{
	struct device_node *chosen = of_find_node_by_path("/chosen");
	const __be32 *start, *end;
	int start_len, end_len;
	bool ret = false;

	start = of_get_property(chosen, "linux,initrd-start", &start_len);
	end = of_get_property(chosen, "linux,initrd-end", &end_len);
	if (start && end)
		ret = overlaps(rmem,
			       of_read_number(start, start_len / sizeof(*start)),
			       of_read_number(end, end_len / sizeof(*end)));
	of_node_put(chosen);

	return ret;
}

static bool __init overlaps_another(const struct reserved_mem *rmem,
				    const struct device_node *np)
{
	struct device_node *other;
	struct reserved_mem *its;

	for_each_available_child_of_node(np->parent, other) {
		if (other == np)
			continue;
		its = of_reserved_mem_lookup(other);
		if (its && overlaps(rmem, its->base, its->base + its->size)) {
			of_node_put(other);
			return true;
		}
	}

	return false;
}

/* It must be memory that the kernel has mapped but not given away. */
static bool __init is_unused_memory(const struct reserved_mem *rmem)
{
	unsigned long pfn;

	for (pfn = PFN_DOWN(rmem->base);
	     pfn < PFN_DOWN(rmem->base + rmem->size); pfn++)
		if (!compat_is_memory(pfn) || !PageReserved(pfn_to_page(pfn)))
			return false;

	return true;
}

/* What is wrong with a region that is not CMA's, or NULL. */
static const char * __init carveout_fault(const struct reserved_mem *rmem,
					  const struct device_node *np)
{
	if (rmem->ops)
		return "another driver has it";
	if (of_property_read_bool(np, "no-map"))
		return "no-map keeps it from the kernel";
	if (compat_overlaps_kernel(rmem->base, rmem->base + rmem->size))
		return "the kernel itself lies there";
	if (overlaps_initrd(rmem))
		return "the boot loader has put the initrd there";
	if (overlaps_another(rmem, np))
		return "it overlaps other reserved memory";
	if (!is_unused_memory(rmem))
		return "not all of it is memory, and unused";

	return NULL;
}

/* Without its uncached twin a heap is better than none. */
static void __init add_twin(struct dmaheap_region *region)
{
	if (!dmaheap_uncached_init())
		region->uncached_name = kasprintf(GFP_KERNEL, "%s-uncached",
						  region->name);
	if (!region->uncached_name)
		pr_err("%s: no uncached heap\n", region->name);
}

static int __init add_region(const char *name, struct cma *cma,
			     phys_addr_t base, phys_addr_t size,
			     const struct wish *wish)
{
	struct dmaheap_region *region;
	int ret;

	if (!size || !base || !PAGE_ALIGNED(base | size))
		return refuse(name, "it does not consist of whole pages",
			      -EINVAL);

	region = dmaheap_region_create(name, cma, PHYS_PFN(base),
				       PHYS_PFN(size), wish->mode);
	ret = PTR_ERR_OR_ZERO(region);
	if (ret)
		return refuse(name, "it cannot be taken", ret);

	region->align = wish->align;
	if (cma && cma == dev_get_cma_area(NULL))
		region->small_gfp = small_gfp(region->pfn);
	if (wish->uncached)
		add_twin(region);

	ret = dmaheap_region_register(region);
	if (ret) {
		dmaheap_region_destroy(region);
		return refuse(name, ret == -EEXIST ? "its name is taken" :
						     "it cannot be registered",
			      ret);
	}
	pr_info("%s: %lu KiB at %pa, %s\n", name, (ulong)(size / SZ_1K), &base,
		wish->mode == DMAHEAP_LENT ? "lent" : "held");

	return 0;
}

static int __init add_node(struct device_node *np)
{
	bool is_area = of_device_is_compatible(np, "shared-dma-pool") &&
		       of_property_read_bool(np, "reusable");
	const char *name = kbasename(np->full_name);
	struct wish wish = {};
	const char *fault = read_wish(&wish, name, np);
	struct reserved_mem *rmem;

	/* Reserved for something else. */
	if (!fault && !is_area && wish.mode == DMAHEAP_LENT)
		return 0;
	if (!of_device_is_available(np)) {
		pr_info("%s: no heap: it is disabled\n", name);
		return 0;
	}
	if (fault)
		return refuse(name, fault, -EINVAL);

	rmem = of_reserved_mem_lookup(np);
	if (!rmem)
		return refuse(name, "the kernel has not reserved it", -ENODEV);
	if (is_area && !rmem->priv)
		return refuse(name, "CMA found fault with it, see above", -ENODEV);

	fault = is_area ? NULL : carveout_fault(rmem, np);
	if (fault)
		return refuse(name, fault, -ENXIO);

	return add_region(name, is_area ? rmem->priv : NULL, rmem->base,
			  rmem->size, &wish);
}

/* The default area has a node or not; its name is the same. */
static int __init add_default(struct cma *cma, struct device_node *np)
{
	struct wish wish = {};
	const char *fault = read_wish(&wish, DEFAULT_REGION_NAME, np);
	struct reserved_mem *rmem = NULL;
	phys_addr_t base, size;

	/* Whatever is wrong, the system does not go without it. */
	if (!fault && wish.mode != DMAHEAP_LENT)
		fault = "the kernel itself has memory there";
	if (fault)
		pr_err("%s: it stays lent: %s\n", DEFAULT_REGION_NAME, fault);
	wish.mode = DMAHEAP_LENT;

	if (np)
		rmem = of_reserved_mem_lookup(np);
	if (rmem && rmem->priv == cma) {
		base = rmem->base;
		size = rmem->size;
	} else if (compat_area_bounds(cma, &base, &size)) {
		return refuse(DEFAULT_REGION_NAME,
			      "a module finds it in the device tree only",
			      -EOPNOTSUPP);
	}

	return add_region(DEFAULT_REGION_NAME, cma, base, size, &wish);
}

static int __init dmaheap_init(void)
{
	struct cma *cma = dev_get_cma_area(NULL);
	struct device_node *parent, *np;
	int i;

	if (cma) {
		np = of_find_node_with_property(NULL, "linux,cma-default");
		add_default(cma, np);
		of_node_put(np);
	}

	parent = of_find_node_by_path("/reserved-memory");
	for_each_child_of_node(parent, np)
		if (!of_property_read_bool(np, "linux,cma-default"))
			add_node(np);
	of_node_put(parent);

	for (i = 0; i < held_count; i++)
		if (!held_found[i])
			pr_err("held=%s: no such region\n", held[i]);

	return 0;
}
module_init(dmaheap_init);

MODULE_DESCRIPTION("DMA-BUF heaps for contiguous memory regions");
MODULE_LICENSE("GPL");
MODULE_INFO(import_ns, "DMA_BUF");
MODULE_INFO(import_ns, "DMA_BUF_HEAP");

#ifdef CONFIG_DMABUF_HEAPS_CMA_REGIONS_KUNIT_TEST
#include "tree_test.c"
#endif
