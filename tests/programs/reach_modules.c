/* Blocks that libraries hold which are loaded at run time (LIBRARY: its path); see reach.h. */
#include "reach.h"
#include <dlfcn.h>
#include <pthread.h>

#ifndef LIBRARY
#define LIBRARY "nowhere"
#endif

static void *library;
static void (*hold)(int, void *);
static void (*hold_for_thread)(void *);

FRAME static void load(void) {
    library = dlopen(LIBRARY, RTLD_NOW);
    MUST(library != NULL);
    hold = (void (*)(int, void *))dlsym(library, "hold");
    hold_for_thread = (void (*)(void *))dlsym(library, "hold_for_thread");
    MUST(hold != NULL && hold_for_thread != NULL);
}

CASE(kept_by_a_variable_of_the_library) { load(); hold(2, reachable(30)); lose(40); }
CASE(kept_by_a_thread_local_of_the_library) { load(); hold_for_thread(reachable(30)); }
CASE(held_by_a_library_that_was_closed) {
    load();
    hold(2, unreachable(30));
    MUST(dlclose(library) == 0);
}
CASE(held_by_a_library_that_was_closed_and_loaded_again) {
    load();
    hold(2, unreachable(30));
    MUST(dlclose(library) == 0);
    load();
    hold(2, reachable(30));
}

static int ready;
static void *waits(void *unused) {
    hold_for_thread(reachable(30));
    __atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
    for (;;) pause();
    return unused;
}
CASE(kept_by_a_thread_local_of_another_thread) {
    pthread_t thread;
    load();
    MUST(pthread_create(&thread, NULL, waits, NULL) == 0);
    while (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE)) sched_yield();
}

int main(int argc, char **argv) { return run_cases(argc, argv); }
