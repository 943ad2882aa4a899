// flags: -shared -fPIC
// A C++ library for a program without C++, see loads_cxx.c. Its constructor waits for a thread
// that makes an object, while the loader's lock is held.
#include "common.h"
#include <new>
#include <pthread.h>

namespace {
struct alignas(64) Wide { char bytes[64]; };

int handled;
void handler() {
    handled++;
    std::set_new_handler(nullptr);
}

template <typename New> int fails(New make) {
    std::set_new_handler(handler);
    try {
        return make() == nullptr ? 1 : 0;
    } catch (const std::bad_alloc &) {
        return 2;
    }
}

FRAME void *constructed(void *) {
    sink = new char[16];
    return nullptr;
}

struct Waits {
    Waits() {
        pthread_t thread;
        MUST(pthread_create(&thread, nullptr, constructed, nullptr) == 0);
        pthread_join(thread, nullptr);
    }
} waits;
}  // namespace

extern "C" FRAME void cxx_plugin_keeps() { sink = new char[40]; }
extern "C" FRAME void cxx_plugin_keeps_wide() { sink = new Wide; }
extern "C" FRAME void cxx_plugin_passes() {
    int *volatile one = new int(1);
    delete one;
    Wide *volatile wide = new (std::nothrow) Wide;
    delete wide;
    char *volatile none = new char[0];
    delete[] none;
}

// No memory: the handler is called, then bad_alloc thrown, or null returned.
extern "C" void cxx_plugin_fails() {
    const std::size_t huge = std::size_t{1} << 60;
    int plain = fails([&] { return ::operator new(huge); });
    int array = fails([&] { return ::operator new[](huge); });
    int wide = fails([&] { return ::operator new(huge, std::align_val_t{64}); });
    int calm = fails([&] { return ::operator new(huge, std::nothrow); });
    int calm_wide = fails([&] { return ::operator new(huge, std::align_val_t{64}, std::nothrow); });
    say("%d %d %d %d %d, handled %d\n", plain, array, wide, calm, calm_wide, handled);
}
