/* What realloc can do. reallocs MODE N:
 *   grow     100 to 200 bytes: N allocations, N reallocations, 300 N bytes asked for, N live of 200
 *   shrink   200 to 50: N allocations, N reallocations, 250 N bytes asked for, N live of 50
 *   move     64 to 100000 behind a barrier block: all move; N + N live (the barriers, 32 bytes each)
 *   zero     realloc(p, 0): N allocations, N frees, none live (with glibc)
 *   failing  realloc(p, too much) and reallocarray overflow: N allocations, nothing else, N live of 40
 *   null     realloc(NULL, 24): N allocations of 24, N live
 *   array    reallocarray 10 x 4 to 10 x 8: N allocations, N reallocations, 120 N bytes, N live of 80
 *   chain    one block grown from 1 to N bytes: 1 allocation, N - 1 reallocations, 1 live of N
 *   freed    grown as in `grow` and then freed: nothing live
 * Prints what was seen. Status 0.
 */
#include "common.h"

#define MOST 20000
static void *blocks[MOST];

FRAME static void grow(long count) {
    for (long i = 0; i < count; i++) {
        blocks[i] = malloc(100);
        MUST(blocks[i]);
        memset(blocks[i], 7, 100);
    }
    for (long i = 0; i < count; i++) {
        unsigned char *larger = realloc(blocks[i], 200);
        MUST(larger && larger[99] == 7);
        blocks[i] = larger;
    }
}

FRAME static void shrink(long count) {
    for (long i = 0; i < count; i++) MUST(blocks[i] = malloc(200));
    for (long i = 0; i < count; i++) MUST(blocks[i] = realloc(blocks[i], 50));
}

FRAME static void move(long count) {
    long moved = 0;
    for (long i = 0; i < count; i++) {
        MUST(blocks[i] = malloc(64));
        sink = malloc(32);
    }
    for (long i = 0; i < count; i++) {
        uintptr_t before = (uintptr_t)blocks[i];
        MUST(blocks[i] = realloc(blocks[i], 100000));
        moved += before != (uintptr_t)blocks[i];
    }
    say("%ld of %ld moved\n", moved, count);
}

FRAME static void zero(long count) {
    volatile size_t nothing = 0;
    long gone = 0;
    for (long i = 0; i < count; i++) MUST(blocks[i] = malloc(40));
    for (long i = 0; i < count; i++) gone += realloc(blocks[i], nothing) == NULL;
    say("%ld of %ld gone\n", gone, count);
}

FRAME static void failing(long count) {
    volatile size_t most = SIZE_MAX / 2 - 4096, many = SIZE_MAX / 4;
    long enomem = 0;
    for (long i = 0; i < count; i++) {
        unsigned char *block = malloc(40);
        MUST(block);
        memset(block, 9, 40);
        errno = 0;
        MUST(realloc(block, most) == NULL);
        enomem += errno == ENOMEM;
        errno = 0;
        MUST(reallocarray(block, many, 16) == NULL);
        enomem += errno == ENOMEM;
        MUST(block[0] == 9 && block[39] == 9);
        blocks[i] = block;
    }
    say("%ld of %ld say ENOMEM\n", enomem, 2 * count); /* not every allocator does */
}

FRAME static void null(long count) {
    void *volatile none = NULL;
    for (long i = 0; i < count; i++) MUST(blocks[i] = realloc(none, 24));
}

FRAME static void array(long count) {
    for (long i = 0; i < count; i++) MUST(blocks[i] = malloc(40));
    for (long i = 0; i < count; i++) MUST(blocks[i] = reallocarray(blocks[i], 10, 8));
}

FRAME static void chain(long count) {
    void *block = count > 0 ? malloc(1) : NULL;
    for (long size = 2; size <= count; size++) MUST(block = realloc(block, (size_t)size));
    sink = block;
}

FRAME static void freed(long count) {
    grow(count);
    for (long i = 0; i < count; i++) free(blocks[i]);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(long);
    } modes[] = {{"grow", grow}, {"shrink", shrink}, {"move", move}, {"zero", zero}, {"failing", failing}, {"null", null}, {"array", array}, {"chain", chain}, {"freed", freed}};
    const char *mode = argc > 1 ? argv[1] : "grow";
    long count = number_argument(argc, argv, 2, 100);
    MUST(count <= MOST);
    for (size_t m = 0; m < sizeof modes / sizeof *modes; m++)
        if (strcmp(modes[m].name, mode) == 0) modes[m].run(count);
    say("%s done\n", mode);
    return 0;
}
