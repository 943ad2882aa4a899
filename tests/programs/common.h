/* Shared by the C and C++ programs: output without stdio (which would allocate its
 * buffers), and marks that keep functions apart on the stack. */
#pragma once

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A function that keeps its own frame and name. */
#define FRAME __attribute__((noinline, noclone, unused))

/* What is stored here is used, as far as the compiler knows. */
static void *volatile sink __attribute__((unused));

FRAME static void say(const char *format, ...) {
    char line[512];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(line, sizeof line, format, list);
    va_end(list);
    for (int done = 0; done < length;) {
        ssize_t now = write(1, line + done, (size_t)(length - done));
        if (now < 0 && errno == EINTR) continue;
        if (now <= 0) _exit(90);
        done += (int)now;
    }
}

/* Ends with status 91 and the words when the program's own expectation fails. */
#define MUST(condition)                                                            \
    do {                                                                           \
        if (!(condition)) {                                                        \
            say("failed at line %d: %s (errno %d)\n", __LINE__, #condition, errno); \
            _exit(91);                                                             \
        }                                                                          \
    } while (0)

/* Blocks that are kept: written to, and never freed. */
FRAME static void *keep(size_t size) {
    unsigned char *block = (unsigned char *)malloc(size);
    MUST(block != NULL);
    memset(block, 0x6b, size);
    sink = block;
    return block;
}

/* A block that lives for a moment only. */
FRAME static void brief(size_t size) {
    unsigned char *block = (unsigned char *)malloc(size);
    MUST(block != NULL);
    block[0] = 1;
    sink = block;
    free(block);
}

static inline long number_argument(int argc, char **argv, int which, long otherwise) {
    return which < argc ? atol(argv[which]) : otherwise;
}
