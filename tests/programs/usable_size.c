/* malloc_usable_size says the same as without a profiler, and the bytes it names can be
 * written: sizes 0 to 5000 by every function. Prints a checksum of what it said. All
 * blocks are freed. Status 0.
 */
#include "common.h"
#include <malloc.h>

int main(void) {
    uint64_t sum = 14695981039346656037u;
    void *volatile none = NULL;
    MUST(malloc_usable_size(none) == 0);
    for (size_t size = 0; size <= 5000; size += size < 100 ? 1 : 37) {
        void *blocks[5] = {malloc(size), calloc(1, size), realloc(none, size), memalign(64, size), NULL};
        MUST(posix_memalign(&blocks[4], 32, size) == 0);
        for (int b = 0; b < 5; b++) {
            size_t usable = malloc_usable_size(blocks[b]);
            MUST(usable >= size);
            memset(blocks[b], 0xa5, usable);
            /* What aligned blocks get depends on where the heap stands. */
            if (b < 3) sum = (sum ^ usable) * 1099511628211u;
        }
        for (int b = 0; b < 5; b++) free(blocks[b]);
    }
    say("%llx\n", (unsigned long long)sum);
    return 0;
}
