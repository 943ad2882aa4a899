/* flags: -shared -fPIC -Wl,-Bsymbolic
 * reentrant_allocator, whose account of itself is never given; with ACCOUNT=crash asking crashes.
 */
#include "reentrant_allocator.c"

struct mallinfo2 mallinfo2(void) {
    const char *how = getenv("ACCOUNT");
    if (how && strcmp(how, "crash") == 0) *(volatile int *)8 = 1;
    for (;;) pause();
}
