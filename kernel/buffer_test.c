// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: the DMA-BUF operations of a buffer.
 */
#include <kunit/device.h>
#include <linux/dma-mapping.h>
#include <linux/iosys-map.h>
#include <linux/mman.h>
#include <linux/pgtable.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/swiotlb.h>
#include <linux/uaccess.h>

#include "test_util.h"

#define TEST_BYTES	(DMAHEAP_TEST_PAGES << PAGE_SHIFT)

static struct device *test_device(struct kunit *test)
{
	struct device *dev = kunit_device_register(test, "cma_regions");

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	dev->dma_parms = kunit_kzalloc(test, sizeof(*dev->dma_parms), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dev->dma_parms);
	dma_set_max_seg_size(dev, UINT_MAX);
	dev->dma_mask = &dev->coherent_dma_mask;
	KUNIT_ASSERT_EQ(test, 0,
			dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64)));

	return dev;
}

static void device_sees_one_segment(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_FIRST_FIT);
	struct dma_buf *dmabuf = dmaheap_test_export(test, region, SZ_2M);
	struct dmaheap_buffer *buffer = dmabuf->priv;
	struct dma_buf_attachment *attachment;
	struct sg_table *table;

	attachment = dma_buf_attach(dmabuf, test_device(test));
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attachment);
	table = dma_buf_map_attachment_unlocked(attachment, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, table);
	KUNIT_EXPECT_EQ(test, 1, table->orig_nents);
	KUNIT_EXPECT_EQ(test, 1, table->nents);
	KUNIT_EXPECT_EQ(test, SZ_2M, sg_dma_len(table->sgl));
	KUNIT_EXPECT_EQ(test, PFN_PHYS(buffer->pfn), sg_dma_address(table->sgl));

	/* One mapping at a time for each attachment. */
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EBUSY),
			    dma_buf_map_attachment_unlocked(attachment,
							    DMA_TO_DEVICE));

	dma_buf_unmap_attachment_unlocked(attachment, table, DMA_BIDIRECTIONAL);
	dma_buf_detach(dmabuf, attachment);
	dmaheap_test_put(dmabuf);
	dmaheap_test_expect_idle(test, region);
}

/* DMA_API_DEBUG complains of a sync that does not suit its mapping. */
static void cpu_access_syncs_what_is_mapped(struct kunit *test)
{
	static const enum dma_data_direction dirs[] = {
		DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE
	};
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_FIRST_FIT);
	struct dma_buf *dmabuf = dmaheap_test_export(test, region, SZ_64K);
	struct dma_buf_attachment *mapped, *idle;
	struct device *dev = test_device(test);
	struct sg_table *table;
	int m, c;

	idle = dma_buf_attach(dmabuf, dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, idle);
	mapped = dma_buf_attach(dmabuf, dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mapped);

	for (m = 0; m < ARRAY_SIZE(dirs); m++) {
		table = dma_buf_map_attachment_unlocked(mapped, dirs[m]);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, table);
		for (c = 0; c < ARRAY_SIZE(dirs); c++) {
			KUNIT_EXPECT_EQ(test, 0,
					dma_buf_begin_cpu_access(dmabuf, dirs[c]));
			KUNIT_EXPECT_EQ(test, 0,
					dma_buf_end_cpu_access(dmabuf, dirs[c]));
		}
		dma_buf_unmap_attachment_unlocked(mapped, table, dirs[m]);
	}

	dma_buf_detach(dmabuf, mapped);
	dma_buf_detach(dmabuf, idle);
	dmaheap_test_put(dmabuf);
}

/*
 * A bounce buffer stands for a cache that DMA does not go through: what a
 * device sees is what a sync has copied there.
 */
static void bounce(struct kunit *test, struct device *dev)
{
	struct io_tlb_mem *mem = kunit_kmalloc(test, sizeof(*mem), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, mem);
	KUNIT_ASSERT_NOT_NULL(test, dev->dma_io_tlb_mem);
	memcpy(mem, dev->dma_io_tlb_mem, sizeof(*mem));
	mem->force_bounce = true;
	dev->dma_io_tlb_mem = mem;
}

static void cpu_writes_survive_a_capturing_device(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_FIRST_FIT);
	struct dma_buf *dmabuf = dmaheap_test_export(test, region, SZ_64K);
	struct device *dev = test_device(test);
	struct dma_buf_attachment *attachment;
	struct sg_table *table;

	bounce(test, dev);
	attachment = dma_buf_attach(dmabuf, dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attachment);
	table = dma_buf_map_attachment_unlocked(attachment, DMA_FROM_DEVICE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, table);

	KUNIT_EXPECT_EQ(test, 0, dma_buf_begin_cpu_access(dmabuf, DMA_TO_DEVICE));
	dmaheap_test_fill(dmabuf, 0x33);
	KUNIT_EXPECT_EQ(test, 0, dma_buf_end_cpu_access(dmabuf, DMA_TO_DEVICE));
	/* The device writes nothing. */
	KUNIT_EXPECT_EQ(test, 0, dma_buf_begin_cpu_access(dmabuf, DMA_FROM_DEVICE));
	KUNIT_EXPECT_TRUE(test, dmaheap_test_filled_with(dmabuf, 0x33));
	KUNIT_EXPECT_EQ(test, 0, dma_buf_end_cpu_access(dmabuf, DMA_FROM_DEVICE));

	dma_buf_unmap_attachment_unlocked(attachment, table, DMA_FROM_DEVICE);
	dma_buf_detach(dmabuf, attachment);
	dmaheap_test_put(dmabuf);
}

static void vmap_is_the_linear_address(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_FIRST_FIT);
	struct dma_buf *dmabuf = dmaheap_test_export(test, region, SZ_64K);
	struct dmaheap_buffer *buffer = dmabuf->priv;
	struct iosys_map first, second;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_vmap_unlocked(dmabuf, &first));
	KUNIT_ASSERT_EQ(test, 0, dma_buf_vmap_unlocked(dmabuf, &second));
	KUNIT_EXPECT_PTR_EQ(test, page_address(pfn_to_page(buffer->pfn)),
			    first.vaddr);
	KUNIT_EXPECT_PTR_EQ(test, first.vaddr, second.vaddr);

	KUNIT_EXPECT_EQ(test, 0, dma_buf_begin_cpu_access(dmabuf, DMA_FROM_DEVICE));
	memset(first.vaddr, 0x77, SZ_64K);
	KUNIT_EXPECT_EQ(test, 0, dma_buf_end_cpu_access(dmabuf, DMA_FROM_DEVICE));
	KUNIT_EXPECT_TRUE(test, dmaheap_test_filled_with(dmabuf, 0x77));

	dma_buf_vunmap_unlocked(dmabuf, &second);
	KUNIT_EXPECT_NOT_NULL(test, buffer->vaddr);
	dma_buf_vunmap_unlocked(dmabuf, &first);
	KUNIT_EXPECT_NULL(test, buffer->vaddr);
	dmaheap_test_put(dmabuf);
}

static unsigned long map_at(struct kunit *test, struct dma_buf *dmabuf,
			    unsigned long addr, size_t len, unsigned long flags,
			    unsigned long offset)
{
	return kunit_vm_mmap(test, dmabuf->file, addr, len,
			     PROT_READ | PROT_WRITE, flags, offset);
}

static void user_mapping_shows_the_buffer(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_FIRST_FIT);
	struct dma_buf *dmabuf = dmaheap_test_export(test, region, SZ_128K);
	unsigned long addr, faults;
	u32 word = 1;
	int i;

	addr = map_at(test, dmabuf, 0, SZ_64K, MAP_SHARED, SZ_64K);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	faults = current->min_flt;
	for (i = 0; i < SZ_64K; i += PAGE_SIZE) {
		KUNIT_EXPECT_EQ(test, 0, get_user(word, (u32 __user *)(addr + i)));
		KUNIT_EXPECT_EQ(test, 0, word);
	}
	KUNIT_EXPECT_EQ(test, 0, clear_user((void __user *)addr, SZ_64K));
	KUNIT_EXPECT_EQ(test, faults, current->min_flt);

	dmaheap_test_fill(dmabuf, 0x11);
	KUNIT_EXPECT_EQ(test, 0, get_user(word, (u32 __user *)addr));
	KUNIT_EXPECT_EQ(test, 0x11111111, word);

	KUNIT_EXPECT_EQ(test, 0, vm_munmap(addr, SZ_64K));
	dmaheap_test_put(dmabuf);
	dmaheap_test_expect_idle(test, region);
}

/* Of this task, which alone changes its mappings. */
static pte_t entry_of(unsigned long addr)
{
	return ptep_get(pte_offset_kernel(pmd_off(current->mm, addr), addr));
}

/* The same page, mapped by both heaps of a region. */
static void uncached_buffer_is_mapped_write_combined(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_FIRST_FIT);
	struct dma_buf *dmabuf;
	unsigned long addr;
	pgprot_t prot[2];
	int i;

	KUNIT_ASSERT_EQ(test, 0, dmaheap_uncached_init());
	region->uncached_name = kstrdup("kunit-uncached", GFP_KERNEL);
	for (i = 0; i < 2; i++) {
		dmabuf = dmaheap_export(region, SZ_64K, O_RDWR, i);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dmabuf);
		KUNIT_EXPECT_TRUE(test, dmaheap_test_filled_with(dmabuf, 0));
		KUNIT_EXPECT_STREQ(test, dmabuf->exp_name,
				   i ? "kunit-uncached" : "kunit");
		addr = map_at(test, dmabuf, 0, SZ_64K, MAP_SHARED, 0);
		KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
		prot[i] = pte_pgprot(entry_of(addr));
		KUNIT_EXPECT_EQ(test, 0, vm_munmap(addr, SZ_64K));
		dmaheap_test_put(dmabuf);
	}
	KUNIT_EXPECT_NE(test, pgprot_val(prot[0]), pgprot_val(prot[1]));
	KUNIT_EXPECT_EQ(test, pgprot_val(pgprot_writecombine(prot[0])),
			pgprot_val(prot[1]));
	dmaheap_test_expect_idle(test, region);
}

/* A sync would copy out of the bounce buffer what is there: nothing of ours. */
static void uncached_buffer_is_not_synced(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_FIRST_FIT);
	struct device *dev = test_device(test);
	struct dma_buf_attachment *attachment;
	struct dma_buf *dmabuf;
	struct iosys_map map;
	struct sg_table *table;

	KUNIT_ASSERT_EQ(test, 0, dmaheap_uncached_init());
	region->uncached_name = kstrdup("kunit-uncached", GFP_KERNEL);
	dmabuf = dmaheap_export(region, SZ_64K, O_RDWR, true);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dmabuf);
	bounce(test, dev);
	attachment = dma_buf_attach(dmabuf, dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attachment);
	table = dma_buf_map_attachment_unlocked(attachment, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, table);

	KUNIT_ASSERT_EQ(test, 0, dma_buf_vmap_unlocked(dmabuf, &map));
	KUNIT_EXPECT_TRUE(test, is_vmalloc_addr(map.vaddr));
	memset(map.vaddr, 0x44, SZ_64K);
	KUNIT_EXPECT_EQ(test, 0, dma_buf_begin_cpu_access(dmabuf, DMA_FROM_DEVICE));
	KUNIT_EXPECT_NULL(test, memchr_inv(map.vaddr, 0x44, SZ_64K));
	KUNIT_EXPECT_EQ(test, 0, dma_buf_end_cpu_access(dmabuf, DMA_FROM_DEVICE));
	dma_buf_vunmap_unlocked(dmabuf, &map);

	dma_buf_unmap_attachment_unlocked(attachment, table, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_TRUE(test, dmaheap_test_filled_with(dmabuf, 0x44));
	dma_buf_detach(dmabuf, attachment);
	dmaheap_test_put(dmabuf);
	dmaheap_test_expect_idle(test, region);
}

static void bad_user_mappings_are_refused(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_FIRST_FIT);
	struct dma_buf *dmabuf = dmaheap_test_export(test, region, SZ_64K);

	KUNIT_EXPECT_EQ(test, -EINVAL,
			(long)map_at(test, dmabuf, 0, SZ_64K, MAP_PRIVATE, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			(long)map_at(test, dmabuf, 0, SZ_64K + PAGE_SIZE,
				     MAP_SHARED, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			(long)map_at(test, dmabuf, 0, SZ_64K, MAP_SHARED,
				     PAGE_SIZE));
	dmaheap_test_put(dmabuf);
	dmaheap_test_expect_idle(test, region);
}

/* However user space and the buffer lie to each other: nothing is left to do. */
static void user_mapping_never_faults(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_FIRST_FIT);
	struct dma_buf *dmabuf = dmaheap_test_export(test, region, TEST_BYTES);
	static const unsigned long places[] = { SZ_1G, SZ_1G + SZ_64K };
	unsigned long addr, faults;
	int i;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		addr = map_at(test, dmabuf, places[i], TEST_BYTES,
			      MAP_SHARED | MAP_FIXED, 0);
		KUNIT_ASSERT_EQ(test, places[i], addr);
		faults = current->min_flt;
		KUNIT_EXPECT_EQ(test, 0,
				clear_user((void __user *)addr, TEST_BYTES));
		KUNIT_EXPECT_EQ(test, faults, current->min_flt);
		KUNIT_EXPECT_EQ(test, 0, vm_munmap(addr, TEST_BYTES));
	}
	dmaheap_test_put(dmabuf);
	dmaheap_test_expect_idle(test, region);
}

static void exporter_is_named_after_the_heap(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_FIRST_FIT);
	struct dma_buf *dmabuf = dmaheap_test_export(test, region, PAGE_SIZE);

	KUNIT_EXPECT_STREQ(test, region->name, dmabuf->exp_name);
	dmaheap_test_put(dmabuf);
}

static struct kunit_case buffer_test_cases[] = {
	KUNIT_CASE(device_sees_one_segment),
	KUNIT_CASE(cpu_access_syncs_what_is_mapped),
	KUNIT_CASE(cpu_writes_survive_a_capturing_device),
	KUNIT_CASE(vmap_is_the_linear_address),
	KUNIT_CASE(user_mapping_shows_the_buffer),
	KUNIT_CASE(uncached_buffer_is_mapped_write_combined),
	KUNIT_CASE(uncached_buffer_is_not_synced),
	KUNIT_CASE(bad_user_mappings_are_refused),
	KUNIT_CASE(user_mapping_never_faults),
	KUNIT_CASE(exporter_is_named_after_the_heap),
	{}
};

static struct kunit_suite buffer_test_suite = {
	.name = "cma_regions_buffer",
	.test_cases = buffer_test_cases,
};

kunit_test_suite(buffer_test_suite);
