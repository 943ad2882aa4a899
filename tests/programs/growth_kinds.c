/* One site of each kind, a million rounds, each with brief blocks besides.
 * growth_kinds KIND [killed]
 * leak:     site() makes a block in every 2000th round and forgets it.
 * keep:     the same, and remembers it.
 * pauses:   the same, but only in the middle third of the run.
 * realloc:  site() makes one block 16 bytes longer every 2000 rounds.
 * warm:     site() keeps 200 blocks in the first tenth of the run.
 * once:     site() keeps 200 blocks after the first half.
 * cache:    site() makes a block every 100 rounds; 50 are kept, the oldest goes.
 * sawtooth: site() makes a block every 500 rounds; when there are 700, all go. (The run ends in
 *           the third filling.)
 * walk:     site() makes a block or frees one, by chance, every 100 rounds; they start from 200.
 * Status 0; with "killed" it kills itself at the end.
 */
#include "common.h"

#include <signal.h>

enum { ROUNDS = 1000000, MOST = 4096 };
static void *held[MOST];
static int count;
static char *grown;
static unsigned long state = 88172645463325252ul;

static unsigned roll(unsigned below) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (unsigned)(state >> 33) % below;
}

FRAME static void site(void) {
    held[count] = malloc(100);
    MUST(held[count] != NULL);
    count++;
}
FRAME static void longer(size_t size) {
    grown = realloc(grown, size);
    MUST(grown != NULL);
}
static void start(void) {
    while (count < 200) {
        held[count++] = malloc(100);
        MUST(held[count - 1] != NULL);
    }
}
static void oldest_goes(void) {
    free(held[0]);
    memmove(held, held + 1, sizeof held[0] * (size_t)--count);
}

int main(int argc, char **argv) {
    const char *kind = argc > 1 ? argv[1] : "leak";
    for (int round = 0; round < ROUNDS; round++) {
        brief(30);
        if (strcmp(kind, "leak") == 0) {
            if (round % 2000 == 0) {
                site();
                held[--count] = NULL;
            }
        } else if (strcmp(kind, "keep") == 0) {
            if (round % 2000 == 0) site();
        } else if (strcmp(kind, "pauses") == 0) {
            if (round % 2000 == 0 && round > ROUNDS / 3 && round < ROUNDS / 3 * 2) site();
        } else if (strcmp(kind, "realloc") == 0) {
            if (round % 2000 == 0) longer(16 + (size_t)round / 2000 * 16);
        } else if (strcmp(kind, "warm") == 0) {
            if (round % 500 == 0 && round < ROUNDS / 10) site();
        } else if (strcmp(kind, "once") == 0) {
            if (round >= ROUNDS / 2 && round < ROUNDS / 2 + 200) site();
        } else if (strcmp(kind, "cache") == 0) {
            if (round % 100 == 0) site();
            if (count > 50) oldest_goes();
        } else if (strcmp(kind, "sawtooth") == 0) {
            if (round % 500 == 0) site();
            if (count == 700) while (count > 0) free(held[--count]);
        } else if (strcmp(kind, "walk") == 0) {
            if (round % 100 == 0) {
                if (round == 0) start();
                if (count < MOST && (count == 0 || roll(2))) site();
                else free(held[--count]);
            }
        }
    }
    say("%s\n", kind);
    if (argc > 2) raise(SIGKILL);
    return 0;
}
