/* Leaks whose address is left in frames that have ended: whoever takes the whole stack for
 * live, as LeakSanitizer does from its handler at the end, finds it there; see reach.h. */
#include "reach.h"

struct node {
    struct node *left, *right;
    long key;
};

FRAME static void used(void *volatile *words, int count) { sink = words[count / 2]; sink = NULL; }

FRAME static void descend(int left, void *block) {
    void *volatile own[64];
    for (int i = 0; i < 64; i++) own[i] = block;
    if (left > 0) descend(left - 1, own[left % 64]);
    used(own, 64);
}
CASE(a_recursion_that_was_given_it) { descend(100, unreachable(100)); }

FRAME static void collects(void) {
    void *volatile found[8192];
    void *blocks[5];
    for (int i = 0; i < 5; i++) blocks[i] = unreachable(40);
    for (int i = 0; i < 8192; i++) found[i] = blocks[i % 5];
    used(found, 8192);
}
CASE(an_array_on_the_stack_that_had_them_all) { collects(); }

FRAME static void grow(struct node *root, struct node *at, int depth) {
    void *volatile way[64];
    for (int i = 0; i < 64; i++) way[i] = root;
    if (depth > 0) {
        at->left = (struct node *)indirect(sizeof *at);
        at->right = (struct node *)indirect(sizeof *at);
        grow(root, depth % 2 == 0 ? at->left : at->right, depth - 1);
    }
    used(way, 64);
}
FRAME static void build(void) {
    struct node *root = (struct node *)unreachable(sizeof *root);
    grow(root, root, 60);
}
CASE(a_tree_grown_by_recursion) { build(); }

FRAME static void sort(long **items, int count) {
    long *volatile copy[count];
    if (count < 2) return;
    sort(items, count / 2);
    sort(items + count / 2, count - count / 2);
    for (int i = 0, low = 0, high = count / 2; i < count; i++) {
        int first = high == count || (low < count / 2 && *items[low] <= *items[high]);
        copy[i] = items[first ? low++ : high++];
    }
    for (int i = 0; i < count; i++) items[i] = copy[i];
}
FRAME static void sorts(void) {
    long *items[2000];
    for (int i = 0; i < 2000; i++) *(items[i] = (long *)unreachable(16)) = i * 7919 % 2000;
    sort(items, 2000);
    MUST(*items[5] == 5);
}
CASE(a_sort_that_copied_their_addresses) { sorts(); }

FRAME static void serve(int requests) {
    void *volatile pending[8192];
    for (int i = 0; i < 8192; i++) pending[i] = NULL;
    for (int i = 0; i < requests; i++) {
        void *request = i % 25 == 0 ? unreachable(64) : malloc(64);
        for (int slot = i / 25; slot < 8192; slot += 4) pending[slot] = i % 25 == 0 ? request : pending[slot];
        if (i % 25 != 0) free(request);
    }
    used(pending, 8192);
}
CASE(a_loop_that_forgot_some_of_its_requests) { serve(100); }

int main(int argc, char **argv) { return run_cases(argc, argv); }
