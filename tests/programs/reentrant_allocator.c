/* flags: -shared -fPIC -Wl,-Bsymbolic
 * (its functions call each other directly, as those of real allocators do)
 * An allocator that may be called in a signal handler in the middle of itself: lock-free lists
 * of powers of two over one reserved range. glibc's may not, so tests of handlers that allocate
 * during an allocation preload this one, with and without the profiler before it.
 */
#include "common.h"
#include <malloc.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define RANGE ((size_t)64 << 30)
#define CLASSES 40

struct head {
    uint64_t size;    /* of the payload */
    uint32_t order;   /* its class, or CLASSES: never used again */
    uint32_t _unused;
};

static _Atomic(char *) range;
static _Atomic size_t used;
/* Low half: the payload's offset / 16, high half: a tag that changes at every change. */
static _Atomic uint64_t lists[CLASSES];

static char *start(void) {
    char *now = atomic_load(&range);
    if (now) return now;
    char *made = mmap(NULL, RANGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (made == MAP_FAILED) _exit(92);
    if (atomic_compare_exchange_strong(&range, &now, made)) return made;
    munmap(made, RANGE);
    return now;
}

static struct head *head_of(void *block) { return (struct head *)block - 1; }

static void *fail(void) {
    errno = ENOMEM;
    return NULL;
}

static void *fresh(size_t room, size_t alignment, uint32_t order) {
    char *base = start();
    size_t need = room + alignment + sizeof(struct head);
    size_t at = atomic_fetch_add(&used, (need + 15) & ~(size_t)15);
    if (at + need > RANGE) return fail();
    uintptr_t block = ((uintptr_t)base + at + sizeof(struct head) + alignment - 1) & ~(uintptr_t)(alignment - 1);
    head_of((void *)block)->order = order;
    return (void *)block;
}

void *malloc(size_t size) {
    if (size > RANGE / 4) return fail();
    uint32_t order = 4;
    while (((size_t)1 << order) < size) order++;
    char *base = start();
    void *block;
    uint64_t now = atomic_load(&lists[order]);
    for (;;) {
        uint64_t offset = (uint32_t)now;
        if (offset == 0) {
            block = fresh((size_t)1 << order, 16, order);
            break;
        }
        block = base + offset * 16;
        /* May be a block in use by now: then the tag differs and this value is not used. */
        uint64_t next = *(volatile uint32_t *)block;
        if (atomic_compare_exchange_weak(&lists[order], &now, ((now >> 32) + 1) << 32 | next)) break;
    }
    if (block) head_of(block)->size = size;
    return block;
}

void free(void *block) {
    if (!block || head_of(block)->order >= CLASSES) return;
    uint32_t order = head_of(block)->order;
    uint64_t offset = (uint64_t)((char *)block - start()) / 16;
    uint64_t now = atomic_load(&lists[order]);
    do {
        *(volatile uint32_t *)block = (uint32_t)now;
    } while (!atomic_compare_exchange_weak(&lists[order], &now, ((now >> 32) + 1) << 32 | offset));
}

void *calloc(size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) return fail();
    void *block = malloc(total);
    if (block) memset(block, 0, total);
    return block;
}

void *realloc(void *block, size_t size) {
    if (!block) return malloc(size);
    void *other = malloc(size);
    if (!other) return NULL;
    size_t both = head_of(block)->size < size ? head_of(block)->size : size;
    memcpy(other, block, both);
    free(block);
    return other;
}

void *memalign(size_t alignment, size_t size) {
    if (alignment < 16) alignment = 16;
    if (size > RANGE / 4 || alignment > RANGE / 4) return fail();
    void *block = fresh(size, alignment, CLASSES);
    if (block) head_of(block)->size = size;
    return block;
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **where, size_t alignment, size_t size) {
    void *block = memalign(alignment, size);
    if (!block) return ENOMEM;
    *where = block;
    return 0;
}

size_t malloc_usable_size(void *block) { return block ? head_of(block)->size : 0; }
