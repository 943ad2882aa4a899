/* flags: -Wno-infinite-recursion
 * Jumps out of the middle of an allocation, by a signal handler (needs reentrant_allocator).
 *   timer     a 1 kHz timer whose handler leaves the churn by siglongjmp, N times
 *   overflow  a recursion that allocates until the stack ends; the handler of SIGSEGV, on another
 *             stack, leaves by siglongjmp; N times
 * Afterwards after_keeps() keeps 1000 blocks of 88 bytes, and a churn of 100000 leaves nothing.
 * What was between malloc and its use at a jump is lost to the program: at most N blocks. Status 0.
 */
#include "common.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

static sigjmp_buf home;
static volatile long jumps;

FRAME static void after_keeps(void) { for (int i = 0; i < 1000; i++) keep(88); }
FRAME static void quiet_churn(void) { for (int i = 0; i < 100000; i++) brief(1 + (size_t)i % 77); }

FRAME static void churn(uint32_t path, int depth) {
    brief(1 + path % 200);
    if (depth > 0) churn(path >> 1, depth - 1);
    brief(2 + path % 100);
}
FRAME static long overflow(long depth) {
    volatile char room[2000];
    room[0] = (char)depth;
    brief(16 + (size_t)depth % 64);
    return overflow(depth + 1) + room[0];
}

static void leave(int signal) {
    (void)signal;
    jumps++;
    siglongjmp(home, 1);
}

static void *body(void *argument) {
    const char *mode = ((char **)argument)[0];
    volatile long count = atol(((char **)argument)[1]);
    static char other_stack[65536] __attribute__((aligned(64)));
    stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
    MUST(sigaltstack(&stack, NULL) == 0);
    struct sigaction action = {.sa_handler = leave, .sa_flags = SA_ONSTACK};
    if (strcmp(mode, "timer") == 0) {
        struct itimerval each = {{0, 1000}, {0, 1000}}, none = {{0, 0}, {0, 0}};
        MUST(sigaction(SIGALRM, &action, NULL) == 0);
        sigsetjmp(home, 1);
        if (jumps == 0) MUST(setitimer(ITIMER_REAL, &each, NULL) == 0);
        for (uint32_t state = 1; jumps < count; state = state * 1664525u + 1013904223u) churn((state >> 7) % 64, (int)(state >> 27));
        MUST(setitimer(ITIMER_REAL, &none, NULL) == 0);
        signal(SIGALRM, SIG_IGN);
    } else {
        MUST(sigaction(SIGSEGV, &action, NULL) == 0);
        sigsetjmp(home, 1);
        if (jumps < count) overflow(jumps % 13);
        signal(SIGSEGV, SIG_DFL);
    }
    quiet_churn();
    after_keeps();
    stack.ss_flags = SS_DISABLE;
    sigaltstack(&stack, NULL);
    return NULL;
}

int main(int argc, char **argv) {
    MUST(argc > 2);
    if (strcmp(argv[1], "timer") == 0) {
        body(argv + 1);
    } else {
        /* On a stack whose end is near and known. */
        pthread_t thread;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        MUST(pthread_attr_setstacksize(&attributes, 262144) == 0);
        MUST(pthread_create(&thread, &attributes, body, argv + 1) == 0);
        pthread_join(thread, NULL);
    }
    say("%ld jumps\n", jumps);
    return 0;
}
