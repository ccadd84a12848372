// SPDX-License-Identifier: GPL-2.0-only
/*
 * dma_heap/<name> in debugfs: the state of each region, in bytes.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "cma_regions.h"

static const char * const failure_names[FAIL_CAUSES] = {
	[FAIL_TOO_LARGE] = "failed_too_large",
	[FAIL_EXHAUSTED] = "failed_exhausted",
	[FAIL_INTERRUPTED] = "failed_interrupted",
	[FAIL_BOOKKEEPING] = "failed_bookkeeping",
};

static void show_pages(struct seq_file *s, const char *name,
		       unsigned long npages)
{
	seq_printf(s, "%-20s%llu\n", name, (u64)npages << PAGE_SHIFT);
}

static void show_count(struct seq_file *s, const char *name,
		       unsigned long count)
{
	seq_printf(s, "%-20s%lu\n", name, count);
}

static int heap_region_show(struct seq_file *s, void *unused)
{
	struct heap_region *region = s->private;
	unsigned long backlog = 0;
	unsigned long largest;
	int i;

	if (region->held)
		held_pool_state(region->held, &largest, &backlog);

	spin_lock(&region->lock);
	if (!region->held)
		largest = longest_clear_run(region->used, region->npages);

	seq_printf(s, "%-20s%s\n", "mode", region->held ? "held" : "lent");
	show_pages(s, "size", region->npages);
	show_pages(s, "free", region->npages - region->used_pages);
	show_pages(s, "largest_free", largest);
	show_pages(s, "high_water", region->peak_pages);
	show_pages(s, "small", region->small_pages);
	show_pages(s, "clearing_backlog", backlog);
	show_count(s, "buffers", region->buffers);
	for (i = 0; i < FAIL_CAUSES; i++)
		show_count(s, failure_names[i], region->failures[i]);
	spin_unlock(&region->lock);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(heap_region);

/**
 * heap_region_debugfs() - show a region in debugfs
 * @region:	the region, which stays for good
 */
void heap_region_debugfs(struct heap_region *region)
{
	static struct dentry *dir;

	if (!dir)
		dir = debugfs_create_dir("dma_heap", NULL);
	debugfs_create_file(region->name, 0400, dir, region, &heap_region_fops);
}
