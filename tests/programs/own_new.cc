// A program that replaces operator new and delete by its own, on top of malloc: each
// block is counted once, by the malloc inside. N blocks of 56 bytes are made in make()
// and every second one deleted. Status 0.
#include "common.h"
#include <new>

void *operator new(std::size_t size) {
    if (void *block = malloc(size)) return block;
    throw std::bad_alloc{};
}
void operator delete(void *block) noexcept { free(block); }
void operator delete(void *block, std::size_t) noexcept { free(block); }

namespace {
struct Thing { char bytes[56]; };

FRAME Thing *make() {
    Thing *thing = new Thing;
    sink = thing;
    return thing;
}
}  // namespace

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 100);
    for (long i = 0; i < count; i++) {
        Thing *thing = make();
        if (i % 2) delete thing;
    }
    say("%ld things\n", count);
    return 0;
}
