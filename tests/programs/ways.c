/* flags: -fno-optimize-sibling-calls
 * A loop that calls 16 functions in turn, each four times, through one call site; each goes its own
 * way of up to 9 frames to keep(8), many with equal stack pointers. After each call, through the
 * same call site, a function with realigned locals, whose frame is found by way of another
 * register, makes three blocks of 24 bytes. N rounds. main is on every stack. Status 0.
 */
#include "common.h"

FRAME static void last(int depth) {
    if (depth > 0)
        last(depth - 1);
    else
        keep(8);
    sink = &depth;
}

#define WAY(n)                                  \
    FRAME static void inner_##n(int depth) {    \
        volatile char room[16 * (n % 3 + 1)];   \
        room[0] = 1;                            \
        last(depth);                            \
        sink = (void *)room;                    \
    }                                           \
    FRAME static void way_##n(int round) {      \
        inner_##n((n + round / 64) % 7);      \
        sink = &round;                          \
    }
WAY(0) WAY(1) WAY(2) WAY(3) WAY(4) WAY(5) WAY(6) WAY(7)
WAY(8) WAY(9) WAY(10) WAY(11) WAY(12) WAY(13) WAY(14) WAY(15)

FRAME static void realigned(int round) {
    _Alignas(128) volatile char room[256];
    char *more = __builtin_alloca((size_t)(round % 50 + 1));
    room[0] = more[0] = 1;
    for (int i = 0; i < 3; i++) {
        keep(24);
        sink = more;
    }
    sink = (void *)room;
}

static void (*volatile ways[])(int) = {
    way_0, way_1, way_2,  way_3,  way_4,  way_5,  way_6,  way_7,
    way_8, way_9, way_10, way_11, way_12, way_13, way_14, way_15, realigned};

FRAME static void dispatch(int which, int round) {
    ways[which](round);
    sink = &round;
}

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 500);
    /* Not in registers: the call site's frame is the same each time. */
    for (volatile int round = 0; round < count; round++)
        for (volatile int step = 0; step < 128; step++)
            dispatch(step % 2 ? 16 : step / 8, round);
    say("%ld rounds\n", count);
    return 0;
}
