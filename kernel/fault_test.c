// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: every memory allocation on the way to a buffer fails once.
 *
 * current->fail_nth makes the nth request of this task fail, be it to the slab
 * or to the page allocator. Each operation is tried with n = 1, 2, … until it
 * gets through without meeting the nth.
 */
#include <kunit/device.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mman.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>

#include "test_util.h"

#define TEST_BYTES	(DMAHEAP_TEST_PAGES << PAGE_SHIFT)

/* More failures than any of the operations has steps. */
#define MAX_STEPS	200

/*
 * Slab and KASAN ask for a page of their own now and then. Then the nth request
 * is theirs, and one of ours is missed: try again.
 */
#define MAX_SWEEPS	20

struct knob {
	const char *path;
	const char *value;
};

/* By default fault injection spares callers that may wait, which is all of us. */
static const struct knob knobs[] = {
	{ "failslab/ignore-gfp-wait", "N" },
	{ "failslab/verbose", "0" },
	{ "fail_page_alloc/ignore-gfp-wait", "N" },
	{ "fail_page_alloc/ignore-gfp-highmem", "N" },
	{ "fail_page_alloc/min-order", "0" },
	{ "fail_page_alloc/verbose", "0" },
};

/* The files of debugfs take user memory only. */
static int fault_test_init(struct kunit *test)
{
	struct vfsmount *mnt = kern_mount(get_fs_type("debugfs"));
	struct file *file;
	char __user *user;
	size_t len;
	loff_t pos;
	int i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mnt);
	user = (char __user *)kunit_vm_mmap(test, NULL, 0, PAGE_SIZE,
					    PROT_READ | PROT_WRITE,
					    MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE((unsigned long)user));

	for (i = 0; i < ARRAY_SIZE(knobs); i++) {
		file = file_open_root_mnt(mnt, knobs[i].path, O_WRONLY, 0);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
		len = strlen(knobs[i].value);
		pos = 0;
		KUNIT_EXPECT_EQ(test, 0, copy_to_user(user, knobs[i].value, len));
		KUNIT_EXPECT_EQ(test, len, file->f_op->write(file, user, len, &pos));
		__fput_sync(file);
	}
	kern_unmount(mnt);

	return 0;
}

/* Whether the nth request was met, and failed. */
static bool end_fault(void)
{
	unsigned int left = current->fail_nth;

	current->fail_nth = 0;

	return !left;
}

static unsigned long failures(struct dmaheap_region *region)
{
	return region->failures[DMAHEAP_BOOKKEEPING] +
	       region->failures[DMAHEAP_EXHAUSTED];
}

/* Make buffers with a failure at each step. Returns how many were refused. */
static int export_with_faults(struct kunit *test, struct dmaheap_region *region,
			      size_t len)
{
	unsigned long before = failures(region);
	struct dma_buf *dmabuf;
	int step, refused = 0;
	bool met = true;

	for (step = 1; met && step < MAX_STEPS; step++) {
		current->fail_nth = step;
		dmabuf = dmaheap_export(region, len, O_RDWR, false);
		met = end_fault();

		if (IS_ERR(dmabuf)) {
			KUNIT_EXPECT_TRUE(test, met);
			KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENOMEM), dmabuf);
			refused++;
		} else {
			KUNIT_EXPECT_TRUE(test, dmaheap_test_filled_with(dmabuf, 0));
			dmaheap_test_put(dmabuf);
		}
		dmaheap_test_expect_idle(test, region);
	}
	KUNIT_EXPECT_FALSE(test, met);
	KUNIT_EXPECT_EQ(test, before + refused, failures(region));

	return refused;
}

/* The buffer's description, its memory or its file: two at least can fail. */
static void expect_refusals(struct kunit *test, struct dmaheap_region *region,
			    size_t len)
{
	int sweep, refused = 0;

	for (sweep = 0; sweep < MAX_SWEEPS && refused < 2; sweep++)
		refused = export_with_faults(test, region, len);
	KUNIT_EXPECT_GE(test, refused, 2);
}

static void held_buffer_survives_faults(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_FIRST_FIT);

	expect_refusals(test, region, SZ_1M);
	dmaheap_test_put(dmaheap_test_export(test, region, TEST_BYTES));
}

static void lent_buffer_survives_faults(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_lent_region(test);

	expect_refusals(test, region, SZ_4M);
	dmaheap_test_put(dmaheap_test_export(test, region, region->npages << PAGE_SHIFT));
}

static void small_buffer_falls_back_to_cma(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_lent_region(test);
	int i;

	region->small_gfp = GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN;
	for (i = 0; i < MAX_SWEEPS && !region->peak_pages; i++)
		export_with_faults(test, region, PAGE_SIZE);
	/* The buffer's page itself was refused, and CMA stepped in. */
	KUNIT_EXPECT_EQ(test, 1, region->peak_pages);
}

/* Returns how often the region was not made. */
static int create_with_faults(struct kunit *test, struct cma *cma,
			      unsigned long pfn, unsigned long npages,
			      enum dmaheap_mode mode)
{
	struct dmaheap_region *region;
	int step, refused = 0;
	bool met = true;

	for (step = 1; met && step < MAX_STEPS; step++) {
		current->fail_nth = step;
		region = dmaheap_region_create("kunit", cma, pfn, npages, mode);
		met = end_fault();

		if (IS_ERR(region)) {
			KUNIT_EXPECT_TRUE(test, met);
			refused++;
			continue;
		}
		dmaheap_test_expect_idle(test, region);
		dmaheap_region_destroy(region);
	}
	KUNIT_EXPECT_FALSE(test, met);

	return refused;
}

/* The region, its name, and its bitmap or pool. */
static void expect_not_made(struct kunit *test, struct dmaheap_region *like,
			    enum dmaheap_mode mode)
{
	int sweep, refused = 0;

	for (sweep = 0; sweep < MAX_SWEEPS && refused < 3; sweep++)
		refused = create_with_faults(test, like->cma, like->pfn,
					     like->npages, mode);
	KUNIT_EXPECT_GE(test, refused, 3);
}

static void regions_survive_faults(struct kunit *test)
{
	struct dmaheap_region *carveout = dmaheap_test_carveout(test, DMAHEAP_FIRST_FIT);
	struct dmaheap_region *lent = dmaheap_test_lent_region(test);

	expect_not_made(test, carveout, DMAHEAP_BEST_FIT);
	expect_not_made(test, lent, DMAHEAP_LENT);
	expect_not_made(test, lent, DMAHEAP_BEST_FIT);

	/* All of the area came back each time. */
	dmaheap_test_put(dmaheap_test_export(test, lent, lent->npages << PAGE_SHIFT));
}

/* Returns how often the device was not attached. */
static int attach_with_faults(struct kunit *test, struct dma_buf *dmabuf,
			      struct device *dev)
{
	struct dma_buf_attachment *attachment;
	int step, refused = 0;
	bool met = true;

	for (step = 1; met && step < MAX_STEPS; step++) {
		current->fail_nth = step;
		attachment = dma_buf_attach(dmabuf, dev);
		met = end_fault();

		if (IS_ERR(attachment)) {
			KUNIT_EXPECT_TRUE(test, met);
			KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENOMEM), attachment);
			refused++;
		} else {
			dma_buf_detach(dmabuf, attachment);
		}
	}

	return refused;
}

static void attachment_survives_faults(struct kunit *test)
{
	struct dmaheap_region *region = dmaheap_test_carveout(test, DMAHEAP_FIRST_FIT);
	struct device *dev = kunit_device_register(test, "cma_regions");
	struct dma_buf *dmabuf = dmaheap_test_export(test, region, SZ_64K);
	int sweep, refused = 0;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	/* dma-buf's own structure, ours, and the scatter list. */
	for (sweep = 0; sweep < MAX_SWEEPS && refused < 3; sweep++)
		refused = attach_with_faults(test, dmabuf, dev);
	KUNIT_EXPECT_GE(test, refused, 3);
	dmaheap_test_put(dmabuf);
	dmaheap_test_expect_idle(test, region);
}

static struct kunit_case fault_test_cases[] = {
	KUNIT_CASE(held_buffer_survives_faults),
	KUNIT_CASE(lent_buffer_survives_faults),
	KUNIT_CASE(small_buffer_falls_back_to_cma),
	KUNIT_CASE(regions_survive_faults),
	KUNIT_CASE(attachment_survives_faults),
	{}
};

static struct kunit_suite fault_test_suite = {
	.name = "cma_regions_fault",
	.init = fault_test_init,
	.test_cases = fault_test_cases,
};

kunit_test_suite(fault_test_suite);
