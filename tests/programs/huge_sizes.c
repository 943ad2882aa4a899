/* Calls that fail count as nothing and set errno as ever: N rounds of every function of
 * the family with sizes that no machine has. Afterwards one block of 64 bytes is kept by
 * `keep`. Status 0.
 */
#include "common.h"
#include <malloc.h>

#define FAILS(expression)                     \
    do {                                      \
        errno = 0;                            \
        MUST((sink = (expression)) == NULL);  \
        MUST(errno == ENOMEM);                \
    } while (0)

FRAME static void fail(void) {
    volatile size_t most = SIZE_MAX, half = PTRDIFF_MAX, quarter = SIZE_MAX / 4;
    void *volatile none = NULL;
    void *block = (void *)1;
    FAILS(malloc(most));
    FAILS(malloc(half));
    FAILS(calloc(most, 2));
    FAILS(calloc(quarter, 16));
    FAILS(calloc(1, half));
    FAILS(realloc(none, half));
    FAILS(reallocarray(none, quarter, 64));
    FAILS(aligned_alloc(64, half - 62));
    FAILS(memalign(64, most - 4096));
    FAILS(valloc(most - 100));
    FAILS(pvalloc(most - 100));
    errno = 77;
    MUST(posix_memalign(&block, 64, half) == ENOMEM);
    MUST(block == (void *)1);
    MUST(posix_memalign(&block, 3, 64) == EINVAL);
    MUST(block == (void *)1);
    sink = NULL;
}

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 20);
    for (long i = 0; i < count; i++) fail();
    keep(64);
    say("%ld rounds failed as they must\n", count);
    return 0;
}
