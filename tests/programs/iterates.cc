// The loader's lock against a profiler's own: callbacks of dl_iterate_phdr that allocate (the
// loader's lock is held), beside a thread that loads and unloads a library, one that throws
// exceptions, and one that churns. iterates LIBRARY N: N blocks of 72 bytes by callback_keeps(),
// 2 x N by the library's plugin_a_keep and plugin_a_constructed, N caught exceptions that keep 40
// bytes each by catch_keeps(). Status 0.
#include "common.h"
#include <atomic>
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdexcept>

namespace {
long count;
const char *library;
std::atomic<bool> over;

FRAME void callback_keeps() { keep(72); }
FRAME void catch_keeps() { keep(40); }

int callback(dl_phdr_info *, size_t, void *first) {
    for (size_t i = 1; i < 10; i++) brief(i * 10);
    if (*static_cast<bool *>(first)) callback_keeps();
    *static_cast<bool *>(first) = false;
    return 0;
}

void *iterate(void *) {
    for (long i = 0; i < count; i++) {
        bool first = true;
        dl_iterate_phdr(callback, &first);
    }
    return nullptr;
}

void *load(void *) {
    for (long i = 0; i < count; i++) {
        void *handle = dlopen(library, RTLD_NOW);
        MUST(handle);
        auto work = reinterpret_cast<int (*)()>(dlsym(handle, "plugin_work"));
        MUST(work() == 1);
        dlclose(handle);
    }
    return nullptr;
}

FRAME void thrower(int depth) {
    brief(30);
    if (depth == 0) throw std::runtime_error("thrown");
    thrower(depth - 1);
    sink = &depth;
}

void *throw_and_catch(void *) {
    for (long i = 0; i < count; i++) {
        try {
            thrower(static_cast<int>(i % 9));
        } catch (const std::exception &) {
            catch_keeps();
        }
    }
    return nullptr;
}

void *churn(void *) {
    while (!over)
        for (size_t i = 1; i < 100; i++) brief(i);
    return nullptr;
}
}  // namespace

int main(int argc, char **argv) {
    MUST(argc > 2);
    library = argv[1];
    count = atol(argv[2]);
    pthread_t threads[4];
    void *(*const bodies[4])(void *) = {iterate, load, throw_and_catch, churn};
    for (int t = 0; t < 4; t++) MUST(pthread_create(&threads[t], nullptr, bodies[t], nullptr) == 0);
    for (int t = 0; t < 3; t++) pthread_join(threads[t], nullptr);
    over = true;
    pthread_join(threads[3], nullptr);
    say("%ld times\n", count);
    return 0;
}
