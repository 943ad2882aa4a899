/* flags: -shared -fPIC
 * A library of which copies are loaded by the hundred.
 */
int bare_library(void) { return 1; }
