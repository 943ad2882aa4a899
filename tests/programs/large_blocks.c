/* Sizes beyond 32 bits: 3 blocks of 5 GiB + 1, by malloc, calloc and realloc, never touched; one
 * is freed again. Live: 2, of 10 GiB + 2 bytes, by large_keeps(). Needs memory that may be
 * promised; status 77 where it may not.
 */
#include "common.h"

#define LARGE ((size_t)5 * 1024 * 1024 * 1024 + 1)

FRAME static void large_keeps(void) {
    volatile size_t size = LARGE;
    void *volatile none = NULL;
    void *one = malloc(size), *two = calloc(1, size), *three = realloc(none, size);
    if (!one || !two || !three) _exit(77);
    sink = one;
    sink = three;
    free(two);
}

int main(void) {
    large_keeps();
    say("large\n");
    return 0;
}
