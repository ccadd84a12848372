// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: the map of a region.
 */
#include <linux/cma.h>
#include <linux/file.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "test_util.h"

/* The region's map as text, which is freed with the test. */
static char *map_of(struct kunit *test, struct dmaheap_region *region)
{
	struct seq_file m = {
		.buf = kunit_kzalloc(test, SZ_4K, GFP_KERNEL),
		.size = SZ_4K,
		.private = region,
	};

	KUNIT_ASSERT_NOT_NULL(test, m.buf);
	mutex_init(&m.lock);
	KUNIT_EXPECT_EQ(test, 0, dmaheap_map_show(&m, NULL));
	KUNIT_ASSERT_FALSE(test, seq_has_overflowed(&m));

	return m.buf;
}

/* A line of it. */
static char *line(struct kunit *test, struct dmaheap_region *region,
		  unsigned long start, unsigned long npages, const char *rest)
{
	char *text = kunit_kzalloc(test, SZ_256, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, text);
	snprintf(text, SZ_256, "%#llx %llu %s\n",
		 (u64)(region->pfn + start) << PAGE_SHIFT,
		 (u64)npages << PAGE_SHIFT, rest);

	return text;
}

static char *buffer_line(struct kunit *test, struct dma_buf *dmabuf,
			 const char *state, const char *name)
{
	struct dmaheap_buffer *buffer = dmabuf->priv;
	char rest[64];

	snprintf(rest, sizeof(rest), "%s %lu %s", state,
		 (unsigned long)file_inode(dmabuf->file)->i_ino, name);

	return line(test, buffer->region, dmaheap_test_offset(dmabuf),
		    buffer->npages, rest);
}

/* All of it is known to be clean once somebody had it and the worker was there. */
static void wait_until_clean(struct dmaheap_region *region)
{
	struct dmaheap_state state;

	do {
		cond_resched();
		dmaheap_region_state(region, &state);
	} while (state.clearing);
}

static void held_region_is_shown_whole(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_FIRST_FIT);
	struct dma_buf *first, *second;
	char *map;

	wait_until_clean(region);
	map = map_of(test, region);
	KUNIT_EXPECT_STREQ(test, map,
			   line(test, region, 0, DMAHEAP_TEST_PAGES, "clean"));

	first = dmaheap_test_export(test, region, 2 * PAGE_SIZE);
	second = dmaheap_test_export(test, region, 4 * PAGE_SIZE);
	second->name = kstrdup("two\nwords", GFP_KERNEL);
	map = map_of(test, region);
	KUNIT_EXPECT_TRUE(test, strstarts(map, buffer_line(test, first, "buffer", "")));
	KUNIT_EXPECT_NOT_NULL(test,
			      strstr(map, buffer_line(test, second, "buffer",
						      "two\\nwords")));

	/* What lies between them and behind is the rest. */
	dmaheap_test_put(first);
	wait_until_clean(region);
	map = map_of(test, region);
	KUNIT_EXPECT_TRUE(test,
			  strstarts(map, line(test, region, 0,
					      dmaheap_test_offset(second), "clean")));
	dmaheap_test_put(second);
	dmaheap_test_expect_idle(test, region);
}

/* Bytes that the map of an otherwise free region would call dirty. */
static u64 dirty_bytes(struct dmaheap_region *region)
{
	unsigned long start, end;
	unsigned long dirty = 0;

	for (start = 0; start < region->npages; start = end) {
		end = region->npages;
		if (!strcmp(region->source->rest(region, start, &end), "dirty"))
			dirty += end - start;
	}

	return (u64)dirty << PAGE_SHIFT;
}

/* As much as there is, at every moment, while the worker clears it. */
static void what_is_yet_to_be_cleared_is_dirty(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_FIRST_FIT);
	struct dmaheap_state state = {};

	do {
		cond_resched();
		mutex_lock(&region->lock);
		region->source->state(region, &state);
		KUNIT_EXPECT_EQ(test, state.clearing, dirty_bytes(region));
		mutex_unlock(&region->lock);
	} while (state.clearing);
}

static void small_and_pending_ones_are_shown(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_lent_region(test);
	struct dma_buf *small;
	char *map;

	region->small_gfp = GFP_KERNEL | __GFP_ZERO;
	small = dmaheap_test_export(test, region, PAGE_SIZE);
	/* As while a request is being served, or a buffer being given back. */
	mutex_lock(&region->lock);
	dmaheap_mark_used(region, region->pfn + 3, 2);
	mutex_unlock(&region->lock);

	map = map_of(test, region);
	KUNIT_EXPECT_NOT_NULL(test, strstr(map, buffer_line(test, small, "small", "")));
	KUNIT_EXPECT_NOT_NULL(test, strstr(map, line(test, region, 3, 2, "pending")));

	mutex_lock(&region->lock);
	dmaheap_mark_free(region, region->pfn + 3, 2);
	mutex_unlock(&region->lock);
	dmaheap_test_put(small);
	KUNIT_EXPECT_TRUE(test, RB_EMPTY_ROOT(&region->live));
	dmaheap_test_expect_idle(test, region);
}

/* The area is idle, but for a page that is taken here: CMA gives its first. */
static void lent_pages_are_busy_or_free(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_lent_region(test);
	struct page *page = cma_alloc(region->cma, 1, 0, true);
	unsigned long start, end = region->npages;

	KUNIT_ASSERT_NOT_NULL(test, page);
	start = page_to_pfn(page) - region->pfn;
	KUNIT_EXPECT_STREQ(test, "busy", region->source->rest(region, start, &end));
	KUNIT_EXPECT_NOT_NULL(test, strstr(map_of(test, region), " busy\n"));
	cma_release(region->cma, page, 1);

	end = start + 1;
	KUNIT_EXPECT_STREQ(test, "free", region->source->rest(region, start, &end));
}

static struct kunit_case map_test_cases[] = {
	KUNIT_CASE(held_region_is_shown_whole),
	KUNIT_CASE(what_is_yet_to_be_cleared_is_dirty),
	KUNIT_CASE(small_and_pending_ones_are_shown),
	KUNIT_CASE(lent_pages_are_busy_or_free),
	{}
};

static struct kunit_suite map_test_suite = {
	.name = "cma_regions_map",
	.test_cases = map_test_cases,
};

kunit_test_suite(map_test_suite);
