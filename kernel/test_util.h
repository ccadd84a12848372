/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the KUnit suites share.
 */
#ifndef _CMA_REGIONS_TEST_UTIL_H
#define _CMA_REGIONS_TEST_UTIL_H

#include <kunit/test.h>

#include "cma_regions.h"

/* Four pieces for the clearing worker, and two huge pages. */
#define TEST_PAGES	(4 * CLEAR_PIECE_PAGES)

struct heap_region *test_carveout(struct kunit *test, enum region_mode mode);
struct heap_region *test_lent_region(struct kunit *test);
struct dma_buf *test_export(struct kunit *test, struct heap_region *region,
			    size_t len);
void test_put(struct dma_buf *dmabuf);
void test_fill(struct dma_buf *dmabuf, u8 value);
bool test_filled_with(struct dma_buf *dmabuf, u8 value);
unsigned long test_offset(struct dma_buf *dmabuf);
void test_expect_idle(struct kunit *test, struct heap_region *region);
void test_kill_self(void);
void test_revive_self(void);

#endif /* _CMA_REGIONS_TEST_UTIL_H */
