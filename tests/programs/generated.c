/* Machine code made at run time, without unwind information, that calls malloc.
 *   with_frames   keeps rbp as a frame pointer: N blocks of 32 bytes, main is on the stack
 *   without       uses rbp for something else (7): N blocks of 48 bytes, the stack may be short
 * Status 0.
 */
#include "common.h"
#include <sys/mman.h>

typedef void *(*made)(size_t);

static made make(const unsigned char *code, size_t length, size_t hole) {
    unsigned char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(page != MAP_FAILED);
    memcpy(page, code, length);
    void *(*target)(size_t) = malloc;
    memcpy(page + hole, &target, sizeof target);
    MUST(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
    return (made)(uintptr_t)page;
}

FRAME static void *with_frames(made code) {
    void *block = code(32);
    sink = block;
    return block;
}
FRAME static void *without(made code) {
    void *block = code(48);
    sink = block;
    return block;
}

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 2000);
    static const unsigned char framed[] = {
        0x55,                                     /* push rbp */
        0x48, 0x89, 0xe5,                         /* mov rbp, rsp */
        0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0,       /* mov rax, malloc */
        0xff, 0xd0,                               /* call rax */
        0x5d,                                     /* pop rbp */
        0xc3,                                     /* ret */
    };
    static const unsigned char frameless[] = {
        0x55,                                     /* push rbp */
        0xbd, 7, 0, 0, 0,                         /* mov ebp, 7 */
        0x48, 0x83, 0xec, 0x20,                   /* sub rsp, 32 */
        0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0,       /* mov rax, malloc */
        0xff, 0xd0,                               /* call rax */
        0x48, 0x83, 0xc4, 0x20,                   /* add rsp, 32 */
        0x5d,                                     /* pop rbp */
        0xc3,                                     /* ret */
    };
    made one = make(framed, sizeof framed, 6), two = make(frameless, sizeof frameless, 12);
    for (long i = 0; i < count; i++) {
        MUST(with_frames(one) != NULL);
        MUST(without(two) != NULL);
        brief(10);
    }
    say("%ld blocks each\n", count);
    return 0;
}
