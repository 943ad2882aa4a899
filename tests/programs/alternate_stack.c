/* A handler that allocates on an alternate stack of 8 KiB between guard pages, N times.
 *   first   the handler's allocations are the first of the process (and of a thread)
 *   later   after a churn on the ordinary stack
 * By way of three functions (alt_one, alt_two, alt_three: 16, 24, 40 bytes) in turn; every
 * tenth block of each is kept. Status 0.
 */
#include "common.h"
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#define SIZE 8192
static volatile long number;
static volatile int overflowed_into_handler;

FRAME static void done_with(void *block) {
    if (number / 3 % 10 == 0)
        sink = block;
    else
        free(block);
}
FRAME static void alt_one(void) { done_with(malloc(16)); }
FRAME static void alt_two(void) {
    volatile char room[64];
    room[0] = 1;
    done_with(malloc(24));
    sink = (void *)room;
}
FRAME static void alt_three(void) {
    void *block = malloc(10);
    done_with(realloc(block, 40));
}

FRAME static void on_signal(int signal) {
    (void)signal;
    switch (number % 3) {
    case 0: alt_one(); break;
    case 1: alt_two(); break;
    default: alt_three(); break;
    }
}

static void *body(void *argument) {
    long count = *(long *)argument;
    char *place = mmap(NULL, 3 * SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(place != MAP_FAILED && mprotect(place + SIZE, SIZE, PROT_READ | PROT_WRITE) == 0);
    stack_t stack = {.ss_sp = place + SIZE, .ss_size = SIZE};
    MUST(sigaltstack(&stack, NULL) == 0);
    for (number = 0; number < count; number++) MUST(raise(SIGUSR1) == 0);
    stack.ss_flags = SS_DISABLE;
    MUST(sigaltstack(&stack, NULL) == 0);
    return NULL;
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "first";
    long count = number_argument(argc, argv, 2, 3000);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    MUST(sigaction(SIGUSR1, &action, NULL) == 0);
    if (strcmp(mode, "later") == 0)
        for (int i = 0; i < 100000; i++) brief(1 + (size_t)i % 100);
    body(&count);
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, body, &count) == 0);
    pthread_join(thread, NULL);
    say("%s: 2 x %ld signals\n", mode, count);
    return 0;
}
