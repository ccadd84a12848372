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

#define TEST_BYTES	(TEST_PAGES << PAGE_SHIFT)

/* More failures than any of the operations has steps. */
#define MAX_STEPS	200

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
		KUNIT_EXPECT_EQ(test, len, vfs_write(file, user, len, &pos));
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

static unsigned long failures(struct heap_region *region)
{
	return region->failures[FAIL_BOOKKEEPING] +
	       region->failures[FAIL_EXHAUSTED];
}

/* Make buffers with a failure at each step. Returns how many were refused. */
static int export_with_faults(struct kunit *test, struct heap_region *region,
			      size_t len)
{
	unsigned long before = failures(region);
	struct dma_buf *dmabuf;
	int step, refused = 0;
	bool met = true;

	for (step = 1; met && step < MAX_STEPS; step++) {
		current->fail_nth = step;
		dmabuf = heap_region_export(region, len, O_RDWR);
		met = end_fault();

		if (IS_ERR(dmabuf)) {
			KUNIT_EXPECT_TRUE(test, met);
			KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENOMEM), dmabuf);
			refused++;
		} else {
			KUNIT_EXPECT_TRUE(test, test_filled_with(dmabuf, 0));
			test_put(dmabuf);
		}
		test_expect_idle(test, region);
	}
	KUNIT_EXPECT_FALSE(test, met);
	KUNIT_EXPECT_EQ(test, before + refused, failures(region));

	return refused;
}

static void held_buffer_survives_faults(struct kunit *test)
{
	struct heap_region *region = test_carveout(test, REGION_FIRST_FIT);

	KUNIT_EXPECT_GE(test, export_with_faults(test, region, SZ_1M), 2);
	test_put(test_export(test, region, TEST_BYTES));
}

static void lent_buffer_survives_faults(struct kunit *test)
{
	struct heap_region *region = test_lent_region(test);

	KUNIT_EXPECT_GE(test, export_with_faults(test, region, SZ_4M), 2);
	test_put(test_export(test, region, region->npages << PAGE_SHIFT));
}

static void small_buffer_falls_back_to_cma(struct kunit *test)
{
	struct heap_region *region = test_lent_region(test);
	int i;

	region->small_gfp = GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN;
	/* When slab or KASAN asks for a page too, the nth is another one. */
	for (i = 0; i < 20 && !region->peak_pages; i++)
		KUNIT_EXPECT_GE(test,
				export_with_faults(test, region, PAGE_SIZE), 2);
	/* The buffer's page itself was refused, and CMA stepped in. */
	KUNIT_EXPECT_EQ(test, 1, region->peak_pages);
}

static void create_with_faults(struct kunit *test, struct cma *cma,
			       unsigned long pfn, unsigned long npages,
			       enum region_mode mode)
{
	struct heap_region *region;
	int step, refused = 0;
	bool met = true;

	for (step = 1; met && step < MAX_STEPS; step++) {
		current->fail_nth = step;
		region = heap_region_create("kunit", cma, pfn, npages, mode);
		met = end_fault();

		if (IS_ERR(region)) {
			KUNIT_EXPECT_TRUE(test, met);
			refused++;
			continue;
		}
		test_expect_idle(test, region);
		heap_region_destroy(region);
	}
	KUNIT_EXPECT_FALSE(test, met);
	KUNIT_EXPECT_GE(test, refused, 3);
}

static void regions_survive_faults(struct kunit *test)
{
	struct heap_region *carveout = test_carveout(test, REGION_FIRST_FIT);
	struct heap_region *lent = test_lent_region(test);

	create_with_faults(test, NULL, carveout->pfn, carveout->npages,
			   REGION_BEST_FIT);
	create_with_faults(test, lent->cma, lent->pfn, lent->npages, REGION_LENT);
	create_with_faults(test, lent->cma, lent->pfn, lent->npages,
			   REGION_BEST_FIT);

	/* All of the area came back each time. */
	test_put(test_export(test, lent, lent->npages << PAGE_SHIFT));
}

static void attachment_survives_faults(struct kunit *test)
{
	struct heap_region *region = test_carveout(test, REGION_FIRST_FIT);
	struct device *dev = kunit_device_register(test, "cma_regions");
	struct dma_buf *dmabuf = test_export(test, region, SZ_64K);
	struct dma_buf_attachment *attachment;
	int step, refused = 0;
	bool met = true;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
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
	KUNIT_EXPECT_GE(test, refused, 3);
	test_put(dmabuf);
	test_expect_idle(test, region);
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
