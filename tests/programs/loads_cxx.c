/* A C program that loads a C++ library privately: loads_cxx LIBRARY N. N blocks of 40 bytes are kept
 * by cxx_plugin_keeps() and N of 64 by cxx_plugin_keeps_wide(), one of 16 by constructed() in a
 * thread. Status 0.
 */
#include "common.h"
#include <dlfcn.h>

int main(int argc, char **argv) {
    MUST(argc > 2);
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    MUST(library);
    void (*keeps)(void) = (void (*)(void))dlsym(library, "cxx_plugin_keeps");
    void (*keeps_wide)(void) = (void (*)(void))dlsym(library, "cxx_plugin_keeps_wide");
    void (*passes)(void) = (void (*)(void))dlsym(library, "cxx_plugin_passes");
    void (*fails)(void) = (void (*)(void))dlsym(library, "cxx_plugin_fails");
    for (long i = number_argument(argc, argv, 2, 100); i > 0; i--) {
        keeps();
        keeps_wide();
        passes();
    }
    fails();
    MUST(dlclose(library) == 0);
    return 0;
}
