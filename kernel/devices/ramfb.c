// SPDX-License-Identifier: GPL-2.0-only
/*
 * A display that needs contiguous memory: QEMU's ramfb.
 *
 * The device reads one range of physical memory, wherever it is told to, and
 * shows it. It has no memory of its own, no vertical blanking and no interrupt:
 * a write to the file "etc/ramfb" of the machine's firmware configuration names
 * address, format and size, and has taken effect when it returns. The interface
 * is described in QEMU's docs/specs/fw_cfg.rst and hw/display/ramfb.c.
 *
 * The device keeps reading until it is told of another place. A screen that is
 * switched off therefore shows a little picture of the driver's own: what its
 * last frame lay in belongs to somebody else by then.
 */

#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/io.h>
#include <linux/mod_devicetable.h>
#include <linux/platform_device.h>

#include <drm/drm_atomic.h>
#include <drm/drm_atomic_helper.h>
#include <drm/drm_crtc_helper.h>
#include <drm/drm_drv.h>
#include <drm/drm_edid.h>
#include <drm/drm_fb_dma_helper.h>
#include <drm/drm_fourcc.h>
#include <drm/drm_framebuffer.h>
#include <drm/drm_gem_dma_helper.h>
#include <drm/drm_gem_framebuffer_helper.h>
#include <drm/drm_prime.h>
#include <drm/drm_print.h>
#include <drm/drm_probe_helper.h>

#include <uapi/linux/qemu_fw_cfg.h>

/* Offset of the register that takes the address of a request. */
#define RAMFB_DMA		16
/* QEMU shows nothing smaller, and nothing larger than the other. */
#define RAMFB_MIN		16
#define RAMFB_MAX		4096

/* What the device is told, as it reads it. No flags are defined. */
struct ramfb_config {
	__be64 address;
	__be32 fourcc;
	__be32 flags;
	__be32 width;
	__be32 height;
	__be32 stride;
} __packed;

/* Memory that the device reads and writes: requests, and the picture of a dark screen. */
struct ramfb_shared {
	struct fw_cfg_dma_access access;
	union {
		__be32 count;
		struct fw_cfg_file file;
		struct ramfb_config config;
	};
	u32 blank[RAMFB_MIN * RAMFB_MIN];
};

struct ramfb {
	struct drm_device drm;
	struct drm_plane plane;
	struct drm_crtc crtc;
	struct drm_encoder encoder;
	struct drm_connector connector;
	void __iomem *regs;
	u16 key;		/* of the file that the device listens to */
	struct ramfb_shared *shared;
	dma_addr_t shared_dma;
};

/* Moves @len bytes of the union in @ramfb->shared; commits are serialised. */
static int ramfb_transfer(struct ramfb *ramfb, u32 control, u32 len)
{
	struct fw_cfg_dma_access *access = &ramfb->shared->access;
	dma_addr_t data = ramfb->shared_dma + offsetof(struct ramfb_shared, file);

	access->control = cpu_to_be32(control);
	access->length = cpu_to_be32(len);
	access->address = cpu_to_be64(data);

	/* Writing the lower half begins it, and both are ordered after the above. */
	iowrite32be(upper_32_bits(ramfb->shared_dma), ramfb->regs + RAMFB_DMA);
	iowrite32be(lower_32_bits(ramfb->shared_dma), ramfb->regs + RAMFB_DMA + 4);
	dma_rmb();

	return READ_ONCE(access->control) ? -EIO : 0;
}

/* Looks the file up; a machine without the display does not have it. */
static int ramfb_find(struct ramfb *ramfb)
{
	u32 select = FW_CFG_FILE_DIR << 16 | FW_CFG_DMA_CTL_SELECT;
	struct fw_cfg_file *file = &ramfb->shared->file;
	u32 count;
	int ret;

	ret = ramfb_transfer(ramfb, select | FW_CFG_DMA_CTL_READ, sizeof(__be32));
	if (ret)
		return ret;

	for (count = be32_to_cpu(ramfb->shared->count); count; count--) {
		ret = ramfb_transfer(ramfb, FW_CFG_DMA_CTL_READ, sizeof(*file));
		if (ret)
			return ret;
		if (!strncmp(file->name, "etc/ramfb", sizeof(file->name))) {
			ramfb->key = be16_to_cpu(file->select);
			return 0;
		}
	}
	return -ENODEV;
}

static void ramfb_show(struct ramfb *ramfb, dma_addr_t address, u32 fourcc,
		       u32 width, u32 height, u32 stride)
{
	u32 control = ramfb->key << 16 | FW_CFG_DMA_CTL_SELECT | FW_CFG_DMA_CTL_WRITE;

	ramfb->shared->config = (struct ramfb_config) {
		.address = cpu_to_be64(address),
		.fourcc = cpu_to_be32(fourcc),
		.width = cpu_to_be32(width),
		.height = cpu_to_be32(height),
		.stride = cpu_to_be32(stride),
	};
	if (ramfb_transfer(ramfb, control, sizeof(struct ramfb_config)))
		drm_err(&ramfb->drm, "the device refused a frame\n");
}

static int ramfb_plane_check(struct drm_plane *plane, struct drm_atomic_commit *state)
{
	struct drm_plane_state *new = drm_atomic_get_new_plane_state(state, plane);
	struct drm_crtc_state *crtc_state = NULL;

	if (new->crtc)
		crtc_state = drm_atomic_get_new_crtc_state(state, new->crtc);

	return drm_atomic_helper_check_plane_state(new, crtc_state, DRM_PLANE_NO_SCALING,
						   DRM_PLANE_NO_SCALING, false, true);
}

/* Also called for a plane that is switched off, and not visible. */
static void ramfb_plane_update(struct drm_plane *plane, struct drm_atomic_commit *state)
{
	struct drm_plane_state *new = drm_atomic_get_new_plane_state(state, plane);
	struct ramfb *ramfb = container_of(plane->dev, struct ramfb, drm);
	struct drm_framebuffer *fb = new->fb;

	if (new->visible)
		ramfb_show(ramfb, drm_fb_dma_get_gem_addr(fb, new, 0), fb->format->format,
			   drm_rect_width(&new->dst), drm_rect_height(&new->dst),
			   fb->pitches[0]);
	else
		ramfb_show(ramfb, ramfb->shared_dma + offsetof(struct ramfb_shared, blank),
			   DRM_FORMAT_XRGB8888, RAMFB_MIN, RAMFB_MIN, RAMFB_MIN * sizeof(u32));
}

static const struct drm_plane_helper_funcs ramfb_plane_helper_funcs = {
	.atomic_check = ramfb_plane_check,
	.atomic_update = ramfb_plane_update,
};

static const struct drm_plane_funcs ramfb_plane_funcs = {
	.update_plane = drm_atomic_helper_update_plane,
	.disable_plane = drm_atomic_helper_disable_plane,
	.destroy = drm_plane_cleanup,
	.reset = drm_atomic_helper_plane_reset,
	.atomic_duplicate_state = drm_atomic_helper_plane_duplicate_state,
	.atomic_destroy_state = drm_atomic_helper_plane_destroy_state,
};

static const struct drm_crtc_helper_funcs ramfb_crtc_helper_funcs = {
	.atomic_check = drm_crtc_helper_atomic_check,
};

static const struct drm_crtc_funcs ramfb_crtc_funcs = {
	.set_config = drm_atomic_helper_set_config,
	.page_flip = drm_atomic_helper_page_flip,
	.reset = drm_atomic_helper_crtc_reset,
	.atomic_duplicate_state = drm_atomic_helper_crtc_duplicate_state,
	.atomic_destroy_state = drm_atomic_helper_crtc_destroy_state,
};

static int ramfb_get_modes(struct drm_connector *connector)
{
	return drm_add_modes_noedid(connector, RAMFB_MAX, RAMFB_MAX);
}

static const struct drm_connector_helper_funcs ramfb_connector_helper_funcs = {
	.get_modes = ramfb_get_modes,
};

static const struct drm_connector_funcs ramfb_connector_funcs = {
	.fill_modes = drm_helper_probe_single_connector_modes,
	.reset = drm_atomic_helper_connector_reset,
	.atomic_duplicate_state = drm_atomic_helper_connector_duplicate_state,
	.atomic_destroy_state = drm_atomic_helper_connector_destroy_state,
};

/* No wait for a vertical blanking: what is done, the next commit may free. */
static void ramfb_commit_tail(struct drm_atomic_commit *state)
{
	drm_atomic_helper_commit_modeset_disables(state->dev, state);
	drm_atomic_helper_commit_planes(state->dev, state, 0);
	drm_atomic_helper_commit_modeset_enables(state->dev, state);
	drm_atomic_helper_fake_vblank(state);
	drm_atomic_helper_commit_hw_done(state);
	drm_atomic_helper_cleanup_planes(state->dev, state);
}

static const struct drm_mode_config_helper_funcs ramfb_mode_config_helper_funcs = {
	.atomic_commit_tail = ramfb_commit_tail,
};

static const struct drm_mode_config_funcs ramfb_mode_config_funcs = {
	.fb_create = drm_gem_fb_create,
	.atomic_check = drm_atomic_helper_check,
	.atomic_commit = drm_atomic_helper_commit,
};

/* What QEMU converts; alpha is not looked at. */
static const u32 ramfb_formats[] = {
	DRM_FORMAT_XRGB8888,
	DRM_FORMAT_ARGB8888,
	DRM_FORMAT_RGB888,
};

static struct drm_gem_object *ramfb_import(struct drm_device *drm,
					   struct dma_buf_attachment *attachment,
					   struct sg_table *table)
{
	unsigned long len = drm_prime_get_contiguous_size(table);

	if (len < attachment->dmabuf->size)
		drm_err_ratelimited(drm, "scanout needs %zu contiguous bytes, this begins with %lu\n",
				    attachment->dmabuf->size, len);

	return drm_gem_dma_prime_import_sg_table(drm, attachment, table);
}

DEFINE_DRM_GEM_DMA_FOPS(ramfb_fops);

static const struct drm_driver ramfb_driver = {
	.driver_features = DRIVER_GEM | DRIVER_MODESET | DRIVER_ATOMIC,
	.gem_prime_import_sg_table = ramfb_import,
	.fops = &ramfb_fops,
	.name = "ramfb",
	.desc = "QEMU ramfb",
	.major = 1,
};

static int ramfb_init_modeset(struct ramfb *ramfb)
{
	struct drm_device *drm = &ramfb->drm;
	int ret;

	ret = drmm_mode_config_init(drm);
	if (ret)
		return ret;

	drm->mode_config.min_width = RAMFB_MIN;
	drm->mode_config.min_height = RAMFB_MIN;
	drm->mode_config.max_width = RAMFB_MAX;
	drm->mode_config.max_height = RAMFB_MAX;
	drm->mode_config.funcs = &ramfb_mode_config_funcs;
	drm->mode_config.helper_private = &ramfb_mode_config_helper_funcs;

	ret = drm_universal_plane_init(drm, &ramfb->plane, 1, &ramfb_plane_funcs,
				       ramfb_formats, ARRAY_SIZE(ramfb_formats), NULL,
				       DRM_PLANE_TYPE_PRIMARY, NULL);
	if (ret)
		return ret;
	drm_plane_helper_add(&ramfb->plane, &ramfb_plane_helper_funcs);

	ret = drmm_crtc_init_with_planes(drm, &ramfb->crtc, &ramfb->plane, NULL,
					 &ramfb_crtc_funcs, NULL);
	if (ret)
		return ret;
	drm_crtc_helper_add(&ramfb->crtc, &ramfb_crtc_helper_funcs);

	ret = drmm_encoder_init(drm, &ramfb->encoder, NULL, DRM_MODE_ENCODER_VIRTUAL, NULL);
	if (ret)
		return ret;
	ramfb->encoder.possible_crtcs = drm_crtc_mask(&ramfb->crtc);

	ret = drmm_connector_init(drm, &ramfb->connector, &ramfb_connector_funcs,
				  DRM_MODE_CONNECTOR_VIRTUAL, NULL);
	if (ret)
		return ret;
	drm_connector_helper_add(&ramfb->connector, &ramfb_connector_helper_funcs);
	drm_mode_config_reset(drm);
	return drm_connector_attach_encoder(&ramfb->connector, &ramfb->encoder);
}

static int ramfb_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct ramfb *ramfb;
	int ret;

	ramfb = devm_drm_dev_alloc(dev, &ramfb_driver, struct ramfb, drm);
	if (IS_ERR(ramfb))
		return PTR_ERR(ramfb);

	ramfb->regs = devm_platform_ioremap_resource(pdev, 0);
	if (IS_ERR(ramfb->regs))
		return PTR_ERR(ramfb->regs);

	ret = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64));
	if (ret)
		return ret;
	dma_set_max_seg_size(dev, UINT_MAX);

	ramfb->shared = dmam_alloc_coherent(dev, sizeof(*ramfb->shared),
					    &ramfb->shared_dma, GFP_KERNEL);
	if (!ramfb->shared)
		return -ENOMEM;

	ret = ramfb_find(ramfb);
	if (ret)
		return ret;

	ret = ramfb_init_modeset(ramfb);
	if (ret)
		return ret;

	return drm_dev_register(&ramfb->drm, 0);
}

static const struct of_device_id ramfb_of_match[] = {
	{ .compatible = "qemu,fw-cfg-mmio" },
	{ }
};

static struct platform_driver ramfb_platform_driver = {
	.probe = ramfb_probe,
	.driver = {
		.name = "ramfb",
		.of_match_table = ramfb_of_match,
		.suppress_bind_attrs = true,
	},
};
builtin_platform_driver(ramfb_platform_driver);
