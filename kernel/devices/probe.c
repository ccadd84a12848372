// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that import dma-bufs and report where they lie.
 *
 * Whether a buffer is contiguous is decided where a device maps it, so that is
 * where this looks: it attaches and maps like any importer. User space cannot
 * see it otherwise; /proc/PID/pagemap leaves PFN mappings out, which is what
 * the heaps' mappings are.
 *
 * /dev/dmabuf_probe has no IOMMU: what it sees is physical memory, as displays
 * without one do. /dev/dmabuf_probe_pci stands for a GPU: it is QEMU's "edu",
 * a PCI device, which is behind an IOMMU if the machine has one.
 * /dev/dmabuf_probe_bus is there if the device tree has a node "dmaheap,probe":
 * it reaches what the dma-ranges of its bus say.
 *
 * Protocol of all: write a file descriptor's number as text, then read one
 * line "<address> <length>" in hexadecimal per DMA segment.
 */

#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kstrtox.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mod_devicetable.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/seq_buf.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../compat.h"

/* "0x<16 digits> 0x<16 digits>\n" */
#define PROBE_LINE	38

/**
 * struct probe - a device that imports
 * @misc: its node
 * @dev: as which it imports
 */
struct probe {
	struct miscdevice misc;
	struct device *dev;
};

/**
 * struct probe_report - what an open file has found
 * @dev: as which it imports
 * @lock: serialises writers and readers of one file
 * @text: the report, or NULL before the first write
 * @len: bytes of @text
 */
struct probe_report {
	struct device *dev;
	struct mutex lock;	/* see above */
	char *text;
	size_t len;
};

static int probe_describe(struct probe_report *report, struct sg_table *table)
{
	size_t size = (size_t)table->nents * PROBE_LINE + 1;
	struct scatterlist *sg;
	struct seq_buf seq;
	unsigned int i;
	char *text;

	text = kvmalloc(size, GFP_KERNEL);
	if (!text)
		return -ENOMEM;

	seq_buf_init(&seq, text, size);
	for_each_sgtable_dma_sg(table, sg, i)
		seq_buf_printf(&seq, "0x%llx 0x%x\n",
			       (unsigned long long)sg_dma_address(sg),
			       sg_dma_len(sg));

	kvfree(report->text);
	report->text = text;
	report->len = seq_buf_used(&seq);
	return 0;
}

static int probe_import(struct probe_report *report, int fd)
{
	struct dma_buf_attachment *attachment;
	struct dma_buf *dmabuf;
	struct sg_table *table;
	int ret;

	dmabuf = dma_buf_get(fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);

	attachment = dma_buf_attach(dmabuf, report->dev);
	if (IS_ERR(attachment)) {
		ret = PTR_ERR(attachment);
		goto put_dmabuf;
	}

	table = dma_buf_map_attachment_unlocked(attachment, DMA_FROM_DEVICE);
	if (IS_ERR(table)) {
		ret = PTR_ERR(table);
		goto detach;
	}

	ret = probe_describe(report, table);

	dma_buf_unmap_attachment_unlocked(attachment, table, DMA_FROM_DEVICE);
detach:
	dma_buf_detach(dmabuf, attachment);
put_dmabuf:
	dma_buf_put(dmabuf);
	return ret;
}

static ssize_t probe_write(struct file *file, const char __user *buf,
			   size_t count, loff_t *pos)
{
	struct probe_report *report = file->private_data;
	int ret, fd;

	ret = kstrtoint_from_user(buf, count, 0, &fd);
	if (ret)
		return ret;

	mutex_lock(&report->lock);
	ret = probe_import(report, fd);
	mutex_unlock(&report->lock);

	return ret ? ret : count;
}

static ssize_t probe_read(struct file *file, char __user *buf, size_t count,
			  loff_t *pos)
{
	struct probe_report *report = file->private_data;
	ssize_t ret;

	mutex_lock(&report->lock);
	ret = simple_read_from_buffer(buf, count, pos, report->text,
				      report->len);
	mutex_unlock(&report->lock);

	return ret;
}

static int probe_open(struct inode *inode, struct file *file)
{
	/* misc_open() has left the miscdevice there. */
	struct probe *probe = container_of(file->private_data, struct probe, misc);
	struct probe_report *report;

	report = kzalloc_obj(*report);
	if (!report)
		return -ENOMEM;

	report->dev = probe->dev;
	mutex_init(&report->lock);
	file->private_data = report;
	return 0;
}

static int probe_release(struct inode *inode, struct file *file)
{
	struct probe_report *report = file->private_data;

	kvfree(report->text);
	mutex_destroy(&report->lock);
	kfree(report);
	return 0;
}

static const struct file_operations probe_fops = {
	.open = probe_open,
	.read = probe_read,
	.write = probe_write,
	.release = probe_release,
};

static int probe_register(struct probe *probe)
{
	probe->misc.minor = MISC_DYNAMIC_MINOR;
	probe->misc.fops = &probe_fops;
	return misc_register(&probe->misc);
}

#ifdef CONFIG_PCI
static struct probe probe_pci = { .misc.name = "dmabuf_probe_pci" };

static int probe_pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	int ret;

	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;

	ret = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (ret)
		return ret;

	/* What an IOMMU maps in one piece is one segment. */
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	pci_set_master(pdev);
	probe_pci.dev = &pdev->dev;
	probe_pci.misc.parent = &pdev->dev;
	return probe_register(&probe_pci);
}

static const struct pci_device_id probe_pci_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{ }
};

static struct pci_driver probe_pci_driver = {
	.name = "dmabuf_probe",
	.id_table = probe_pci_ids,
	.probe = probe_pci_probe,
	.driver.suppress_bind_attrs = true,
};
builtin_pci_driver(probe_pci_driver);
#endif

static struct probe probe_bus = { .misc.name = "dmabuf_probe_bus" };

static int probe_bus_probe(struct platform_device *pdev)
{
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	probe_bus.dev = &pdev->dev;
	probe_bus.misc.parent = &pdev->dev;
	return probe_register(&probe_bus);
}

static const struct of_device_id probe_bus_ids[] = {
	{ .compatible = "dmaheap,probe" },
	{ }
};

static struct platform_driver probe_bus_driver = {
	.probe = probe_bus_probe,
	.driver = {
		.name = "dmabuf_probe_bus",
		.of_match_table = probe_bus_ids,
		.suppress_bind_attrs = true,
	},
};
builtin_platform_driver(probe_bus_driver);

static struct probe probe_platform = { .misc.name = "dmabuf_probe" };

static int __init probe_init(void)
{
	int ret;

	ret = probe_register(&probe_platform);
	if (ret)
		return ret;

	probe_platform.dev = probe_platform.misc.this_device;
	ret = dma_coerce_mask_and_coherent(probe_platform.dev, DMA_BIT_MASK(64));
	if (ret)
		misc_deregister(&probe_platform.misc);
	return ret;
}
device_initcall(probe_init);
