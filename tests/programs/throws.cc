// Exceptions through frames that hold allocations. N rounds: outer() -> middle() (holds a
// std::string and a vector) -> thrower() (keeps 1 block of 24 bytes by keep_before, throws).
// caught() then keeps one of 40 bytes by keep_after. The exception and the strings are freed:
// live are N x 24 and N x 40. Status 0.
#include "common.h"
#include <stdexcept>
#include <string>
#include <vector>

namespace {
FRAME void keep_before() { keep(24); }
FRAME void keep_after() { keep(40); }

FRAME void thrower(int depth) {
    std::string text(100, 'x');
    sink = &text[0];
    if (depth == 0) {
        keep_before();
        throw std::runtime_error("a message too long for the small-string buffer: " + text);
    }
    thrower(depth - 1);
    sink = &text[0];
}
FRAME void middle(int depth) {
    std::string text(200, 'y');
    std::vector<int> numbers(100, depth);
    sink = &text[0];
    sink = numbers.data();
    thrower(depth);
    sink = &text[0];
}
FRAME int caught(int depth) {
    try {
        middle(depth);
    } catch (const std::exception &error) {
        keep_after();
        return static_cast<int>(std::string(error.what()).size());
    }
    return 0;
}
}  // namespace

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 500), sum = 0;
    for (long i = 0; i < count; i++) sum += caught(static_cast<int>(i % 6));
    say("%ld\n", sum);
    return 0;
}
