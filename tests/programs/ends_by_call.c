/* Functions whose last instruction is a call: the return address belongs to the next function.
 * last_of_all() -> ends_here() (keeps 3 blocks of 64 bytes by keep(), exits with status 8). The
 * function after last_of_all is next_door(), which must not appear. Status 8.
 */
#include "common.h"

__attribute__((noreturn)) FRAME static void ends_here(void) {
    for (int i = 0; i < 3; i++) keep(64);
    exit(8);
}
__attribute__((noreturn)) FRAME static void last_of_all(void) { ends_here(); }
__attribute__((aligned(1))) FRAME static int next_door(void) { return number_argument(0, NULL, 1, 5) == 5; }

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 5) return next_door();
    last_of_all();
}
