/* Threads on the smallest stacks that pthreads allows (16 KiB), with a guard page: 8 threads
 * with N brief blocks each and 10 kept of 120 bytes by tight_keep(). Status 0.
 */
#include "common.h"
#include <limits.h>
#include <pthread.h>

static long count;
FRAME static void tight_keep(void) { keep(120); }

static void *body(void *unused) {
    for (long i = 0; i < count; i++) brief(1 + (size_t)(i % 500));
    for (int i = 0; i < 10; i++) tight_keep();
    return unused;
}

int main(int argc, char **argv) {
    count = number_argument(argc, argv, 1, 100000);
    pthread_t threads[8];
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    MUST(pthread_attr_setstacksize(&attributes, 16384) == 0);
    for (int t = 0; t < 8; t++) MUST(pthread_create(&threads[t], &attributes, body, NULL) == 0);
    for (int t = 0; t < 8; t++) pthread_join(threads[t], NULL);
    say("8 threads\n");
    return 0;
}
