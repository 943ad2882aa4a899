/* Starts children that are programs. starts_children HOW N CHILD ARGS...: N times CHILD, one
 * after the other, by HOW: fork (and exec), vfork (and exec; the child also allocates and
 * frees before), spawn (posix_spawn), system, popen, shared (clone with CLONE_VM and
 * CLONE_VFORK and exec), failing (vfork and exec of a missing program). The parent keeps 5
 * blocks of 120 bytes by starter_keeps(), before and after. Status 0.
 */
#include "common.h"
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;
FRAME static void starter_keeps(void) { for (int i = 0; i < 5; i++) keep(120); }

static int execute(void *arguments) {
    execvp(((char **)arguments)[0], arguments);
    _exit(33);
}

static int wait_for(pid_t child) {
    int status = -1;
    MUST(child > 0 && waitpid(child, &status, 0) == child);
    return status;
}

FRAME static pid_t by_vfork(char **arguments) {
    pid_t child = vfork();
    if (child == 0) {
        /* In the parent's memory; what glibc's own posix_spawn avoids, programs do. */
        sink = malloc(50);
        free(sink);
        execvp(arguments[0], arguments);
        _exit(33);
    }
    return child;
}

int main(int argc, char **argv) {
    MUST(argc > 3);
    const char *how = argv[1];
    long count = atol(argv[2]);
    char **child = argv + 3;
    static char stack[65536] __attribute__((aligned(64)));
    char line[1000] = "";
    for (char **word = child; *word; word++) snprintf(line + strlen(line), sizeof line - strlen(line), "%s ", *word);
    starter_keeps();
    for (long i = 0; i < count; i++) {
        int status = -1;
        pid_t pid = 0;
        char buffer[200];
        char *missing[] = {(char *)"/no/such/program", NULL};
        brief(100);
        if (strcmp(how, "fork") == 0) {
            pid = fork();
            if (pid == 0) execute(child);
            status = wait_for(pid);
        } else if (strcmp(how, "vfork") == 0) {
            status = wait_for(by_vfork(child));
        } else if (strcmp(how, "failing") == 0) {
            status = wait_for(by_vfork(missing));
            MUST(WIFEXITED(status) && WEXITSTATUS(status) == 33);
        } else if (strcmp(how, "spawn") == 0) {
            MUST(posix_spawnp(&pid, child[0], NULL, NULL, child, environ) == 0);
            status = wait_for(pid);
        } else if (strcmp(how, "shared") == 0) {
            status = wait_for(clone(execute, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, child));
        } else if (strcmp(how, "system") == 0) {
            status = system(line);
        } else if (strcmp(how, "popen") == 0) {
            FILE *pipe = popen(line, "r");
            MUST(pipe);
            while (fgets(buffer, sizeof buffer, pipe)) say("read: %s", buffer);
            status = pclose(pipe);
        }
        brief(100);
        say("status %d\n", status);
    }
    starter_keeps();
    return 0;
}
