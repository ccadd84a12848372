/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels this driver builds in: 6.12 and later.
 */
#ifndef _DMAHEAP_COMPAT_H
#define _DMAHEAP_COMPAT_H

#include <linux/cma.h>
#include <linux/dma-buf.h>
#include <linux/dma-map-ops.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <asm/sections.h>

/* Since 7.0. */
#ifndef kzalloc_obj
#define kzalloc_obj(object)	kzalloc(sizeof(object), GFP_KERNEL)
#endif

/* Android's kernels have this in 6.12, others later: the Makefile looks. */
static inline unsigned long
compat_map_attrs(const struct dma_buf_attachment *attachment)
{
#ifdef HAVE_DMA_MAP_ATTRS
	return attachment->dma_map_attrs;
#else
	return 0;
#endif
}

/* No kernel lets a module ask. It has to know from the device tree. */
static inline int compat_area_bounds(const struct cma *cma, phys_addr_t *base,
				     phys_addr_t *size)
{
#ifdef MODULE
	return -EOPNOTSUPP;
#else
	*base = cma_get_base(cma);
	*size = cma_get_size(cma);
	return 0;
#endif
}

/* A page frame that the kernel has mapped. A hole may have a struct page, too. */
static inline bool compat_is_memory(unsigned long pfn)
{
#ifdef CONFIG_ARM64
	return pfn_is_map_memory(pfn);
#else
	return pfn_valid(pfn) && page_is_ram(pfn);
#endif
}

/* No module can ask where the kernel's own image lies. */
static inline bool compat_overlaps_kernel(phys_addr_t base, phys_addr_t end)
{
#ifdef MODULE
	return false;
#else
	return base < __pa_symbol(_end) && __pa_symbol(_text) < end;
#endif
}

/*
 * The kernel's command line stays, and is read before there is memory to be had.
 * That of a module stays in 6.12, and is gone when the module starts in 7.3.
 */
static inline const char *compat_keep_parameter(const char *val)
{
#ifdef MODULE
	return kstrdup(val, GFP_KERNEL);
#else
	return val;
#endif
}

/*
 * Whether one of the kernel's own heaps has this name. The in-tree heap of CMA
 * areas has those of this driver since 6.17, as the Makefile sees; before that,
 * the default area's own.
 */
static inline bool compat_name_taken(const char *name, struct cma *cma)
{
	if (IS_ENABLED(CONFIG_DMABUF_HEAPS_SYSTEM) && !strcmp(name, "system"))
		return true;
	if (!IS_ENABLED(CONFIG_DMABUF_HEAPS_CMA))
		return false;
#ifdef HAVE_IN_TREE_NAMES
	return cma;
#elif defined(MODULE)
	return false;
#else
	return dev_get_cma_area(NULL) &&
	       !strcmp(name, cma_get_name(dev_get_cma_area(NULL)));
#endif
}

#endif /* _DMAHEAP_COMPAT_H */
