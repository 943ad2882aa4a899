/* Two thousand steady sites and three leaks, or none.
 * growth SEED LEAKS ROUNDS: each round works at one of 2000 sites, chosen at random: it frees
 * and makes a block there, so that every site holds 0 to 8 blocks, by one of four habits (ring,
 * random place, stack that goes up and down, bursts).
 * LEAKS is apart: forget() makes blocks at three sites of its own, in one of 2, 4 and 8 rounds of
 * three of the steady sites, and nobody frees them. mixed: those three steady sites themselves
 * forget to free in one of 2, 4 and 8 rounds. none: nobody forgets.
 * Sites differ by their stacks: each digit of the site's number (base 13) is a frame.
 * Prints the number of forgotten blocks. Status 0.
 */
#include "common.h"

enum { SITES = 2000, HELD = 8, DIGITS = 3 };
static void *held[SITES][HELD];
static int count[SITES];
static unsigned long state;
static long forgotten;

static unsigned roll(unsigned below) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (unsigned)(state >> 33) % below;
}

typedef void *maker(int site, int digits, size_t size);
static maker *const digit[13];

FRAME static void *make(int site, int digits, size_t size) {
    if (digits == 0) {
        void *block = malloc(size);
        MUST(block != NULL);
        return block;
    }
    void *block = digit[site % 13](site / 13, digits - 1, size);
    sink = block;
    return block;
}
#define DIGIT(n)                                                     \
    FRAME static void *digit_##n(int site, int digits, size_t size) { \
        void *block = make(site, digits, size);                      \
        sink = block;                                                \
        return block;                                                \
    }
DIGIT(0) DIGIT(1) DIGIT(2) DIGIT(3) DIGIT(4) DIGIT(5) DIGIT(6)
DIGIT(7) DIGIT(8) DIGIT(9) DIGIT(10) DIGIT(11) DIGIT(12)
static maker *const digit[13] = {digit_0, digit_1, digit_2, digit_3,  digit_4,  digit_5, digit_6,
                                 digit_7, digit_8, digit_9, digit_10, digit_11, digit_12};

enum { LEAKS = 3 };
static const int leaking[LEAKS] = {357, 1113, 1866}, every[LEAKS] = {2, 4, 8};
static int mixed;

static int forgets(int site) {
    for (int which = 0; which < LEAKS; which++)
        if (site == leaking[which] && roll((unsigned)every[which]) == 0) return 1;
    return 0;
}

static void let_go(int site, void *block) {
    if (mixed && forgets(site)) forgotten++;
    else free(block);
}
static void drop(int site, int place) {
    let_go(site, held[site][place]);
    held[site][place] = held[site][--count[site]];
}
static void add(int site) { held[site][count[site]++] = make(site, DIGITS, 16 + roll(200)); }

FRAME static void forget(int site) {
    sink = make(site, DIGITS, 40);
    forgotten++;
}

static void work(int site) {
    int most = 1 + site % HELD;
    switch (site / HELD % 4) {
        case 0: { /* a ring: the oldest goes */
            if (count[site] == most) {
                let_go(site, held[site][0]);
                memmove(held[site], held[site] + 1, sizeof held[site][0] * (size_t)--count[site]);
            }
            add(site);
            break;
        }
        case 1: /* a random one goes */
            if (count[site] == most) drop(site, (int)roll((unsigned)most));
            add(site);
            break;
        case 2: /* up and down, the newest goes */
            if (count[site] > 0 && (count[site] == most || roll(2))) drop(site, count[site] - 1);
            else add(site);
            break;
        default: /* bursts */
            if (count[site] == most) while (count[site] > 0) drop(site, count[site] - 1);
            add(site);
    }
}

int main(int argc, char **argv) {
    state = 88172645463325252ul ^ ((unsigned long)number_argument(argc, argv, 1, 1) << 20);
    const char *leaks = argc > 2 ? argv[2] : "apart";
    long rounds = number_argument(argc, argv, 3, 1000000);
    mixed = strcmp(leaks, "mixed") == 0;
    int apart = strcmp(leaks, "apart") == 0;
    for (int warm = 0; warm < 100; warm++) roll(2);
    for (long round = 0; round < rounds; round++) {
        int site = (int)roll(SITES);
        work(site);
        if (apart && forgets(site)) forget(site);
    }
    say("%ld\n", forgotten);
    return 0;
}
