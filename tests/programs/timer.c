/* A 1 kHz timer whose handler allocates and frees, in each of T threads that churn. Needs an
 * allocator that may be interrupted by itself (reentrant_allocator). timer T TICKS:
 * every thread runs until its handler has run TICKS times. on_tick() makes 3 blocks and frees 2;
 * the third is freed too, but for the first 100 ticks of the thread: T x 100 of 24 bytes live.
 * churn leaves nothing. The exact counts go to the file `counts`. Status 0.
 */
#include "common.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>

#define MOST 8
static long wanted_ticks;
static struct counts {
    volatile long ticks, handler_blocks, churn_blocks, churn_reallocs;
} counts[MOST];
static __thread struct counts *own;
static __thread void *volatile handed_over;

FRAME static void *tick_block(size_t size) {
    void *block = malloc(size);
    MUST(block);
    own->handler_blocks++;
    return block;
}

FRAME static void on_tick(int signal) {
    (void)signal;
    int before = errno;
    void *a = tick_block(16), *b = tick_block(200), *c = tick_block(24);
    b = realloc(b, 300);
    free(a);
    free(b);
    if (own->ticks >= 100) free(c);
    own->ticks++;
    errno = before;
}

FRAME static void leaf(size_t size) {
    void *block = malloc(size);
    MUST(block);
    own->churn_blocks++;
    if (size % 3 == 0) {
        block = realloc(block, size * 2);
        own->churn_reallocs++;
    }
    free(block);
}
FRAME static void churn(uint32_t path, int depth) {
    volatile char room[48];
    room[0] = 1;
    if (depth == 0) {
        leaf(1 + path % 300);
    } else if (path & 1) {
        churn(path >> 1, depth - 1);
    } else {
        volatile char more[1 + path % 100];
        more[0] = 1;
        churn(path >> 1, depth - 1);
        sink = (void *)more;
    }
    sink = (void *)room;
}

static void *body(void *argument) {
    own = argument;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 3};
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    timer_t timer;
    MUST(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    struct itimerspec each = {{0, 1000000}, {0, 1000000}};
    MUST(timer_settime(timer, 0, &each, NULL) == 0);
    uint32_t state = 1;
    while (own->ticks < wanted_ticks) {
        state = state * 1664525u + 1013904223u;
        churn((state >> 4) % 64, (int)(state >> 28) + 2);
    }
    timer_delete(timer);
    return NULL;
}

int main(int argc, char **argv) {
    long threads = number_argument(argc, argv, 1, 1);
    wanted_ticks = number_argument(argc, argv, 2, 2000);
    MUST(threads <= MOST && wanted_ticks >= 100);
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    MUST(sigaction(SIGRTMIN + 3, &action, NULL) == 0);
    pthread_t all[MOST];
    for (long t = 1; t < threads; t++) MUST(pthread_create(&all[t], NULL, body, &counts[t]) == 0);
    body(&counts[0]);
    for (long t = 1; t < threads; t++) pthread_join(all[t], NULL);

    long handler_blocks = 0, churn_blocks = 0, churn_reallocs = 0, ticks = 0;
    for (long t = 0; t < threads; t++) {
        ticks += counts[t].ticks;
        handler_blocks += counts[t].handler_blocks;
        churn_blocks += counts[t].churn_blocks;
        churn_reallocs += counts[t].churn_reallocs;
    }
    char text[200];
    int length = snprintf(text, sizeof text, "%ld %ld %ld %ld\n", ticks, handler_blocks, churn_blocks, churn_reallocs);
    int file = open("counts", O_CREAT | O_WRONLY | O_TRUNC, 0600);
    MUST(write(file, text, (size_t)length) == length);
    close(file);
    say("%ld threads ticked\n", threads);
    return 0;
}
