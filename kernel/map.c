// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/debug/dmaheap/<name>/map: what lies where in a region, in a line
 * for each extent. README.md has the format, and it stays so.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "dmaheap.h"

static bool lies_before(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct dmaheap_buffer, node)->pfn <
	       rb_entry(b, struct dmaheap_buffer, node)->pfn;
}

/**
 * dmaheap_map_add() - put a buffer on its region's map
 * @buffer:	the buffer
 * @dmabuf:	what it was exported as
 */
void dmaheap_map_add(struct dmaheap_buffer *buffer, struct dma_buf *dmabuf)
{
	struct dmaheap_region *region = buffer->region;

	buffer->dmabuf = dmabuf;
	/* The file is gone before the buffer is. */
	buffer->inode = file_inode(dmabuf->file)->i_ino;

	mutex_lock(&region->lock);
	rb_add(&buffer->node, &region->live, lies_before);
	mutex_unlock(&region->lock);
}

/**
 * dmaheap_map_remove() - take a buffer off the map, if it ever was there
 * @buffer:	the buffer, which still has its memory
 */
void dmaheap_map_remove(struct dmaheap_buffer *buffer)
{
	if (!buffer->dmabuf)
		return;

	mutex_lock(&buffer->region->lock);
	rb_erase(&buffer->node, &buffer->region->live);
	mutex_unlock(&buffer->region->lock);
}

static void show_extent(struct seq_file *m, unsigned long pfn,
			unsigned long npages, const char *state)
{
	seq_printf(m, "%#llx %llu %s", (u64)pfn << PAGE_SHIFT,
		   (u64)npages << PAGE_SHIFT, state);
}

static void show_buffer(struct seq_file *m, const struct dmaheap_buffer *buffer)
{
	struct dma_buf *dmabuf = buffer->dmabuf;
	bool small = buffer->source == &dmaheap_small_source;

	show_extent(m, buffer->pfn, buffer->npages, small ? "small" : "buffer");
	/* Whoever has the buffer can name it, and no two lines shall come of it. */
	spin_lock(&dmabuf->name_lock);
	seq_printf(m, " %lu %*pE\n", buffer->inode,
		   dmabuf->name ? (int)strlen(dmabuf->name) : 0, dmabuf->name);
	spin_unlock(&dmabuf->name_lock);
}

/* Pages, by their numbers in the region, that are not those of a known buffer. */
static void show_rest(struct seq_file *m, struct dmaheap_region *region,
		      unsigned long start, unsigned long end)
{
	const char *state;
	unsigned long next;

	for (; start < end; start = next) {
		next = find_next_bit(region->used, end, start);
		if (next > start) {
			state = region->source->rest(region, start, &next);
		} else {
			next = find_next_zero_bit(region->used, end, start);
			state = "pending";
		}
		show_extent(m, region->pfn + start, next - start, state);
		seq_putc(m, '\n');
	}
}

/**
 * dmaheap_map_show() - write a region's map
 * @m:		the file; the region is its private data
 * @unused:	not used
 *
 * Return: 0.
 */
int dmaheap_map_show(struct seq_file *m, void *unused)
{
	struct dmaheap_region *region = m->private;
	struct dmaheap_buffer *buffer;
	unsigned long start = 0;
	struct rb_node *node;

	mutex_lock(&region->lock);
	for (node = rb_first(&region->live); node; node = rb_next(node)) {
		buffer = rb_entry(node, struct dmaheap_buffer, node);
		if (buffer->source != &dmaheap_small_source) {
			show_rest(m, region, start, buffer->pfn - region->pfn);
			start = buffer->pfn - region->pfn + buffer->npages;
		}
		show_buffer(m, buffer);
	}
	show_rest(m, region, start, region->npages);
	mutex_unlock(&region->lock);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(dmaheap_map);

/**
 * dmaheap_debugfs_add() - show a region's map in debugfs
 * @region:	the region, which stays for good
 *
 * Without debugfs it is not there, and nobody minds.
 */
void dmaheap_debugfs_add(struct dmaheap_region *region)
{
	static struct dentry *parent;

	if (!parent)
		parent = debugfs_create_dir("dmaheap", NULL);
	debugfs_create_file("map", 0400, debugfs_create_dir(region->name, parent),
			    region, &dmaheap_map_fops);
}
