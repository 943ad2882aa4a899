// Names for the report: a leak in an inlined member function of a template in a namespace.
// Keeps 17 blocks of 1000 bytes: the stack is malloc's caller
// store::Shelf<int>::put(int) (inlined) in store::fill(int) in main; and 3 of 50 by
// store::Shelf<char>::lose(). Status 0.
#include "common.h"

namespace store {
template <typename T> struct Shelf {
    T *goods;
    __attribute__((always_inline)) inline void put(int count) {
        goods = static_cast<T *>(malloc(1000));  // THE LEAKING LINE
        goods[0] = static_cast<T>(count);
        sink = goods;
    }
    FRAME void lose() { sink = malloc(50); }
};

FRAME void fill(int count) {
    Shelf<int> shelf;
    for (int i = 0; i < count; i++) shelf.put(i);
}
}  // namespace store

int main() {
    store::fill(17);
    store::Shelf<char> other;
    for (int i = 0; i < 3; i++) other.lose();
    say("filled\n");
    return 0;
}
