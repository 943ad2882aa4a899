/* To be killed at any moment. confirm FILE THREADS: threads churn blocks of 8 kinds, made by
 * made_0 .. made_7 with 16 + 8 k bytes, and write into FILE (shared memory) before and after each
 * allocation and free how many of that kind have begun and are done. Never ends by itself
 * (an alarm ends it after 60 s).
 * FILE: u64 begun_allocations, done_allocations, begun_frees, done_frees [thread 4][kind 8].
 */
#include "common.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

#define KINDS 8
#define SLOTS 512

struct record {
    volatile uint64_t begun_allocations, done_allocations, begun_frees, done_frees;
};
static struct record (*records)[KINDS];

#define MADE(kind)                                 \
    FRAME static void *made_##kind(size_t size) {  \
        void *block = malloc(size);                \
        MUST(block);                               \
        return block;                              \
    }
MADE(0) MADE(1) MADE(2) MADE(3) MADE(4) MADE(5) MADE(6) MADE(7)
static void *(*const made[KINDS])(size_t) = {made_0, made_1, made_2, made_3, made_4, made_5, made_6, made_7};

static void *body(void *argument) {
    long thread = (long)(intptr_t)argument;
    struct record *record = records[thread];
    static __thread struct {
        void *block;
        int kind;
    } slots[SLOTS];
    uint32_t state = 99 + (uint32_t)thread;
    for (;;) {
        state = state * 1664525u + 1013904223u;
        unsigned slot = (state >> 8) % SLOTS;
        int kind = (int)(state >> 20) % KINDS;
        if (slots[slot].block) {
            struct record *old = &record[slots[slot].kind];
            old->begun_frees++;
            free(slots[slot].block);
            old->done_frees++;
        }
        record[kind].begun_allocations++;
        slots[slot].block = made[kind](16 + 8 * (size_t)kind);
        slots[slot].kind = kind;
        record[kind].done_allocations++;
    }
    return NULL;
}

int main(int argc, char **argv) {
    MUST(argc > 2);
    alarm(60);
    long threads = number_argument(argc, argv, 2, 1);
    int file = open(argv[1], O_RDWR);
    MUST(file >= 0 && threads <= 4);
    records = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    MUST(records != MAP_FAILED);
    pthread_t thread;
    for (long t = 1; t < threads; t++) MUST(pthread_create(&thread, NULL, body, (void *)t) == 0);
    body(NULL);
    return 0;
}
