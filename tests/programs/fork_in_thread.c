/* A thread forks; in the child that thread is the only one, goes on allocating, starts two
 * threads of its own, and ends by pthread_exit of the first and exit of another. The child keeps
 * 6 blocks of 64 bytes by new_keeps() (3 threads, 2 each). The parent's threads keep 2 each of
 * 40 by old_keeps() (2 threads). Status 0.
 */
#include "common.h"
#include <pthread.h>
#include <sys/wait.h>

static pthread_barrier_t barrier;
FRAME static void new_keeps(void) { keep(64), keep(64); }
FRAME static void old_keeps(void) { keep(40), keep(40); }

static void *of_child(void *unused) {
    new_keeps();
    for (int i = 0; i < 50000; i++) brief(30);
    return unused;
}

static void *forks(void *unused) {
    old_keeps();
    pthread_barrier_wait(&barrier);
    pid_t child = fork();
    if (child == 0) {
        pthread_t threads[2];
        for (int t = 0; t < 2; t++) MUST(pthread_create(&threads[t], NULL, of_child, NULL) == 0);
        new_keeps();
        for (int t = 0; t < 2; t++) pthread_join(threads[t], NULL);
        exit(55);
    }
    int status;
    MUST(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 55);
    return unused;
}

static void *stays(void *unused) {
    old_keeps();
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 100000; i++) brief(30);
    return unused;
}

int main(void) {
    pthread_t threads[2];
    pthread_barrier_init(&barrier, NULL, 2);
    MUST(pthread_create(&threads[0], NULL, forks, NULL) == 0);
    MUST(pthread_create(&threads[1], NULL, stays, NULL) == 0);
    for (int t = 0; t < 2; t++) pthread_join(threads[t], NULL);
    say("forked in a thread\n");
    return 0;
}
