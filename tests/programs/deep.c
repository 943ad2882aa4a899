/* Recursion: descend(DEPTH) calls itself DEPTH times and keeps one block of 16 bytes at the
 * bottom, by bottom(); ROUNDS times. A second path of the same depth ends in other_bottom().
 * One site each: DEPTH + 1 frames of descend on it. Status 0.
 */
#include "common.h"

FRAME static int bottom(void) {
    sink = malloc(16);
    return 1;
}
FRAME static int other_bottom(void) {
    sink = malloc(24);
    return 2;
}
FRAME static int descend(long depth, int which) {
    if (depth == 0) return which ? other_bottom() : bottom();
    return 1 + descend(depth - 1, which);
}

int main(int argc, char **argv) {
    long depth = number_argument(argc, argv, 1, 600), rounds = number_argument(argc, argv, 2, 3);
    long sum = 0;
    for (long i = 0; i < rounds; i++) {
        sum += descend(depth, 0);
        sum += descend(depth, 1);
    }
    say("%ld\n", sum);
    return 0;
}
