// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: what a region gives, what it refuses, and how it keeps account.
 */
#include <linux/gfp.h>
#include <linux/sizes.h>

#include "test_util.h"

static void length_is_rounded_up_to_pages(struct kunit *test)
{
	struct heap_region *region = test_lent_region(test);
	struct dma_buf *dmabuf = test_export(test, region, 1);

	KUNIT_EXPECT_EQ(test, PAGE_SIZE, dmabuf->size);
	KUNIT_EXPECT_EQ(test, 1, region->used_pages);
	test_put(dmabuf);

	dmabuf = test_export(test, region, PAGE_SIZE + 1);
	KUNIT_EXPECT_EQ(test, 2 * PAGE_SIZE, dmabuf->size);
	test_put(dmabuf);
	test_expect_idle(test, region);
}

static void larger_than_the_region_is_refused(struct kunit *test)
{
	struct heap_region *region = test_lent_region(test);
	size_t size = region->npages << PAGE_SHIFT;
	size_t lengths[] = { size + 1, size + PAGE_SIZE, SIZE_MAX, SIZE_MAX / 2 };
	struct dma_buf *dmabuf;
	int i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		dmabuf = heap_region_export(region, lengths[i], O_RDWR);
		KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENOMEM), dmabuf);
		KUNIT_EXPECT_EQ(test, i + 1, region->failures[FAIL_TOO_LARGE]);
	}
	KUNIT_EXPECT_EQ(test, 0, region->failures[FAIL_EXHAUSTED]);
	test_expect_idle(test, region);
}

static void whole_region_then_nothing(struct kunit *test)
{
	struct heap_region *region = test_lent_region(test);
	struct dma_buf *all, *more;

	all = test_export(test, region, region->npages << PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, region->npages, region->used_pages);
	KUNIT_EXPECT_EQ(test, 0, longest_clear_run(region->used, region->npages));

	more = heap_region_export(region, 1, O_RDWR);
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENOMEM), more);
	KUNIT_EXPECT_EQ(test, 1, region->failures[FAIL_EXHAUSTED]);

	test_put(all);
	KUNIT_EXPECT_EQ(test, region->npages, region->peak_pages);
	test_expect_idle(test, region);
}

static void lent_memory_comes_cleared(struct kunit *test)
{
	struct heap_region *region = test_lent_region(test);
	struct dma_buf *dmabuf;
	int i;

	for (i = 0; i < 2; i++) {
		dmabuf = test_export(test, region, SZ_2M + PAGE_SIZE);
		KUNIT_EXPECT_TRUE(test, test_filled_with(dmabuf, 0));
		test_fill(dmabuf, 0xa5);
		test_put(dmabuf);
	}
}

static void small_buffers_leave_the_region_alone(struct kunit *test)
{
	struct heap_region *region = test_lent_region(test);
	struct dma_buf *small, *large;

	region->small_gfp = GFP_KERNEL | __GFP_ZERO;
	small = test_export(test, region, 3 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 3, region->small_pages);
	KUNIT_EXPECT_EQ(test, 0, region->used_pages);
	KUNIT_EXPECT_GE(test, test_offset(small), region->npages);
	KUNIT_EXPECT_TRUE(test, test_filled_with(small, 0));

	large = test_export(test, region, SZ_1M);
	KUNIT_EXPECT_EQ(test, 3, region->small_pages);
	KUNIT_EXPECT_EQ(test, SZ_1M >> PAGE_SHIFT, region->used_pages);
	KUNIT_EXPECT_EQ(test, 2, region->buffers);

	test_put(small);
	test_put(large);
	test_expect_idle(test, region);
}

static void small_buffers_of_other_regions_come_from_them(struct kunit *test)
{
	struct heap_region *region = test_lent_region(test);
	struct dma_buf *dmabuf = test_export(test, region, PAGE_SIZE);

	KUNIT_EXPECT_LT(test, test_offset(dmabuf), region->npages);
	test_put(dmabuf);
}

static void alignment_is_capped(struct kunit *test)
{
	struct heap_region *region = test_lent_region(test);
	unsigned long cap = 1UL << CONFIG_CMA_ALIGNMENT;
	struct region_buffer *buffer;
	struct dma_buf *dmabuf;

	dmabuf = test_export(test, region, SZ_64K);
	buffer = dmabuf->priv;
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(buffer->pfn, SZ_64K >> PAGE_SHIFT));
	test_put(dmabuf);

	dmabuf = test_export(test, region, (cap << PAGE_SHIFT) + PAGE_SIZE);
	buffer = dmabuf->priv;
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(buffer->pfn, cap));
	test_put(dmabuf);
}

static void clearing_stops_for_a_fatal_signal(struct kunit *test)
{
	struct heap_region *region = test_carveout(test, REGION_FIRST_FIT);
	struct dma_buf *dmabuf;

	/* The whole of it, so that the worker is done with it. */
	dmabuf = test_export(test, region, TEST_PAGES << PAGE_SHIFT);
	test_fill(dmabuf, 0xa5);

	test_kill_self();
	KUNIT_EXPECT_EQ(test, -EINTR, clear_extent(region->pfn, TEST_PAGES));
	test_revive_self();
	KUNIT_EXPECT_FALSE(test, test_filled_with(dmabuf, 0));

	KUNIT_EXPECT_EQ(test, 0, clear_extent(region->pfn, TEST_PAGES));
	KUNIT_EXPECT_TRUE(test, test_filled_with(dmabuf, 0));
	test_put(dmabuf);
}

/* Where CMA clears, the call completes; where the driver does, it stops. */
static void killed_lent_allocation_leaves_nothing(struct kunit *test)
{
	struct heap_region *region = test_lent_region(test);
	struct dma_buf *dmabuf;

	test_kill_self();
	dmabuf = heap_region_export(region, SZ_4M, O_RDWR);
	test_revive_self();

	if (!want_init_on_alloc(GFP_KERNEL))
		KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EINTR), dmabuf);
	if (IS_ERR(dmabuf)) {
		KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EINTR), dmabuf);
		KUNIT_EXPECT_EQ(test, 1, region->failures[FAIL_INTERRUPTED]);
	} else {
		test_put(dmabuf);
	}
	test_expect_idle(test, region);
}

static struct kunit_case alloc_test_cases[] = {
	KUNIT_CASE(length_is_rounded_up_to_pages),
	KUNIT_CASE(larger_than_the_region_is_refused),
	KUNIT_CASE(whole_region_then_nothing),
	KUNIT_CASE(lent_memory_comes_cleared),
	KUNIT_CASE(small_buffers_leave_the_region_alone),
	KUNIT_CASE(small_buffers_of_other_regions_come_from_them),
	KUNIT_CASE(alignment_is_capped),
	KUNIT_CASE(clearing_stops_for_a_fatal_signal),
	KUNIT_CASE(killed_lent_allocation_leaves_nothing),
	{}
};

static struct kunit_suite alloc_test_suite = {
	.name = "cma_regions_alloc",
	.test_cases = alloc_test_cases,
};

kunit_test_suite(alloc_test_suite);
