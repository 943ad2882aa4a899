/* malloc/free churn: one thread, call depth 5 (main included), random
 * sizes of 1 to 1,024 bytes.
 *
 *     churn [PAIRS]                    default 5,000,000
 *
 * Every block dies before the next is born: the cheapest work there is for an
 * allocator, and so the dearest for whoever records it. */
#include "bench.h"

static NOINLINE void allocate(uint64_t random)
{
    char *block = malloc(1 + (random >> 54));
    OPAQUE(block);
    *block = (char)random;
    free(block);
    AFTER_CALL();
}

static NOINLINE void third(uint64_t random)
{
    allocate(random);
    AFTER_CALL();
}

static NOINLINE void second(uint64_t random)
{
    third(random);
    AFTER_CALL();
}

static NOINLINE void first(uint64_t random)
{
    second(random);
    AFTER_CALL();
}

int main(int argc, char **argv)
{
    uint64_t pairs = argument(argc, argv, 1, 5000000);
    uint64_t random = 1;
    for (uint64_t i = 0; i < pairs; i++)
        first(next_random(&random));
    return 0;
}
