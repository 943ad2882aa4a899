/* Loads a library with RTLD_DEEPBIND, whose malloc and free then go to libc past any preloaded
 * library; its blocks are freed here and blocks made here are freed there. deep_bind LIBRARY:
 * plugin_work() works as ever. 20 blocks of 64 bytes are kept by bound_keeps(). Status 0.
 */
#include "common.h"
#include <dlfcn.h>

FRAME static void bound_keeps(void) { keep(64); }

int main(int argc, char **argv) {
    MUST(argc > 1);
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_DEEPBIND);
    MUST(library);
    int (*work)(void) = (int (*)(void))dlsym(library, "plugin_work");
    for (int i = 0; i < 20; i++) {
        MUST(work() == 1);
        bound_keeps();
    }
    say("bound\n");
    return 0;
}
