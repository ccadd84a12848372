// SPDX-License-Identifier: Apache-2.0
/*
 * A client of the mapper without any Rust in it, compiled as C and as C++.
 *
 *     client LIBRARY CASE
 *
 * runs one case against the buffer that its environment names: SUITE_HANDLE is
 * two descriptors and then the integers of a raw handle of 64 x 64 pixels of
 * RGBA for the CPU, with the name "native" and 5000 bytes reserved.
 */
#include "imapper.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition)                                                                       \
	do {                                                                                   \
		if (!(condition)) {                                                            \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			exit(1);                                                               \
		}                                                                              \
	} while (0)

#define OK AIMAPPER_ERROR_NONE
#define BAD_BUFFER AIMAPPER_ERROR_BAD_BUFFER
#define BAD_VALUE AIMAPPER_ERROR_BAD_VALUE
#define UNSUPPORTED AIMAPPER_ERROR_UNSUPPORTED

enum { READ_OFTEN = 3, WRITE_OFTEN = 0x30, SIDE = 64, RESERVED = 5000 };

/* StandardMetadataType */
enum {
	NAME = 2,
	WIDTH = 3,
	HEIGHT = 4,
	CROP = 16,
	DATASPACE = 17,
	SMPTE2086 = 19,
	STRIDE = 23,
	SMPTE2094_50 = 24,
	TYPES = 24,
};

static const char STANDARD[] = "android.hardware.graphics.common.StandardMetadataType";
static const ARect WHOLE = { 0, 0, SIDE, SIDE };

static void *library;
static AIMapper *mapper;
static const AIMapperV5 *v5;
static native_handle_t *raw;

static native_handle_t *new_handle(int fds, int ints)
{
	size_t words = (size_t)(fds + ints);
	native_handle_t *handle =
		(native_handle_t *)calloc(1, sizeof(native_handle_t) + words * sizeof(int));

	CHECK(handle);
	handle->version = sizeof(native_handle_t);
	handle->numFds = fds;
	handle->numInts = ints;
	return handle;
}

static void receive(void)
{
	const char *text = getenv("SUITE_HANDLE");
	int words = 1;

	CHECK(text);
	for (const char *c = text; *c; c++)
		words += *c == ' ';
	CHECK(words > 2);
	raw = new_handle(2, words - 2);
	for (int i = 0; i < words; i++)
		raw->data[i] = (int)strtol(text, (char **)&text, 10);
}

static buffer_handle_t import_raw(void)
{
	buffer_handle_t buffer = NULL;

	CHECK(v5->importBuffer(raw, &buffer) == OK);
	CHECK(buffer && buffer != raw);
	return buffer;
}

static uint8_t *lock(buffer_handle_t buffer, uint64_t usage)
{
	void *data = NULL;

	CHECK(v5->lock(buffer, usage, WHOLE, -1, &data) == OK);
	CHECK(data);
	return (uint8_t *)data;
}

static void unlock(buffer_handle_t buffer)
{
	int fence = 0;

	CHECK(v5->unlock(buffer, &fence) == OK);
	CHECK(fence == -1);
}

static void put(buffer_handle_t buffer)
{
	CHECK(v5->freeBuffer(buffer) == OK);
}

/* The bytes behind the type's name in an encoded value. */
static const uint8_t *content(const uint8_t *value, int32_t size, int64_t type, int32_t expected)
{
	int64_t length, number;
	size_t header = 8 + sizeof(STANDARD) - 1 + 8;

	CHECK(size == (int32_t)header + expected);
	memcpy(&length, value, 8);
	CHECK(length == sizeof(STANDARD) - 1);
	CHECK(memcmp(value + 8, STANDARD, sizeof(STANDARD) - 1) == 0);
	memcpy(&number, value + header - 8, 8);
	CHECK(number == type);
	return value + header;
}

static int64_t get_number(buffer_handle_t buffer, int64_t type, int32_t bytes)
{
	uint8_t value[512];
	int64_t number = 0;
	int32_t size = v5->getStandardMetadata(buffer, type, value, sizeof(value));

	memcpy(&number, content(value, size, type, bytes), (size_t)bytes);
	return number;
}

static void case_load(void)
{
	AIMapper *again = NULL;
	AIMapper_loadIMapperFn load =
		(AIMapper_loadIMapperFn)dlsym(library, "AIMapper_loadIMapper");
	void *const *functions = (void *const *)(const void *)v5;

	CHECK(*(uint32_t *)dlsym(library, "ANDROID_HAL_MAPPER_VERSION") == AIMAPPER_VERSION_5);
	CHECK(*(uint32_t *)dlsym(library, "ANDROID_HAL_STABLEC_VERSION") == AIMAPPER_VERSION_5);
	CHECK(mapper->version == AIMAPPER_VERSION_5);
	CHECK((uintptr_t)mapper % alignof(max_align_t) == 0);
	for (size_t i = 0; i < sizeof(*v5) / sizeof(*functions); i++)
		CHECK(functions[i]);
	CHECK(load(&again) == OK && again == mapper);
	CHECK(load(NULL) == BAD_VALUE);
}

static void case_import_free(void)
{
	buffer_handle_t one = import_raw(), other = import_raw();

	CHECK(one != other);
	CHECK(one->numFds == raw->numFds && one->numInts == raw->numInts);
	CHECK(one->data[0] != raw->data[0] && one->data[0] != other->data[0]);
	CHECK(memcmp(one->data + 2, raw->data + 2, (size_t)raw->numInts * sizeof(int)) == 0);
	put(one);
	CHECK(v5->freeBuffer(one) == BAD_BUFFER);
	put(other);
}

static void case_import_bad(void)
{
	native_handle_t *empty = new_handle(0, 0);
	buffer_handle_t buffer = NULL;

	CHECK(v5->importBuffer(NULL, &buffer) == BAD_BUFFER);
	CHECK(v5->importBuffer(empty, &buffer) == BAD_BUFFER);
	CHECK(v5->importBuffer(raw, NULL) == BAD_VALUE);
	raw->data[7] ^= 1;
	CHECK(v5->importBuffer(raw, &buffer) == BAD_BUFFER);
	CHECK(!buffer);
	CHECK(v5->freeBuffer(NULL) == BAD_BUFFER);
	CHECK(v5->freeBuffer(empty) == BAD_BUFFER);
	CHECK(v5->freeBuffer(raw) == BAD_BUFFER);
	free(empty);
}

static void case_transport_size(void)
{
	buffer_handle_t buffer = import_raw();
	uint32_t fds = 0, ints = 0;

	CHECK(v5->getTransportSize(buffer, &fds, &ints) == OK);
	CHECK(fds == (uint32_t)raw->numFds && ints == (uint32_t)raw->numInts);
	CHECK(v5->getTransportSize(raw, &fds, &ints) == BAD_BUFFER);
	put(buffer);
}

static void case_lock_unlock(void)
{
	buffer_handle_t buffer = import_raw(), other = import_raw();
	size_t stride = 4 * (size_t)get_number(buffer, STRIDE, 4);
	uint8_t *data = lock(buffer, WRITE_OFTEN);
	int fence = 0;

	for (int y = 0; y < SIDE; y++)
		memset(data + (size_t)y * stride, y, 4 * SIDE);
	unlock(buffer);
	data = lock(other, READ_OFTEN);
	for (int y = 0; y < SIDE; y++)
		for (int x = 0; x < 4 * SIDE; x++)
			CHECK(data[(size_t)y * stride + (size_t)x] == y);
	/* Nested: as many unlocks as locks. */
	CHECK(lock(other, READ_OFTEN | WRITE_OFTEN) == data);
	unlock(other);
	unlock(other);
	CHECK(v5->unlock(other, &fence) == BAD_BUFFER);
	put(buffer);
	put(other);
}

static void case_lock_bad(void)
{
	const ARect outside = { 0, 0, SIDE + 1, SIDE };
	buffer_handle_t buffer = import_raw();
	void *data = NULL;
	int fds[2], fence = 0;

	CHECK(pipe(fds) == 0 && write(fds[1], "", 1) == 1);
	CHECK(v5->lock(buffer, 0, WHOLE, fds[0], &data) == BAD_VALUE);
	CHECK(fcntl(fds[0], F_GETFD) == -1);
	CHECK(v5->lock(buffer, READ_OFTEN, outside, -1, &data) == BAD_VALUE);
	CHECK(v5->lock(buffer, 1 << 8, WHOLE, -1, &data) == BAD_VALUE);
	CHECK(v5->lock(raw, READ_OFTEN, WHOLE, -1, &data) == BAD_BUFFER);
	CHECK(v5->lock(NULL, READ_OFTEN, WHOLE, -1, &data) == BAD_BUFFER);
	CHECK(!data);
	CHECK(v5->unlock(buffer, &fence) == BAD_BUFFER);
	CHECK(v5->unlock(raw, &fence) == BAD_BUFFER);
	put(buffer);
}

static void case_flush_reread(void)
{
	buffer_handle_t writer = import_raw(), reader = import_raw();

	CHECK(v5->flushLockedBuffer(writer) == BAD_BUFFER);
	CHECK(v5->rereadLockedBuffer(NULL) == BAD_BUFFER);
	uint8_t *to = lock(writer, WRITE_OFTEN), *from = lock(reader, READ_OFTEN);

	memset(to, 77, 4 * SIDE);
	CHECK(v5->flushLockedBuffer(writer) == OK);
	CHECK(v5->rereadLockedBuffer(reader) == OK);
	for (int x = 0; x < 4 * SIDE; x++)
		CHECK(from[x] == 77);
	unlock(reader);
	unlock(writer);
	put(reader);
	put(writer);
}

static void case_get(void)
{
	AIMapper_MetadataType type = { STANDARD, NAME }, fake = { "Fake", 1 };
	buffer_handle_t buffer = import_raw();
	uint8_t value[512];
	int32_t size;

	CHECK(get_number(buffer, WIDTH, 8) == SIDE);
	CHECK(get_number(buffer, HEIGHT, 8) == SIDE);
	CHECK(get_number(buffer, STRIDE, 4) >= SIDE);
	size = v5->getMetadata(buffer, type, NULL, 0);
	CHECK(size > 0 && v5->getMetadata(buffer, type, value, sizeof(value)) == size);
	CHECK(memcmp(content(value, size, NAME, 8 + 6) + 8, "native", 6) == 0);
	CHECK(v5->getMetadata(buffer, fake, NULL, 0) == -UNSUPPORTED);
	CHECK(v5->getStandardMetadata(buffer, 0, NULL, 0) == -UNSUPPORTED);
	CHECK(v5->getStandardMetadata(buffer, TYPES + 1, NULL, 0) == -UNSUPPORTED);
	CHECK(v5->getStandardMetadata(raw, WIDTH, NULL, 0) == -BAD_BUFFER);
	CHECK(v5->getStandardMetadata(NULL, WIDTH, NULL, 0) == -BAD_BUFFER);
	put(buffer);
}

static void case_set(void)
{
	AIMapper_MetadataType type = { STANDARD, DATASPACE };
	buffer_handle_t buffer = import_raw(), other = import_raw();
	uint8_t value[512];
	int32_t size = v5->getMetadata(buffer, type, value, sizeof(value)), dataspace = 0x1234;

	CHECK(get_number(buffer, DATASPACE, 4) == 0);
	memcpy(value + size - 4, &dataspace, 4);
	CHECK(v5->setMetadata(buffer, type, value, (size_t)size) == OK);
	CHECK(get_number(other, DATASPACE, 4) == dataspace);
	CHECK(v5->setStandardMetadata(buffer, DATASPACE, value, (size_t)size - 1) == UNSUPPORTED);
	CHECK(v5->setStandardMetadata(buffer, DATASPACE, NULL, 4) == BAD_VALUE);
	CHECK(v5->setStandardMetadata(buffer, SMPTE2086, NULL, 0) == OK);
	size = v5->getStandardMetadata(buffer, WIDTH, value, sizeof(value));
	CHECK(v5->setStandardMetadata(buffer, WIDTH, value, (size_t)size) == BAD_VALUE);
	CHECK(v5->setStandardMetadata(raw, WIDTH, value, (size_t)size) == BAD_BUFFER);
	put(buffer);
	put(other);
}

static void case_list(void)
{
	const AIMapper_MetadataTypeDescription *list = NULL;
	size_t count = 0;

	CHECK(v5->listSupportedMetadataTypes(&list, &count) == OK);
	CHECK(count == TYPES);
	for (size_t i = 0; i < count; i++) {
		CHECK(strcmp(list[i].metadataType.name, STANDARD) == 0);
		CHECK(list[i].metadataType.value == (int64_t)i + 1);
		CHECK(list[i].isGettable);
		/* CROP to SMPTE2094_10, and SMPTE2094_50. */
		CHECK(list[i].isSettable ==
		      ((i + 1 >= CROP && i + 1 < STRIDE) || i + 1 == SMPTE2094_50));
	}
}

struct dump {
	int buffers, values, widths;
};

static void begin(void *context)
{
	((struct dump *)context)->buffers++;
}

static void take(void *context, AIMapper_MetadataType type, const void *value, size_t size)
{
	struct dump *dump = (struct dump *)context;
	int64_t width;

	dump->values++;
	if (type.value == WIDTH) {
		memcpy(&width, content((const uint8_t *)value, (int32_t)size, WIDTH, 8), 8);
		dump->widths += width == SIDE;
	}
}

static void case_dump(void)
{
	buffer_handle_t one = import_raw(), other = import_raw();
	struct dump dump = { 0, 0, 0 };
	int values;

	CHECK(v5->dumpBuffer(one, take, &dump) == OK);
	CHECK(dump.widths == 1 && dump.values >= 19);
	values = dump.values;
	CHECK(v5->dumpAllBuffers(begin, take, &dump) == OK);
	CHECK(dump.buffers == 2 && dump.values == 3 * values && dump.widths == 3);
	CHECK(v5->dumpBuffer(raw, take, &dump) == BAD_BUFFER);
	CHECK(v5->dumpBuffer(one, NULL, &dump) == BAD_VALUE);
	put(one);
	put(other);
}

static void case_reserved_region(void)
{
	buffer_handle_t one = import_raw(), other = import_raw();
	void *to = NULL, *from = NULL;
	uint64_t size = 0;

	CHECK(v5->getReservedRegion(one, &to, &size) == OK && size == RESERVED);
	CHECK(v5->getReservedRegion(other, &from, &size) == OK && size == RESERVED);
	CHECK((uintptr_t)to % sizeof(long) == 0);
	memset(to, 0x5a, RESERVED);
	CHECK(memcmp(to, from, RESERVED) == 0);
	CHECK(v5->getReservedRegion(raw, &to, &size) == BAD_BUFFER);
	put(one);
	put(other);
}

static const struct {
	const char *name;
	void (*run)(void);
} CASES[] = {
	{ "load", case_load },
	{ "import_free", case_import_free },
	{ "import_bad", case_import_bad },
	{ "transport_size", case_transport_size },
	{ "lock_unlock", case_lock_unlock },
	{ "lock_bad", case_lock_bad },
	{ "flush_reread", case_flush_reread },
	{ "get", case_get },
	{ "set", case_set },
	{ "list", case_list },
	{ "dump", case_dump },
	{ "reserved_region", case_reserved_region },
};

int main(int argc, char **argv)
{
	AIMapper_loadIMapperFn load;

	CHECK(argc == 3);
	library = dlopen(argv[1], RTLD_LOCAL | RTLD_NOW);
	if (!library)
		fprintf(stderr, "%s\n", dlerror());
	CHECK(library);
	load = (AIMapper_loadIMapperFn)dlsym(library, "AIMapper_loadIMapper");
	CHECK(load && load(&mapper) == OK && mapper);
	v5 = &mapper->v5;
	receive();
	for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
		if (strcmp(CASES[i].name, argv[2]) == 0) {
			CASES[i].run();
			puts("passed");
			return 0;
		}
	}
	fprintf(stderr, "there is no case %s\n", argv[2]);
	return 2;
}
