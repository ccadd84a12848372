// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the KUnit suites share: regions to test with, and looks into buffers.
 */
#include <linux/file.h>
#include <linux/gfp.h>
#include <linux/of.h>
#include <linux/of_reserved_mem.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#include "test_util.h"

#define TEST_BYTES	(DMAHEAP_TEST_PAGES << PAGE_SHIFT)

static void free_carveout(void *vaddr)
{
	struct page *page;

	for (page = virt_to_page(vaddr);
	     page < virt_to_page(vaddr) + DMAHEAP_TEST_PAGES; page++)
		ClearPageReserved(page);
	free_pages_exact(vaddr, TEST_BYTES);
}

static void destroy_region(void *region)
{
	dmaheap_region_destroy(region);
}

/* A held region in memory of the test's own, full of rubbish. */
struct dmaheap_region *dmaheap_test_carveout(struct kunit *test, enum dmaheap_mode mode)
{
	struct dmaheap_region *region;
	struct page *page;
	void *vaddr;

	vaddr = alloc_pages_exact(TEST_BYTES, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vaddr);
	memset(vaddr, 0x5a, TEST_BYTES);
	for (page = virt_to_page(vaddr);
	     page < virt_to_page(vaddr) + DMAHEAP_TEST_PAGES; page++)
		SetPageReserved(page);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, free_carveout, vaddr));

	region = dmaheap_region_create("kunit", NULL,
				       page_to_pfn(virt_to_page(vaddr)),
				       DMAHEAP_TEST_PAGES, mode);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, region);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, destroy_region, region));

	return region;
}

/* The area that the overlay has for the tests. Its heap is idle. */
static struct reserved_mem *test_area(struct kunit *test)
{
	struct device_node *np;
	struct reserved_mem *rmem;

	np = of_find_node_by_path("/reserved-memory/kunit@50000000");
	KUNIT_ASSERT_NOT_NULL_MSG(test, np, "boot with board/virt-kunit.dtso");
	rmem = of_reserved_mem_lookup(np);
	of_node_put(np);
	KUNIT_ASSERT_NOT_NULL(test, rmem);
	KUNIT_ASSERT_NOT_NULL(test, rmem->priv);

	return rmem;
}

/* A second region in that area: CMA does not mind. */
struct dmaheap_region *dmaheap_test_lent_region(struct kunit *test)
{
	struct reserved_mem *rmem = test_area(test);
	struct dmaheap_region *region;

	region = dmaheap_region_create("kunit", rmem->priv,
				       PHYS_PFN(rmem->base),
				       PHYS_PFN(rmem->size), DMAHEAP_LENT);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, region);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, destroy_region, region));

	return region;
}

struct dma_buf *dmaheap_test_export(struct kunit *test,
				    struct dmaheap_region *region, size_t len)
{
	struct dma_buf *dmabuf = dmaheap_export(region, len, O_RDWR, false);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dmabuf);

	return dmabuf;
}

/* Kernel threads put files later; the tests want to see the result now. */
void dmaheap_test_put(struct dma_buf *dmabuf)
{
	dma_buf_put(dmabuf);
	flush_delayed_fput();
}

static void *test_vaddr(struct dma_buf *dmabuf)
{
	struct dmaheap_buffer *buffer = dmabuf->priv;

	return page_address(pfn_to_page(buffer->pfn));
}

void dmaheap_test_fill(struct dma_buf *dmabuf, u8 value)
{
	memset(test_vaddr(dmabuf), value, dmabuf->size);
}

bool dmaheap_test_filled_with(struct dma_buf *dmabuf, u8 value)
{
	return !memchr_inv(test_vaddr(dmabuf), value, dmabuf->size);
}

/* Where in its region a buffer lies, in pages. */
unsigned long dmaheap_test_offset(struct dma_buf *dmabuf)
{
	struct dmaheap_buffer *buffer = dmabuf->priv;

	return buffer->pfn - buffer->region->pfn;
}

void dmaheap_test_expect_idle(struct kunit *test, struct dmaheap_region *region)
{
	KUNIT_EXPECT_EQ(test, 0, region->buffers);
	KUNIT_EXPECT_EQ(test, 0, region->used_pages);
	KUNIT_EXPECT_EQ(test, 0, region->small_pages);
	KUNIT_EXPECT_EQ(test, 0, region->charged_pages);
	KUNIT_EXPECT_TRUE(test, bitmap_empty(region->used, region->npages));
}

void dmaheap_test_kill_self(void)
{
	sigaddset(&current->pending.signal, SIGKILL);
	set_thread_flag(TIF_SIGPENDING);
}

void dmaheap_test_revive_self(void)
{
	sigdelset(&current->pending.signal, SIGKILL);
	clear_thread_flag(TIF_SIGPENDING);
}
