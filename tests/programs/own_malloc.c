/* flags: -Wl,--no-as-needed -lstdc++
 * (a library whose constructor allocates, before those of anything preloaded)
 * An executable that brings its own malloc, as statically linked jemalloc or mimalloc do: a
 * profiler that is preloaded does not see the executable's calls, and should say so. N blocks of
 * 64 bytes are kept by unseen_keeps(). Status 0.
 */
#include "common.h"

#include <pthread.h>
#include <sys/mman.h>

#define AREA ((size_t)64 << 20)

/* Like theirs, its first call takes a lock, and holds it while it calls into libc. */
static pthread_mutex_t first_call = PTHREAD_MUTEX_INITIALIZER;
static char *area;
static size_t used;

static void begin(void) {
    pthread_mutex_lock(&first_call);
    if (!area) {
        void *map = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (map == MAP_FAILED) _exit(92);
        munmap((char *)map + AREA - 4096, 4096);
        __atomic_store_n(&area, map, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&first_call);
}

void *malloc(size_t size) {
    if (!__atomic_load_n(&area, __ATOMIC_ACQUIRE)) begin();
    size_t at = __atomic_fetch_add(&used, (size + 31) & ~(size_t)15, __ATOMIC_RELAXED);
    if (at + size + 16 > AREA - 4096) return NULL;
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
