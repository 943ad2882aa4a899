// Frees of every wrong kind, and their twins that are right (second argument "right").
// Modes: double, array, single, malloc, new, size, inside, realloc.
#include <cstdlib>
#include <cstring>
#include <new>

#define FRAME __attribute__((noinline))

struct Base {
    int a;
};
struct Derived : Base {
    char more[100];
};

static void *volatile sink;

template <class T> static T *keep(T *p) {
    sink = p;
    return p;
}

FRAME static void *make(size_t size) { return keep(static_cast<char *>(malloc(size))); }
FRAME static int *make_array() { return keep(new int[10]); }
FRAME static int *make_single() { return keep(new int); }
FRAME static void first_free(void *p) { free(p); }
FRAME static void last_free(void *p) { free(p); }

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    bool wrong = argc < 3;
    auto is = [mode](const char *name) { return !strcmp(mode, name); };
    if (is("double")) {
        void *p = make(100);
        first_free(p);
        if (wrong) {
            last_free(p); // glibc ends the program here
        }
    } else if (is("array")) {
        int *p = make_array();
        if (wrong) {
            delete p;
        } else {
            delete[] p;
        }
    } else if (is("single")) {
        int *p = make_single();
        if (wrong) {
            delete[] p;
        } else {
            delete p;
        }
    } else if (is("malloc")) {
        void *p = make(4);
        if (wrong) {
            delete static_cast<char *>(p);
        } else {
            free(p);
        }
    } else if (is("new")) {
        int *p = make_array();
        if (wrong) {
            last_free(p);
        } else {
            delete[] p;
        }
    } else if (is("size")) {
        Derived *p = keep(new Derived);
        if (wrong) {
            delete static_cast<Base *>(p);
        } else {
            delete p;
        }
    } else if (is("inside")) {
        char *p = static_cast<char *>(make(4096));
        if (wrong) {
            memset(p, 0, 4096);
            last_free(p + 64); // glibc ends the program here
        } else {
            last_free(p);
        }
    } else if (is("realloc")) {
        int *p = make_array();
        if (wrong) {
            free(realloc(p, 4000));
        } else {
            delete[] p;
        }
    }
    // Much that is right, among it what is easily mistaken.
    for (int i = 0; i < 1000; i++) {
        free(realloc(make(10), 20 + i));
        delete keep(new Derived);
        delete[] keep(new Derived[3]);
        operator delete(keep(operator new(0)), size_t(0));
        operator delete(keep(operator new(33, std::align_val_t(64))), size_t(33), std::align_val_t(64));
        free(aligned_alloc(64, 128));
        free(strdup("text"));
        free(nullptr);
        delete static_cast<int *>(nullptr);
    }
    return 0;
}
