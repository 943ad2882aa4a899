/* The process ends while threads allocate. exit_among_threads HOW: `main` returns from main,
 * `other` calls exit in a thread, `quick` calls _exit, `exec` starts /bin/true instead (status 0), `last` ends main by pthread_exit and lets
 * the last thread end the process. Before, all 4 threads have kept 25 blocks of 88 bytes by
 * sure_keep(), and churn on. Status 5 (0 for `last`).
 */
#include "common.h"
#include <pthread.h>
#include <stdatomic.h>

static pthread_barrier_t all_kept;
static const char *how;
static atomic_int stop;

FRAME static void sure_keep(void) { for (int i = 0; i < 25; i++) sink = malloc(88); }

static void *body(void *argument) {
    sure_keep();
    pthread_barrier_wait(&all_kept);
    if (argument != NULL && strcmp(how, "other") == 0) exit(5);
    while (!atomic_load(&stop))
        for (size_t i = 1; i < 100; i++) brief(i * 10);
    return NULL;
}

int main(int argc, char **argv) {
    how = argc > 1 ? argv[1] : "main";
    pthread_t threads[4];
    pthread_barrier_init(&all_kept, NULL, 5);
    for (long t = 0; t < 4; t++) MUST(pthread_create(&threads[t], NULL, body, t == 0 ? "first" : NULL) == 0);
    pthread_barrier_wait(&all_kept);
    if (strcmp(how, "other") == 0) pthread_join(threads[0], NULL);
    if (strcmp(how, "quick") == 0) _exit(5);
    if (strcmp(how, "exec") == 0) execl("/bin/true", "true", (char *)NULL);
    if (strcmp(how, "last") == 0) {
        atomic_store(&stop, 1);
        pthread_exit(NULL);
    }
    return 5;
}
