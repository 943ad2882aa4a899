/* T threads that free each other's blocks at once: each swaps its new block of 32 bytes into
 * one of 64 shared slots and frees what was there; N rounds per thread. The address of a freed
 * block comes back in another thread within nanoseconds, so a wrong order shows as a free
 * without an allocation or as a block that never ends. At the end the slots are emptied, but
 * for slot 0: exactly one block of swap_in() lives. With SHARE, the main thread makes SHARE rounds for
 * each that another makes, until the others have made N. Status 0.
 */
#include "common.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

static _Atomic(void *) slots[64];
static long count, share;
static _Atomic(long) of_main, running;

FRAME static void *swap_in(unsigned slot) {
    void *block = malloc(32);
    MUST(block);
    return atomic_exchange(&slots[slot], block);
}
FRAME static void *regrow(unsigned slot) {
    void *block = atomic_exchange(&slots[slot], NULL);
    block = realloc(block, 32 + slot);
    MUST(block);
    return atomic_exchange(&slots[slot], block);
}

static void *body(void *seed) {
    unsigned state = (unsigned)(uintptr_t)seed;
    for (long i = 0; share ? running > 0 && (seed == NULL || i < count) : i < count; i++) {
        if (share && seed == NULL) of_main++;
        while (share && seed && of_main < i * share) sched_yield();
        state = state * 1664525u + 1013904223u;
        unsigned slot = (state >> 10) % 64;
        free(state >> 30 ? swap_in(slot) : regrow(slot));
    }
    if (seed) running--;
    return NULL;
}

int main(int argc, char **argv) {
    long threads = number_argument(argc, argv, 1, 4);
    count = number_argument(argc, argv, 2, 200000);
    share = number_argument(argc, argv, 3, 0);
    pthread_t all[64];
    MUST(threads <= 64);
    running = threads;
    for (long t = 0; t < threads; t++) MUST(pthread_create(&all[t], NULL, body, (void *)(t + 1)) == 0);
    if (share) body(NULL);
    for (long t = 0; t < threads; t++) pthread_join(all[t], NULL);
    for (int s = 0; s < 64; s++) free(atomic_exchange(&slots[s], NULL));
    free(swap_in(0));
    say("%ld threads, %ld rounds\n", threads, count);
    return 0;
}
