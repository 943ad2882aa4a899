/* The client of http_server.js: waits for its port in the file `port`, and sends requests over 50 connections that
 * are kept, one at a time on each, until the server closes them.
 *
 *     http_load
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 50, SECONDS = 60 };

/* What is left of the answer that a connection waits for; its head as far as it came. */
struct answer {
    long body;
    size_t head_length;
    char head[4096];
};

static int wait_for_port(void) {
    for (int i = 0; i < SECONDS * 100; i++) {
        FILE *file = fopen("port", "r");
        int port = 0;
        if (file) {
            int found = fscanf(file, "%d", &port);
            fclose(file);
            if (found == 1) return port;
        }
        nanosleep(&(struct timespec){0, 10 * 1000 * 1000}, NULL);
    }
    return 0;
}

static int ask(int socket, long number) {
    char text[128];
    int length = snprintf(text, sizeof text, "GET /item?id=%ld HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n", number);
    return send(socket, text, length, MSG_NOSIGNAL) == length;
}

/* Takes what came; 1 when the answer is whole, -1 at the end of the connection. */
static int take(int socket, struct answer *answer) {
    char buffer[65536];
    ssize_t length = recv(socket, buffer, sizeof buffer, 0);
    if (length <= 0) return -1;
    if (answer->body < 0) {
        size_t room = sizeof answer->head - 1 - answer->head_length;
        size_t part = (size_t)length < room ? (size_t)length : room;
        memcpy(answer->head + answer->head_length, buffer, part);
        answer->head_length += part;
        answer->head[answer->head_length] = 0;
        char *end = strstr(answer->head, "\r\n\r\n");
        char *told = strcasestr(answer->head, "content-length:");
        if (!end || !told) return 0;
        answer->body = atol(told + strlen("content-length:"));
        answer->body -= answer->head_length - (end + 4 - answer->head) + (length - part);
    } else {
        answer->body -= length;
    }
    if (answer->body > 0) return 0;
    *answer = (struct answer){.body = -1};
    return 1;
}

int main(void) {
    int port = wait_for_port();
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    static struct answer answers[CONNECTIONS];
    struct pollfd sockets[CONNECTIONS];
    long number = 0;
    int open = 0;
    for (int i = 0; i < CONNECTIONS; i++) {
        int one = 1;
        sockets[i] = (struct pollfd){socket(AF_INET, SOCK_STREAM, 0), POLLIN, 0};
        setsockopt(sockets[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (connect(sockets[i].fd, (struct sockaddr *)&address, sizeof address)) return 1;
        answers[i].body = -1;
        open += ask(sockets[i].fd, number++);
    }
    while (open > 0 && poll(sockets, CONNECTIONS, SECONDS * 1000) > 0) {
        for (int i = 0; i < CONNECTIONS; i++) {
            if (sockets[i].fd < 0 || !sockets[i].revents) continue;
            int whole = take(sockets[i].fd, &answers[i]);
            if (whole < 0 || (whole > 0 && !ask(sockets[i].fd, number++))) {
                close(sockets[i].fd);
                sockets[i].fd = -1;
                open--;
            }
        }
    }
    return open > 0;
}
