// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings of a buffer for the CPU.
 *
 * User space is mapped whole and by page frame number, when it asks: nothing is
 * left for a fault to do, and nothing takes entries away while the mapping
 * lives, since advice, growth and private copies are refused for such mappings.
 */
#include <linux/highmem.h>
#include <linux/iosys-map.h>
#include <linux/pgtable.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "dmaheap.h"

/*
 * Nobody asks later whether such a page was written to. So it is entered as
 * dirty: without help from the hardware, a clean one faults at its first write.
 * Not all architectures let a driver say so.
 */
static pgprot_t dirty(pgprot_t prot)
{
	pte_t entry = pte_mkyoung(pte_mkdirty(pfn_pte(0, prot)));

	return pgprot_val(pte_pgprot(entry)) ? pte_pgprot(entry) : prot;
}

/**
 * dmaheap_mmap() - map a buffer into user space
 * @dmabuf:	the buffer
 * @vma:	where, within the buffer's length
 *
 * Return: 0, -EINVAL for a private mapping, or -ENOMEM.
 */
int dmaheap_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct dmaheap_buffer *buffer = dmabuf->priv;

	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (buffer->uncached)
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);

	return remap_pfn_range(vma, vma->vm_start,
			       buffer->pfn + vma->vm_pgoff,
			       vma->vm_end - vma->vm_start,
			       dirty(vma->vm_page_prot));
}

static void *map_pages(struct dmaheap_buffer *buffer, pgprot_t prot)
{
	struct page **pages;
	unsigned long i;
	void *vaddr;

	pages = kvmalloc_array(buffer->npages, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return NULL;

	for (i = 0; i < buffer->npages; i++)
		pages[i] = pfn_to_page(buffer->pfn + i);
	vaddr = vmap(pages, buffer->npages, VM_MAP, prot);
	kvfree(pages);

	return vaddr;
}

/**
 * dmaheap_vmap() - map a buffer into the kernel
 * @dmabuf:	the buffer
 * @map:	receives the address
 *
 * dma_buf_vmap() counts: this is called for the first user only.
 *
 * Return: 0 or -ENOMEM.
 */
int dmaheap_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct dmaheap_buffer *buffer = dmabuf->priv;
	struct page *page = pfn_to_page(buffer->pfn);
	void *vaddr;

	if (buffer->uncached)
		vaddr = map_pages(buffer, pgprot_writecombine(PAGE_KERNEL));
	else if (PageHighMem(page))
		vaddr = map_pages(buffer, PAGE_KERNEL);
	else
		vaddr = page_address(page);
	if (!vaddr)
		return -ENOMEM;

	mutex_lock(&buffer->lock);
	buffer->vaddr = vaddr;
	mutex_unlock(&buffer->lock);
	iosys_map_set_vaddr(map, vaddr);

	return 0;
}

/**
 * dmaheap_vunmap() - undo dmaheap_vmap(), after the last user
 * @dmabuf:	the buffer
 * @map:	the address
 */
void dmaheap_vunmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct dmaheap_buffer *buffer = dmabuf->priv;

	mutex_lock(&buffer->lock);
	buffer->vaddr = NULL;
	mutex_unlock(&buffer->lock);

	if (is_vmalloc_addr(map->vaddr))
		vunmap(map->vaddr);
	iosys_map_clear(map);
}
