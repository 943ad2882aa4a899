/* Keeps 10 blocks of 64 bytes by early_keeps(), prints "ready", waits for the end of its input,
 * keeps 5 of 32 by late_keeps(), and ends. Status 0.
 */
#include "common.h"

FRAME static void early_keeps(void) { for (int i = 0; i < 10; i++) keep(64); }
FRAME static void late_keeps(void) { for (int i = 0; i < 5; i++) keep(32); }

int main(void) {
    char byte;
    early_keeps();
    say("ready\n");
    while (read(0, &byte, 1) > 0) continue;
    late_keeps();
    say("over\n");
    return 0;
}
