/* A peak that is known.
 * peak plain:  base() keeps 100 x 1000; crest() holds 50 x 3000 and frees them; then
 *              after() keeps 20 x 1000. Peak: 100000 + 150000; of after(): 0.
 * peak hidden: base() as above; then 2000 rounds of wave(): 20 x 500 at once, all freed; in
 *              round 1234 the wave is crowned by foam(): 1 x 700. Peak: 100000 + 10000 + 700.
 * peak tall:   one block of tower(), 40 MB, made and freed among 100000 brief ones. Then
 *              base(). Peak: 40000000 (and 0 of base).
 * peak moved:  swell() grows one block by realloc to 5000000, then to 10; base() afterwards.
 *              Peak: 5000000.
 * peak rising: 100000 x 10 kept by climb(), each after a brief one of 30 bytes: the peak is at
 *              the last brief one: 999990 + 30.
 * Status 0.
 */
#include "common.h"

static void *held[100000];

FRAME static void base(void) {
    for (int i = 0; i < 100; i++) sink = malloc(1000);
}
FRAME static void after(void) {
    for (int i = 0; i < 20; i++) sink = malloc(1000);
}
FRAME static void crest(void) {
    for (int i = 0; i < 50; i++) held[i] = malloc(3000);
    for (int i = 0; i < 50; i++) free(held[i]);
}
FRAME static void foam(void) {
    void *block = malloc(700);
    sink = block;
    free(block);
}
FRAME static void wave(int round) {
    for (int i = 0; i < 20; i++) held[i] = malloc(500);
    if (round == 1234) foam();
    for (int i = 0; i < 20; i++) free(held[i]);
}
FRAME static void tower(void) {
    void *block = malloc(40000000);
    sink = block;
    free(block);
}
FRAME static void swell(void) {
    char *block = malloc(10);
    for (size_t size = 10; size < 5000000; size *= 2) MUST(block = realloc(block, size));
    MUST(block = realloc(block, 5000000));
    MUST(block = realloc(block, 10));
    sink = block;
}
FRAME static void climb(void) {
    for (int i = 0; i < 100000; i++) {
        brief(30);
        held[i] = malloc(10);
    }
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "plain";
    if (strcmp(mode, "plain") == 0) {
        base();
        crest();
        after();
    } else if (strcmp(mode, "hidden") == 0) {
        base();
        for (int round = 0; round < 2000; round++) wave(round);
    } else if (strcmp(mode, "tall") == 0) {
        for (int i = 0; i < 50000; i++) brief(100);
        tower();
        for (int i = 0; i < 50000; i++) brief(100);
        base();
    } else if (strcmp(mode, "moved") == 0) {
        swell();
        base();
    } else if (strcmp(mode, "rising") == 0) {
        climb();
    }
    say("%s\n", mode);
    return 0;
}
