/* dlopen and dlclose N times, two libraries in turn, while 3 threads allocate. plugins A B N:
 * plugin_a_keep and plugin_b_keep have N live blocks each, of 24 and 40 bytes. Each of the
 * other threads keeps 100 blocks of 72 bytes by churn_keep. Status 0.
 */
#include "common.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>

static atomic_int over;

FRAME static void churn_keep(void) { sink = malloc(72); }

static void *churn(void *unused) {
    for (long i = 0; i < 100 || !atomic_load(&over); i++) {
        if (i < 100) churn_keep();
        for (int k = 0; k < 50; k++) brief(16 + (size_t)k);
    }
    return unused;
}

FRAME static void use(const char *path) {
    void *library = dlopen(path, RTLD_NOW);
    MUST(library != NULL);
    int (*work)(void) = (int (*)(void))dlsym(library, "plugin_work");
    MUST(work != NULL && work() == 1);
    MUST(dlclose(library) == 0);
}

int main(int argc, char **argv) {
    MUST(argc > 2);
    long count = number_argument(argc, argv, 3, 500);
    pthread_t threads[3];
    for (int t = 0; t < 3; t++) MUST(pthread_create(&threads[t], NULL, churn, NULL) == 0);
    for (long i = 0; i < count; i++) {
        use(argv[1]);
        use(argv[2]);
    }
    atomic_store(&over, 1);
    for (int t = 0; t < 3; t++) pthread_join(threads[t], NULL);
    MUST(dlopen("/no/such/library.so", RTLD_NOW) == NULL && dlerror() != NULL);
    say("%ld times two libraries\n", count);
    return 0;
}
