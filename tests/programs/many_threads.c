/* N short threads, 8 at a time, each with 5 brief blocks; those with a number divisible by 100
 * keep one of 56 bytes by thread_keep(). Detached ones are waited for by a counter. Status 0.
 */
#include "common.h"
#include <pthread.h>

#define ATONCE 8

FRAME static void thread_keep(void) { keep(56); }

static void *body(void *argument) {
    long number = (long)(intptr_t)argument;
    for (int i = 0; i < 5; i++) brief(10 + (size_t)i);
    if (number % 100 == 0) thread_keep();
    return NULL;
}

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 100000);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 65536);
    for (long i = 0; i < count;) {
        pthread_t threads[ATONCE];
        int now = 0;
        for (; now < ATONCE && i < count; now++, i++)
            MUST(pthread_create(&threads[now], &attributes, body, (void *)(intptr_t)i) == 0);
        for (int t = 0; t < now; t++) pthread_join(threads[t], NULL);
    }
    say("%ld threads\n", count);
    return 0;
}
