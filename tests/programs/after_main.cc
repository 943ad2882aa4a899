// Allocations after main: each keeps 10 blocks: at_exit 16 bytes (by atexit), of_static 24 (the
// destructor of a static object), of_local_static 32, destroyed 40 (attribute destructor), and
// before main: constructed 48 (attribute constructor), of_initialiser 56. Each frees one block
// made before, and makes brief ones. Status 3, by return from main.
#include "common.h"

namespace {
void *from_before;

FRAME void at_exit_keep() { for (int i = 0; i < 10; i++) keep(16); brief(5); }
FRAME void of_static_keep() { for (int i = 0; i < 10; i++) keep(24); brief(5); }
FRAME void of_local_static_keep() { for (int i = 0; i < 10; i++) keep(32); brief(5); }
FRAME void destroyed_keep() { for (int i = 0; i < 10; i++) keep(40); brief(5); }
FRAME void constructed_keep() { for (int i = 0; i < 10; i++) keep(48); brief(5); }
FRAME void of_initialiser_keep() { for (int i = 0; i < 10; i++) keep(56); brief(5); }

struct Static {
    void *block;
    Static() : block(malloc(64)) { of_initialiser_keep(); }
    ~Static() { free(block); of_static_keep(); }
} one;

struct LocalStatic {
    void *block = malloc(64);
    ~LocalStatic() { free(block); of_local_static_keep(); }
};

__attribute__((constructor)) void constructed() { from_before = malloc(72); constructed_keep(); }
__attribute__((destructor)) void destroyed() { destroyed_keep(); }

void at_exit() {
    free(from_before);
    at_exit_keep();
}
}  // namespace

int main() {
    static LocalStatic local;
    sink = &local;
    atexit(at_exit);
    say("main ends\n");
    return 3;
}
