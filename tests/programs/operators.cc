// Every form of operator new and delete, N times each, counted once.
// Kept by kept(): N blocks by each of the 8 forms of new, 40 bytes each (aligned ones: 128).
// freed(): each of the forms of delete, after the form of new that belongs to it; nothing lives.
// throws(): new that fails with bad_alloc or a null pointer; counts nothing of its own
// (libstdc++ makes the exception by malloc and frees it).
// operators N calm: without throws(), which some allocators answer by abort.
// Prints N. Status 0.
#include "common.h"
#include <new>

namespace {
constexpr std::align_val_t line{64};

struct alignas(64) Wide { char bytes[128]; };
struct Plain { char bytes[40]; };
struct WithDestructor { char bytes[40]; ~WithDestructor() { sink = bytes; } };

FRAME void kept() {
    sink = ::operator new(40);
    sink = ::operator new[](40);
    sink = ::operator new(40, std::nothrow);
    sink = ::operator new[](40, std::nothrow);
    sink = ::operator new(128, line);
    sink = ::operator new[](128, line);
    sink = ::operator new(128, line, std::nothrow);
    sink = ::operator new[](128, line, std::nothrow);
}

template <typename T> T *used(T *block) {
    sink = block;
    return static_cast<T *>(sink);
}

FRAME void freed() {
    ::operator delete(used(::operator new(40)));
    ::operator delete(used(::operator new(40)), std::size_t{40});
    ::operator delete(used(::operator new(40)), std::nothrow);
    ::operator delete[](used(::operator new[](40)));
    ::operator delete[](used(::operator new[](40)), std::size_t{40});
    ::operator delete[](used(::operator new[](40)), std::nothrow);
    ::operator delete(used(::operator new(128, line)), line);
    ::operator delete(used(::operator new(128, line)), std::size_t{128}, line);
    ::operator delete(used(::operator new(128, line)), line, std::nothrow);
    ::operator delete[](used(::operator new[](128, line)), line);
    ::operator delete[](used(::operator new[](128, line)), std::size_t{128}, line);
    ::operator delete[](used(::operator new[](128, line)), line, std::nothrow);
    delete used(new Plain);
    delete[] used(new Plain[3]);
    delete used(new Wide);
    delete[] used(new Wide[3]);
    delete[] used(new WithDestructor[3]);
    void *volatile none = nullptr;
    ::operator delete(none);
    ::operator delete[](none);
}

FRAME void throws() {
    volatile std::size_t most = SIZE_MAX / 2;
    bool caught = false;
    try {
        sink = ::operator new(most);
    } catch (const std::bad_alloc &) {
        caught = true;
    }
    MUST(caught);
    MUST(::operator new(most, std::nothrow) == nullptr);
    caught = false;
    try {
        sink = ::operator new[](most, line);
    } catch (const std::bad_alloc &) {
        caught = true;
    }
    MUST(caught);
    MUST(::operator new(most, line, std::nothrow) == nullptr);
}
}  // namespace

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 100);
    for (long i = 0; i < count; i++) {
        kept();
        freed();
        if (argc < 3) throws();
    }
    say("%ld rounds\n", count);
    return 0;
}
