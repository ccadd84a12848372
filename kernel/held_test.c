// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: held regions.
 */
#include <linux/completion.h>
#include <linux/file.h>
#include <linux/kthread.h>
#include <linux/random.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "test_util.h"

#define TEST_BYTES	(DMAHEAP_TEST_PAGES << PAGE_SHIFT)

static u64 left_to_clear(struct dmaheap_region *region)
{
	struct dmaheap_state state;

	dmaheap_region_state(region, &state);

	return state.clearing;
}

static void wait_for_worker(struct dmaheap_region *region)
{
	while (left_to_clear(region))
		cond_resched();
}

static void memory_is_cleared_before_first_use(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_FIRST_FIT);
	struct dma_buf *dmabuf = dmaheap_test_export(test, region, TEST_BYTES);

	KUNIT_EXPECT_TRUE(test, dmaheap_test_filled_with(dmabuf, 0));
	dmaheap_test_put(dmabuf);
	dmaheap_test_expect_idle(test, region);
}

static void worker_clears_what_was_freed(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_FIRST_FIT);
	struct dma_buf *dmabuf;
	void *vaddr;

	dmabuf = dmaheap_test_export(test, region, TEST_BYTES);
	dmaheap_test_fill(dmabuf, 0xa5);
	KUNIT_EXPECT_EQ(test, 0, left_to_clear(region));
	dmaheap_test_put(dmabuf);

	wait_for_worker(region);
	vaddr = page_address(pfn_to_page(region->pfn));
	KUNIT_EXPECT_NULL(test, memchr_inv(vaddr, 0, TEST_BYTES));
}

/* Two neighbours are freed: the room of both counts, cleared or not. */
static void freed_memory_is_placeable_at_once(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_BEST_FIT);
	struct dma_buf *dmabuf[2];
	int i;

	for (i = 0; i < 20; i++) {
		dmabuf[0] = dmaheap_test_export(test, region, TEST_BYTES / 8 * 3);
		dmabuf[1] = dmaheap_test_export(test, region, TEST_BYTES / 8);
		dmaheap_test_fill(dmabuf[0], 0xa5);
		dmaheap_test_put(dmabuf[0]);
		dmaheap_test_put(dmabuf[1]);

		dmabuf[0] = dmaheap_test_export(test, region, TEST_BYTES / 4);
		dmabuf[1] = dmaheap_test_export(test, region, TEST_BYTES / 8 * 5);
		KUNIT_EXPECT_TRUE(test, dmaheap_test_filled_with(dmabuf[0], 0));
		KUNIT_EXPECT_TRUE(test, dmaheap_test_filled_with(dmabuf[1], 0));
		dmaheap_test_put(dmabuf[0]);
		dmaheap_test_put(dmabuf[1]);
	}
	dmaheap_test_expect_idle(test, region);
}

/* Clearing stops for a fatal signal, so one that is not seen cleared nothing. */
static void request_that_does_not_fit_clears_nothing(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_FIRST_FIT);
	struct dma_buf *first, *last;

	first = dmaheap_test_export(test, region, TEST_BYTES / 2);
	last = dmaheap_test_export(test, region, TEST_BYTES / 2);
	dmaheap_test_put(first);

	dmaheap_test_kill_self();
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENOMEM),
			    dmaheap_export(region, TEST_BYTES / 2 + PAGE_SIZE,
					   O_RDWR, false));
	dmaheap_test_revive_self();
	dmaheap_test_put(last);
}

static void caller_clears_when_it_outruns_the_worker(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_BEST_FIT);
	struct dma_buf *dmabuf;
	int i;

	for (i = 0; i < 50; i++) {
		dmabuf = dmaheap_test_export(test, region, TEST_BYTES);
		KUNIT_EXPECT_TRUE(test, dmaheap_test_filled_with(dmabuf, 0));
		dmaheap_test_fill(dmabuf, 0xa5);
		dmaheap_test_put(dmabuf);
	}
	dmaheap_test_expect_idle(test, region);
}

static void killed_caller_does_not_clear(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_FIRST_FIT);
	struct dma_buf *dmabuf;
	int i, killed = 0;

	/* The worker may win the race for the memory, but not every time. */
	for (i = 0; i < 100 && !killed; i++) {
		dmaheap_test_put(dmaheap_test_export(test, region, TEST_BYTES));
		dmaheap_test_kill_self();
		dmabuf = dmaheap_export(region, TEST_BYTES, O_RDWR, false);
		dmaheap_test_revive_self();
		if (PTR_ERR(dmabuf) == -EINTR)
			killed++;
		else
			dmaheap_test_put(dmabuf);
	}
	KUNIT_EXPECT_EQ(test, 1, killed);
	KUNIT_EXPECT_EQ(test, 1, region->failures[DMAHEAP_INTERRUPTED]);
	dmaheap_test_expect_idle(test, region);

	dmaheap_test_put(dmaheap_test_export(test, region, TEST_BYTES));
}

static void exhausted_region_refuses(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_FIRST_FIT);
	struct dma_buf *dmabuf;

	dmabuf = dmaheap_test_export(test, region, TEST_BYTES - PAGE_SIZE);
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENOMEM),
			    dmaheap_export(region, 2 * PAGE_SIZE, O_RDWR, false));
	KUNIT_EXPECT_EQ(test, 1, region->failures[DMAHEAP_EXHAUSTED]);
	dmaheap_test_put(dmaheap_test_export(test, region, PAGE_SIZE));
	dmaheap_test_put(dmabuf);
	dmaheap_test_expect_idle(test, region);
}

/* Make holes of 5 and of 2 pages, and ask for 2. */
static unsigned long offset_for_two_pages(struct kunit *test,
					  struct dmaheap_region *region)
{
	static const int pages[] = { 5, 1, 2, 1 };
	struct dma_buf *dmabuf[ARRAY_SIZE(pages)], *two;
	unsigned long offset;
	int i;

	for (i = 0; i < ARRAY_SIZE(pages); i++)
		dmabuf[i] = dmaheap_test_export(test, region, pages[i] * PAGE_SIZE);
	dmaheap_test_put(dmabuf[0]);
	dmaheap_test_put(dmabuf[2]);
	wait_for_worker(region);

	two = dmaheap_test_export(test, region, 2 * PAGE_SIZE);
	offset = dmaheap_test_offset(two);
	dmaheap_test_put(two);
	dmaheap_test_put(dmabuf[1]);
	dmaheap_test_put(dmabuf[3]);

	return offset;
}

static void first_fit_takes_the_first_hole(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_FIRST_FIT);

	wait_for_worker(region);
	KUNIT_EXPECT_EQ(test, 0, offset_for_two_pages(test, region));
}

static void best_fit_takes_the_tightest_hole(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_BEST_FIT);

	wait_for_worker(region);
	KUNIT_EXPECT_EQ(test, 6, offset_for_two_pages(test, region));
}

static unsigned long pfn_of(struct dma_buf *dmabuf)
{
	struct dmaheap_buffer *buffer = dmabuf->priv;

	return buffer->pfn;
}

static void held_buffers_are_aligned_if_there_is_room(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_FIRST_FIT);
	struct dma_buf *page, *dmabuf;

	page = dmaheap_test_export(test, region, PAGE_SIZE);
	dmabuf = dmaheap_test_export(test, region, SZ_64K);
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(pfn_of(dmabuf), SZ_64K >> PAGE_SHIFT));
	dmaheap_test_put(dmabuf);

	dmabuf = dmaheap_test_export(test, region, SZ_1M + PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(pfn_of(dmabuf), SZ_128K >> PAGE_SHIFT));
	dmaheap_test_put(dmabuf);

	dmabuf = dmaheap_test_export(test, region, SZ_1M);
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(pfn_of(dmabuf), SZ_1M >> PAGE_SHIFT));
	dmaheap_test_put(dmabuf);

	/* There is none. */
	dmabuf = dmaheap_test_export(test, region, TEST_BYTES - PAGE_SIZE);
	dmaheap_test_put(dmabuf);
	dmaheap_test_put(page);
}

static void held_buffers_are_aligned_as_the_region_says(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_BEST_FIT);
	struct dma_buf *first, *second;

	region->align = SZ_2M >> PAGE_SHIFT;
	first = dmaheap_test_export(test, region, PAGE_SIZE);
	second = dmaheap_test_export(test, region, PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(pfn_of(first), region->align));
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(pfn_of(second), region->align));
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENOMEM),
			    dmaheap_export(region, PAGE_SIZE, O_RDWR, false));
	dmaheap_test_put(first);
	dmaheap_test_put(second);
}

/* Somebody who lets go of the area in a moment. */
struct pin {
	struct delayed_work work;
	struct dma_buf *dmabuf;
};

static void unpin(struct work_struct *work)
{
	dma_buf_put(container_of(work, struct pin, work.work)->dmabuf);
}

static void area_in_use_for_a_moment_is_held(struct kunit *test)
{
	struct dmaheap_region *lent = dmaheap_test_lent_region(test);
	struct dmaheap_region *region;
	struct pin pin = { .dmabuf = dmaheap_test_export(test, lent, SZ_1M) };

	INIT_DELAYED_WORK_ONSTACK(&pin.work, unpin);
	schedule_delayed_work(&pin.work, msecs_to_jiffies(50));
	region = dmaheap_region_create("kunit", lent->cma, lent->pfn,
				       lent->npages, DMAHEAP_BEST_FIT);
	flush_delayed_work(&pin.work);
	destroy_delayed_work_on_stack(&pin.work);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, region);
	dmaheap_region_destroy(region);
	flush_delayed_fput();
}

static void held_area_belongs_to_its_region_alone(struct kunit *test)
{
	struct dmaheap_region *lent = dmaheap_test_lent_region(test);
	struct dmaheap_region *region;
	struct dma_buf *dmabuf;

	/* Somebody has a part of it: not all of it can be held. */
	dmabuf = dmaheap_test_export(test, lent, SZ_1M);
	region = dmaheap_region_create("kunit", lent->cma, lent->pfn,
				       lent->npages, DMAHEAP_BEST_FIT);
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EBUSY), region);
	dmaheap_test_put(dmabuf);

	region = dmaheap_region_create("kunit", lent->cma, lent->pfn,
				       lent->npages, DMAHEAP_BEST_FIT);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, region);
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENOMEM),
			    dmaheap_export(lent, PAGE_SIZE, O_RDWR, false));
	dmabuf = dmaheap_test_export(test, region, SZ_4M);
	KUNIT_EXPECT_TRUE(test, dmaheap_test_filled_with(dmabuf, 0));
	dmaheap_test_put(dmabuf);
	dmaheap_region_destroy(region);

	dmaheap_test_put(dmaheap_test_export(test, lent, lent->npages << PAGE_SHIFT));
}

#define CLIENTS		4
#define CLIENT_ROUNDS	300

struct client {
	struct dmaheap_region *region;
	struct completion done;
	u8 mark;
	int refused;
	int soiled;
};

/* Take, mark, look whether the mark stays, give back. */
static int client_run(void *data)
{
	struct client *client = data;
	struct dma_buf *dmabuf;
	size_t len;
	int i;

	for (i = 0; i < CLIENT_ROUNDS; i++) {
		len = get_random_u32_inclusive(1, TEST_BYTES / 32);
		dmabuf = dmaheap_export(client->region, len, O_RDWR, false);
		if (IS_ERR(dmabuf)) {
			client->refused++;
			continue;
		}
		if (!dmaheap_test_filled_with(dmabuf, 0))
			client->soiled++;
		dmaheap_test_fill(dmabuf, client->mark);
		cond_resched();
		if (!dmaheap_test_filled_with(dmabuf, client->mark))
			client->soiled++;
		dmaheap_test_put(dmabuf);
	}
	complete(&client->done);

	return 0;
}

/* However few, small extents lie, a hole for the next is left: no refusals. */
static void many_clients_at_once(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_BEST_FIT);
	struct client *clients;
	int i;

	clients = kunit_kcalloc(test, CLIENTS, sizeof(*clients), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, clients);
	for (i = 0; i < CLIENTS; i++) {
		clients[i].region = region;
		clients[i].mark = i + 1;
		init_completion(&clients[i].done);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test,
					     kthread_run(client_run, &clients[i],
							 "kunit-client/%d", i));
	}
	for (i = 0; i < CLIENTS; i++) {
		wait_for_completion(&clients[i].done);
		KUNIT_EXPECT_EQ(test, 0, clients[i].soiled);
		KUNIT_EXPECT_EQ(test, 0, clients[i].refused);
	}
	flush_delayed_fput();
	dmaheap_test_expect_idle(test, region);
}

static struct kunit_case held_test_cases[] = {
	KUNIT_CASE(memory_is_cleared_before_first_use),
	KUNIT_CASE(worker_clears_what_was_freed),
	KUNIT_CASE(freed_memory_is_placeable_at_once),
	KUNIT_CASE(request_that_does_not_fit_clears_nothing),
	KUNIT_CASE(caller_clears_when_it_outruns_the_worker),
	KUNIT_CASE(killed_caller_does_not_clear),
	KUNIT_CASE(exhausted_region_refuses),
	KUNIT_CASE(first_fit_takes_the_first_hole),
	KUNIT_CASE(best_fit_takes_the_tightest_hole),
	KUNIT_CASE(held_buffers_are_aligned_if_there_is_room),
	KUNIT_CASE(held_buffers_are_aligned_as_the_region_says),
	KUNIT_CASE(area_in_use_for_a_moment_is_held),
	KUNIT_CASE(held_area_belongs_to_its_region_alone),
	KUNIT_CASE_SLOW(many_clients_at_once),
	{}
};

static struct kunit_suite held_test_suite = {
	.name = "cma_regions_held",
	.test_cases = held_test_cases,
};

kunit_test_suite(held_test_suite);
