// Allocations while threads end. T threads, one after the other; each has
//   a C++ thread_local object whose destructor frees its 100 bytes and keeps 24 by in_destructor()
//   a pthread key whose destructor frees its 200 bytes, keeps 40 by in_key(), and sets the key
//   again for 2 more rounds with 200 bytes each (all freed but those kept: 3 x 40 a thread)
// Every second thread ends by pthread_exit, every fifth is cancelled while it waits.
// Live: T x 24 and 3 T x 40. Status 0.
#include "common.h"
#include <pthread.h>

namespace {
pthread_key_t key;
__thread int rounds;

FRAME void in_destructor() { keep(24); }
FRAME void in_key() { keep(40); }

struct Local {
    void *block = malloc(100);
    ~Local() {
        free(block);
        brief(33);
        in_destructor();
    }
};
thread_local Local local;

void key_destructor(void *block) {
    free(block);
    in_key();
    brief(44);
    if (++rounds < 3) pthread_setspecific(key, malloc(200));
}

void *body(void *argument) {
    long number = reinterpret_cast<intptr_t>(argument);
    sink = local.block;
    pthread_setspecific(key, malloc(200));
    if (number % 5 == 0)
        for (;;) pause();
    if (number % 2 == 0) pthread_exit(nullptr);
    return nullptr;
}
}  // namespace

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 200);
    MUST(pthread_key_create(&key, key_destructor) == 0);
    for (long i = 0; i < count; i++) {
        pthread_t thread;
        MUST(pthread_create(&thread, nullptr, body, reinterpret_cast<void *>(i)) == 0);
        if (i % 5 == 0) {
            // Deferred: acts at pause(), or at a point before it that has made nothing half.
            pthread_cancel(thread);
        }
        void *result;
        MUST(pthread_join(thread, &result) == 0);
        MUST((result == PTHREAD_CANCELED) == (i % 5 == 0));
    }
    say("%ld threads\n", count);
    return 0;
}
