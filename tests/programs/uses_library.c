/* Loads a library, calls its plugin_work() 20 times (one block each is kept there), and keeps 20
 * blocks of 64 bytes by bound_keeps(). The library stays loaded. uses_library LIBRARY [namespace]:
 * with `namespace` it is loaded by dlmopen, with a libc of its own that no preloading reaches.
 * Status 0.
 */
#include "common.h"
#include <dlfcn.h>

FRAME static void bound_keeps(void) { keep(64); }

int main(int argc, char **argv) {
    MUST(argc > 1);
    void *library = argc > 2 ? dlmopen(LM_ID_NEWLM, argv[1], RTLD_NOW) : dlopen(argv[1], RTLD_NOW);
    MUST(library);
    int (*work)(void) = (int (*)(void))dlsym(library, "plugin_work");
    for (int i = 0; i < 20; i++) {
        MUST(work() == 1);
        bound_keeps();
    }
    say("bound\n");
    return 0;
}
