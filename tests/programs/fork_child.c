/* fork without exec. The parent keeps 100 blocks of 40 bytes by parent_keeps() and makes 30 of
 * 80 by inherited(); the child frees those 30, keeps 7 of 56 by child_keeps(), ends by exit.
 * The grandchild (its child) keeps 3 of 72 by grandchild_keeps() and ends by _exit. Another
 * child allocates nothing and ends by _exit. Afterwards the parent frees its own 30 and keeps 2
 * of 88 by parent_keeps_later(). Status 0.
 */
#include "common.h"
#include <sys/wait.h>

FRAME static void parent_keeps(void) { for (int i = 0; i < 100; i++) keep(40); }
FRAME static void parent_keeps_later(void) { for (int i = 0; i < 2; i++) keep(88); }
FRAME static void child_keeps(void) { for (int i = 0; i < 7; i++) keep(56); }
FRAME static void grandchild_keeps(void) { for (int i = 0; i < 3; i++) keep(72); }
static void *blocks[30];
FRAME static void inherited(void) { for (int i = 0; i < 30; i++) blocks[i] = malloc(80); }
static void free_all(void) { for (int i = 0; i < 30; i++) free(blocks[i]); }

static void wait_for(pid_t child, int expected) {
    int status;
    MUST(child > 0 && waitpid(child, &status, 0) == child);
    MUST(WIFEXITED(status) && WEXITSTATUS(status) == expected);
}

int main(void) {
    parent_keeps();
    inherited();
    pid_t child = fork();
    if (child == 0) {
        free_all();
        child_keeps();
        pid_t grandchild = fork();
        if (grandchild == 0) {
            brief(1);
            grandchild_keeps();
            _exit(12);
        }
        wait_for(grandchild, 12);
        exit(11);
    }
    wait_for(child, 11);
    child = fork();
    if (child == 0) _exit(13);
    wait_for(child, 13);
    free_all();
    parent_keeps_later();
    say("all children ended\n");
    return 0;
}
