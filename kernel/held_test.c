// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: held regions.
 */
#include <linux/completion.h>
#include <linux/file.h>
#include <linux/kthread.h>
#include <linux/random.h>
#include <linux/sizes.h>

#include "test_util.h"

#define TEST_BYTES	(TEST_PAGES << PAGE_SHIFT)

static void wait_for_worker(struct heap_region *region)
{
	unsigned long largest, backlog;

	do {
		cond_resched();
		held_pool_state(region->held, &largest, &backlog);
	} while (backlog);
}

static void memory_is_cleared_before_first_use(struct kunit *test)
{
	struct heap_region *region = test_carveout(test, REGION_FIRST_FIT);
	struct dma_buf *dmabuf = test_export(test, region, TEST_BYTES);

	KUNIT_EXPECT_TRUE(test, test_filled_with(dmabuf, 0));
	test_put(dmabuf);
	test_expect_idle(test, region);
}

static void worker_clears_what_was_freed(struct kunit *test)
{
	struct heap_region *region = test_carveout(test, REGION_FIRST_FIT);
	unsigned long largest, backlog;
	struct dma_buf *dmabuf;

	dmabuf = test_export(test, region, TEST_BYTES);
	test_fill(dmabuf, 0xa5);
	held_pool_state(region->held, &largest, &backlog);
	KUNIT_EXPECT_EQ(test, 0, largest);
	KUNIT_EXPECT_EQ(test, 0, backlog);
	test_put(dmabuf);

	wait_for_worker(region);
	held_pool_state(region->held, &largest, &backlog);
	KUNIT_EXPECT_EQ(test, TEST_PAGES, largest);

	dmabuf = test_export(test, region, TEST_BYTES);
	KUNIT_EXPECT_TRUE(test, test_filled_with(dmabuf, 0));
	test_put(dmabuf);
}

static void caller_clears_when_it_outruns_the_worker(struct kunit *test)
{
	struct heap_region *region = test_carveout(test, REGION_BEST_FIT);
	struct dma_buf *dmabuf;
	int i;

	for (i = 0; i < 50; i++) {
		dmabuf = test_export(test, region, TEST_BYTES);
		KUNIT_EXPECT_TRUE(test, test_filled_with(dmabuf, 0));
		test_fill(dmabuf, 0xa5);
		test_put(dmabuf);
	}
	test_expect_idle(test, region);
}

static void killed_caller_does_not_clear(struct kunit *test)
{
	struct heap_region *region = test_carveout(test, REGION_FIRST_FIT);
	struct dma_buf *dmabuf;
	int i, killed = 0;

	/* The worker may win the race for the memory, but not every time. */
	for (i = 0; i < 100 && !killed; i++) {
		test_put(test_export(test, region, TEST_BYTES));
		test_kill_self();
		dmabuf = heap_region_export(region, TEST_BYTES, O_RDWR);
		test_revive_self();
		if (PTR_ERR(dmabuf) == -EINTR)
			killed++;
		else
			test_put(dmabuf);
	}
	KUNIT_EXPECT_EQ(test, 1, killed);
	KUNIT_EXPECT_EQ(test, 1, region->failures[FAIL_INTERRUPTED]);
	test_expect_idle(test, region);

	test_put(test_export(test, region, TEST_BYTES));
}

static void exhausted_region_refuses(struct kunit *test)
{
	struct heap_region *region = test_carveout(test, REGION_FIRST_FIT);
	struct dma_buf *dmabuf;

	dmabuf = test_export(test, region, TEST_BYTES - PAGE_SIZE);
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENOMEM),
			    heap_region_export(region, 2 * PAGE_SIZE, O_RDWR));
	KUNIT_EXPECT_EQ(test, 1, region->failures[FAIL_EXHAUSTED]);
	test_put(test_export(test, region, PAGE_SIZE));
	test_put(dmabuf);
	test_expect_idle(test, region);
}

/* Make holes of 5 and of 2 pages, and ask for 2. */
static unsigned long offset_for_two_pages(struct kunit *test,
					  struct heap_region *region)
{
	static const int pages[] = { 5, 1, 2, 1 };
	struct dma_buf *dmabuf[ARRAY_SIZE(pages)], *two;
	unsigned long offset;
	int i;

	for (i = 0; i < ARRAY_SIZE(pages); i++)
		dmabuf[i] = test_export(test, region, pages[i] * PAGE_SIZE);
	test_put(dmabuf[0]);
	test_put(dmabuf[2]);
	wait_for_worker(region);

	two = test_export(test, region, 2 * PAGE_SIZE);
	offset = test_offset(two);
	test_put(two);
	test_put(dmabuf[1]);
	test_put(dmabuf[3]);

	return offset;
}

static void first_fit_takes_the_first_hole(struct kunit *test)
{
	struct heap_region *region = test_carveout(test, REGION_FIRST_FIT);

	wait_for_worker(region);
	KUNIT_EXPECT_EQ(test, 0, offset_for_two_pages(test, region));
}

static void best_fit_takes_the_tightest_hole(struct kunit *test)
{
	struct heap_region *region = test_carveout(test, REGION_BEST_FIT);

	wait_for_worker(region);
	KUNIT_EXPECT_EQ(test, 6, offset_for_two_pages(test, region));
}

static void held_area_belongs_to_its_region_alone(struct kunit *test)
{
	struct heap_region *lent = test_lent_region(test);
	struct heap_region *region;
	struct dma_buf *dmabuf;

	/* Somebody has a part of it: not all of it can be held. */
	dmabuf = test_export(test, lent, SZ_1M);
	region = heap_region_create("kunit", lent->cma, lent->pfn, lent->npages,
				    REGION_BEST_FIT);
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EBUSY), region);
	test_put(dmabuf);

	region = heap_region_create("kunit", lent->cma, lent->pfn, lent->npages,
				    REGION_BEST_FIT);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, region);
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENOMEM),
			    heap_region_export(lent, PAGE_SIZE, O_RDWR));
	dmabuf = test_export(test, region, SZ_4M);
	KUNIT_EXPECT_TRUE(test, test_filled_with(dmabuf, 0));
	test_put(dmabuf);
	heap_region_destroy(region);

	test_put(test_export(test, lent, lent->npages << PAGE_SHIFT));
}

#define CLIENTS		4
#define CLIENT_ROUNDS	300

struct client {
	struct heap_region *region;
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
		dmabuf = heap_region_export(client->region, len, O_RDWR);
		if (IS_ERR(dmabuf)) {
			client->refused++;
			continue;
		}
		if (!test_filled_with(dmabuf, 0))
			client->soiled++;
		test_fill(dmabuf, client->mark);
		cond_resched();
		if (!test_filled_with(dmabuf, client->mark))
			client->soiled++;
		test_put(dmabuf);
	}
	complete(&client->done);

	return 0;
}

/* However few, small extents lie, a hole for the next is left: no refusals. */
static void many_clients_at_once(struct kunit *test)
{
	struct heap_region *region = test_carveout(test, REGION_BEST_FIT);
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
	test_expect_idle(test, region);
}

static struct kunit_case held_test_cases[] = {
	KUNIT_CASE(memory_is_cleared_before_first_use),
	KUNIT_CASE(worker_clears_what_was_freed),
	KUNIT_CASE(caller_clears_when_it_outruns_the_worker),
	KUNIT_CASE(killed_caller_does_not_clear),
	KUNIT_CASE(exhausted_region_refuses),
	KUNIT_CASE(first_fit_takes_the_first_hole),
	KUNIT_CASE(best_fit_takes_the_tightest_hole),
	KUNIT_CASE(held_area_belongs_to_its_region_alone),
	KUNIT_CASE_SLOW(many_clients_at_once),
	{}
};

static struct kunit_suite held_test_suite = {
	.name = "cma_regions_held",
	.test_cases = held_test_cases,
};

kunit_test_suite(held_test_suite);
