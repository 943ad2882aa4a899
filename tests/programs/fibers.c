/* Three fibers made with makecontext, on malloc'd, mmap'd and static stacks, switched round
 * robin N times; each keeps N blocks: red 16, green 24, blue 40 bytes. The two stacks that
 * are not static hold one block (the malloc'd) of 65536 bytes in main. No site of one colour
 * contains another one's function. Status 0.
 */
#include "common.h"
#include <sys/mman.h>
#include <ucontext.h>

#define STACK 65536
static ucontext_t home, contexts[3];
static char resting_place[STACK];
static long count;

FRAME static void red_keep(void) { keep(16); }
FRAME static void green_keep(void) { keep(24); }
FRAME static void blue_keep(void) { keep(40); }

FRAME static void red(void) {
    for (long i = 0; i < count; i++) {
        red_keep();
        swapcontext(&contexts[0], &contexts[1]);
    }
}
FRAME static void green(void) {
    for (long i = 0; i < count; i++) {
        green_keep();
        swapcontext(&contexts[1], &contexts[2]);
    }
}
FRAME static void blue(void) {
    for (long i = 0; i < count; i++) {
        blue_keep();
        swapcontext(&contexts[2], i + 1 < count ? &contexts[0] : &home);
    }
}

int main(int argc, char **argv) {
    count = number_argument(argc, argv, 1, 1000);
    void *stacks[3] = {malloc(STACK), mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), resting_place};
    void (*bodies[3])(void) = {red, green, blue};
    for (int i = 0; i < 3; i++) {
        MUST(getcontext(&contexts[i]) == 0);
        contexts[i].uc_stack.ss_sp = stacks[i];
        contexts[i].uc_stack.ss_size = STACK;
        contexts[i].uc_link = &home;
        makecontext(&contexts[i], bodies[i], 0);
    }
    if (count > 0) swapcontext(&home, &contexts[0]);
    say("%ld rounds\n", count);
    return 0;
}
