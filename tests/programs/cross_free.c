/* Blocks that another thread frees. PAIRS producers and consumers with one queue each; every
 * producer makes N blocks (give(), 48 bytes), its consumer frees all but those with a number
 * divisible by 1000: N / 1000 (rounded up) live per pair. Status 0.
 */
#include "common.h"
#include <pthread.h>

#define ROOM 256
struct queue {
    pthread_mutex_t lock;
    pthread_cond_t change;
    void *blocks[ROOM];
    long put, taken;
};
static struct queue queues[8];
static long count;

FRAME static void *give(void) {
    void *block = malloc(48);
    MUST(block);
    return block;
}

static void *produce(void *argument) {
    struct queue *queue = argument;
    for (long i = 0; i < count; i++) {
        void *block = give();
        pthread_mutex_lock(&queue->lock);
        while (queue->put - queue->taken == ROOM) pthread_cond_wait(&queue->change, &queue->lock);
        queue->blocks[queue->put++ % ROOM] = block;
        pthread_cond_signal(&queue->change);
        pthread_mutex_unlock(&queue->lock);
    }
    return NULL;
}

static void *consume(void *argument) {
    struct queue *queue = argument;
    for (long i = 0; i < count; i++) {
        pthread_mutex_lock(&queue->lock);
        while (queue->put == queue->taken) pthread_cond_wait(&queue->change, &queue->lock);
        void *block = queue->blocks[queue->taken++ % ROOM];
        pthread_cond_signal(&queue->change);
        pthread_mutex_unlock(&queue->lock);
        if (i % 1000 != 0) free(block);
    }
    return NULL;
}

int main(int argc, char **argv) {
    long pairs = number_argument(argc, argv, 1, 2);
    count = number_argument(argc, argv, 2, 50000);
    pthread_t threads[16];
    MUST(pairs <= 8);
    for (long p = 0; p < pairs; p++) {
        pthread_mutex_init(&queues[p].lock, NULL);
        pthread_cond_init(&queues[p].change, NULL);
        MUST(pthread_create(&threads[2 * p], NULL, produce, &queues[p]) == 0);
        MUST(pthread_create(&threads[2 * p + 1], NULL, consume, &queues[p]) == 0);
    }
    for (long t = 0; t < 2 * pairs; t++) pthread_join(threads[t], NULL);
    say("%ld pairs, %ld blocks each\n", pairs, count);
    return 0;
}
