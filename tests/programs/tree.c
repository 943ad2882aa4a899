/* A random walk over a call tree of 4 functions, the same in every build: N blocks, every
 * tenth kept by keep() with 1 + i % 50 bytes. What the compiler's options do to the frames must not
 * change any count. Prints a checksum of the path. Status 0.
 */
#include "common.h"

static uint32_t state = 12345;
static uint32_t dice(void) { return (state = state * 1664525u + 1013904223u) >> 8; }

static long made, wanted, steps;
static void north(int depth), east(int depth), south(int depth), west(int depth);

FRAME static void turn(int depth) {
    steps++;
    if (made >= wanted) return;
    if (depth > 40 || dice() % 4 == 0) {
        size_t size = 1 + (size_t)(made % 50);
        if (made++ % 10 == 0)
            keep(size);
        else
            brief(size);
        return;
    }
    switch (dice() % 4) {
    case 0: north(depth + 1); break;
    case 1: east(depth + 1); break;
    case 2: south(depth + 1); break;
    default: west(depth + 1); break;
    }
    if (dice() % 2) turn(depth + 1);
    steps++;
}
FRAME static void north(int depth) { turn(depth); steps += 1; }
FRAME static void east(int depth) {
    volatile char room[64];
    room[0] = 1;
    turn(depth);
    steps += 2 * room[0];
}
FRAME static void south(int depth) {
    volatile char room[1 + depth];
    room[0] = 1;
    turn(depth);
    steps += 3 * room[0];
}
FRAME static void west(int depth) {
    turn(depth);
    turn(depth + 1);
    steps += 4;
}

int main(int argc, char **argv) {
    wanted = number_argument(argc, argv, 1, 20000);
    while (made < wanted) turn(0);
    say("%ld blocks, %ld steps\n", made, steps);
    return 0;
}
