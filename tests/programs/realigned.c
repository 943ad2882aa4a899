/* flags: -O2 -fomit-frame-pointer
 * Through one call site, in turn: by_pointer, which makes a block of 8 bytes, and of_aligned, whose
 * frame is found by way of another register and which makes 20 blocks of 16 bytes from one
 * place. N rounds of both; all are freed at once. Status 0.
 */
#include "common.h"

FRAME static void use(void *one, void *other) { __asm__ volatile("" : : "r"(one), "r"(other) : "memory"); }
FRAME static void by_pointer(size_t size) {
    void *block = malloc(8);
    use(block, &size);
    free(block);
}
FRAME static void of_aligned(size_t size) {
    _Alignas(64) volatile char room[64];
    char *more = __builtin_alloca(size);
    use((void *)room, more);
    for (size_t i = 0; i < size; i++) {
        void *block = malloc(16);
        use(block, (void *)room);
        free(block);
    }
}

static void (*volatile functions[2])(size_t) = {by_pointer, of_aligned};

FRAME static void turn(long count) {
    for (long i = 0; i < 2 * count; i++) functions[i % 2](20);
    __asm__ volatile("");
}
FRAME static void outer(long count) {
    turn(count);
    __asm__ volatile("");
}
FRAME static void outermost(long count) {
    outer(count);
    __asm__ volatile("");
}

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 10);
    outermost(count);
    say("%ld rounds\n", count);
    return 0;
}
