// Leaks of every pattern, and their twins that are right (second argument "right").
// Modes: cycle, list, thread, overwrite, error, grow.
#include <cstdlib>
#include <cstring>
#include <list>
#include <memory>
#include <pthread.h>

#define FRAME __attribute__((noinline))

struct Node {
    std::shared_ptr<Node> next;
    std::weak_ptr<Node> weak;
    char more[100];
};

FRAME static void make_cycle(bool wrong) {
    auto first = std::make_shared<Node>();
    auto second = std::make_shared<Node>();
    first->next = second;
    if (wrong) {
        second->next = first;
    } else {
        second->weak = first;
    }
}

// A ring of pointers that counts nothing: lost, but no cycle of references.
FRAME static void lose_list() {
    auto list = new std::list<int>();
    for (int i = 0; i < 4; i++) {
        list->push_back(i);
    }
}

static pthread_key_t key;

FRAME static void *make_own() { return malloc(500); }

static void *work(void *unused) {
    (void)unused;
    pthread_setspecific(key, make_own());
    return nullptr;
}

static void *held;

FRAME static void *make_next() { return malloc(300); }

FRAME static void *make_some() { return malloc(200); }

FRAME static void overwrite(bool wrong) {
    for (int i = 0; i < 6; i++) {
        if (!wrong) {
            free(held);
        }
        held = make_next();
    }
}

FRAME static int handle(int i, bool wrong) {
    void *request = make_some();
    memset(request, i, 200);
    if (i % 25 == 0 && wrong) {
        return -1;
    }
    free(request);
    return 0;
}

// One array that grows step by step is no array that was freed often and lost once.
FRAME static void *grow_more(void *array, int size) { return realloc(array, size); }

FRAME static void lose_array() {
    void *array = nullptr;
    for (int i = 1; i < 40; i++) {
        array = grow_more(array, i * 1000);
        memset(array, i, i * 1000);
    }
}

// Leaves nothing of what was called before on the stack.
FRAME static void forget() {
    volatile char stack[16384];
    memset(const_cast<char *>(stack), 0, sizeof stack);
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    bool wrong = argc < 3;
    if (!strcmp(mode, "cycle")) {
        make_cycle(wrong);
    } else if (!strcmp(mode, "list")) {
        lose_list();
    } else if (!strcmp(mode, "grow")) {
        lose_array();
    } else if (!strcmp(mode, "thread")) {
        pthread_key_create(&key, wrong ? nullptr : free);
        for (int i = 0; i < 4; i++) {
            pthread_t thread;
            pthread_create(&thread, nullptr, work, nullptr);
            pthread_join(thread, nullptr);
        }
    } else if (!strcmp(mode, "overwrite")) {
        overwrite(wrong);
    } else if (!strcmp(mode, "error")) {
        int failed = 0;
        for (int i = 0; i < 100; i++) {
            failed += handle(i, wrong);
        }
        if (failed > 0) {
            return 1;
        }
    }
    forget();
    return 0;
}
