/* Temporary blocks: freed before their thread's next allocation.
 *   brief_ones    N blocks of 48 bytes freed at once: N temporary
 *   nested_ones   N pairs a, b freed as b, a: the N of `inner` are, the N of `outer` are not
 *   lasting_ones  N blocks freed after the next one was made: none but the last could be, and
 *                 that one is kept
 * Status 0.
 */
#include "common.h"

FRAME static void *inner(void) { return sink = malloc(32), sink; }
FRAME static void *outer(void) { return sink = malloc(64), sink; }
FRAME static void *lasting(void) { return sink = malloc(80), sink; }

FRAME static void brief_ones(long count) {
    for (long i = 0; i < count; i++) brief(48);
}
FRAME static void nested_ones(long count) {
    for (long i = 0; i < count; i++) {
        void *a = outer(), *b = inner();
        free(b);
        free(a);
    }
}
FRAME static void lasting_ones(long count) {
    void *before = NULL;
    for (long i = 0; i < count; i++) {
        void *now = lasting();
        free(before);
        before = now;
    }
}

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 1000);
    brief_ones(count);
    nested_ones(count);
    lasting_ones(count);
    say("%ld each\n", count);
    return 0;
}
