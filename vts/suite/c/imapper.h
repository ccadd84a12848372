/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mapper interface, version 5, as a C or C++ client sees it. Declared here
 * a second time and apart from the library's own declarations, so that a
 * mistake in either of them shows.
 */
#ifndef DMAHEAP_SUITE_IMAPPER_H
#define DMAHEAP_SUITE_IMAPPER_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct native_handle {
	int version; /* sizeof(native_handle_t) */
	int numFds;
	int numInts;
	int data[]; /* numFds descriptors, then numInts integers */
} native_handle_t;

typedef const native_handle_t *buffer_handle_t;

typedef struct ARect {
	int32_t left, top, right, bottom;
} ARect;

enum { AIMAPPER_VERSION_5 = 5 };

typedef int32_t AIMapper_Error;
enum {
	AIMAPPER_ERROR_NONE = 0,
	AIMAPPER_ERROR_BAD_DESCRIPTOR = 1,
	AIMAPPER_ERROR_BAD_BUFFER = 2,
	AIMAPPER_ERROR_BAD_VALUE = 3,
	AIMAPPER_ERROR_NO_RESOURCES = 5,
	AIMAPPER_ERROR_UNSUPPORTED = 7,
};

typedef struct AIMapper_MetadataType {
	const char *name;
	int64_t value;
} AIMapper_MetadataType;

typedef struct AIMapper_MetadataTypeDescription {
	AIMapper_MetadataType metadataType;
	const char *description;
	bool isGettable;
	bool isSettable;
	uint8_t reserved[32];
} AIMapper_MetadataTypeDescription;

typedef void (*AIMapper_BeginDumpBufferCallback)(void *context);
typedef void (*AIMapper_DumpBufferCallback)(void *context, AIMapper_MetadataType type,
					    const void *value, size_t size);

typedef struct AIMapperV5 {
	AIMapper_Error (*importBuffer)(const native_handle_t *handle, buffer_handle_t *out);
	AIMapper_Error (*freeBuffer)(buffer_handle_t buffer);
	AIMapper_Error (*getTransportSize)(buffer_handle_t buffer, uint32_t *numFds,
					   uint32_t *numInts);
	AIMapper_Error (*lock)(buffer_handle_t buffer, uint64_t cpuUsage, ARect region,
			       int acquireFence, void **outData);
	AIMapper_Error (*unlock)(buffer_handle_t buffer, int *releaseFence);
	AIMapper_Error (*flushLockedBuffer)(buffer_handle_t buffer);
	AIMapper_Error (*rereadLockedBuffer)(buffer_handle_t buffer);
	int32_t (*getMetadata)(buffer_handle_t buffer, AIMapper_MetadataType type, void *dest,
			       size_t size);
	int32_t (*getStandardMetadata)(buffer_handle_t buffer, int64_t type, void *dest,
				       size_t size);
	AIMapper_Error (*setMetadata)(buffer_handle_t buffer, AIMapper_MetadataType type,
				      const void *metadata, size_t size);
	AIMapper_Error (*setStandardMetadata)(buffer_handle_t buffer, int64_t type,
					      const void *metadata, size_t size);
	AIMapper_Error (*listSupportedMetadataTypes)(const AIMapper_MetadataTypeDescription **list,
						     size_t *count);
	AIMapper_Error (*dumpBuffer)(buffer_handle_t buffer, AIMapper_DumpBufferCallback dump,
				     void *context);
	AIMapper_Error (*dumpAllBuffers)(AIMapper_BeginDumpBufferCallback begin,
					 AIMapper_DumpBufferCallback dump, void *context);
	AIMapper_Error (*getReservedRegion)(buffer_handle_t buffer, void **region, uint64_t *size);
} AIMapperV5;

typedef struct AIMapper {
	alignas(max_align_t) uint32_t version;
	AIMapperV5 v5;
} AIMapper;

typedef AIMapper_Error (*AIMapper_loadIMapperFn)(AIMapper **out);

#ifdef __cplusplus
}
#endif

#endif
