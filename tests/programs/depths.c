/* Threads that walk a tree of calls at random, each path new: the table of stacks grows while
 * all of them add to it. Argument: threads (default 4). Each makes 2,000 blocks in down(), of
 * 16 bytes for each of its frames on the stack, and frees them. Status 0.
 */
#include "common.h"
#include <pthread.h>

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
    return *state;
}

FRAME static void down(uint64_t *state, unsigned depth, unsigned most) {
    if (depth == most) {
        void *volatile block = malloc(16 * depth);
        MUST(block);
        free(block);
        __asm__ volatile("" : : : "memory");
        return;
    }
    switch (next_random(state) & 3) {
    case 0: down(state, depth + 1, most); __asm__ volatile("# 0" : : : "memory"); break;
    case 1: down(state, depth + 1, most); __asm__ volatile("# 1" : : : "memory"); break;
    case 2: down(state, depth + 1, most); __asm__ volatile("# 2" : : : "memory"); break;
    default: down(state, depth + 1, most); __asm__ volatile("# 3" : : : "memory"); break;
    }
}

static void *walks(void *seed) {
    uint64_t state = (uintptr_t)seed;
    for (int i = 0; i < 2000; i++) down(&state, 1, 1 + next_random(&state) % 12);
    return NULL;
}

int main(int argc, char **argv) {
    int count = argc > 1 ? atoi(argv[1]) : 4;
    pthread_t threads[64];
    for (int t = 0; t < count; t++)
        MUST(pthread_create(&threads[t], NULL, walks, (void *)(uintptr_t)(0x9e3779b97f4a7c15u * (t + 1))) == 0);
    for (int t = 0; t < count; t++) pthread_join(threads[t], NULL);
    say("%d threads walked\n", count);
    return 0;
}
