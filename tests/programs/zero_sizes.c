/* Blocks of no bytes are blocks: N each of malloc(0), calloc(0, 8), calloc(8, 0),
 * realloc(NULL, 0), posix_memalign(64, 0), memalign(64, 0): 6 N live blocks of 0 bytes.
 * A second set of 6 N is freed. free(NULL) counts as nothing. Status 0.
 */
#include "common.h"
#include <malloc.h>

FRAME static void *one(int which) {
    volatile size_t nothing = 0;
    void *volatile none = NULL;
    void *block = NULL;
    switch (which) {
    case 0: return malloc(nothing);
    case 1: return calloc(nothing, 8);
    case 2: return calloc(8, nothing);
    case 3: return realloc(none, nothing);
    case 4: return posix_memalign(&block, 64, nothing) == 0 ? block : NULL;
    default: return memalign(64, nothing);
    }
}

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 50);
    void *volatile none = NULL;
    for (long i = 0; i < count; i++)
        for (int which = 0; which < 6; which++) {
            void *kept = one(which), *freed = one(which);
            MUST(kept != NULL && freed != NULL && kept != freed);
            sink = kept;
            free(freed);
            free(none);
        }
    say("%ld rounds\n", count);
    return 0;
}
