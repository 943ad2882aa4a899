/* Two threads whose blocks live together at one moment only, held by barriers:
 * left() holds 30 x 10000 and right() 70 x 10000 between two barriers: peak 1000000 in
 * the sites of both. Before and after, each holds its own alone, with brief ones beside.
 * Afterwards last() keeps 5 x 100. Status 0.
 */
#include "common.h"
#include <pthread.h>

static pthread_barrier_t barrier;
static void *of_left[30], *of_right[70];

FRAME static void left(void) {
    for (int i = 0; i < 30; i++) of_left[i] = malloc(10000);
}
FRAME static void right(void) {
    for (int i = 0; i < 70; i++) of_right[i] = malloc(10000);
}
static void empty_left(void) {
    for (int i = 0; i < 30; i++) free(of_left[i]);
}
static void empty_right(void) {
    for (int i = 0; i < 70; i++) free(of_right[i]);
}
static void brief_ones(void) {
    for (int i = 0; i < 20000; i++) brief(64);
}

static void *other(void *unused) {
    brief_ones();
    pthread_barrier_wait(&barrier); /* 1: left has its own */
    right();
    pthread_barrier_wait(&barrier); /* 2: both */
    pthread_barrier_wait(&barrier); /* 3: left has freed */
    brief_ones();
    empty_right();
    return unused;
}

int main(void) {
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    MUST(pthread_create(&thread, NULL, other, NULL) == 0);
    left();
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    empty_left();
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    left();
    brief_ones();
    empty_left();
    for (int i = 0; i < 5; i++) keep(100);
    say("done\n");
    return 0;
}
