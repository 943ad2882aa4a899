/* What only a process with one thread may do, after a million events: changes_world HOW:
 *   user     unshare(CLONE_NEWUSER)
 *   mount    unshare(CLONE_NEWNS | CLONE_FS)
 *   pid      unshare(CLONE_NEWPID), then a child that is process 1 and keeps 4 x 96 by first_keeps()
 *   root     chroot to the current directory
 *   ids      setresuid to 65534 and back is refused
 *   personality of another kind, capabilities dropped: prctl(PR_SET_NO_NEW_PRIVS), PR_SET_DUMPABLE 0 (`dumpable`)
 * Then 50000 kept blocks of 40 bytes by world_keeps(). Status 0.
 */
#include "common.h"
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>

FRAME static void world_keeps(long count) { for (long i = 0; i < count; i++) keep(40); }
FRAME static void first_keeps(void) { for (int i = 0; i < 4; i++) keep(96); }

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "user";
    for (int i = 0; i < 500000; i++) brief(1 + (size_t)i % 99);
    if (strcmp(how, "user") == 0) MUST(unshare(CLONE_NEWUSER) == 0);
    if (strcmp(how, "mount") == 0) MUST(unshare(CLONE_NEWNS | CLONE_FS) == 0);
    if (strcmp(how, "root") == 0) MUST(chroot(".") == 0);
    if (strcmp(how, "ids") == 0) {
        MUST(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
        MUST(setresuid(0, 0, 0) == -1 && errno == EPERM);
    }
    if (strcmp(how, "dumpable") == 0) MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_DUMPABLE, 0) == 0);
    if (strcmp(how, "pid") == 0) {
        MUST(unshare(CLONE_NEWPID) == 0);
        pid_t child = fork();
        if (child == 0) {
            MUST(getpid() == 1);
            first_keeps();
            exit(14);
        }
        int status;
        MUST(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 14);
    }
    world_keeps(50000);
    say("%s\n", how);
    return 0;
}
