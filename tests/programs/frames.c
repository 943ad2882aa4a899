/* flags: -mstackrealign
 * Frames of odd shapes between main and malloc, N blocks each: of_alloca 16 bytes, of_array 24
 * (variable length array), of_aligned 40 (over-aligned locals: the frame is found by way of
 * another register), of_all 56. main is on every stack. Status 0.
 */
#include "common.h"
#include <alloca.h>

FRAME static void of_alloca(size_t size) {
    char *room = alloca(size);
    memset(room, 1, size);
    sink = room;
    keep(16);
    sink = room;
}
FRAME static void of_array(size_t size) {
    volatile char room[size];
    room[0] = 1;
    sink = (void *)room;
    keep(24);
    sink = (void *)room;
}
FRAME static void of_aligned(void) {
    _Alignas(128) volatile char room[256];
    room[0] = 1;
    MUST((uintptr_t)room % 128 == 0);
    sink = (void *)room;
    keep(40);
    sink = (void *)room;
}
FRAME static void of_all(size_t size) {
    _Alignas(256) volatile char room[512];
    volatile char array[size];
    char *more = alloca(size * 3);
    room[0] = array[0] = more[0] = 1;
    MUST((uintptr_t)room % 256 == 0);
    sink = (void *)room;
    sink = (void *)array;
    keep(56);
    sink = more;
}

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 1000);
    for (long i = 0; i < count; i++) {
        of_alloca(1 + (size_t)(i * 37 % 3000));
        of_array(1 + (size_t)(i * 53 % 3000));
        of_aligned();
        of_all(1 + (size_t)(i * 71 % 1000));
    }
    say("%ld rounds\n", count);
    return 0;
}
