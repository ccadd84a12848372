// SPDX-License-Identifier: GPL-2.0-only
/*
 * The uncached twin of a region's heap: the same memory, which the CPU maps
 * write-combined, so that devices see its writes without a sync.
 *
 * The kernel's own mapping of that memory stays, and is cached; two mappings of
 * different kinds must not be used at the same time. So a buffer's memory is
 * cleaned and invalidated once it is cleared, and from then on until it is free
 * nobody uses that mapping: vmap has one of its own. A line that the CPU fetches
 * by speculation is clean, is never read, and is gone with the next clearing.
 */
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/platform_device.h>

#include "dmaheap.h"

/* One whose DMA does not go through the caches. */
static struct platform_device *outsider;

/**
 * dmaheap_uncached_init() - make ready for uncached buffers
 *
 * Return: 0 or a negative error.
 */
int dmaheap_uncached_init(void)
{
	struct platform_device *pdev;
	int ret;

	if (outsider)
		return 0;

	pdev = platform_device_register_simple("dmaheap", PLATFORM_DEVID_NONE,
					       NULL, 0);
	if (IS_ERR(pdev))
		return PTR_ERR(pdev);

	ret = dma_coerce_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (ret)
		platform_device_unregister(pdev);
	else
		outsider = pdev;

	return ret;
}

/**
 * dmaheap_uncache() - leave nothing of a buffer in the caches
 * @buffer:	the buffer, which no device and no program has yet
 *
 * Return: 0 or -ENOMEM.
 */
int dmaheap_uncache(struct dmaheap_buffer *buffer)
{
	size_t size = buffer->npages << PAGE_SHIFT;
	dma_addr_t addr;

	addr = dma_map_page(&outsider->dev, pfn_to_page(buffer->pfn), 0, size,
			    DMA_BIDIRECTIONAL);
	if (dma_mapping_error(&outsider->dev, addr))
		return -ENOMEM;
	dma_unmap_page(&outsider->dev, addr, size, DMA_BIDIRECTIONAL);

	return 0;
}
