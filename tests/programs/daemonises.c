/* daemon(3): the parent ends by _exit inside, the child goes on in another session, keeps 9
 * blocks of 64 bytes by daemon_keeps() and writes to the stdout that it kept. Before, the parent
 * kept 4 of 40 by ancestor_keeps(). The daemon has changed to / (nochdir = 0). Status 0.
 */
#include "common.h"

FRAME static void daemon_keeps(void) { for (int i = 0; i < 9; i++) keep(64); }
FRAME static void ancestor_keeps(void) { for (int i = 0; i < 4; i++) keep(40); }

int main(void) {
    alarm(60);
    ancestor_keeps();
    MUST(daemon(0, 1) == 0);
    char where[100];
    MUST(getcwd(where, sizeof where));
    for (int i = 0; i < 200000; i++) brief(24);
    daemon_keeps();
    say("daemon in %s\n", where);
    return 0;
}
