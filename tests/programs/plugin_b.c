/* flags: -shared -fPIC
 * A library that is loaded and unloaded many times: plugin_work() keeps one block of 40
 * bytes by plugin_b_keep, and makes and frees two more. Its frames are 840 bytes apart, so that
 * unwind rules of the other plugin at the same address are wrong here.
 */
#include "common.h"

FRAME static void plugin_b_keep(void) {
    volatile char pad[840];
    pad[0] = 1;
    sink = (void *)pad;
    sink = malloc(40);
    pad[1] = 2;
}

int plugin_work(void) {
    volatile char pad[840 + 64];
    pad[0] = 1;
    plugin_b_keep();
    brief(100);
    brief(200);
    return pad[0];
}
