/* flags: -shared -fPIC
 * A library that is loaded and unloaded many times: plugin_work() keeps one block of 24
 * bytes by plugin_a_keep, and makes and frees two more; its constructor keeps one of 8 by
 * plugin_a_constructed, its destructor makes and frees one. Its frames are 24 bytes apart, so that
 * unwind rules of the other plugin at the same address are wrong here.
 */
#include "common.h"

FRAME static void plugin_a_keep(void) {
    volatile char pad[24];
    pad[0] = 1;
    sink = (void *)pad;
    sink = malloc(24);
    pad[1] = 2;
}

int plugin_work(void) {
    volatile char pad[24 + 64];
    pad[0] = 1;
    plugin_a_keep();
    brief(100);
    brief(200);
    return pad[0];
}

FRAME static void plugin_a_constructed(void) { sink = malloc(8); }
__attribute__((constructor)) static void constructed(void) { plugin_a_constructed(); }
__attribute__((destructor)) static void destroyed(void) { brief(300); }
