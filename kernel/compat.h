/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels this driver builds in: 6.12 and later.
 */
#ifndef _CMA_REGIONS_COMPAT_H
#define _CMA_REGIONS_COMPAT_H

#include <linux/cma.h>
#include <linux/dma-buf.h>
#include <linux/huge_mm.h>
#include <linux/workqueue.h>

/* 6.17 did away with pfn_t, and renamed the unbound workqueue. */
#ifdef HAVE_PFN_T
#include <linux/pfn_t.h>

static inline vm_fault_t compat_insert_pfn_pmd(struct vm_fault *vmf,
					       unsigned long pfn, bool write)
{
	return vmf_insert_pfn_pmd(vmf, pfn_to_pfn_t(pfn), write);
}

#define system_dfl_wq	system_unbound_wq
#else
#define compat_insert_pfn_pmd	vmf_insert_pfn_pmd
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

#endif /* _CMA_REGIONS_COMPAT_H */
