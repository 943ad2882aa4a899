// Machine code made at run time without frame pointers, whose unwind information is given to
// __register_frame: the stacks go through it to main. N blocks of 32 bytes by way of made();
// then the information is taken away. Status 0.
#include "common.h"
#include <sys/mman.h>

extern "C" void __register_frame(void *);
extern "C" void __deregister_frame(void *);

namespace {
using made_code = void *(*)(size_t);

FRAME void *made(made_code code) {
    void *block = code(32);
    sink = block;
    return block;
}

unsigned char *put(unsigned char *at, const void *bytes, size_t length) {
    memcpy(at, bytes, length);
    return at + length;
}

// One CIE and one FDE for `length` bytes at `code`: 4 bytes in, the frame is 40 bytes larger.
void describe(unsigned char *room, const unsigned char *code, uint64_t length) {
    unsigned char *at = room + 4;
    const unsigned char common[] = {
        0, 0, 0, 0,        // a CIE
        1, 0,              // version, no augmentation
        1, 0x78, 16,       // code alignment 1, data alignment -8, return address in column 16
        0x0c, 7, 8,        // CFA = rsp + 8
        0x90, 1,           // return address at CFA - 8
        0, 0, 0, 0, 0, 0,  // nothing more
    };
    at = put(at, common, sizeof common);
    uint32_t size = static_cast<uint32_t>(at - room - 4);
    memcpy(room, &size, 4);
    unsigned char *entry = at;
    at += 4;
    uint32_t back = static_cast<uint32_t>(at - room);
    at = put(at, &back, 4);
    at = put(at, &code, 8);
    at = put(at, &length, 8);
    const unsigned char advance[] = {
        0x44,          // 4 bytes on:
        0x0e, 48,      // CFA = rsp + 48
        0, 0, 0, 0, 0,
    };
    at = put(at, advance, sizeof advance);
    size = static_cast<uint32_t>(at - entry - 4);
    memcpy(entry, &size, 4);
    memset(at, 0, 4);
}
}  // namespace

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 1000);
    static const unsigned char code[] = {
        0x48, 0x83, 0xec, 0x28,              // sub rsp, 40
        0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0,  // mov rax, malloc
        0xff, 0xd0,                          // call rax
        0x48, 0x83, 0xc4, 0x28,              // add rsp, 40
        0xc3,                                // ret
    };
    void *page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(page != MAP_FAILED);
    auto *bytes = static_cast<unsigned char *>(page);
    void *(*target)(size_t) = malloc;
    memcpy(bytes, code, sizeof code);
    memcpy(bytes + 6, &target, sizeof target);
    MUST(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
    static unsigned char information[256] __attribute__((aligned(8)));
    describe(information, bytes, sizeof code);
    __register_frame(information);
    for (long i = 0; i < count; i++) {
        MUST(made(reinterpret_cast<made_code>(page)) != nullptr);
        brief(10);
    }
    __deregister_frame(information);
    for (int i = 0; i < 100; i++) brief(20);
    say("%ld blocks\n", count);
    return 0;
}
