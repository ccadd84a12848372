// SPDX-License-Identifier: GPL-2.0-only
/*
 * Held memory: a pool that belongs to one heap for good.
 *
 * Life of an extent: clean memory is free in the gen_pool. An allocation takes
 * it from there. When its buffer is freed, the extent joins the dirty list, and
 * the buffer's own structure is its list entry, so that freeing cannot fail. A
 * worker clears dirty extents a piece at a time and returns each piece to the
 * gen_pool, where it merges with its neighbours.
 *
 * An allocation that finds no clean extent does the worker's job itself until
 * there is one; only when nothing is left to clear is the pool exhausted.
 *
 * Locks: @clearing is held while a piece is neither dirty nor clean. Whoever
 * holds it and finds the dirty list empty knows that all free memory is in the
 * gen_pool. @lock protects the list and makes each search of the gen_pool see
 * whole extents; gen_pool's own lockless search can fail while another one
 * backs out. It nests inside @clearing.
 */
#include <linux/err.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "cma_regions.h"
#include "compat.h"

/**
 * struct held_pool - memory that is kept ready for one heap
 * @clean:	cleared free memory; its unit is the page, its address the pfn
 * @clearing:	held while a piece is being cleared
 * @lock:	protects what follows, and searches of @clean
 * @dirty:	freed buffers whose memory is yet to be cleared
 * @dirty_pages: what the worker has left to do
 * @work:	clears @dirty
 */
struct held_pool {
	struct gen_pool *clean;
	struct mutex clearing; /* a piece is neither dirty nor clean */
	spinlock_t lock; /* dirty list, searches of clean */
	struct list_head dirty;
	unsigned long dirty_pages;
	struct work_struct work;
};

/* Clear one piece of dirty memory. False if there is none. */
static bool clear_dirty_piece(struct held_pool *pool)
{
	struct region_buffer *buffer;
	unsigned long pfn, npages;
	bool last;

	lockdep_assert_held(&pool->clearing);

	spin_lock(&pool->lock);
	buffer = list_first_entry_or_null(&pool->dirty, struct region_buffer,
					  list);
	if (!buffer) {
		spin_unlock(&pool->lock);
		return false;
	}
	pfn = buffer->pfn;
	npages = min_t(unsigned long, buffer->npages, CLEAR_PIECE_PAGES);
	buffer->pfn += npages;
	buffer->npages -= npages;
	last = !buffer->npages;
	if (last)
		list_del(&buffer->list);
	spin_unlock(&pool->lock);

	clear_extent(pfn, npages);
	cond_resched();

	spin_lock(&pool->lock);
	gen_pool_free(pool->clean, pfn, npages);
	pool->dirty_pages -= npages;
	spin_unlock(&pool->lock);

	if (last)
		kfree(buffer);

	return true;
}

static void held_pool_work(struct work_struct *work)
{
	struct held_pool *pool = container_of(work, struct held_pool, work);
	bool more;

	do {
		mutex_lock(&pool->clearing);
		more = clear_dirty_piece(pool);
		mutex_unlock(&pool->clearing);
	} while (more);
}

static unsigned long take_clean(struct held_pool *pool, unsigned long npages)
{
	unsigned long pfn;

	spin_lock(&pool->lock);
	pfn = gen_pool_alloc(pool->clean, npages);
	spin_unlock(&pool->lock);

	return pfn;
}

/**
 * held_pool_alloc() - take a cleared extent
 * @pool:	the pool
 * @npages:	its length
 *
 * Return: its first page frame, -ENOMEM if no extent is long enough, or -EINTR
 * if the caller was killed while it cleared memory or waited for others to.
 */
long held_pool_alloc(struct held_pool *pool, unsigned long npages)
{
	unsigned long pfn;
	long ret;

	pfn = take_clean(pool, npages);
	if (pfn)
		return pfn;

	if (mutex_lock_killable(&pool->clearing))
		return -EINTR;

	for (;;) {
		ret = take_clean(pool, npages);
		if (ret)
			break;
		ret = -EINTR;
		if (fatal_signal_pending(current))
			break;
		ret = -ENOMEM;
		if (!clear_dirty_piece(pool))
			break;
	}
	mutex_unlock(&pool->clearing);

	return ret;
}

/**
 * held_pool_free() - give back an extent, to be cleared
 * @pool:	the pool
 * @buffer:	the extent; the structure now belongs to the pool
 */
void held_pool_free(struct held_pool *pool, struct region_buffer *buffer)
{
	spin_lock(&pool->lock);
	list_add_tail(&buffer->list, &pool->dirty);
	pool->dirty_pages += buffer->npages;
	spin_unlock(&pool->lock);

	queue_work(system_dfl_wq, &pool->work);
}

static void chunk_state(struct gen_pool *clean, struct gen_pool_chunk *chunk,
			void *largest)
{
	*(unsigned long *)largest =
		longest_clear_run(chunk->bits,
				  chunk->end_addr - chunk->start_addr + 1);
}

/**
 * held_pool_state() - look at a pool
 * @pool:	the pool
 * @largest:	receives the length of the longest clean extent
 * @backlog:	receives the number of pages that are yet to be cleared
 */
void held_pool_state(struct held_pool *pool, unsigned long *largest,
		     unsigned long *backlog)
{
	spin_lock(&pool->lock);
	gen_pool_for_each_chunk(pool->clean, chunk_state, largest);
	*backlog = pool->dirty_pages;
	spin_unlock(&pool->lock);
}

/* A pool starts with all of its memory taken, and gets it as if freed. */
static int fill_dirty(struct held_pool *pool, unsigned long pfn,
		      unsigned long npages)
{
	struct region_buffer *all;

	all = kzalloc(sizeof(*all), GFP_KERNEL);
	if (!all)
		return -ENOMEM;

	all->pfn = gen_pool_alloc(pool->clean, npages);
	all->npages = npages;
	held_pool_free(pool, all);

	return 0;
}

/**
 * held_pool_create() - make a pool of memory
 * @pfn:	first page frame, not 0
 * @npages:	length in pages
 * @fit:	how to choose among free extents
 * @cleared:	the memory is known to be cleared
 *
 * Return: the pool or an error pointer.
 */
struct held_pool *held_pool_create(unsigned long pfn, unsigned long npages,
				   genpool_algo_t fit, bool cleared)
{
	struct held_pool *pool;
	int ret;

	pool = kzalloc(sizeof(*pool), GFP_KERNEL);
	if (!pool)
		return ERR_PTR(-ENOMEM);

	mutex_init(&pool->clearing);
	spin_lock_init(&pool->lock);
	INIT_LIST_HEAD(&pool->dirty);
	INIT_WORK(&pool->work, held_pool_work);

	pool->clean = gen_pool_create(0, NUMA_NO_NODE);
	if (!pool->clean) {
		ret = -ENOMEM;
		goto free_pool;
	}
	gen_pool_set_algo(pool->clean, fit, NULL);

	ret = gen_pool_add(pool->clean, pfn, npages, NUMA_NO_NODE);
	if (ret)
		goto destroy_clean;

	if (!cleared) {
		ret = fill_dirty(pool, pfn, npages);
		if (ret)
			goto destroy_clean;
	}

	return pool;

destroy_clean:
	gen_pool_destroy(pool->clean);
free_pool:
	kfree(pool);

	return ERR_PTR(ret);
}

/**
 * held_pool_destroy() - undo held_pool_create()
 * @pool:	the pool, of which no extent is in use
 */
void held_pool_destroy(struct held_pool *pool)
{
	flush_work(&pool->work);
	gen_pool_destroy(pool->clean);
	kfree(pool);
}
