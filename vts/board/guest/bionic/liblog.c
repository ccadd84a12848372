// SPDX-License-Identifier: Apache-2.0
/*
 * Android's liblog.so for the board, which has no logd: messages go to standard error. As the real one
 * does with its socket, it opens a descriptor at the first message and keeps it.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void open_for_good(void)
{
    open("/dev/null", O_WRONLY | O_CLOEXEC);
}

int __android_log_write(int priority, const char *tag, const char *text)
{
    static const char levels[] = "??VDIWEF";
    pthread_once(&once, open_for_good);
    char level = priority >= 0 && priority < 8 ? levels[priority] : '?';
    return fprintf(stderr, "%c %s: %s\n", level, tag ? tag : "", text);
}

int __android_log_buf_write(int buffer, int priority, const char *tag, const char *text)
{
    (void)buffer;
    return __android_log_write(priority, tag, text);
}
