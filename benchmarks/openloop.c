/* A load generator that keeps to its timetable: request i is due at i / rate, whether or not earlier ones were answered.
 *
 * Latency counts from the instant a request was due, not from when it could be sent, so that a server that stalls
 * cannot hide the requests it kept from being sent ("coordinated omission"). With rate 0 each connection asks again as
 * soon as it is answered, and latency counts from the sending.
 *
 * One thread, epoll; about 5 microseconds of CPU for a request. HTTP/1.1 with Content-Length only: what it meets
 * besides is counted as failed. In WebSocket mode a message of 64 bytes takes the place of a request.
 *
 *   openloop PORT PATH CONNECTIONS RATE SECONDS COOKIES http|ws
 *
 * COOKIES is a file with a value of the Cookie field per line; requests take them in turn. Output: one JSON object.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_SIZE = 16384, SKIP_SIZE = 1 << 20, MESSAGE = 64, GRACE_S = 3, MAX_CONNECTIONS = 4096 };
enum state { IDLE, READING_HEAD, READING_BODY, READING_MESSAGE };

struct connection {
    int fd;
    enum state state;
    int64_t due;        /* nanoseconds */
    int64_t remaining;  /* of the body, or of the message */
    int closes;         /* the server said Connection: close */
    size_t filled;
    char head[HEAD_SIZE];
};

static struct connection *connections;
static int connection_count, epoll_fd, is_websocket;
static int idle[MAX_CONNECTIONS], idle_count;
static struct sockaddr_in address;
static int port;
static const char *path;
static char **cookies;
static size_t cookie_count, cookie_next;
static int64_t *latencies;
static size_t answered, room;
static long failed, refused, reconnected;
static int64_t bytes_read;
static char skipped[SKIP_SIZE];

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void die(const char *what) {
    fprintf(stderr, "openloop: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void read_cookies(const char *name) {
    FILE *file = fopen(name, "r");
    if (!file) die(name);
    char *line = NULL;
    size_t size = 0, capacity = 0;
    ssize_t length;
    while ((length = getline(&line, &size, file)) > 0) {
        if (line[length - 1] == '\n') line[length - 1] = 0;
        if (cookie_count == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            cookies = realloc(cookies, capacity * sizeof *cookies);
        }
        cookies[cookie_count++] = strdup(line);
    }
    free(line);
    fclose(file);
    if (!cookie_count) {
        cookies = malloc(sizeof *cookies);
        cookies[cookie_count++] = strdup("");
    }
}

static void send_all(struct connection *c, const char *bytes, size_t size) {
    /* A request or message is far smaller than a socket's buffer, which is empty: nothing is in flight before it. */
    if (send(c->fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size) errno = EPIPE;
}

static size_t request(char *into, const char *further) {
    const char *cookie = cookies[cookie_next];
    cookie_next = (cookie_next + 1) % cookie_count;
    return snprintf(into, HEAD_SIZE,
        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: openloop\r\nAccept: */*\r\nAccept-Language: en\r\n"
        "%s%s%s%s\r\n",
        path, port, *cookie ? "Cookie: " : "", cookie, *cookie ? "\r\n" : "", further);
}

static void open_socket(struct connection *c) {
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket");
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) die("connect");
    int yes = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)(c - connections)};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event)) die("epoll_ctl");
    c->state = IDLE;
    c->filled = 0;
    c->closes = 0;
}

static void upgrade(struct connection *c) {
    char text[HEAD_SIZE], fields[512];
    snprintf(fields, sizeof fields,
        "Origin: http://127.0.0.1:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", port);
    send_all(c, text, request(text, fields));
    size_t filled = 0;
    while (filled < HEAD_SIZE - 1) {
        /* Byte by byte, so that nothing after the head is taken: this happens once for each connection. */
        if (recv(c->fd, c->head + filled, 1, 0) != 1) break;
        c->head[++filled] = 0;
        if (filled >= 4 && !memcmp(c->head + filled - 4, "\r\n\r\n", 4)) break;
    }
    if (filled < 12 || memcmp(c->head, "HTTP/1.1 101", 12)) {
        fprintf(stderr, "openloop: no upgrade: %.200s\n", c->head);
        exit(1);
    }
}

static void connect_one(struct connection *c) {
    open_socket(c);
    if (is_websocket) upgrade(c);
    idle[idle_count++] = (int)(c - connections);
}

static void reconnect(struct connection *c) {
    close(c->fd);
    reconnected++;
    open_socket(c);
    idle[idle_count++] = (int)(c - connections);
}

static void start(struct connection *c, int64_t due) {
    char text[HEAD_SIZE];
    c->due = due;
    c->filled = 0;
    if (is_websocket) {
        static const char mask[4] = {0x12, 0x34, 0x56, 0x78};
        text[0] = (char)0x82;
        text[1] = (char)(0x80 | MESSAGE);
        memcpy(text + 2, mask, 4);
        for (int i = 0; i < MESSAGE; i++) text[6 + i] = (char)('m' ^ mask[i % 4]);
        c->state = READING_MESSAGE;
        c->remaining = 2 + MESSAGE;
        send_all(c, text, 6 + MESSAGE);
    } else {
        c->state = READING_HEAD;
        send_all(c, text, request(text, ""));
    }
}

static void complete(struct connection *c) {
    if (answered == room) {
        room = room ? 2 * room : 65536;
        latencies = realloc(latencies, room * sizeof *latencies);
        if (!latencies) die("memory");
    }
    latencies[answered++] = now() - c->due;
    if (c->closes) {
        reconnect(c);
        return;
    }
    c->state = IDLE;
    idle[idle_count++] = (int)(c - connections);
}

static const char *field(const char *head, const char *name) {
    size_t length = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line && line[2] != '\r'; line = strstr(line + 2, "\r\n"))
        if (!strncasecmp(line + 2, name, length) && line[2 + length] == ':') {
            const char *value = line + 3 + length;
            while (*value == ' ') value++;
            return value;
        }
    return NULL;
}

static void fail(struct connection *c) {
    failed++;
    reconnect(c);
}

static void read_head(struct connection *c) {
    ssize_t got = recv(c->fd, c->head + c->filled, HEAD_SIZE - 1 - c->filled, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        fail(c);
        return;
    }
    bytes_read += got;
    c->filled += (size_t)got;
    c->head[c->filled] = 0;
    char *end = strstr(c->head, "\r\n\r\n");
    if (!end) {
        if (c->filled == HEAD_SIZE - 1) fail(c);
        return;
    }
    end[2] = '\r';
    const char *length = field(c->head, "Content-Length");
    const char *connection = field(c->head, "Connection");
    if (memcmp(c->head, "HTTP/1.1 200", 12)) refused++;
    if (!length) {
        fail(c);
        return;
    }
    c->closes = connection && !strncasecmp(connection, "close", 5);
    c->remaining = atoll(length) - (int64_t)(c->filled - (size_t)(end + 4 - c->head));
    c->state = READING_BODY;
    if (c->remaining == 0) complete(c);
    else if (c->remaining < 0) fail(c);
}

static void read_body(struct connection *c) {
    size_t wanted = c->remaining < SKIP_SIZE ? (size_t)c->remaining : SKIP_SIZE;
    ssize_t got = recv(c->fd, skipped, wanted, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        fail(c);
        return;
    }
    bytes_read += got;
    if (c->state == READING_MESSAGE && c->remaining == 2 + MESSAGE && (unsigned char)skipped[0] != 0x82) {
        fprintf(stderr, "openloop: not the frame that was sent\n");
        exit(1);
    }
    c->remaining -= got;
    if (c->remaining == 0) complete(c);
}

static void readable(struct connection *c) {
    if (c->state == READING_HEAD) read_head(c);
    else if (c->state != IDLE) read_body(c);
    else if (is_websocket) {
        fprintf(stderr, "openloop: the server ended a WebSocket\n");
        exit(1);
    } else {
        /* An idle connection that the server closes: no request is lost, it only has to be opened anew. */
        for (int i = 0; i < idle_count; i++)
            if (idle[i] == (int)(c - connections)) idle[i] = idle[--idle_count];
        reconnect(c);
    }
}

static int by_size(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double quantile_us(double q) {
    if (!answered) return -1;
    size_t index = (size_t)(q * (double)answered);
    return (double)latencies[index < answered ? index : answered - 1] / 1000;
}

static void wait_until(int64_t instant) {
    struct epoll_event events[256];
    int64_t left = instant - now();
    if (left < 0) left = 0;
    struct timespec timeout = {left / 1000000000, left % 1000000000};
    int count = epoll_pwait2(epoll_fd, events, 256, &timeout, NULL);
    for (int i = 0; i < count; i++) readable(&connections[events[i].data.u32]);
}

int main(int argc, char **argv) {
    if (argc != 8) {
        fprintf(stderr, "openloop PORT PATH CONNECTIONS RATE SECONDS COOKIES http|ws\n");
        return 2;
    }
    port = atoi(argv[1]);
    path = argv[2];
    connection_count = atoi(argv[3]);
    double rate = atof(argv[4]), seconds = atof(argv[5]);
    if (connection_count < 1 || connection_count > MAX_CONNECTIONS || seconds <= 0) return 2;
    read_cookies(argv[6]);
    is_websocket = !strcmp(argv[7], "ws");
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    prctl(PR_SET_TIMERSLACK, 1);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    connections = calloc((size_t)connection_count, sizeof *connections);
    for (int i = 0; i < connection_count; i++) connect_one(&connections[i]);

    int64_t begin = now(), end = begin + (int64_t)(seconds * 1e9), last = end + (int64_t)GRACE_S * 1000000000;
    long planned = rate > 0 ? (long)(rate * seconds) : -1, sent = 0;
    for (;;) {
        int64_t instant = now(), due = begin + (rate > 0 ? (int64_t)((double)sent * 1e9 / rate) : 0);
        while (idle_count && (rate > 0 ? sent < planned && due <= instant : instant < end)) {
            start(&connections[idle[--idle_count]], rate > 0 ? due : now());
            sent++;
            if (rate > 0) due = begin + (int64_t)((double)sent * 1e9 / rate);
        }
        int is_over = rate > 0 ? sent == planned : instant >= end;
        if ((is_over && idle_count == connection_count) || instant >= last) break;
        wait_until(rate > 0 && sent < planned && idle_count ? due : is_over ? last : rate > 0 ? last : end);
    }
    double took = (double)(now() - begin) / 1e9;
    qsort(latencies, answered, sizeof *latencies, by_size);
    printf("{\"planned\":%ld,\"sent\":%ld,\"answered\":%zu,\"refused\":%ld,\"failed\":%ld,\"reconnected\":%ld,"
        "\"seconds\":%.6f,\"bytes\":%lld,\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}\n",
        planned < 0 ? sent : planned, sent, answered, refused, failed, reconnected, took, (long long)bytes_read,
        quantile_us(0.5), quantile_us(0.9), quantile_us(0.99), quantile_us(1));
    return 0;
}
