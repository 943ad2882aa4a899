/* Keeps 50 blocks of 48 bytes by pooled_keeps() and says how many of them are the pool's, if
 * that allocator is preloaded. Status 0.
 */
#include "common.h"
#include <dlfcn.h>

FRAME static void *pooled_keeps(void) { return keep(48); }

int main(void) {
    int (*owns)(const void *) = (int (*)(const void *))dlsym(RTLD_DEFAULT, "pool_owns");
    int own = 0;
    for (int i = 0; i < 50; i++) {
        void *block = pooled_keeps();
        own += owns ? owns(block) : 0;
    }
    say("%d of the pool\n", own);
    return 0;
}
