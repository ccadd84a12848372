/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the KUnit suites share.
 */
#ifndef _DMAHEAP_TEST_UTIL_H
#define _DMAHEAP_TEST_UTIL_H

#include <kunit/test.h>

#include "dmaheap.h"

/* Four pieces for the clearing worker, and two huge pages. */
#define DMAHEAP_TEST_PAGES	(4 * DMAHEAP_PIECE_PAGES)

struct dmaheap_region *dmaheap_test_carveout(struct kunit *test,
					     enum dmaheap_mode mode);
struct dmaheap_region *dmaheap_test_lent_region(struct kunit *test);
struct dma_buf *dmaheap_test_export(struct kunit *test,
				    struct dmaheap_region *region, size_t len);
void dmaheap_test_put(struct dma_buf *dmabuf);
void dmaheap_test_fill(struct dma_buf *dmabuf, u8 value);
bool dmaheap_test_filled_with(struct dma_buf *dmabuf, u8 value);
unsigned long dmaheap_test_offset(struct dma_buf *dmabuf);
void dmaheap_test_expect_idle(struct kunit *test, struct dmaheap_region *region);
void dmaheap_test_kill_self(void);
void dmaheap_test_revive_self(void);

#endif /* _DMAHEAP_TEST_UTIL_H */
