/* flags: -shared -fPIC
 * A library that is loaded by reach_modules: holds blocks for its caller. */
#include <stddef.h>

void *of_library[4];
/* So large that it has no place among the variables that threads begin with. */
__thread void *of_thread[5000];

void hold(int which, void *block) { of_library[which] = block; }
void hold_for_thread(void *block) { of_thread[4000] = block; }
void *held_for_thread(void) { return of_thread[4000]; }
