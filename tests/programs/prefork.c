/* A prefork server: 4 workers accept on one socket; the parent sends N requests over as many
 * connections; a worker allocates and frees 20 blocks a request and keeps one of 48 bytes by
 * worker_leaks(). Which worker serves how many is not known, their sum is N. The workers end on
 * a request to end. Status 0.
 */
#include "common.h"
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

FRAME static void worker_leaks(void) { keep(48); }

static void serve(int listener) {
    for (;;) {
        int client = accept(listener, NULL, NULL);
        char request;
        MUST(client >= 0 && read(client, &request, 1) == 1);
        for (size_t i = 1; i <= 20; i++) brief(i * 16);
        if (request == 'e') {
            MUST(write(client, "e", 1) == 1);
            exit(0);
        }
        worker_leaks();
        MUST(write(client, &request, 1) == 1);
        close(client);
    }
}

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 200);
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    MUST(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 100) == 0);
    pid_t workers[4];
    keep(32);
    for (int w = 0; w < 4; w++) {
        workers[w] = fork();
        MUST(workers[w] >= 0);
        if (workers[w] == 0) serve(listener);
    }
    for (long i = 0; i < count + 4; i++) {
        int client = socket(AF_UNIX, SOCK_STREAM, 0);
        char answer;
        MUST(connect(client, (struct sockaddr *)&address, sizeof address) == 0);
        MUST(write(client, i < count ? "r" : "e", 1) == 1 && read(client, &answer, 1) == 1);
        close(client);
    }
    for (int w = 0; w < 4; w++) {
        int status;
        MUST(waitpid(workers[w], &status, 0) == workers[w] && status == 0);
    }
    say("%ld requests\n", count);
    return 0;
}
