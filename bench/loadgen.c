/*
 * An HTTP/1.1 load generator for one thread and one core.
 *
 *   loadgen PORT FILE rate RPS SECONDS CONNS    open loop: latency counts from the scheduled time
 *   loadgen PORT FILE closed CONNS SECONDS      closed loop: each connection asks again at once
 *   loadgen PORT FILE stream CONNS ROUNDS       each connection reads ROUNDS event streams
 *
 * FILE holds raw HTTP requests separated by the byte 0x1e; they are sent in turn. Connections go
 * to 127.0.0.1:PORT. In the text of a stream, T and 20 digits is CLOCK_MONOTONIC in nanoseconds at
 * the moment the event was made (mock_upstream.c writes it); its age on arrival is `chunk_us`.
 *
 * Prints one JSON object on stdout. Every request sent ends as exactly one of
 *   ok          the whole response arrived and its status was 200
 *   not_ok      the whole response arrived with another status
 *   errors      the connection failed, or what came back was not a framed HTTP/1.1 response
 *   unanswered  nothing complete had come GRACE seconds after the end
 * and nothing is cut off: at the end of the time no new request is sent and those under way are
 * waited for, so that a count of requests and a measured cost cover the same work.
 *
 * Exit codes: 0 every request was ok, 1 some were not, 2 wrong usage or no connection.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    READ_SIZE = 256 * 1024,       /* bytes taken from a socket at once */
    MAX_HEAD = 32 * 1024,         /* a longer response head is an error */
    MAX_REQUESTS = 20000,
    MAX_FILE = 64 * 1024 * 1024,
    MAX_EVENTS = 512,
    STAMP = 22,                   /* "T and 20 digits */
    GRACE = 10,                   /* seconds */
    STREAM_STEP_NS = 1000000,     /* streams begin one after the other, not as one crowd */
};

typedef enum { RATE, CLOSED, STREAM } mode_kind;
typedef enum { HEAD, LENGTH, CHUNK_SIZE, CHUNK_BYTES, CHUNK_END, TRAILER, WHOLE, BROKEN } phase_kind;

typedef struct {
    uint64_t *at;
    size_t len, size;
} series;                         /* nanoseconds */

typedef struct {
    int fd;
    bool busy;
    uint64_t asked_ns;            /* when the request was sent, or was due (rate) */
    int rounds_left;
    phase_kind phase;
    int status;
    bool close_after;             /* the response said Connection: close */
    uint64_t remaining;           /* bytes left of the body or of the chunk */
    char head[MAX_HEAD + 1];
    size_t head_len;
    char line[64];                /* a chunk-size or trailer line, its beginning */
    size_t line_len;
    char tail[STAMP];             /* the end of the text seen so far: a stamp may be cut in two */
    size_t tail_len;
    bool stamped;                 /* this stream's first event has been seen */
} connection;

static struct {
    mode_kind mode;
    int rps, seconds, conns, rounds;
} plan;
static struct {
    long sent, ok, not_ok, errors, reconnects, streams, chunks;
} count;
static series latency, chunk_age, first_chunk;
static char *requests[MAX_REQUESTS];
static size_t request_len[MAX_REQUESTS];
static int request_count, request_next;
static int epoll_fd, port;
static connection **idle;
static int idle_len, active;      /* active: connections that still have streams to read */

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void give_up(const char *what)
{
    perror(what);
    exit(2);
}

static void *must(void *memory)
{
    if (!memory)
        give_up("loadgen: memory");
    return memory;
}

static void note(series *s, uint64_t ns)
{
    if (s->len == s->size) {
        s->size = s->size ? s->size * 2 : 65536;
        s->at = must(realloc(s->at, s->size * sizeof *s->at));
    }
    s->at[s->len++] = ns;
}

/* ---- connections and requests ---- */

static void open_connection(connection *c)
{
    int one = 1;
    struct sockaddr_in address = {AF_INET, htons((uint16_t)port), {htonl(INADDR_LOOPBACK)}, {0}};
    struct epoll_event event = {EPOLLIN, {.ptr = c}};
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address))
        give_up("loadgen: connect");
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
    c->busy = false;
}

static void reopen(connection *c)
{
    close(c->fd);
    open_connection(c);
    count.reconnects++;
}

static void ask(connection *c, uint64_t due_ns)
{
    int i = request_next++ % request_count;
    c->busy = true;
    c->asked_ns = due_ns;
    c->phase = HEAD;
    c->head_len = c->line_len = c->tail_len = 0;
    c->stamped = c->close_after = false;
    count.sent++;
    for (size_t done = 0; done < request_len[i];) {
        ssize_t n = send(c->fd, requests[i] + done, request_len[i] - done, MSG_NOSIGNAL);
        if (n < 0)
            return;                                   /* the read that follows finds it closed and counts it */
        done += (size_t)n;
    }
}

/* The connection is free again: ask once more, rest, or (stream) end. */
static void release(connection *c, uint64_t now, uint64_t end)
{
    if (plan.mode == STREAM) {
        if (--c->rounds_left > 0) {
            ask(c, now);
        } else {
            close(c->fd);
            active--;
        }
    } else if (plan.mode == CLOSED && now < end) {
        ask(c, now);
    } else {
        idle[idle_len++] = c;
    }
}

/* ---- responses, read as they come ---- */

/* Find the stamps in the text; what may be the beginning of one is kept for the next piece. */
static void read_text(connection *c, const char *text, size_t n, uint64_t now)
{
    static char joined[READ_SIZE + STAMP];
    memcpy(joined, c->tail, c->tail_len);
    memcpy(joined + c->tail_len, text, n);
    const char *at = joined, *end = joined + c->tail_len + n, *found;
    while ((found = memmem(at, (size_t)(end - at), "\"T0", 3)) && end - found >= STAMP) {
        uint64_t made = strtoull(found + 2, NULL, 10); /* a space follows the digits, or the piece's end */
        note(&chunk_age, now > made ? now - made : 0);
        if (!c->stamped)
            note(&first_chunk, now - c->asked_ns);
        c->stamped = true;
        count.chunks++;
        at = found + STAMP;
    }
    size_t keep = (size_t)(end - at);
    if (keep > STAMP - 1)
        keep = STAMP - 1;
    memcpy(c->tail, end - keep, keep);
    c->tail_len = keep;
}

static phase_kind end_of_head(connection *c)
{
    long length = -1;
    bool chunked = false;
    c->head[c->head_len] = 0;
    if (strncmp(c->head, "HTTP/1.1 ", 9))
        return BROKEN;
    c->status = atoi(c->head + 9);
    for (char *line = strchr(c->head, '\n'); line && *++line; line = strchr(line, '\n')) {
        if (!strncasecmp(line, "content-length:", 15))
            length = atol(line + 15);
        else if (!strncasecmp(line, "transfer-encoding: chunked", 26))
            chunked = true;
        else if (!strncasecmp(line, "connection: close", 17))
            c->close_after = true;
    }
    if (chunked)
        return CHUNK_SIZE;
    if (length < 0)
        return BROKEN;                                /* a body up to the close has no honest end */
    c->remaining = (uint64_t)length;
    return length ? LENGTH : WHOLE;
}

/* Take bytes of the head. Returns how many. */
static size_t take_head(connection *c, const char *bytes, size_t n)
{
    size_t before = c->head_len, room = MAX_HEAD - before, got = n < room ? n : room;
    memcpy(c->head + before, bytes, got);
    c->head_len += got;
    size_t from = before > 3 ? before - 3 : 0;
    char *end = memmem(c->head + from, c->head_len - from, "\r\n\r\n", 4);
    if (end) {
        c->head_len = (size_t)(end - c->head) + 4;
        c->phase = end_of_head(c);
        return c->head_len - before;
    }
    if (c->head_len == MAX_HEAD)
        c->phase = BROKEN;
    return got;
}

/* Take bytes of a chunk-size line, the line after a chunk, or a trailer line. Returns how many. */
static size_t take_line(connection *c, const char *bytes, size_t n)
{
    const char *end = memchr(bytes, '\n', n);
    size_t got = end ? (size_t)(end - bytes) + 1 : n;
    size_t room = sizeof c->line - 1 - c->line_len, kept = got < room ? got : room;
    memcpy(c->line + c->line_len, bytes, kept);
    c->line_len += kept;
    if (!end)
        return got;
    c->line[c->line_len] = 0;
    bool empty = c->line[0] == '\r' || c->line[0] == '\n';
    c->line_len = 0;
    if (c->phase == CHUNK_END) {
        c->phase = empty ? CHUNK_SIZE : BROKEN;
    } else if (c->phase == TRAILER) {
        c->phase = empty ? WHOLE : TRAILER;
    } else {
        char *after;
        c->remaining = strtoull(c->line, &after, 16);
        c->phase = after == c->line ? BROKEN : c->remaining ? CHUNK_BYTES : TRAILER;
    }
    return got;
}

/* Take bytes of the body. Returns how many. */
static size_t take_body(connection *c, const char *bytes, size_t n, uint64_t now)
{
    size_t got = n < c->remaining ? n : (size_t)c->remaining;
    if (plan.mode == STREAM)
        read_text(c, bytes, got, now);
    c->remaining -= got;
    if (!c->remaining)
        c->phase = c->phase == LENGTH ? WHOLE : CHUNK_END;
    return got;
}

static void take(connection *c, const char *bytes, size_t n, uint64_t now)
{
    while (n && c->phase != WHOLE && c->phase != BROKEN) {
        size_t got = c->phase == HEAD                                  ? take_head(c, bytes, n)
                     : c->phase == LENGTH || c->phase == CHUNK_BYTES   ? take_body(c, bytes, n, now)
                                                                       : take_line(c, bytes, n);
        bytes += got;
        n -= got;
    }
    if (n)
        c->phase = BROKEN;                            /* bytes that nobody asked for */
}

static void readable(connection *c, uint64_t end)
{
    static char bytes[READ_SIZE];
    ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
    uint64_t now = now_ns();
    if (!c->busy) {                                   /* closed while it rested, which is no error; or noise */
        count.errors += n > 0;
        reopen(c);
        return;
    }
    if (n > 0)
        take(c, bytes, (size_t)n, now);
    if (n <= 0 || c->phase == BROKEN) {
        count.errors++;
        reopen(c);
        release(c, now, end);
        return;
    }
    if (c->phase != WHOLE)
        return;
    note(&latency, now - c->asked_ns);
    if (c->status == 200)
        count.ok++;
    else
        count.not_ok++;
    count.streams += plan.mode == STREAM && c->status == 200;
    c->busy = false;
    if (c->close_after)
        reopen(c);
    release(c, now, end);
}

/* ---- the run ---- */

static long answered(void)
{
    return count.ok + count.not_ok + count.errors;
}

static bool finished(long total, uint64_t now, uint64_t end)
{
    if (plan.mode == RATE)
        return answered() >= total;
    if (plan.mode == STREAM)
        return !active;
    return now >= end && idle_len == plan.conns;
}

static double run(connection *all)
{
    struct epoll_event events[MAX_EVENTS];
    uint64_t start = now_ns(), end = start + (uint64_t)plan.seconds * 1000000000u;
    uint64_t step = plan.mode == RATE ? 1000000000u / (uint64_t)plan.rps : STREAM_STEP_NS, due = start + step;
    uint64_t last = plan.mode == STREAM ? start + 120000000000u : end + GRACE * 1000000000ull;
    long total = plan.mode == RATE ? (long)plan.rps * plan.seconds : plan.mode == STREAM ? plan.conns : 0;
    long begun = 0;
    for (int i = plan.conns; i-- > 0;) {
        if (plan.mode == CLOSED)
            ask(&all[i], now_ns());
        else
            idle[idle_len++] = &all[i];
    }
    for (;;) {
        uint64_t now = now_ns(), wait = 100000000;
        while (begun < total && now >= due && idle_len) {
            ask(idle[--idle_len], due);
            begun++;
            due += step;
            now = now_ns();
        }
        if (finished(total, now, end) || now > last)
            return (double)(now - start) / 1e9;
        if (begun < total && idle_len && due < now + wait)
            wait = due > now ? due - now : 0;
        struct timespec timeout = {0, (long)wait};
        int n = epoll_pwait2(epoll_fd, events, MAX_EVENTS, &timeout, NULL);
        if (n < 0 && errno != EINTR)
            give_up("loadgen: epoll_pwait2 (Linux 5.11 or later is needed)");
        for (int i = 0; i < n; i++)
            readable(events[i].data.ptr, end);
    }
}

/* ---- what is printed ---- */

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double nearest_rank_us(const series *s, long per_thousand)
{
    size_t rank = (s->len * (size_t)per_thousand + 999) / 1000;
    return (double)s->at[rank ? rank - 1 : 0] / 1e3;
}

static void print_series(const char *name, const series *s)
{
    if (!s->len) {
        printf(",\"%s\":null", name);
        return;
    }
    qsort(s->at, s->len, sizeof *s->at, by_size);
    printf(",\"%s\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"max\":%.1f}", name, nearest_rank_us(s, 500),
           nearest_rank_us(s, 900), nearest_rank_us(s, 990), (double)s->at[s->len - 1] / 1e3);
}

static double own_cpu_s(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void print_result(double seconds)
{
    printf("{\"sent\":%ld,\"ok\":%ld,\"not_ok\":%ld,\"errors\":%ld,\"unanswered\":%ld,\"reconnects\":%ld", count.sent,
           count.ok, count.not_ok, count.errors, count.sent - answered(), count.reconnects);
    printf(",\"streams\":%ld,\"chunks\":%ld,\"seconds\":%.6f,\"cpu_s\":%.6f", count.streams, count.chunks, seconds,
           own_cpu_s());
    print_series("latency_us", &latency);
    print_series("chunk_us", &chunk_age);
    print_series("first_chunk_us", &first_chunk);
    puts("}");
}

/* ---- arguments ---- */

static void read_requests(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *all = must(malloc(MAX_FILE));
    if (!f)
        give_up(path);
    size_t n = fread(all, 1, MAX_FILE, f);
    fclose(f);
    for (char *p = all; p < all + n && request_count < MAX_REQUESTS;) {
        char *end = memchr(p, 0x1e, (size_t)(all + n - p));
        if (!end)
            end = all + n;
        if (end > p) {
            requests[request_count] = p;
            request_len[request_count++] = (size_t)(end - p);
        }
        p = end + 1;
    }
    if (!request_count) {
        fprintf(stderr, "loadgen: %s holds no request\n", path);
        exit(2);
    }
}

static bool read_plan(int argc, char **argv)
{
    if (argc == 7 && !strcmp(argv[3], "rate")) {
        plan.mode = RATE;
        plan.rps = atoi(argv[4]);
        plan.seconds = atoi(argv[5]);
        plan.conns = atoi(argv[6]);
        return plan.rps > 0 && plan.seconds > 0 && plan.conns > 0;
    }
    if (argc == 6 && !strcmp(argv[3], "closed")) {
        plan.mode = CLOSED;
        plan.conns = atoi(argv[4]);
        plan.seconds = atoi(argv[5]);
        return plan.conns > 0 && plan.seconds > 0;
    }
    if (argc == 6 && !strcmp(argv[3], "stream")) {
        plan.mode = STREAM;
        plan.conns = atoi(argv[4]);
        plan.rounds = atoi(argv[5]);
        return plan.conns > 0 && plan.rounds > 0;
    }
    return false;
}

int main(int argc, char **argv)
{
    port = argc > 3 ? atoi(argv[1]) : 0;
    if (port < 1 || port > 65535 || !read_plan(argc, argv)) {
        fprintf(stderr, "usage: loadgen PORT FILE rate RPS SECONDS CONNS | closed CONNS SECONDS | "
                        "stream CONNS ROUNDS\n");
        return 2;
    }
    read_requests(argv[2]);
    prctl(PR_SET_TIMERSLACK, 1);                      /* keep the schedule to the microsecond */
    epoll_fd = epoll_create1(0);
    connection *all = must(calloc((size_t)plan.conns, sizeof *all));
    idle = must(calloc((size_t)plan.conns, sizeof *idle));
    active = plan.conns;
    for (int i = 0; i < plan.conns; i++) {
        open_connection(&all[i]);
        all[i].rounds_left = plan.rounds;
    }
    print_result(run(all));
    return count.ok == count.sent ? 0 : 1;
}
