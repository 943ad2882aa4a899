/* Fibers whose stacks are unmapped as soon as they end, N of them, the next one often at the same
 * place and often elsewhere; some are abandoned in the middle and unmapped while their frames
 * still stand. Each keeps one block of 48 bytes by storm_keeps(), and between them main keeps one
 * of 56 by shore_keeps(). Every third fiber runs in another thread than the one before. Status 0.
 */
#include "common.h"
#include <pthread.h>
#include <sys/mman.h>
#include <ucontext.h>

#define STACK 65536
static __thread ucontext_t *home, *fiber;

FRAME static void storm_keeps(void) { keep(48); }
FRAME static void shore_keeps(void) { keep(56); }

FRAME static void below(int depth, int leave) {
    brief(20);
    if (depth > 0) below(depth - 1, leave);
    else {
        storm_keeps();
        if (leave) swapcontext(fiber, home);
    }
    brief(30);
}
static void run(int depth, int leave) { below(depth, leave); }

static void one(long number) {
    static __thread ucontext_t here, there;
    size_t size = STACK + (size_t)(number % 5) * 4096;
    char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(stack != MAP_FAILED);
    home = &here, fiber = &there;
    MUST(getcontext(&there) == 0);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = size;
    there.uc_link = &here;
    makecontext(&there, (void (*)(void))run, 2, (int)(number % 11), (int)(number % 4 == 0));
    MUST(swapcontext(&here, &there) == 0);
    MUST(munmap(stack, size) == 0);
    shore_keeps();
}

static void *in_thread(void *number) {
    one((long)(intptr_t)number);
    return NULL;
}

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 2000);
    for (long i = 0; i < count; i++) {
        if (i % 3 == 0) {
            pthread_t thread;
            MUST(pthread_create(&thread, NULL, in_thread, (void *)(intptr_t)i) == 0);
            pthread_join(thread, NULL);
        } else {
            one(i);
        }
    }
    say("%ld fibers\n", count);
    return 0;
}
