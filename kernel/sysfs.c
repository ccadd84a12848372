// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/dmaheap/<name>/: the state of each region, a value in each file.
 * What they mean is in README.md, and stays so.
 */
#include <linux/kobject.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "compat.h"
#include "dmaheap.h"

/**
 * struct region_object - a region's folder
 * @kobj:	the folder
 * @region:	the region, which stays for good
 */
struct region_object {
	struct kobject kobj;
	struct dmaheap_region *region;
};

/**
 * struct region_attribute - a file there
 * @attr:	its name and mode
 * @offset:	where struct dmaheap_state has its number
 */
struct region_attribute {
	struct attribute attr;
	size_t offset;
};

static struct dmaheap_region *to_region(struct kobject *kobj)
{
	return container_of(kobj, struct region_object, kobj)->region;
}

static ssize_t number_show(struct kobject *kobj, struct attribute *attr,
			   char *buf)
{
	struct region_attribute *a = container_of(attr, struct region_attribute,
						  attr);
	struct dmaheap_state state;

	dmaheap_region_state(to_region(kobj), &state);

	return sysfs_emit(buf, "%llu\n", *(u64 *)((char *)&state + a->offset));
}

static const struct sysfs_ops number_ops = {
	.show = number_show,
};

#define NUMBER(_name, _field)						\
	static struct region_attribute _name##_attr = {			\
		.attr = { .name = #_name, .mode = 0444 },		\
		.offset = offsetof(struct dmaheap_state, _field),	\
	}

NUMBER(size, size);
NUMBER(used, used);
NUMBER(largest_free, largest_free);
NUMBER(high_water, high_water);
NUMBER(small, small);
NUMBER(clearing, clearing);
NUMBER(buffers, buffers);
NUMBER(held, held);
NUMBER(failed_too_large, failures[DMAHEAP_TOO_LARGE]);
NUMBER(failed_exhausted, failures[DMAHEAP_EXHAUSTED]);
NUMBER(failed_interrupted, failures[DMAHEAP_INTERRUPTED]);
NUMBER(failed_bookkeeping, failures[DMAHEAP_BOOKKEEPING]);

static struct attribute *region_attrs[] = {
	&size_attr.attr,
	&used_attr.attr,
	&largest_free_attr.attr,
	&high_water_attr.attr,
	&small_attr.attr,
	&clearing_attr.attr,
	&buffers_attr.attr,
	&held_attr.attr,
	&failed_too_large_attr.attr,
	&failed_exhausted_attr.attr,
	&failed_interrupted_attr.attr,
	&failed_bookkeeping_attr.attr,
	NULL
};
ATTRIBUTE_GROUPS(region);

static void region_object_release(struct kobject *kobj)
{
	kfree(container_of(kobj, struct region_object, kobj));
}

static const struct kobj_type region_object_type = {
	.release = region_object_release,
	.sysfs_ops = &number_ops,
	.default_groups = region_groups,
};

/**
 * dmaheap_sysfs_add() - show a region in sysfs
 * @region:	the region, which stays for good
 *
 * Return: 0 or a negative error.
 */
int dmaheap_sysfs_add(struct dmaheap_region *region)
{
	static struct kobject *parent;
	struct region_object *object;
	int ret;

	if (!parent)
		parent = kobject_create_and_add("dmaheap", kernel_kobj);
	if (!parent)
		return -ENOMEM;

	object = kzalloc_obj(*object);
	if (!object)
		return -ENOMEM;

	object->region = region;
	ret = kobject_init_and_add(&object->kobj, &region_object_type, parent,
				   "%s", region->name);
	if (ret)
		kobject_put(&object->kobj);

	return ret;
}
