/* 16 threads churn while the main thread forks N children, one after the other: each child
 * allocates and frees 100 blocks, frees one of the parent's, keeps 3 of 64 bytes by
 * storm_child_keeps(), and ends (exit for even numbers, _exit for odd ones). fork_storm N
 * [threads]: with `threads`, 4 of the threads fork too, N / 4 each. Status 0.
 */
#include "common.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

static atomic_int over;
static void *gift;

FRAME static void storm_child_keeps(void) { for (int i = 0; i < 3; i++) keep(64); }

static void have_child(long number) {
    pid_t child = fork();
    if (child == 0) {
        for (size_t i = 1; i < 101; i++) brief(i * 8);
        free(gift);
        storm_child_keeps();
        if (number % 2) _exit(21);
        /* Not exit from a thread's child: handlers of the parent's threads are not the point. */
        exit(21);
    }
    int status;
    MUST(child > 0 && waitpid(child, &status, 0) == child);
    MUST(WIFEXITED(status) && WEXITSTATUS(status) == 21);
}

static void *churn(void *unused) {
    while (!atomic_load(&over))
        for (size_t i = 1; i < 200; i++) brief(i * 5);
    return unused;
}

static void *fork_too(void *argument) {
    long count = *(long *)argument;
    for (long i = 0; i < count; i++) {
        brief(40);
        have_child(1);
    }
    return NULL;
}

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 50);
    pthread_t threads[20];
    int all = 0;
    gift = malloc(123);
    for (; all < 16; all++) MUST(pthread_create(&threads[all], NULL, churn, NULL) == 0);
    if (argc > 2) {
        long share = count / 4;
        for (; all < 20; all++) MUST(pthread_create(&threads[all], NULL, fork_too, &share) == 0);
        for (int t = 16; t < 20; t++) pthread_join(threads[t], NULL);
    } else {
        for (long i = 0; i < count; i++) have_child(i);
    }
    atomic_store(&over, 1);
    for (int t = 0; t < 16; t++) pthread_join(threads[t], NULL);
    free(gift);
    say("%ld children\n", count);
    return 0;
}
