// SPDX-License-Identifier: Apache-2.0
/*
 * Android's libc.so for the board, whose C library is glibc: so that programs for devices run here as
 * they are. Most names mean the same in both, and glibc answers to them; here is what does not: names
 * of bionic's own, and those whose structures or numbers differ on 64-bit ARM.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's own stack of arguments: their count, and the pointers to them. */
_Noreturn void __libc_init(long *stack, void (*at_exit)(void), int (*begin)(int, char **, char **),
                           void *functions)
{
    (void)at_exit;
    (void)functions;
    char **arguments = (char **)(stack + 1);
    exit(begin((int)stack[0], arguments, arguments + stack[0] + 1));
}

int *__errno(void)
{
    return &errno;
}

_Noreturn void __assert2(const char *file, int line, const char *function, const char *expression)
{
    __assert_fail(expression, file, (unsigned)line, function);
}

/* glibc's of this name returns a string. */
int __xpg_strerror_r(int number, char *text, size_t size);

int bionic_strerror_r(int, char *, size_t) __asm__("strerror_r");

int bionic_strerror_r(int number, char *text, size_t size)
{
    return __xpg_strerror_r(number, text, size);
}

long bionic_sysconf(int name) __asm__("sysconf");
long __sysconf(int name);

long bionic_sysconf(int name)
{
    switch (name) {
    case 0x06:
        return __sysconf(_SC_CLK_TCK);
    case 0x26:
        return __sysconf(_SC_IOV_MAX);
    case 0x27:
    case 0x28:
        return __sysconf(_SC_PAGESIZE);
    case 0x48:
        return __sysconf(_SC_GETPW_R_SIZE_MAX);
    case 0x60:
        return __sysconf(_SC_NPROCESSORS_CONF);
    case 0x61:
        return __sysconf(_SC_NPROCESSORS_ONLN);
    default:
        errno = EINVAL;
        return -1;
    }
}

/* Sets of signals have 64 bits there. */
struct bionic_sigaction {
    int flags;
    void (*handler)(int);
    unsigned long mask;
    void (*restorer)(void);
};

int bionic_sigemptyset(unsigned long *set) __asm__("sigemptyset");
int bionic_sigaction(int number, const struct bionic_sigaction *new,
                     struct bionic_sigaction *old) __asm__("sigaction");
int __sigaction(int number, const struct sigaction *new, struct sigaction *old);

int bionic_sigemptyset(unsigned long *set)
{
    *set = 0;
    return 0;
}

int bionic_sigaction(int number, const struct bionic_sigaction *new, struct bionic_sigaction *old)
{
    struct sigaction ours, theirs;
    if (new) {
        memset(&ours, 0, sizeof(ours));
        ours.sa_handler = new->handler;
        ours.sa_flags = new->flags;
        memcpy(&ours.sa_mask, &new->mask, sizeof(new->mask));
    }
    int result = __sigaction(number, new ? &ours : NULL, &theirs);
    if (result == 0 && old) {
        memset(old, 0, sizeof(*old));
        old->handler = theirs.sa_handler;
        old->flags = theirs.sa_flags;
        memcpy(&old->mask, &theirs.sa_mask, sizeof(old->mask));
    }
    return result;
}

/* A thread's attributes have 56 bytes there and 64 here; of them programs set the stack's size. */
struct bionic_attributes {
    size_t stack;
    char rest[48];
};

int bionic_attr_init(struct bionic_attributes *) __asm__("pthread_attr_init");
int bionic_attr_destroy(struct bionic_attributes *) __asm__("pthread_attr_destroy");
int bionic_attr_setstacksize(struct bionic_attributes *, size_t) __asm__("pthread_attr_setstacksize");
int bionic_create(pthread_t *, const struct bionic_attributes *, void *(*)(void *),
                  void *) __asm__("pthread_create");

int bionic_attr_init(struct bionic_attributes *attributes)
{
    memset(attributes, 0, sizeof(*attributes));
    return 0;
}

int bionic_attr_destroy(struct bionic_attributes *attributes)
{
    return bionic_attr_init(attributes);
}

int bionic_attr_setstacksize(struct bionic_attributes *attributes, size_t size)
{
    attributes->stack = size;
    return 0;
}

int bionic_create(pthread_t *thread, const struct bionic_attributes *attributes,
                  void *(*begin)(void *), void *argument)
{
    int (*init)(pthread_attr_t *) = dlsym(RTLD_NEXT, "pthread_attr_init");
    int (*destroy)(pthread_attr_t *) = dlsym(RTLD_NEXT, "pthread_attr_destroy");
    int (*set_stack)(pthread_attr_t *, size_t) = dlsym(RTLD_NEXT, "pthread_attr_setstacksize");
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) =
        dlsym(RTLD_NEXT, "pthread_create");
    pthread_attr_t ours;
    int error = init(&ours);
    if (error)
        return error;
    if (attributes && attributes->stack)
        error = set_stack(&ours, attributes->stack);
    if (!error)
        error = create(thread, &ours, begin, argument);
    destroy(&ours);
    return error;
}
