// SPDX-License-Identifier: GPL-2.0-only
/*
 * The DMA-BUF side of a buffer.
 *
 * A buffer is one extent of page frames, so there is no array of pages here:
 * each attachment has a scatter list of one entry, and user space is mapped by
 * page frame number.
 */
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/iosys-map.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "cma_regions.h"
#include "compat.h"

/* A scatter list entry counts bytes in an unsigned int. */
#define MAX_BUFFER_SIZE		((size_t)UINT_MAX & PAGE_MASK)

/**
 * struct region_attachment - a device attached to a buffer
 * @list:	entry in the buffer's list
 * @dev:	the device
 * @table:	the buffer as the device sees it
 * @dir:	direction of the mapping, DMA_NONE while there is none
 */
struct region_attachment {
	struct list_head list;
	struct device *dev;
	struct sg_table table;
	enum dma_data_direction dir;
};

static int region_attach(struct dma_buf *dmabuf,
			 struct dma_buf_attachment *attachment)
{
	struct region_buffer *buffer = dmabuf->priv;
	struct region_attachment *a;
	int ret;

	a = kzalloc(sizeof(*a), GFP_KERNEL);
	if (!a)
		return -ENOMEM;

	ret = sg_alloc_table(&a->table, 1, GFP_KERNEL);
	if (ret) {
		kfree(a);
		return ret;
	}
	sg_set_page(a->table.sgl, pfn_to_page(buffer->pfn), dmabuf->size, 0);
	a->dev = attachment->dev;
	a->dir = DMA_NONE;
	attachment->priv = a;

	mutex_lock(&buffer->lock);
	list_add(&a->list, &buffer->attachments);
	mutex_unlock(&buffer->lock);

	return 0;
}

static void region_detach(struct dma_buf *dmabuf,
			  struct dma_buf_attachment *attachment)
{
	struct region_buffer *buffer = dmabuf->priv;
	struct region_attachment *a = attachment->priv;

	mutex_lock(&buffer->lock);
	list_del(&a->list);
	mutex_unlock(&buffer->lock);

	sg_free_table(&a->table);
	kfree(a);
}

static struct sg_table *region_map(struct dma_buf_attachment *attachment,
				   enum dma_data_direction dir)
{
	struct region_buffer *buffer = attachment->dmabuf->priv;
	struct region_attachment *a = attachment->priv;
	int ret = -EBUSY;

	mutex_lock(&buffer->lock);
	if (a->dir == DMA_NONE)
		ret = dma_map_sgtable(a->dev, &a->table, dir,
				      compat_map_attrs(attachment));
	if (!ret)
		a->dir = dir;
	mutex_unlock(&buffer->lock);

	return ret ? ERR_PTR(ret) : &a->table;
}

static void region_unmap(struct dma_buf_attachment *attachment,
			 struct sg_table *table, enum dma_data_direction dir)
{
	struct region_buffer *buffer = attachment->dmabuf->priv;
	struct region_attachment *a = attachment->priv;

	mutex_lock(&buffer->lock);
	a->dir = DMA_NONE;
	dma_unmap_sgtable(a->dev, table, dir, compat_map_attrs(attachment));
	mutex_unlock(&buffer->lock);
}

/*
 * Syncing uses the direction of each mapping, not that of the CPU access: the
 * DMA API knows no other for it, and it says who may have written what.
 */
static int region_begin_cpu_access(struct dma_buf *dmabuf,
				   enum dma_data_direction dir)
{
	struct region_buffer *buffer = dmabuf->priv;
	struct region_attachment *a;

	mutex_lock(&buffer->lock);
	list_for_each_entry(a, &buffer->attachments, list)
		if (a->dir != DMA_NONE)
			dma_sync_sgtable_for_cpu(a->dev, &a->table, a->dir);
	if (is_vmalloc_addr(buffer->vaddr))
		invalidate_kernel_vmap_range(buffer->vaddr, dmabuf->size);
	mutex_unlock(&buffer->lock);

	return 0;
}

static int region_end_cpu_access(struct dma_buf *dmabuf,
				 enum dma_data_direction dir)
{
	struct region_buffer *buffer = dmabuf->priv;
	struct region_attachment *a;

	mutex_lock(&buffer->lock);
	if (is_vmalloc_addr(buffer->vaddr))
		flush_kernel_vmap_range(buffer->vaddr, dmabuf->size);
	list_for_each_entry(a, &buffer->attachments, list)
		if (a->dir != DMA_NONE)
			dma_sync_sgtable_for_device(a->dev, &a->table, a->dir);
	mutex_unlock(&buffer->lock);

	return 0;
}

static vm_fault_t region_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	struct vm_area_struct *vma = vmf->vma;
	struct region_buffer *buffer = vma->vm_private_data;
	unsigned long addr = ALIGN_DOWN(vmf->address, PMD_SIZE);
	unsigned long pgoff;

	if (!IS_ENABLED(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP) ||
	    order != PMD_ORDER || addr < vma->vm_start ||
	    addr + PMD_SIZE > vma->vm_end)
		return VM_FAULT_FALLBACK;

	pgoff = linear_page_index(vma, addr);
	if (pgoff + PTRS_PER_PTE > buffer->npages ||
	    !IS_ALIGNED(buffer->pfn + pgoff, PTRS_PER_PTE))
		return VM_FAULT_FALLBACK;

	return compat_insert_pfn_pmd(vmf, buffer->pfn + pgoff,
				     vmf->flags & FAULT_FLAG_WRITE);
}

/* Everything in the reach of one page table, so that it is one fault for all. */
static vm_fault_t region_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct region_buffer *buffer = vma->vm_private_data;
	unsigned long addr = max(ALIGN_DOWN(vmf->address, PMD_SIZE),
				 vma->vm_start);
	unsigned long end = min(ALIGN(vmf->address + 1, PMD_SIZE), vma->vm_end);
	vm_fault_t ret = VM_FAULT_SIGBUS;

	if (vmf->pgoff >= buffer->npages)
		return VM_FAULT_SIGBUS;

	for (; addr < end; addr += PAGE_SIZE) {
		pgoff_t pgoff = linear_page_index(vma, addr);

		if (pgoff >= buffer->npages)
			break;
		ret = vmf_insert_pfn(vma, addr, buffer->pfn + pgoff);
		if (ret != VM_FAULT_NOPAGE)
			break;
	}

	return ret;
}

/*
 * Nobody asks later whether such a page was written to. So it is entered as
 * dirty: without help from the hardware, a clean one faults at its first write.
 */
static int enter_page(pte_t *pte, unsigned long addr, void *data)
{
	struct vm_area_struct *vma = data;
	struct region_buffer *buffer = vma->vm_private_data;
	unsigned long pfn = buffer->pfn + linear_page_index(vma, addr);
	pte_t entry = pte_mkspecial(pfn_pte(pfn, vma->vm_page_prot));

	entry = pte_mkyoung(entry);
	if (vma->vm_flags & VM_WRITE)
		entry = pte_mkdirty(entry);
	set_pte_at(vma->vm_mm, addr, pte, entry);

	return 0;
}

static int map_pages(struct vm_area_struct *vma, unsigned long start,
		     unsigned long end)
{
	return start == end ? 0 : apply_to_page_range(vma->vm_mm, start,
						      end - start, enter_page,
						      vma);
}

static const struct vm_operations_struct region_vm_ops = {
	.fault = region_fault,
	.huge_fault = region_huge_fault,
};

/*
 * Map everything at once, except where huge entries fit: those only a fault
 * can install, and one fault each is cheap.
 */
static int region_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct region_buffer *buffer = dmabuf->priv;
	unsigned long pfn = buffer->pfn + vma->vm_pgoff;
	unsigned long huge = ALIGN(vma->vm_start, PMD_SIZE);
	unsigned long huge_end = ALIGN_DOWN(vma->vm_end, PMD_SIZE);
	int ret;

	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;

	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_ops = &region_vm_ops;
	vma->vm_private_data = buffer;

	if (!IS_ENABLED(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP) || huge >= huge_end ||
	    (PFN_DOWN(vma->vm_start) ^ pfn) & (PTRS_PER_PTE - 1)) {
		huge = vma->vm_end;
		huge_end = vma->vm_end;
	}

	ret = map_pages(vma, vma->vm_start, huge);

	return ret ? ret : map_pages(vma, huge_end, vma->vm_end);
}

static void *map_highmem(struct region_buffer *buffer)
{
	struct page **pages;
	unsigned long i;
	void *vaddr;

	pages = kvmalloc_array(buffer->npages, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return NULL;

	for (i = 0; i < buffer->npages; i++)
		pages[i] = pfn_to_page(buffer->pfn + i);
	vaddr = vmap(pages, buffer->npages, VM_MAP, PAGE_KERNEL);
	kvfree(pages);

	return vaddr;
}

/* dma_buf_vmap() counts: this is called for the first user only. */
static int region_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct region_buffer *buffer = dmabuf->priv;
	struct page *page = pfn_to_page(buffer->pfn);
	void *vaddr;

	vaddr = PageHighMem(page) ? map_highmem(buffer) : page_address(page);
	if (!vaddr)
		return -ENOMEM;

	mutex_lock(&buffer->lock);
	buffer->vaddr = vaddr;
	mutex_unlock(&buffer->lock);
	iosys_map_set_vaddr(map, vaddr);

	return 0;
}

static void region_vunmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct region_buffer *buffer = dmabuf->priv;

	mutex_lock(&buffer->lock);
	buffer->vaddr = NULL;
	mutex_unlock(&buffer->lock);

	if (is_vmalloc_addr(map->vaddr))
		vunmap(map->vaddr);
	iosys_map_clear(map);
}

static void region_release(struct dma_buf *dmabuf)
{
	heap_region_free(dmabuf->priv);
}

static const struct dma_buf_ops region_buf_ops = {
	.attach = region_attach,
	.detach = region_detach,
	.map_dma_buf = region_map,
	.unmap_dma_buf = region_unmap,
	.begin_cpu_access = region_begin_cpu_access,
	.end_cpu_access = region_end_cpu_access,
	.mmap = region_mmap,
	.vmap = region_vmap,
	.vunmap = region_vunmap,
	.release = region_release,
};

static void count_failure(struct heap_region *region, enum region_failure why)
{
	spin_lock(&region->lock);
	region->failures[why]++;
	spin_unlock(&region->lock);
}

/**
 * heap_region_export() - make a buffer
 * @region:	the region to take the memory from
 * @len:	length in bytes, not 0
 * @fd_flags:	flags for the file
 *
 * Return: the buffer, cleared, or an error pointer: -ENOMEM, or -EINTR if the
 * caller was killed.
 */
struct dma_buf *heap_region_export(struct heap_region *region, size_t len,
				   u32 fd_flags)
{
	DEFINE_DMA_BUF_EXPORT_INFO(exp_info);
	struct region_buffer *buffer;
	struct dma_buf *dmabuf;
	unsigned long npages;
	int ret;

	if (len > MAX_BUFFER_SIZE || PFN_UP(len) > region->npages) {
		count_failure(region, FAIL_TOO_LARGE);
		return ERR_PTR(-ENOMEM);
	}

	npages = PFN_UP(len);

	buffer = kzalloc(sizeof(*buffer), GFP_KERNEL);
	if (!buffer) {
		count_failure(region, FAIL_BOOKKEEPING);
		return ERR_PTR(-ENOMEM);
	}
	mutex_init(&buffer->lock);
	INIT_LIST_HEAD(&buffer->attachments);

	ret = heap_region_alloc(region, buffer, npages);
	if (ret) {
		count_failure(region, ret == -EINTR ? FAIL_INTERRUPTED :
						      FAIL_EXHAUSTED);
		kfree(buffer);
		return ERR_PTR(ret);
	}

	exp_info.exp_name = region->name;
	exp_info.ops = &region_buf_ops;
	exp_info.size = npages << PAGE_SHIFT;
	exp_info.flags = fd_flags;
	exp_info.priv = buffer;
	dmabuf = dma_buf_export(&exp_info);
	if (IS_ERR(dmabuf)) {
		count_failure(region, FAIL_BOOKKEEPING);
		heap_region_free(buffer);
	}

	return dmabuf;
}
