/* flags: -Wno-infinite-recursion
 * longjmp over frames whose stacks were captured: the frames kept from before the jump must
 * not be taken for those after it. Each of N rounds: by way of left() -> shared() and
 * right() -> shared(), a block of 32 and one of 48 bytes kept, with a jump back to main from
 * below shared() in between. left: N of 32; right: N of 48; no site has both. Status 0.
 */
#include "common.h"
#include <setjmp.h>

static jmp_buf home;

FRAME static void below(int depth) {
    brief(8);
    if (depth == 0) longjmp(home, 1);
    below(depth - 1);
    sink = &depth;
}
FRAME static void shared(size_t size, int depth) {
    keep(size);
    below(depth);
    sink = &depth;
}
FRAME static void left(int depth) {
    shared(32, depth);
    sink = &depth;
}
FRAME static void right(int depth) {
    volatile char pad[200];
    pad[0] = 1;
    sink = (void *)pad;
    shared(48, depth);
    sink = &depth;
}

int main(int argc, char **argv) {
    volatile long count = number_argument(argc, argv, 1, 1000);
    for (volatile long i = 0; i < count; i++) {
        if (setjmp(home) == 0) left((int)(i % 7));
        if (setjmp(home) == 0) right((int)(i % 5));
    }
    say("%ld rounds\n", count);
    return 0;
}
