/* An executable that brings its own malloc, as statically linked jemalloc or mimalloc do: a
 * profiler that is preloaded does not see the executable's calls, and should say so. N blocks of
 * 64 bytes are kept by unseen_keeps(). Status 0.
 */
#include "common.h"

static char area[64 << 20];
static size_t used;

void *malloc(size_t size) {
    size_t at = __atomic_fetch_add(&used, (size + 31) & ~(size_t)15, __ATOMIC_RELAXED);
    if (at + size + 16 > sizeof area) return NULL;
    *(size_t *)(area + at) = size;
    return area + at + 16;
}
void free(void *block) { (void)block; }
void *calloc(size_t count, size_t size) {
    void *block = malloc(count * size);
    if (block) memset(block, 0, count * size);
    return block;
}
void *realloc(void *block, size_t size) {
    void *other = malloc(size);
    if (block && other) memcpy(other, block, ((size_t *)block)[-2] < size ? ((size_t *)block)[-2] : size);
    return other;
}

FRAME static void unseen_keeps(long count) { for (long i = 0; i < count; i++) keep(64); }

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 1000);
    unseen_keeps(count);
    sink = strdup("by libc");
    say("%ld blocks of my own\n", count);
    return 0;
}
