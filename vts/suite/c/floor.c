// SPDX-License-Identifier: Apache-2.0
/*
 * The floor under the allocator: a server and a client that make the system
 * calls that a HAL and its client must make, and nothing else. No library, no
 * parcels but of the right size, no accounts, no policy.
 *
 *   floor CALL BYTES ROUNDS   CALL is "ask" or "allocate"
 *
 * prints the nanoseconds of each round as the client sees it, a line each. The
 * two talk through a binder device of their own, whose context manager the
 * server is.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include <linux/android/binder.h>
#include <linux/android/binderfs.h>
#include <linux/dma-heap.h>

#define NODE "/dev/binderfs/floor"
#define ROOM (256 << 10)

enum { ASK = 1, ALLOCATE = 2 };

/* As long as the parcels of isSupported and allocate2. */
struct request {
	uint64_t bytes;
	char descriptor[248];
};

struct reply {
	uint32_t head[16];
	struct flat_binder_object fds[2];
};

static void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_binder(void)
{
	int fd = open(NODE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die(NODE);
	if (mmap(NULL, ROOM, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		die("mapping " NODE);
	return fd;
}

static void write_read(int fd, void *out, size_t len, void *in, size_t *got)
{
	struct binder_write_read all = {
		.write_size = len,
		.write_buffer = (uintptr_t)out,
		.read_size = got ? *got : 0,
		.read_buffer = (uintptr_t)in,
	};

	if (ioctl(fd, BINDER_WRITE_READ, &all))
		die("BINDER_WRITE_READ");
	if (got)
		*got = all.read_consumed;
}

/* A command and what it takes, behind what is there already. */
static char *put(char *end, uint32_t command, const void *value, size_t len)
{
	memcpy(end, &command, sizeof(command));
	memcpy(end + sizeof(command), value, len);
	return end + sizeof(command) + len;
}

/* Of what was read, the value of this command; NULL if it did not come. */
static const void *find(const char *in, size_t len, uint32_t wanted)
{
	for (size_t at = 0; at + sizeof(uint32_t) <= len;) {
		uint32_t command;

		memcpy(&command, in + at, sizeof(command));
		at += sizeof(command);
		if (command == wanted)
			return in + at;
		if (command == BR_FAILED_REPLY || command == BR_DEAD_REPLY) {
			errno = EPROTO;
			die("the driver refused the call");
		}
		at += _IOC_SIZE(command);
	}
	return NULL;
}

static int heap_alloc(int heap, uint64_t bytes)
{
	struct dma_heap_allocation_data data = { .len = bytes, .fd_flags = O_RDWR | O_CLOEXEC };

	if (ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data))
		die("DMA_HEAP_IOCTL_ALLOC");
	return data.fd;
}

/* Pixels and metadata, and their place in the reply. */
static void fill(struct reply *reply, int heap, uint64_t bytes)
{
	uint64_t sizes[2] = { bytes, 4096 };

	for (int i = 0; i < 2; i++)
		reply->fds[i] = (struct flat_binder_object){
			.hdr.type = BINDER_TYPE_FD,
			.handle = heap_alloc(heap, sizes[i]),
		};
}

static void serve(int ready)
{
	uint32_t enter = BC_ENTER_LOOPER;
	char out[256], in[512], *end = out;
	static const binder_size_t offsets[2] = {
		offsetof(struct reply, fds[0]), offsetof(struct reply, fds[1]),
	};
	int fd = open_binder(), zero = 0;
	int heap = open("/dev/dma_heap/system", O_RDONLY | O_CLOEXEC);

	if (heap < 0)
		die("/dev/dma_heap/system");
	/* The driver may not be done yet with the server of an earlier run. */
	while (ioctl(fd, BINDER_SET_CONTEXT_MGR, &zero)) {
		if (errno != EBUSY)
			die("BINDER_SET_CONTEXT_MGR");
		usleep(1000);
	}
	write_read(fd, &enter, sizeof(enter), NULL, NULL);
	if (write(ready, "", 1) != 1)
		die("telling the client");

	for (;;) {
		struct binder_transaction_data asked, answer = { 0 };
		struct reply reply = { 0 };
		const void *found;
		size_t got = sizeof(in);

		write_read(fd, out, end - out, in, &got);
		end = out;
		found = find(in, got, BR_TRANSACTION);
		if (!found)
			continue;
		memcpy(&asked, found, sizeof(asked));
		answer.data.ptr.buffer = (uintptr_t)&reply;
		answer.data_size = 2 * sizeof(uint32_t);
		if (asked.code == ALLOCATE) {
			const struct request *request = (void *)(uintptr_t)asked.data.ptr.buffer;

			fill(&reply, heap, request->bytes);
			answer.data_size = sizeof(reply);
			answer.offsets_size = sizeof(offsets);
			answer.data.ptr.offsets = (uintptr_t)offsets;
		}
		end = put(end, BC_FREE_BUFFER, &asked.data.ptr.buffer,
			  sizeof(asked.data.ptr.buffer));
		end = put(end, BC_REPLY, &answer, sizeof(answer));
		write_read(fd, out, end - out, NULL, NULL);
		end = out;
		for (int i = 0; i < 2 && asked.code == ALLOCATE; i++)
			close(reply.fds[i].handle);
	}
}

/* The next command to the driver frees what the last reply lay in. */
static char *call(int fd, char *out, char *end, uint32_t code, struct request *request,
		  struct reply *reply)
{
	struct binder_transaction_data asked = {
		.code = code,
		.flags = TF_ACCEPT_FDS,
		.data_size = sizeof(*request),
		.data.ptr.buffer = (uintptr_t)request,
	};
	struct binder_transaction_data answer;
	const void *found = NULL;
	char in[512];

	end = put(end, BC_TRANSACTION, &asked, sizeof(asked));
	while (!found) {
		size_t got = sizeof(in);

		write_read(fd, out, end - out, in, &got);
		end = out;
		found = find(in, got, BR_REPLY);
	}
	memcpy(&answer, found, sizeof(answer));
	memcpy(reply, (void *)(uintptr_t)answer.data.ptr.buffer, answer.data_size);
	return put(out, BC_FREE_BUFFER, &answer.data.ptr.buffer, sizeof(answer.data.ptr.buffer));
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static void measure(uint32_t code, uint64_t bytes, int rounds)
{
	/* What was left to be done in the background is not the next call's. */
	const struct timespec rest = { .tv_nsec = 3000000 };
	struct request request = { .bytes = bytes };
	struct reply reply;
	char out[256], *end = out;
	int fd = open_binder();

	for (int i = 0; i < rounds; i++) {
		uint64_t started = now();

		end = call(fd, out, end, code, &request, &reply);
		printf("%llu\n", (unsigned long long)(now() - started));
		for (int n = 0; n < 2 && code == ALLOCATE; n++)
			close(reply.fds[n].handle);
		nanosleep(&rest, NULL);
	}
}

int main(int argc, char **argv)
{
	struct binderfs_device device = { .name = "floor" };
	int control = open("/dev/binderfs/binder-control", O_RDONLY | O_CLOEXEC);
	int ready[2];
	char byte;
	pid_t server;

	if (argc != 4) {
		fprintf(stderr, "usage: floor ask|allocate BYTES ROUNDS\n");
		return 2;
	}
	if (control < 0 || (ioctl(control, BINDER_CTL_ADD, &device) && errno != EEXIST))
		die("making " NODE);
	if (pipe2(ready, O_CLOEXEC))
		die("pipe");
	server = fork();
	if (server < 0)
		die("fork");
	if (!server) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(ready[1]);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		return 1;
	measure(strcmp(argv[1], "ask") ? ALLOCATE : ASK, strtoull(argv[2], NULL, 0),
		atoi(argv[3]));
	return 0;
}
