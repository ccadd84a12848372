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
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "compat.h"
#include "dmaheap.h"
#include "trace.h"

/* A scatter list entry counts bytes in an unsigned int. */
#define MAX_BUFFER_SIZE		((size_t)UINT_MAX & PAGE_MASK)

/**
 * struct dmaheap_attachment - a device attached to a buffer
 * @list:	entry in the buffer's list
 * @dev:	the device
 * @table:	the buffer as the device sees it
 * @dir:	direction of the mapping, DMA_NONE while there is none
 * @was_mapped:	it was mapped before, so that its device sees the zeroes
 */
struct dmaheap_attachment {
	struct list_head list;
	struct device *dev;
	struct sg_table table;
	enum dma_data_direction dir;
	bool was_mapped;
};

static int dmaheap_attach(struct dma_buf *dmabuf,
			  struct dma_buf_attachment *attachment)
{
	struct dmaheap_buffer *buffer = dmabuf->priv;
	struct dmaheap_attachment *a;
	int ret;

	a = kzalloc_obj(*a);
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

static void dmaheap_detach(struct dma_buf *dmabuf,
			   struct dma_buf_attachment *attachment)
{
	struct dmaheap_buffer *buffer = dmabuf->priv;
	struct dmaheap_attachment *a = attachment->priv;

	mutex_lock(&buffer->lock);
	list_del(&a->list);
	mutex_unlock(&buffer->lock);

	sg_free_table(&a->table);
	kfree(a);
}

/*
 * What a device is to write, the CPU may write as well: a camera's buffer is
 * drawn upon between two captures, and a short capture leaves the zeroes of the
 * allocation. A mapping for the device alone would discard that.
 */
static enum dma_data_direction mapping_direction(enum dma_data_direction dir)
{
	return dir == DMA_FROM_DEVICE ? DMA_BIDIRECTIONAL : dir;
}

/*
 * Of an uncached buffer nothing is in the cache; of another the zeroes are at
 * first, whatever an importer wants to skip.
 */
static unsigned long mapping_attrs(struct dma_buf_attachment *attachment)
{
	struct dmaheap_buffer *buffer = attachment->dmabuf->priv;
	struct dmaheap_attachment *a = attachment->priv;
	unsigned long attrs = compat_map_attrs(attachment);

	if (buffer->uncached)
		return attrs | DMA_ATTR_SKIP_CPU_SYNC;

	return a->was_mapped ? attrs : attrs & ~DMA_ATTR_SKIP_CPU_SYNC;
}

static struct sg_table *dmaheap_map(struct dma_buf_attachment *attachment,
				    enum dma_data_direction dir)
{
	struct dmaheap_buffer *buffer = attachment->dmabuf->priv;
	struct dmaheap_attachment *a = attachment->priv;
	int ret = -EBUSY;

	dir = mapping_direction(dir);

	mutex_lock(&buffer->lock);
	if (a->dir == DMA_NONE)
		ret = dma_map_sgtable(a->dev, &a->table, dir,
				      mapping_attrs(attachment));
	if (!ret) {
		a->dir = dir;
		a->was_mapped = true;
	}
	mutex_unlock(&buffer->lock);

	return ret ? ERR_PTR(ret) : &a->table;
}

static void dmaheap_unmap(struct dma_buf_attachment *attachment,
			  struct sg_table *table, enum dma_data_direction dir)
{
	struct dmaheap_buffer *buffer = attachment->dmabuf->priv;
	struct dmaheap_attachment *a = attachment->priv;

	mutex_lock(&buffer->lock);
	dma_unmap_sgtable(a->dev, table, a->dir, mapping_attrs(attachment));
	a->dir = DMA_NONE;
	mutex_unlock(&buffer->lock);
}

/*
 * Syncing uses the direction of each mapping, which is that of all accesses
 * that the mapping allows. The DMA API takes no other: the one at hand may be
 * of the CPU's reads, when its earlier writes are yet to be seen.
 */
static int dmaheap_begin_cpu_access(struct dma_buf *dmabuf,
				    enum dma_data_direction dir)
{
	struct dmaheap_buffer *buffer = dmabuf->priv;
	struct dmaheap_attachment *a;

	if (buffer->uncached)
		return 0;

	mutex_lock(&buffer->lock);
	list_for_each_entry(a, &buffer->attachments, list)
		if (a->dir != DMA_NONE)
			dma_sync_sgtable_for_cpu(a->dev, &a->table, a->dir);
	if (is_vmalloc_addr(buffer->vaddr))
		invalidate_kernel_vmap_range(buffer->vaddr, dmabuf->size);
	mutex_unlock(&buffer->lock);

	return 0;
}

static int dmaheap_end_cpu_access(struct dma_buf *dmabuf,
				  enum dma_data_direction dir)
{
	struct dmaheap_buffer *buffer = dmabuf->priv;
	struct dmaheap_attachment *a;

	if (buffer->uncached)
		return 0;

	mutex_lock(&buffer->lock);
	if (is_vmalloc_addr(buffer->vaddr))
		flush_kernel_vmap_range(buffer->vaddr, dmabuf->size);
	list_for_each_entry(a, &buffer->attachments, list)
		if (a->dir != DMA_NONE)
			dma_sync_sgtable_for_device(a->dev, &a->table, a->dir);
	mutex_unlock(&buffer->lock);

	return 0;
}

static void dmaheap_release(struct dma_buf *dmabuf)
{
	struct dmaheap_buffer *buffer = dmabuf->priv;

	dmaheap_trace_stat(buffer->inode, -(long)dmabuf->size);
	dmaheap_free(buffer);
}

static const struct dma_buf_ops dmaheap_buf_ops = {
	.attach = dmaheap_attach,
	.detach = dmaheap_detach,
	.map_dma_buf = dmaheap_map,
	.unmap_dma_buf = dmaheap_unmap,
	.begin_cpu_access = dmaheap_begin_cpu_access,
	.end_cpu_access = dmaheap_end_cpu_access,
	.mmap = dmaheap_mmap,
	.vmap = dmaheap_vmap,
	.vunmap = dmaheap_vunmap,
	.release = dmaheap_release,
};

static void count_failure(struct dmaheap_region *region, enum dmaheap_failure why)
{
	mutex_lock(&region->lock);
	region->failures[why]++;
	mutex_unlock(&region->lock);
}

static struct dmaheap_buffer *make_buffer(struct dmaheap_region *region,
					  unsigned long npages, bool uncached)
{
	struct dmaheap_buffer *buffer;
	int ret;

	buffer = kzalloc_obj(*buffer);
	if (!buffer) {
		count_failure(region, DMAHEAP_BOOKKEEPING);
		return ERR_PTR(-ENOMEM);
	}
	mutex_init(&buffer->lock);
	INIT_LIST_HEAD(&buffer->attachments);
	buffer->uncached = uncached;

	ret = dmaheap_alloc(region, buffer, npages);
	if (ret) {
		count_failure(region, ret == -EINTR ? DMAHEAP_INTERRUPTED :
						      DMAHEAP_EXHAUSTED);
		kfree(buffer);
		return ERR_PTR(ret);
	}

	return buffer;
}

static struct dma_buf *export(struct dmaheap_region *region, size_t len,
			      u32 fd_flags, bool uncached)
{
	DEFINE_DMA_BUF_EXPORT_INFO(exp_info);
	struct dmaheap_buffer *buffer;
	struct dma_buf *dmabuf;
	unsigned long npages;

	if (len > MAX_BUFFER_SIZE || PFN_UP(len) > region->npages) {
		count_failure(region, DMAHEAP_TOO_LARGE);
		return ERR_PTR(-ENOMEM);
	}

	npages = PFN_UP(len);
	buffer = make_buffer(region, npages, uncached);
	if (IS_ERR(buffer))
		return ERR_CAST(buffer);

	exp_info.exp_name = uncached ? region->uncached_name : region->name;
	exp_info.ops = &dmaheap_buf_ops;
	exp_info.size = npages << PAGE_SHIFT;
	exp_info.flags = fd_flags;
	exp_info.priv = buffer;
	dmabuf = uncached && dmaheap_uncache(buffer) ? ERR_PTR(-ENOMEM) :
						       dma_buf_export(&exp_info);
	if (IS_ERR(dmabuf)) {
		count_failure(region, DMAHEAP_BOOKKEEPING);
		dmaheap_free(buffer);
		return dmabuf;
	}
	dmaheap_map_add(buffer, dmabuf);
	dmaheap_trace_stat(buffer->inode, dmabuf->size);

	return dmabuf;
}

/**
 * dmaheap_export() - make a buffer
 * @region:	the region to take the memory from
 * @len:	length in bytes, not 0
 * @fd_flags:	flags for the file
 * @uncached:	it is one of the heap of uncached buffers
 *
 * Return: the buffer, cleared, or an error pointer: -ENOMEM, or -EINTR if the
 * caller was killed.
 */
struct dma_buf *dmaheap_export(struct dmaheap_region *region, size_t len,
			       u32 fd_flags, bool uncached)
{
	struct dmaheap_buffer none = {};
	struct dmaheap_buffer *buffer;
	struct dma_buf *dmabuf;
	ktime_t start;

	if (!trace_dmaheap_alloc_enabled())
		return export(region, len, fd_flags, uncached);

	start = ktime_get();
	dmabuf = export(region, len, fd_flags, uncached);
	buffer = IS_ERR(dmabuf) ? &none : dmabuf->priv;
	trace_dmaheap_alloc(uncached ? region->uncached_name : region->name, len,
			    buffer->inode, (u64)buffer->pfn << PAGE_SHIFT,
			    ktime_to_ns(ktime_sub(ktime_get(), start)),
			    PTR_ERR_OR_ZERO(dmabuf));

	return dmabuf;
}
