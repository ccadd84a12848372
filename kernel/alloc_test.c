// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: what a region gives, what it refuses, and how it keeps account.
 */
#include <linux/gfp.h>
#include <linux/sizes.h>

#include "test_util.h"

static void length_is_rounded_up_to_pages(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_lent_region(test);
	struct dma_buf *dmabuf = dmaheap_test_export(test, region, 1);

	KUNIT_EXPECT_EQ(test, PAGE_SIZE, dmabuf->size);
	KUNIT_EXPECT_EQ(test, 1, region->used_pages);
	dmaheap_test_put(dmabuf);

	dmabuf = dmaheap_test_export(test, region, PAGE_SIZE + 1);
	KUNIT_EXPECT_EQ(test, 2 * PAGE_SIZE, dmabuf->size);
	dmaheap_test_put(dmabuf);
	dmaheap_test_expect_idle(test, region);
}

static void larger_than_the_region_is_refused(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_lent_region(test);
	size_t size = region->npages << PAGE_SHIFT;
	size_t lengths[] = { size + 1, size + PAGE_SIZE, SIZE_MAX, SIZE_MAX / 2 };
	struct dma_buf *dmabuf;
	int i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		dmabuf = dmaheap_export(region, lengths[i], O_RDWR, false);
		KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENOMEM), dmabuf);
		KUNIT_EXPECT_EQ(test, i + 1, region->failures[DMAHEAP_TOO_LARGE]);
	}
	KUNIT_EXPECT_EQ(test, 0, region->failures[DMAHEAP_EXHAUSTED]);
	dmaheap_test_expect_idle(test, region);
}

static void whole_region_then_nothing(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_lent_region(test);
	struct dma_buf *all, *more;

	all = dmaheap_test_export(test, region, region->npages << PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, region->npages, region->used_pages);
	KUNIT_EXPECT_TRUE(test, bitmap_full(region->used, region->npages));

	more = dmaheap_export(region, 1, O_RDWR, false);
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENOMEM), more);
	KUNIT_EXPECT_EQ(test, 1, region->failures[DMAHEAP_EXHAUSTED]);

	dmaheap_test_put(all);
	KUNIT_EXPECT_EQ(test, region->npages, region->peak_pages);
	dmaheap_test_expect_idle(test, region);
}

static void lent_memory_comes_cleared(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_lent_region(test);
	struct dma_buf *dmabuf;
	int i;

	for (i = 0; i < 2; i++) {
		dmabuf = dmaheap_test_export(test, region, SZ_2M + PAGE_SIZE);
		KUNIT_EXPECT_TRUE(test, dmaheap_test_filled_with(dmabuf, 0));
		dmaheap_test_fill(dmabuf, 0xa5);
		dmaheap_test_put(dmabuf);
	}
}

static void small_buffers_leave_the_region_alone(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_lent_region(test);
	struct dma_buf *small, *large;

	region->small_gfp = GFP_KERNEL | __GFP_ZERO;
	small = dmaheap_test_export(test, region, 3 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 3, region->small_pages);
	KUNIT_EXPECT_EQ(test, 0, region->used_pages);
	KUNIT_EXPECT_GE(test, dmaheap_test_offset(small), region->npages);
	KUNIT_EXPECT_TRUE(test, dmaheap_test_filled_with(small, 0));

	large = dmaheap_test_export(test, region, SZ_1M);
	KUNIT_EXPECT_EQ(test, 3, region->small_pages);
	KUNIT_EXPECT_EQ(test, SZ_1M >> PAGE_SHIFT, region->used_pages);
	KUNIT_EXPECT_EQ(test, 2, region->buffers);

	dmaheap_test_put(small);
	dmaheap_test_put(large);
	dmaheap_test_expect_idle(test, region);
}

/* They lie elsewhere, and count all the same. */
static void small_buffers_are_bounded_by_the_region(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_lent_region(test);
	struct dma_buf *large, *small;

	region->small_gfp = GFP_KERNEL | __GFP_ZERO;
	large = dmaheap_test_export(test, region,
				    (region->npages - 4) << PAGE_SHIFT);
	small = dmaheap_test_export(test, region, 4 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 4, region->small_pages);
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENOMEM),
			    dmaheap_export(region, PAGE_SIZE, O_RDWR, false));
	KUNIT_EXPECT_EQ(test, 1, region->failures[DMAHEAP_EXHAUSTED]);

	dmaheap_test_put(large);
	large = dmaheap_test_export(test, region, PAGE_SIZE);
	dmaheap_test_put(large);
	dmaheap_test_put(small);
	dmaheap_test_expect_idle(test, region);
}

static void small_buffers_of_other_regions_come_from_them(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_lent_region(test);
	struct dma_buf *dmabuf = dmaheap_test_export(test, region, PAGE_SIZE);

	KUNIT_EXPECT_LT(test, dmaheap_test_offset(dmabuf), region->npages);
	dmaheap_test_put(dmabuf);
}

static void alignment_is_capped(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_lent_region(test);
	unsigned long cap = 1UL << CONFIG_CMA_ALIGNMENT;
	struct dmaheap_buffer *buffer;
	struct dma_buf *dmabuf;

	dmabuf = dmaheap_test_export(test, region, SZ_64K);
	buffer = dmabuf->priv;
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(buffer->pfn, SZ_64K >> PAGE_SHIFT));
	dmaheap_test_put(dmabuf);

	dmabuf = dmaheap_test_export(test, region, (cap << PAGE_SHIFT) + PAGE_SIZE);
	buffer = dmabuf->priv;
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(buffer->pfn, cap));
	dmaheap_test_put(dmabuf);
}

static void lent_buffers_are_aligned_as_the_region_says(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_lent_region(test);
	struct dmaheap_buffer *buffer;
	struct dma_buf *first, *second;

	region->align = SZ_2M >> PAGE_SHIFT;
	first = dmaheap_test_export(test, region, PAGE_SIZE);
	second = dmaheap_test_export(test, region, SZ_64K);
	buffer = first->priv;
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(buffer->pfn, region->align));
	buffer = second->priv;
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(buffer->pfn, region->align));
	dmaheap_test_put(first);
	dmaheap_test_put(second);
}

static void clearing_stops_for_a_fatal_signal(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_FIRST_FIT);
	struct dma_buf *dmabuf;

	/* The whole of it, so that the worker is done with it. */
	dmabuf = dmaheap_test_export(test, region, DMAHEAP_TEST_PAGES << PAGE_SHIFT);
	dmaheap_test_fill(dmabuf, 0xa5);

	dmaheap_test_kill_self();
	KUNIT_EXPECT_EQ(test, -EINTR, dmaheap_clear(region->pfn, DMAHEAP_TEST_PAGES));
	dmaheap_test_revive_self();
	KUNIT_EXPECT_FALSE(test, dmaheap_test_filled_with(dmabuf, 0));

	KUNIT_EXPECT_EQ(test, 0, dmaheap_clear(region->pfn, DMAHEAP_TEST_PAGES));
	KUNIT_EXPECT_TRUE(test, dmaheap_test_filled_with(dmabuf, 0));
	dmaheap_test_put(dmabuf);
}

/* Where CMA clears, the call completes; where the driver does, it stops. */
static void killed_lent_allocation_leaves_nothing(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_lent_region(test);
	struct dma_buf *dmabuf;

	dmaheap_test_kill_self();
	dmabuf = dmaheap_export(region, SZ_4M, O_RDWR, false);
	dmaheap_test_revive_self();

	if (!want_init_on_alloc(GFP_KERNEL))
		KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EINTR), dmabuf);
	if (IS_ERR(dmabuf)) {
		KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EINTR), dmabuf);
		KUNIT_EXPECT_EQ(test, 1, region->failures[DMAHEAP_INTERRUPTED]);
	} else {
		dmaheap_test_put(dmabuf);
	}
	dmaheap_test_expect_idle(test, region);
}

static struct kunit_case alloc_test_cases[] = {
	KUNIT_CASE(length_is_rounded_up_to_pages),
	KUNIT_CASE(larger_than_the_region_is_refused),
	KUNIT_CASE(whole_region_then_nothing),
	KUNIT_CASE(lent_memory_comes_cleared),
	KUNIT_CASE(small_buffers_leave_the_region_alone),
	KUNIT_CASE(small_buffers_are_bounded_by_the_region),
	KUNIT_CASE(small_buffers_of_other_regions_come_from_them),
	KUNIT_CASE(alignment_is_capped),
	KUNIT_CASE(lent_buffers_are_aligned_as_the_region_says),
	KUNIT_CASE(clearing_stops_for_a_fatal_signal),
	KUNIT_CASE(killed_lent_allocation_leaves_nothing),
	{}
};

static struct kunit_suite alloc_test_suite = {
	.name = "cma_regions_alloc",
	.test_cases = alloc_test_cases,
};

kunit_test_suite(alloc_test_suite);
