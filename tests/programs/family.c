/* N calls of one function of the malloc family.
 *
 * family FUNCTION N [RELEASE]: the i-th call asks for 1 + 7 * (i % 100) bytes (the
 * aligned ones for a multiple of their alignment, 64, where the standard wants it).
 * Every third block, from the first on, is kept; the others are released at the end,
 * in order, by RELEASE. With N = 3k + 1 no block is temporary.
 * Prints the number of calls and the bytes asked for. Status 0.
 */
#include "common.h"
#include <dlfcn.h>
#include <malloc.h>

#define MOST 100000
static void *blocks[MOST];
static size_t sizes[MOST];

static size_t wanted(long i) { return 1 + 7 * (size_t)(i % 100); }
static size_t rounded(long i) { return (wanted(i) + 63) & ~(size_t)63; }

FRAME static void *call_malloc(long i, size_t *size) { return malloc(*size = wanted(i)); }
FRAME static void *call_calloc(long i, size_t *size) {
    *size = 3 * wanted(i);
    return calloc(3, wanted(i));
}
FRAME static void *call_realloc(long i, size_t *size) {
    void *volatile none = NULL;
    return realloc(none, *size = wanted(i));
}
FRAME static void *call_reallocarray(long i, size_t *size) {
    void *volatile none = NULL;
    *size = 5 * wanted(i);
    return reallocarray(none, 5, wanted(i));
}
FRAME static void *call_posix_memalign(long i, size_t *size) {
    void *block = NULL;
    return posix_memalign(&block, 64, *size = wanted(i)) == 0 ? block : NULL;
}
FRAME static void *call_aligned_alloc(long i, size_t *size) { return aligned_alloc(64, *size = rounded(i)); }
FRAME static void *call_memalign(long i, size_t *size) { return memalign(64, *size = wanted(i)); }
FRAME static void *call_valloc(long i, size_t *size) { return valloc(*size = wanted(i)); }
FRAME static void *call_pvalloc(long i, size_t *size) { return pvalloc(*size = wanted(i)); }
FRAME static void *call_strdup(long i, size_t *size) {
    char text[800];
    *size = wanted(i);
    memset(text, 'x', *size);
    text[*size - 1] = 0;
    return strdup(text);
}

static const struct {
    const char *name;
    void *(*call)(long, size_t *);
    size_t alignment;
} family[] = {
    {"malloc", call_malloc, 16},
    {"calloc", call_calloc, 16},
    {"realloc", call_realloc, 16},
    {"reallocarray", call_reallocarray, 16},
    {"posix_memalign", call_posix_memalign, 64},
    {"aligned_alloc", call_aligned_alloc, 64},
    {"memalign", call_memalign, 64},
    {"valloc", call_valloc, 4096},
    {"pvalloc", call_pvalloc, 4096},
    {"strdup", call_strdup, 16},
};

/* As programs refer to it that were linked before glibc hid it. */
void old_cfree(void *);
__asm__(".symver old_cfree, cfree@GLIBC_2.2.5");

static void release(const char *how, void *block, size_t size) {
    /* Not in every libc: without it, plain free does the same. */
    static void *found;
    static const char *looked_for;
    if (looked_for != how) {
        looked_for = how;
        found = strcmp(how, "cfree") == 0 ? (void *)old_cfree : dlsym(RTLD_DEFAULT, how);
        if (found == NULL) found = dlsym(RTLD_DEFAULT, "free");
    }
    if (strcmp(how, "free_sized") == 0)
        ((void (*)(void *, size_t))found)(block, size);
    else if (strcmp(how, "free_aligned_sized") == 0)
        ((void (*)(void *, size_t, size_t))found)(block, 64, size);
    else
        ((void (*)(void *))found)(block);
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "malloc";
    long count = number_argument(argc, argv, 2, 301);
    const char *how = argc > 3 ? argv[3] : "free";
    MUST(count <= MOST);
    size_t total = 0;
    for (size_t f = 0; f < sizeof family / sizeof *family; f++) {
        if (strcmp(family[f].name, name) != 0) continue;
        for (long i = 0; i < count; i++) {
            unsigned char *block = family[f].call(i, &sizes[i]);
            MUST(block != NULL);
            /* Allocators may align small blocks to their size only. */
            if (family[f].alignment > 16) MUST((uintptr_t)block % family[f].alignment == 0);
            if (strcmp(name, "calloc") == 0)
                for (size_t k = 0; k < sizes[i]; k++) MUST(block[k] == 0);
            memset(block, (int)i, sizes[i]);
            blocks[i] = block;
            total += sizes[i];
        }
    }
    for (long i = 0; i < count; i++) {
        for (size_t k = 0; k < sizes[i]; k++) MUST(((unsigned char *)blocks[i])[k] == (unsigned char)i);
        if (i % 3 != 0) release(how, blocks[i], sizes[i]);
    }
    say("%s: %ld calls, %zu bytes\n", name, count, total);
    return 0;
}
