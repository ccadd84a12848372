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
#include <linux/uaccess.h>

#include "test_util.h"

#define TEST_BYTES	(TEST_PAGES << PAGE_SHIFT)

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
	struct heap_region *region = test_carveout(test, REGION_FIRST_FIT);
	struct dma_buf *dmabuf = test_export(test, region, SZ_2M);
	struct region_buffer *buffer = dmabuf->priv;
	struct dma_buf_attachment *attachment;
	struct sg_table *table;

	attachment = dma_buf_attach(dmabuf, test_device(test));
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attachment);
	table = dma_buf_map_attachment_unlocked(attachment, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, table);
	KUNIT_EXPECT_EQ(test, 1, table->orig_nents);
	KUNIT_EXPECT_EQ(test, 1, table->nents);
	KUNIT_EXPECT_EQ(test, SZ_2M, table->sgl->length);
	KUNIT_EXPECT_EQ(test, SZ_2M, sg_dma_len(table->sgl));
	KUNIT_EXPECT_EQ(test, PFN_PHYS(buffer->pfn), sg_dma_address(table->sgl));

	/* One mapping at a time for each attachment. */
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EBUSY),
			    dma_buf_map_attachment_unlocked(attachment,
							    DMA_TO_DEVICE));

	dma_buf_unmap_attachment_unlocked(attachment, table, DMA_BIDIRECTIONAL);
	dma_buf_detach(dmabuf, attachment);
	test_put(dmabuf);
	test_expect_idle(test, region);
}

/* DMA_API_DEBUG complains of a sync that does not suit its mapping. */
static void cpu_access_syncs_what_is_mapped(struct kunit *test)
{
	static const enum dma_data_direction dirs[] = {
		DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE
	};
	struct heap_region *region = test_carveout(test, REGION_FIRST_FIT);
	struct dma_buf *dmabuf = test_export(test, region, SZ_64K);
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
	test_put(dmabuf);
}

static void vmap_is_the_linear_address(struct kunit *test)
{
	struct heap_region *region = test_carveout(test, REGION_FIRST_FIT);
	struct dma_buf *dmabuf = test_export(test, region, SZ_64K);
	struct region_buffer *buffer = dmabuf->priv;
	struct iosys_map first, second;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_vmap_unlocked(dmabuf, &first));
	KUNIT_ASSERT_EQ(test, 0, dma_buf_vmap_unlocked(dmabuf, &second));
	KUNIT_EXPECT_PTR_EQ(test, page_address(pfn_to_page(buffer->pfn)),
			    first.vaddr);
	KUNIT_EXPECT_PTR_EQ(test, first.vaddr, second.vaddr);

	KUNIT_EXPECT_EQ(test, 0, dma_buf_begin_cpu_access(dmabuf, DMA_FROM_DEVICE));
	memset(first.vaddr, 0x77, SZ_64K);
	KUNIT_EXPECT_EQ(test, 0, dma_buf_end_cpu_access(dmabuf, DMA_FROM_DEVICE));
	KUNIT_EXPECT_TRUE(test, test_filled_with(dmabuf, 0x77));

	dma_buf_vunmap_unlocked(dmabuf, &second);
	KUNIT_EXPECT_NOT_NULL(test, buffer->vaddr);
	dma_buf_vunmap_unlocked(dmabuf, &first);
	KUNIT_EXPECT_NULL(test, buffer->vaddr);
	test_put(dmabuf);
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
	struct heap_region *region = test_carveout(test, REGION_FIRST_FIT);
	struct dma_buf *dmabuf = test_export(test, region, SZ_128K);
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

	test_fill(dmabuf, 0x11);
	KUNIT_EXPECT_EQ(test, 0, get_user(word, (u32 __user *)addr));
	KUNIT_EXPECT_EQ(test, 0x11111111, word);

	KUNIT_EXPECT_EQ(test, 0, vm_munmap(addr, SZ_64K));
	test_put(dmabuf);
	test_expect_idle(test, region);
}

static void bad_user_mappings_are_refused(struct kunit *test)
{
	struct heap_region *region = test_carveout(test, REGION_FIRST_FIT);
	struct dma_buf *dmabuf = test_export(test, region, SZ_64K);

	KUNIT_EXPECT_EQ(test, -EINVAL,
			(long)map_at(test, dmabuf, 0, SZ_64K, MAP_PRIVATE, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			(long)map_at(test, dmabuf, 0, SZ_64K + PAGE_SIZE,
				     MAP_SHARED, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			(long)map_at(test, dmabuf, 0, SZ_64K, MAP_SHARED,
				     PAGE_SIZE));
	test_put(dmabuf);
	test_expect_idle(test, region);
}

static bool is_huge(unsigned long addr)
{
	return pmd_leaf(READ_ONCE(*pmd_off(current->mm, addr)));
}

/* Two huge entries; a hole in the first breaks it up, and what is left works. */
static void aligned_user_mapping_is_huge(struct kunit *test)
{
	struct heap_region *region = test_carveout(test, REGION_FIRST_FIT);
	struct dma_buf *dmabuf = test_export(test, region, TEST_BYTES);
	const unsigned long addr = SZ_1G;
	u32 word;

	if (!IS_ENABLED(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP) || PMD_SIZE != SZ_2M)
		kunit_skip(test, "no huge entries for page frames");

	KUNIT_ASSERT_EQ(test, addr,
			map_at(test, dmabuf, addr, TEST_BYTES,
			       MAP_SHARED | MAP_FIXED, 0));
	test_fill(dmabuf, 0x22);
	KUNIT_EXPECT_EQ(test, 0, get_user(word, (u32 __user *)(addr + SZ_1M)));
	KUNIT_EXPECT_EQ(test, 0x22222222, word);
	KUNIT_EXPECT_TRUE(test, is_huge(addr));
	KUNIT_EXPECT_EQ(test, 0, put_user(word, (u32 __user *)(addr + SZ_2M)));
	KUNIT_EXPECT_TRUE(test, is_huge(addr + SZ_2M));

	KUNIT_EXPECT_EQ(test, 0, vm_munmap(addr + SZ_1M, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, get_user(word, (u32 __user *)addr));
	KUNIT_EXPECT_EQ(test, 0x22222222, word);
	KUNIT_EXPECT_FALSE(test, is_huge(addr));
	KUNIT_EXPECT_EQ(test, 0,
			get_user(word, (u32 __user *)(addr + SZ_2M - PAGE_SIZE)));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			get_user(word, (u32 __user *)(addr + SZ_1M)));

	KUNIT_EXPECT_EQ(test, 0, vm_munmap(addr, TEST_BYTES));
	test_put(dmabuf);
	test_expect_idle(test, region);
}

static void faults_beyond_the_buffer_are_sigbus(struct kunit *test)
{
	struct heap_region *region = test_carveout(test, REGION_FIRST_FIT);
	struct dma_buf *dmabuf = test_export(test, region, SZ_64K);
	struct vm_fault vmf = {};
	unsigned long addr;

	addr = map_at(test, dmabuf, 0, SZ_64K, MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));

	mmap_read_lock(current->mm);
	*(struct vm_area_struct **)&vmf.vma = vma_lookup(current->mm, addr);
	*(unsigned long *)&vmf.address = addr;
	*(pgoff_t *)&vmf.pgoff = SZ_64K >> PAGE_SHIFT;
	KUNIT_EXPECT_TRUE(test,
			  vmf.vma->vm_ops->fault(&vmf) == VM_FAULT_SIGBUS);
	*(pgoff_t *)&vmf.pgoff = ULONG_MAX;
	KUNIT_EXPECT_TRUE(test,
			  vmf.vma->vm_ops->fault(&vmf) == VM_FAULT_SIGBUS);
	KUNIT_EXPECT_TRUE(test,
			  vmf.vma->vm_ops->huge_fault(&vmf, PMD_ORDER) ==
			  VM_FAULT_FALLBACK);
	mmap_read_unlock(current->mm);

	KUNIT_EXPECT_EQ(test, 0, vm_munmap(addr, SZ_64K));
	test_put(dmabuf);
}

static void exporter_is_named_after_the_heap(struct kunit *test)
{
	struct heap_region *region = test_carveout(test, REGION_FIRST_FIT);
	struct dma_buf *dmabuf = test_export(test, region, PAGE_SIZE);

	KUNIT_EXPECT_STREQ(test, region->name, dmabuf->exp_name);
	test_put(dmabuf);
}

static struct kunit_case buffer_test_cases[] = {
	KUNIT_CASE(device_sees_one_segment),
	KUNIT_CASE(cpu_access_syncs_what_is_mapped),
	KUNIT_CASE(vmap_is_the_linear_address),
	KUNIT_CASE(user_mapping_shows_the_buffer),
	KUNIT_CASE(bad_user_mappings_are_refused),
	KUNIT_CASE(aligned_user_mapping_is_huge),
	KUNIT_CASE(faults_beyond_the_buffer_are_sigbus),
	KUNIT_CASE(exporter_is_named_after_the_heap),
	{}
};

static struct kunit_suite buffer_test_suite = {
	.name = "cma_regions_buffer",
	.test_cases = buffer_test_cases,
};

kunit_test_suite(buffer_test_suite);
