/* A fork child that gives something up before its first allocation, which is 4 blocks of 56 bytes
 * by child_keeps(); the parent keeps 3 of 40 by parent_keeps(). child_without_rights user|files|both
 *   user: the child becomes user 65534; files: it may write no file. Status 0.
 */
#include "common.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

FRAME static void parent_keeps(void) { for (int i = 0; i < 3; i++) keep(40); }
FRAME static void child_keeps(void) { for (int i = 0; i < 4; i++) keep(56); }

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "user";
    parent_keeps();
    for (int i = 0; i < 2; i++) {
        int user = !strcmp(how, "user") || (!strcmp(how, "both") && i == 0);
        pid_t child = fork();
        MUST(child >= 0);
        if (child == 0) {
            struct rlimit none = {0, 0};
            if (user) MUST(setgid(65534) == 0 && setuid(65534) == 0);
            else MUST(setrlimit(RLIMIT_FSIZE, &none) == 0);
            child_keeps();
            _exit(0);
        }
        int status;
        MUST(waitpid(child, &status, 0) == child && status == 0);
    }
    write(1, "over\n", 5);
    return 0;
}
