/* Started with descriptors 0, 1 and 2 closed: opens three files, which must get these numbers,
 * and writes a line to each between 60000 brief blocks and 12 kept ones of 48 bytes. Status 0; 91
 * when a number differs.
 */
#include "common.h"
#include <fcntl.h>

FRAME static void quiet_keep(void) { keep(48); }

int main(void) {
    for (int i = 0; i < 30000; i++) brief(16);
    for (int f = 0; f < 3; f++) {
        char name[] = "stdio0";
        name[5] = (char)('0' + f);
        if (open(name, O_CREAT | O_RDWR | O_TRUNC, 0600) != f) return 91;
    }
    for (int i = 0; i < 12; i++) quiet_keep();
    for (int i = 0; i < 30000; i++) brief(16);
    for (int f = 0; f < 3; f++)
        if (write(f, "line\n", 5) != 5) return 92;
    return 0;
}
