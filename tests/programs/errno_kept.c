/* errno is as before after every successful call: N rounds over the family, enough to
 * fill any buffer behind the hooks several times. Keeps one block of 8 bytes a hundred
 * rounds. Status 0.
 */
#include "common.h"
#include <malloc.h>

#define SAME(statement)      \
    do {                     \
        errno = 4711;        \
        statement;           \
        MUST(errno == 4711); \
    } while (0)

FRAME static void round_of(long i) {
    void *a, *b, *c, *d, *e;
    SAME(a = malloc(24));
    SAME(b = calloc(3, 9));
    SAME(a = realloc(a, 300));
    SAME(MUST(posix_memalign(&c, 64, 100) == 0));
    SAME(d = aligned_alloc(128, 256));
    SAME(e = strdup("errno"));
    SAME(malloc_usable_size(a));
    sink = a, sink = b, sink = c, sink = d, sink = e;
    SAME(free(a));
    SAME(free(b));
    SAME(free(c));
    SAME(free(d));
    SAME(free(e));
    if (i % 100 == 0) SAME(keep(8));
}

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 100000);
    for (long i = 0; i < count; i++) round_of(i);
    say("errno kept in %ld rounds\n", count);
    return 0;
}
