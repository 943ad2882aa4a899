/* Blocks that stay alive, and logs of any length.
 *
 *     live [BLOCKS [EVENTS]]           default 1,000,000 blocks, 0 further events
 *
 * First BLOCKS blocks are allocated; then, until EVENTS events (an allocation or
 * a free) have passed, the oldest block makes room for a new one. So every block
 * lives for exactly BLOCKS allocations: with more of them than a window of the
 * log holds, no pair is cancelled and the log keeps every event. The last
 * BLOCKS blocks are never freed. `live 200000 1000000000` is the
 * 1-billion-event log.
 *
 * The list of blocks is mapped, not allocated. */
#define _GNU_SOURCE
#include "bench.h"
#include <sys/mman.h>

static void **blocks;

/* 16 sites: malloc and a caller from 15 places around it would be merged by the
 * compiler, so the site is a template. */
#define SITE(n)                                         \
    static NOINLINE void *site_##n(uint64_t i)          \
    {                                                   \
        void *block = malloc(16 + n * 8 + (i & 3) * 8); \
        __asm__ volatile("# site " #n : "+r"(block));   \
        return block;                                   \
    }
#define SITES(F) \
    F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14) F(15)
SITES(SITE)

#define NAME(n) site_##n,
static void *(*const sites[16])(uint64_t) = {SITES(NAME)};

static NOINLINE void *allocate(uint64_t i)
{
    void *block = sites[mix(i) & 15](i);
    AFTER_CALL();
    return block;
}

int main(int argc, char **argv)
{
    uint64_t live = argument(argc, argv, 1, 1000000);
    uint64_t events = argument(argc, argv, 2, 0);
    if (live == 0) {
        fprintf(stderr, "usage: live [BLOCKS [EVENTS]], at least one block\n");
        return 2;
    }
    blocks = mmap(NULL, live * sizeof *blocks, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (blocks == MAP_FAILED) {
        perror("live: mmap");
        return 1;
    }
    for (uint64_t i = 0; i < live; i++)
        blocks[i] = allocate(i);
    uint64_t oldest = 0;
    for (uint64_t done = live; done + 2 <= events; done += 2) {
        free(blocks[oldest]);
        blocks[oldest] = allocate(done);
        if (++oldest == live)
            oldest = 0;
    }
    /* Still reachable, as in a program that ends without tidying up. */
    __asm__ volatile("" : : "r"(blocks) : "memory");
    return 0;
}
