/* Three threads named alpha, beta and gamma keep 1, 2 and 3 blocks of 64 bytes by named_keep();
 * all three keep one of 96 bytes by common_keep(), on the same stack. Status 0.
 */
#include "common.h"
#include <pthread.h>

FRAME static void named_keep(void) { keep(64); }
FRAME static void common_keep(void) { keep(96); }

static void *body(void *argument) {
    static const char *const names[] = {"alpha", "beta", "gamma"};
    long number = (long)(intptr_t)argument;
    MUST(pthread_setname_np(pthread_self(), names[number]) == 0);
    for (long i = 0; i <= number; i++) named_keep();
    common_keep();
    return NULL;
}

int main(void) {
    pthread_t threads[3];
    for (long t = 0; t < 3; t++) MUST(pthread_create(&threads[t], NULL, body, (void *)t) == 0);
    for (long t = 0; t < 3; t++) pthread_join(threads[t], NULL);
    say("three\n");
    return 0;
}
