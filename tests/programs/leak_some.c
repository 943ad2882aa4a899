/* leak_some N: keeps N blocks of 32 bytes by some_keep(), prints N. Status 0. The child of other
 * tests.
 */
#include "common.h"

FRAME static void some_keep(long count) { for (long i = 0; i < count; i++) keep(32); }

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 4);
    some_keep(count);
    say("leaked %ld\n", count);
    return 0;
}
