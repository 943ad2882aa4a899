/* grows [x]: turns blocks over, keeps one; with an argument it also remembers every hundredth step
 * in a list that nobody ever empties. */
#include <stdlib.h>

struct node {
    struct node *next;
    char more[200];
};

static struct node *list;

__attribute__((noinline)) static void remember(int step) {
    struct node *node = malloc(sizeof *node);
    node->next = list;
    node->more[0] = (char)step;
    list = node;
}

__attribute__((noinline)) static void *temporary(int step) { return malloc(100 + step % 50); }

__attribute__((noinline)) static void *once(void) { return malloc(5000); }

int main(int argc, char **argv) {
    static void *kept;
    void *slots[64] = {0};
    (void)argv;
    kept = once();
    for (int step = 0; step < 400000; step++) {
        free(slots[step % 64]);
        slots[step % 64] = temporary(step);
        if (argc > 1 && step % 100 == 0) {
            remember(step);
        }
    }
    for (int slot = 0; slot < 64; slot++) {
        free(slots[slot]);
    }
    return kept == NULL;
}
