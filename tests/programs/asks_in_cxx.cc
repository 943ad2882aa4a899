// Loses blocks in a member function and in a function of a namespace, and asks LeakSanitizer's
// interface whether it leaks. Modes: member, plain.
// flags: -rdynamic
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" __attribute__((weak)) int __lsan_do_recoverable_leak_check();

namespace shop {
static void *volatile sink;
struct Till {
    __attribute__((noinline)) void lose() const { sink = std::malloc(64); }
};
__attribute__((noinline)) void lose(int count) { sink = std::malloc(64 + count); }
} // namespace shop

__attribute__((noinline)) static void wipe() {
    volatile char room[8192];
    std::memset(const_cast<char *>(room), 0, sizeof room);
}

int main(int argc, char **argv) {
    if (argc > 1 && !std::strcmp(argv[1], "member")) {
        shop::Till().lose();
    } else {
        shop::lose(argc);
    }
    shop::sink = nullptr;
    wipe();
    if (__lsan_do_recoverable_leak_check) {
        std::printf("%d\n", __lsan_do_recoverable_leak_check());
    }
}
