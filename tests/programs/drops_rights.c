/* A threaded program that gives up its rights: 4 threads churn; main calls setresgid and
 * setresuid to 65534 (glibc makes every thread do it, and waits for each), again 50000 kept
 * blocks of 40 bytes by unprivileged_keeps(), and 100 before by privileged_keeps(). Prints the
 * ids of all threads. Must be started as root. Status 0.
 */
#include "common.h"
#include <grp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

static atomic_int over;
static pthread_barrier_t barrier;
FRAME static void unprivileged_keeps(long count) { for (long i = 0; i < count; i++) keep(40); }
FRAME static void privileged_keeps(long count) { for (long i = 0; i < count; i++) keep(40); }

static void *churn(void *where) {
    pthread_barrier_wait(&barrier);
    while (!atomic_load(&over))
        for (size_t i = 1; i < 200; i++) brief(i * 3);
    *(long *)where = syscall(SYS_geteuid);
    return NULL;
}

int main(void) {
    pthread_t threads[4];
    long ids[4];
    pthread_barrier_init(&barrier, NULL, 5);
    for (int t = 0; t < 4; t++) MUST(pthread_create(&threads[t], NULL, churn, &ids[t]) == 0);
    pthread_barrier_wait(&barrier);
    privileged_keeps(100);
    MUST(setgroups(0, NULL) == 0);
    MUST(setresgid(65534, 65534, 65534) == 0);
    MUST(setresuid(65534, 65534, 65534) == 0);
    unprivileged_keeps(50000);
    atomic_store(&over, 1);
    for (int t = 0; t < 4; t++) pthread_join(threads[t], NULL);
    say("%ld %ld %ld %ld %d\n", ids[0], ids[1], ids[2], ids[3], (int)getuid());
    return 0;
}
