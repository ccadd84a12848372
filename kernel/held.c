// SPDX-License-Identifier: GPL-2.0-only
/*
 * Held memory: pages that belong to one heap for good.
 *
 * A page is in a buffer or free, and a free one is clean or dirty: freeing only
 * marks pages, so it cannot fail, and they can be placed in at once. A request
 * chooses its place among all free pages, clean and dirty alike, and then
 * clears what is dirty there. A worker clears dirty free pages in the meantime,
 * so that most requests find clean ones.
 *
 * Locks: the region's lock protects both bitmaps, and is not held while memory
 * is cleared. The dirty pages of a buffer-to-be are its request's alone. Those
 * of the worker's piece, which stay free, are protected by @clearing: whoever
 * places in it waits. The region's lock nests inside @clearing.
 */
#include <linux/cma.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/log2.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "dmaheap.h"

/* Pages in use may move away, or be let go of: wait for 1.3 s in all. */
#define TAKE_TRIES		8
#define TAKE_PAUSE_MS		10

/**
 * struct dmaheap_pool - what a held region has besides
 * @region:	the region
 * @first_fit:	the first place that fits is taken, not the tightest
 * @dirty:	a bit for each page that is yet to be cleared
 * @dirty_pages: number of those
 * @piece:	first page of the worker's piece
 * @piece_end:	page after it; not above @piece while there is none
 * @clearing:	held while there is a piece
 * @workers:	runs @work
 * @work:	clears dirty free pages
 */
struct dmaheap_pool {
	struct dmaheap_region *region;
	bool first_fit;
	unsigned long *dirty;
	unsigned long dirty_pages;
	unsigned long piece;
	unsigned long piece_end;
	struct mutex clearing; /* the piece's memory */
	struct workqueue_struct *workers;
	struct work_struct work;
};

/*
 * The first dirty pages from @start on, a piece at most, which dmaheap_clear()
 * clears without a look at signals; its end.
 */
static unsigned long dirty_piece(struct dmaheap_pool *pool,
				 unsigned long *start, unsigned long end)
{
	*start = find_next_bit(pool->dirty, end, *start);
	end = min(end, *start + DMAHEAP_PIECE_PAGES);

	return find_next_zero_bit(pool->dirty, end, *start);
}

static void mark_clean(struct dmaheap_pool *pool, unsigned long start,
		       unsigned long end)
{
	bitmap_clear(pool->dirty, start, end - start);
	pool->dirty_pages -= end - start;
}

/* The same among free pages. */
static bool find_piece(struct dmaheap_pool *pool)
{
	struct dmaheap_region *region = pool->region;
	unsigned long start = 0;
	unsigned long end;

	for (;;) {
		end = dirty_piece(pool, &start, region->npages);
		if (start >= region->npages)
			return false;
		if (!test_bit(start, region->used))
			break;
		start = find_next_zero_bit(region->used, region->npages, start);
	}
	pool->piece = start;
	pool->piece_end = find_next_bit(region->used, end, start);

	return true;
}

static bool clear_piece(struct dmaheap_pool *pool)
{
	struct dmaheap_region *region = pool->region;
	bool found;

	mutex_lock(&region->lock);
	found = find_piece(pool);
	mutex_unlock(&region->lock);
	if (!found)
		return false;

	dmaheap_clear(region->pfn + pool->piece, pool->piece_end - pool->piece);

	mutex_lock(&region->lock);
	mark_clean(pool, pool->piece, pool->piece_end);
	pool->piece_end = 0;
	mutex_unlock(&region->lock);

	return true;
}

static void held_work(struct work_struct *work)
{
	struct dmaheap_pool *pool = container_of(work, struct dmaheap_pool,
						 work);
	bool more;

	do {
		mutex_lock(&pool->clearing);
		more = clear_piece(pool);
		mutex_unlock(&pool->clearing);
		cond_resched();
	} while (more);
}

static bool is_dirty(struct dmaheap_pool *pool, unsigned long start,
		     unsigned long npages)
{
	unsigned long end = start + npages;

	return find_next_bit(pool->dirty, end, start) < end;
}

/*
 * A place for so many pages, by address aligned to @align of them; a negative
 * error if there is none. Both ends of the tightest extent leave the same rest,
 * so the clean one is better.
 */
static long find_place(struct dmaheap_pool *pool, unsigned long npages,
		       unsigned long align)
{
	struct dmaheap_region *region = pool->region;
	unsigned long tightest = ULONG_MAX;
	unsigned long start, end, low;
	unsigned long high = 0;
	long place = -ENOMEM;

	for_each_clear_bitrange(start, end, region->used, region->npages) {
		low = ALIGN(region->pfn + start, align) - region->pfn;
		if (end - start >= tightest || low + npages > end)
			continue;
		tightest = end - start;
		place = low;
		high = ALIGN_DOWN(region->pfn + end - npages, align) -
		       region->pfn;
		if (pool->first_fit || tightest == npages)
			break;
	}

	if (place >= 0 && !pool->first_fit && is_dirty(pool, place, npages) &&
	    !is_dirty(pool, high, npages))
		place = high;

	return place;
}

/*
 * What a device with large pages likes, as far as it costs little: buffers side
 * by side waste nothing if the alignment divides their length, and an eighth at
 * most if it is no more than that. CMA's, up to twice the length, would halve
 * what a region has room for.
 */
static unsigned int natural_order(unsigned long npages)
{
	unsigned int order = max(__ffs(npages), ilog2(max(npages / 8, 1UL)));

	return min_t(unsigned int, order, CONFIG_CMA_ALIGNMENT);
}

/* Aligned so if there is room, and as the region says at least. */
static long choose_place(struct dmaheap_pool *pool, unsigned long npages)
{
	unsigned int order = natural_order(npages);
	unsigned long least = pool->region->align;
	unsigned long natural = max(least, 1UL << order);
	long place = find_place(pool, npages, natural);

	if (place < 0 && natural > least)
		place = find_place(pool, npages, least);

	return place;
}

/* Clear what is dirty in a place that is marked as used. */
static int clear_place(struct dmaheap_pool *pool, unsigned long start,
		       unsigned long end)
{
	struct dmaheap_region *region = pool->region;
	unsigned long piece_end;

	for (;;) {
		mutex_lock(&region->lock);
		piece_end = dirty_piece(pool, &start, end);
		mutex_unlock(&region->lock);
		if (start >= end)
			return 0;
		if (fatal_signal_pending(current))
			return -EINTR;

		dmaheap_clear(region->pfn + start, piece_end - start);
		cond_resched();

		mutex_lock(&region->lock);
		mark_clean(pool, start, piece_end);
		mutex_unlock(&region->lock);
	}
}

static int held_alloc(struct dmaheap_region *region,
		      struct dmaheap_buffer *buffer)
{
	struct dmaheap_pool *pool = region->pool;
	unsigned long npages = buffer->npages;
	bool wait = false;
	long place;
	int ret;

	mutex_lock(&region->lock);
	place = choose_place(pool, npages);
	if (place >= 0) {
		dmaheap_mark_used(region, region->pfn + place, npages);
		wait = place < pool->piece_end && pool->piece < place + npages;
	}
	mutex_unlock(&region->lock);
	if (place < 0)
		return place;

	buffer->pfn = region->pfn + place;
	if (wait) {
		mutex_lock(&pool->clearing);
		mutex_unlock(&pool->clearing);
	}
	ret = clear_place(pool, place, place + npages);
	if (!ret)
		return 0;

	/* What is dirty still is so, and the worker may have passed it by. */
	mutex_lock(&region->lock);
	dmaheap_mark_free(region, buffer->pfn, npages);
	mutex_unlock(&region->lock);
	queue_work(pool->workers, &pool->work);

	return ret;
}

static void held_free(struct dmaheap_region *region,
		      struct dmaheap_buffer *buffer)
{
	struct dmaheap_pool *pool = region->pool;

	mutex_lock(&region->lock);
	bitmap_set(pool->dirty, buffer->pfn - region->pfn, buffer->npages);
	pool->dirty_pages += buffer->npages;
	dmaheap_mark_free(region, buffer->pfn, buffer->npages);
	mutex_unlock(&region->lock);

	queue_work(pool->workers, &pool->work);
}

static void held_state(struct dmaheap_region *region,
		       struct dmaheap_state *state)
{
	state->held = state->size;
	state->clearing = (u64)region->pool->dirty_pages << PAGE_SHIFT;
}

static const char *held_rest(struct dmaheap_region *region, unsigned long start,
			     unsigned long *end)
{
	unsigned long *dirty = region->pool->dirty;

	if (test_bit(start, dirty)) {
		*end = find_next_zero_bit(dirty, *end, start);
		return "dirty";
	}
	*end = find_next_bit(dirty, *end, start);

	return "clean";
}

static void free_pool(struct dmaheap_pool *pool)
{
	if (pool->workers)
		destroy_workqueue(pool->workers);
	bitmap_free(pool->dirty);
	kfree(pool);
}

static void give_area(struct dmaheap_region *region)
{
	if (region->cma)
		cma_release(region->cma, pfn_to_page(region->pfn),
			    region->npages);
}

static void held_destroy(struct dmaheap_region *region)
{
	cancel_work_sync(&region->pool->work);
	free_pool(region->pool);
	give_area(region);
}

const struct dmaheap_source dmaheap_held_source = {
	.alloc = held_alloc,
	.free = held_free,
	.state = held_state,
	.rest = held_rest,
	.destroy = held_destroy,
};

/* Take all pages of a CMA area, for good. */
static int take_area(struct dmaheap_region *region)
{
	int i;

	if (!region->cma)
		return 0;

	for (i = 0; i < TAKE_TRIES; i++) {
		if (i)
			msleep(TAKE_PAUSE_MS << (i - 1));
		if (cma_alloc(region->cma, region->npages, 0, true))
			return 0;
	}

	return -EBUSY;
}

static struct dmaheap_pool *make_pool(struct dmaheap_region *region)
{
	struct dmaheap_pool *pool = kzalloc_obj(*pool);

	if (!pool)
		return NULL;

	pool->region = region;
	mutex_init(&pool->clearing);
	INIT_WORK(&pool->work, held_work);
	pool->dirty = bitmap_zalloc(region->npages, GFP_KERNEL);
	pool->workers = alloc_workqueue("dmaheap", WQ_UNBOUND, 1);
	if (!pool->dirty || !pool->workers) {
		free_pool(pool);
		return NULL;
	}

	return pool;
}

/**
 * dmaheap_hold() - make a region a held one
 * @region:	the region, of an area or a carve-out
 * @fit:	how to choose among free extents
 *
 * Return: 0, -ENOMEM, or -EBUSY if pages of the area stay in use.
 */
int dmaheap_hold(struct dmaheap_region *region, enum dmaheap_mode fit)
{
	struct dmaheap_pool *pool = make_pool(region);
	int ret;

	if (!pool)
		return -ENOMEM;

	ret = take_area(region);
	if (ret) {
		free_pool(pool);
		return ret;
	}

	pool->first_fit = fit == DMAHEAP_FIRST_FIT;
	region->pool = pool;
	region->source = &dmaheap_held_source;

	/* With init_on_alloc, CMA's pages come cleared. */
	if (!region->cma || !want_init_on_alloc(GFP_KERNEL)) {
		bitmap_set(pool->dirty, 0, region->npages);
		pool->dirty_pages = region->npages;
		queue_work(pool->workers, &pool->work);
	}

	return 0;
}
