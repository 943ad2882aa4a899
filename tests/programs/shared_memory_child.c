/* clone(CLONE_VM | CLONE_VFORK): the child allocates in its parent's memory, under another pid.
 * Each of N children keeps 2 blocks of 48 bytes by guest_keeps(), frees one block that the
 * parent made, and makes one that the parent frees. Live: 2 N of guest_keeps, and 3 of 56 by
 * host_keeps(). No children's logs. Status 0.
 */
#include "common.h"
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

static void *to_child, *to_parent;
static char stack[262144] __attribute__((aligned(64)));

FRAME static void guest_keeps(void) { keep(48), keep(48); }
FRAME static void host_keeps(void) { keep(56); }
FRAME static void *made_by_guest(void) { return sink = malloc(72), sink; }
FRAME static void *made_by_host(void) { return sink = malloc(80), sink; }

static int guest(void *unused) {
    (void)unused;
    guest_keeps();
    free(to_child);
    to_parent = made_by_guest();
    for (int i = 0; i < 1000; i++) brief(20);
    return 44;
}

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 50);
    for (int i = 0; i < 3; i++) host_keeps();
    for (long i = 0; i < count; i++) {
        int status;
        to_child = made_by_host();
        pid_t child = clone(guest, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
        MUST(child > 0 && waitpid(child, &status, 0) == child);
        MUST(WIFEXITED(status) && WEXITSTATUS(status) == 44);
        free(to_parent);
    }
    say("%ld guests\n", count);
    return 0;
}
