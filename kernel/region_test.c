// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: which regions there are, what they are called and how they are used.
 * Part of region.c, whose functions are its own.
 */
#include "test_util.h"

static void __init modes_have_names(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, REGION_FIRST_FIT, mode_by_name(""));
	KUNIT_EXPECT_EQ(test, REGION_FIRST_FIT, mode_by_name("first-fit"));
	KUNIT_EXPECT_EQ(test, REGION_BEST_FIT, mode_by_name("best-fit"));
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

	return region_mode("kunit@0", &np);
}

static void __init property_holds_a_region(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, REGION_FIRST_FIT, mode_with_property(NULL, 0));
	KUNIT_EXPECT_EQ(test, REGION_FIRST_FIT,
			mode_with_property("first-fit", 10));
	KUNIT_EXPECT_EQ(test, REGION_BEST_FIT, mode_with_property("best-fit", 9));
	KUNIT_EXPECT_EQ(test, -EINVAL, mode_with_property("worst-fit", 10));
}

static void __init parameter_holds_a_region(struct kunit *test)
{
	char *saved[2] = { held[0], held[1] };
	int saved_count = held_count;

	held[0] = "camera@54000000";
	held[1] = "video:best-fit";
	held_count = 2;
	KUNIT_EXPECT_EQ(test, REGION_FIRST_FIT,
			region_mode("camera@54000000", NULL));
	KUNIT_EXPECT_EQ(test, REGION_BEST_FIT, region_mode("video", NULL));
	KUNIT_EXPECT_EQ(test, REGION_LENT, region_mode("camera", NULL));
	KUNIT_EXPECT_EQ(test, REGION_LENT, region_mode("video2", NULL));

	held[1] = "video:tight";
	KUNIT_EXPECT_EQ(test, -EINVAL, region_mode("video", NULL));

	held[0] = saved[0];
	held[1] = saved[1];
	held_count = saved_count;
}

static void __init taken_name_is_an_error(struct kunit *test)
{
	struct cma *cma = dev_get_cma_area(NULL);
	struct heap_region *region;

	KUNIT_ASSERT_NOT_NULL(test, find_region(DEFAULT_REGION_NAME,
						strlen(DEFAULT_REGION_NAME)));
	region = heap_region_create(DEFAULT_REGION_NAME, cma, 1, 1, REGION_LENT);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, region);
	KUNIT_EXPECT_EQ(test, -EEXIST, heap_region_register(region));
	heap_region_destroy(region);
}

static void __init nameless_region_is_an_error(struct kunit *test)
{
	struct heap_region *region;

	region = heap_region_create("", NULL, 1, 1, REGION_LENT);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, region);
	KUNIT_EXPECT_EQ(test, -EINVAL, heap_region_register(region));
	heap_region_destroy(region);
}

static void __init malformed_regions_are_errors(struct kunit *test)
{
	struct cma *cma = dev_get_cma_area(NULL);

	KUNIT_EXPECT_EQ(test, -EINVAL,
			add_region("kunit", cma, SZ_1M, 0, REGION_LENT));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			add_region("kunit", cma, 0, SZ_1M, REGION_LENT));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			add_region("kunit", cma, SZ_1M + 1, SZ_1M, REGION_LENT));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			add_region("kunit", cma, SZ_1M, SZ_1M + 1, REGION_LENT));
	KUNIT_EXPECT_NULL(test, find_region("kunit", strlen("kunit")));
}

/* Memory that the page allocator owns is nobody's carve-out; nor is no memory. */
static void __init carveout_must_be_reserved_memory(struct kunit *test)
{
	void *page = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_EQ(test, -ENXIO,
			add_region("kunit", NULL,
				   PAGE_ALIGN_DOWN(virt_to_phys(page)),
				   PAGE_SIZE, REGION_FIRST_FIT));
	KUNIT_EXPECT_EQ(test, -ENXIO,
			add_region("kunit", NULL, BIT_ULL(PHYS_MASK_SHIFT - 1),
				   PAGE_SIZE, REGION_FIRST_FIT));
}

static void __init unheld_reserved_memory_is_left_alone(struct kunit *test)
{
	struct device_node np = { .full_name = "ramoops@21f00000" };

	KUNIT_EXPECT_EQ(test, 0, add_node(&np));
	KUNIT_EXPECT_NULL(test, find_region(np.full_name, strlen(np.full_name)));
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
	struct cma *cma = dev_get_cma_area(NULL);
	unsigned long pfn = PHYS_PFN(cma_get_base(cma));
	struct page *page = alloc_page(small_gfp(pfn));

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_LE(test, page_zonenum(page), page_zonenum(pfn_to_page(pfn)));
	__free_page(page);
}

/* The kernel forgets it with the functions. */
static struct kunit_case __refdata region_test_cases[] = {
	KUNIT_CASE(modes_have_names),
	KUNIT_CASE(property_holds_a_region),
	KUNIT_CASE(parameter_holds_a_region),
	KUNIT_CASE(taken_name_is_an_error),
	KUNIT_CASE(nameless_region_is_an_error),
	KUNIT_CASE(malformed_regions_are_errors),
	KUNIT_CASE(carveout_must_be_reserved_memory),
	KUNIT_CASE(unheld_reserved_memory_is_left_alone),
	KUNIT_CASE(region_the_kernel_does_not_know_is_an_error),
	KUNIT_CASE(small_buffers_stay_in_reach),
	{}
};

static struct kunit_suite region_test_suite = {
	.name = "cma_regions_region",
	.test_cases = region_test_cases,
};

kunit_test_init_section_suite(region_test_suite);
