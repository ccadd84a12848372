// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: which regions there are, what they are called and how they are used.
 * Part of tree.c, whose functions are its own.
 */
#include "test_util.h"

static void __init modes_have_names(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, DMAHEAP_FIRST_FIT, mode_by_name(""));
	KUNIT_EXPECT_EQ(test, DMAHEAP_FIRST_FIT, mode_by_name("first-fit"));
	KUNIT_EXPECT_EQ(test, DMAHEAP_BEST_FIT, mode_by_name("best-fit"));
	KUNIT_EXPECT_EQ(test, -EINVAL, mode_by_name("best"));
	KUNIT_EXPECT_EQ(test, -EINVAL, mode_by_name("best-fit "));
}

static int __init mode_with_property(const char *value, int length)
{
	struct property property = {
		.name = "dmaheap,held",
		.value = (void *)value,
		.length = length,
	};
	struct device_node np = {
		.full_name = "kunit@0",
		.properties = &property,
	};

	return wanted_mode("kunit@0", &np);
}

static void __init property_holds_a_region(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, DMAHEAP_FIRST_FIT, mode_with_property(NULL, 0));
	KUNIT_EXPECT_EQ(test, DMAHEAP_FIRST_FIT,
			mode_with_property("first-fit", 10));
	KUNIT_EXPECT_EQ(test, DMAHEAP_BEST_FIT, mode_with_property("best-fit", 9));
	KUNIT_EXPECT_EQ(test, -EINVAL, mode_with_property("worst-fit", 10));
	KUNIT_EXPECT_EQ(test, -EINVAL, mode_with_property("best-fit", 8));
	KUNIT_EXPECT_EQ(test, -EINVAL, mode_with_property("\0\0\0\1", 4));
}

static unsigned long __init align_with_property(const char *value, int length)
{
	struct property property = {
		.name = "dmaheap,align",
		.value = (void *)value,
		.length = length,
	};
	struct device_node np = { .properties = &property };

	return wanted_align(&np);
}

static void __init property_aligns_a_region(struct kunit *test)
{
	struct device_node np = {};

	KUNIT_EXPECT_EQ(test, 1, wanted_align(&np));
	KUNIT_EXPECT_EQ(test, 1, align_with_property("\0\0\0\1", 4));
	KUNIT_EXPECT_EQ(test, SZ_2M >> PAGE_SHIFT,
			align_with_property("\0\x20\0\0", 4));
	KUNIT_EXPECT_EQ(test, 0, align_with_property("\0\0\0\3", 4));
	KUNIT_EXPECT_EQ(test, 0, align_with_property("\0\0\0\0", 4));
	KUNIT_EXPECT_EQ(test, 0, align_with_property("2M", 3));
	KUNIT_EXPECT_EQ(test, 0, align_with_property(NULL, 0));
}

/* Once for each region: their names have commas. */
static void __init parameter_holds_a_region(struct kunit *test)
{
	const char *saved[2] = { held[0], held[1] };
	int saved_count = held_count;

	held_count = 0;
	KUNIT_EXPECT_EQ(test, 0, set_held("video,secure@54000000", NULL));
	KUNIT_EXPECT_EQ(test, 0, set_held("video:best-fit", NULL));
	KUNIT_EXPECT_EQ(test, DMAHEAP_FIRST_FIT,
			wanted_mode("video,secure@54000000", NULL));
	KUNIT_EXPECT_EQ(test, DMAHEAP_BEST_FIT, wanted_mode("video", NULL));
	KUNIT_EXPECT_EQ(test, DMAHEAP_LENT, wanted_mode("secure@54000000", NULL));
	KUNIT_EXPECT_EQ(test, DMAHEAP_LENT, wanted_mode("video2", NULL));

	held[1] = "video:tight";
	KUNIT_EXPECT_EQ(test, -EINVAL, wanted_mode("video", NULL));

	held_count = ARRAY_SIZE(held);
	KUNIT_EXPECT_EQ(test, -ENOSPC, set_held("camera", NULL));

	held[0] = saved[0];
	held[1] = saved[1];
	held_count = saved_count;
}

static void __init taken_name_is_an_error(struct kunit *test)
{
	struct cma *cma = dev_get_cma_area(NULL);
	struct dmaheap_region *region;

	KUNIT_ASSERT_NOT_NULL(test, dmaheap_region_find(DEFAULT_REGION_NAME));
	region = dmaheap_region_create(DEFAULT_REGION_NAME, cma, 1, 1, DMAHEAP_LENT);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, region);
	KUNIT_EXPECT_EQ(test, -EEXIST, dmaheap_region_register(region));
	dmaheap_region_destroy(region);
}

static void __init nameless_region_is_an_error(struct kunit *test)
{
	struct dmaheap_region *region;

	region = dmaheap_region_create("", NULL, 1, 1, DMAHEAP_LENT);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, region);
	KUNIT_EXPECT_EQ(test, -EINVAL, dmaheap_region_register(region));
	dmaheap_region_destroy(region);
}

static void __init malformed_regions_are_errors(struct kunit *test)
{
	const struct wish lent = { .mode = DMAHEAP_LENT, .align = 1 };
	struct cma *cma = dev_get_cma_area(NULL);

	KUNIT_EXPECT_EQ(test, -EINVAL,
			add_region("kunit", cma, SZ_1M, 0, &lent));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			add_region("kunit", cma, 0, SZ_1M, &lent));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			add_region("kunit", cma, SZ_1M + 1, SZ_1M, &lent));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			add_region("kunit", cma, SZ_1M, SZ_1M + 1, &lent));
	KUNIT_EXPECT_NULL(test, dmaheap_region_find("kunit"));
}

static bool __init is_carveout(phys_addr_t base)
{
	struct reserved_mem rmem = { .base = base, .size = PAGE_SIZE };

	return is_unused_memory(&rmem);
}

/* Memory that the page allocator owns is nobody's carve-out; nor is no memory. */
static void __init carveout_must_be_unused_memory(struct kunit *test)
{
	void *page = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_FALSE(test, is_carveout(PAGE_ALIGN_DOWN(virt_to_phys(page))));
	KUNIT_EXPECT_FALSE(test, is_carveout(BIT_ULL(PHYS_MASK_SHIFT - 1)));
}

static void __init unheld_reserved_memory_is_left_alone(struct kunit *test)
{
	struct device_node np = { .full_name = "ramoops@21f00000" };

	KUNIT_EXPECT_EQ(test, 0, add_node(&np));
	KUNIT_EXPECT_NULL(test, dmaheap_region_find(np.full_name));
}

static void __init region_the_kernel_does_not_know_is_an_error(struct kunit *test)
{
	struct property property = { .name = "dmaheap,held" };
	struct device_node np = {
		.full_name = "kunit@1",
		.properties = &property,
	};

	KUNIT_EXPECT_EQ(test, -ENODEV, add_node(&np));
}

static void __init small_buffers_stay_in_reach(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_region_find(DEFAULT_REGION_NAME);
	struct page *page;

	KUNIT_ASSERT_NOT_NULL(test, region);
	page = alloc_page(small_gfp(region->pfn));
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_LE(test, page_zonenum(page), page_zonenum(pfn_to_page(region->pfn)));
	__free_page(page);
}

/* The kernel forgets it with the functions. */
static struct kunit_case __refdata tree_test_cases[] = {
	KUNIT_CASE(modes_have_names),
	KUNIT_CASE(property_holds_a_region),
	KUNIT_CASE(property_aligns_a_region),
	KUNIT_CASE(parameter_holds_a_region),
	KUNIT_CASE(taken_name_is_an_error),
	KUNIT_CASE(nameless_region_is_an_error),
	KUNIT_CASE(malformed_regions_are_errors),
	KUNIT_CASE(carveout_must_be_unused_memory),
	KUNIT_CASE(unheld_reserved_memory_is_left_alone),
	KUNIT_CASE(region_the_kernel_does_not_know_is_an_error),
	KUNIT_CASE(small_buffers_stay_in_reach),
	{}
};

static struct kunit_suite tree_test_suite = {
	.name = "cma_regions_tree",
	.test_cases = tree_test_cases,
};

kunit_test_init_section_suite(tree_test_suite);
