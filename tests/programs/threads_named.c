/* Names of threads that others give, or that are given before a thread allocates. main is called
 * chief by prctl; a thread that has not allocated yet is called early by main, one that has is
 * called later by main and allocates no more. Each keeps one block of 48 bytes by keep(). Status 0.
 */
#include "common.h"
#include <pthread.h>
#include <sys/prctl.h>

static pthread_barrier_t barrier;

static void *early(void *argument) {
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    keep(48);
    return argument;
}

static void *later(void *argument) {
    keep(48);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return argument;
}

int main(void) {
    pthread_t first, second;
    keep(48);
    pthread_barrier_init(&barrier, NULL, 3);
    MUST(pthread_create(&first, NULL, early, NULL) == 0);
    MUST(pthread_create(&second, NULL, later, NULL) == 0);
    pthread_barrier_wait(&barrier);
    MUST(prctl(PR_SET_NAME, "chief") == 0);
    MUST(pthread_setname_np(first, "early") == 0);
    MUST(pthread_setname_np(second, "later") == 0);
    MUST(pthread_setname_np(second, "a name that is too long") == ERANGE);
    pthread_barrier_wait(&barrier);
    pthread_join(first, NULL);
    pthread_join(second, NULL);
    say("named\n");
    return 0;
}
