/*
 * An OpenAI-shaped upstream that is cheap enough not to be what is measured.
 *
 *   mock_upstream PORT                        listens on 127.0.0.1:PORT until killed
 *   mock_upstream PORT --log FILE [--pace N]  counts tokens, and writes down each call
 *
 * Every request gets a chat completion of about 400 bytes with usage. A body that holds
 * "stream":true gets server-sent events instead: a prompt that holds n=100,i=20000 asks for
 * 100 events, one each 20,000 microseconds; i=0 sends them as fast as the socket takes them.
 * The text of each event is T followed by 20 digits, CLOCK_MONOTONIC in nanoseconds at the
 * moment it was made, so that a client on the same machine can tell how long it travelled.
 *
 * With --log it is an upstream that sells tokens. It makes n tokens for each of the choices that
 * the member "n" asks for, but not more than "max_completion_tokens", else "max_tokens", allows;
 * i, or else --pace in tokens per second, is how long each takes. A whole answer comes when its
 * tokens are made. What usage says is what was sent; a stream says it when it was asked to. The
 * prompt costs a token for every four bytes of the body. A prompt may hold further words:
 *
 *   k=16          so many tokens in one event
 *   end=503       that status at once, or any other from 400 to 599
 *   end=hang      no answer; end=stall: silence after half of the tokens
 *   end=torn      the connection is closed after half of the answer; end=reset: with a reset
 *   end=error     a stream says after half of its tokens that it failed
 *   end=silent    no usage, whoever asks for it
 *   end=over      the ceiling is not kept
 *
 * FILE gets one line for each POST, when it is over: the X-Request-Id, `stream` or `unary`, the
 * ceiling or -, tokens of the prompt, tokens that were written until the connection went away (for
 * a whole answer all that were made, whoever waited), and how it ended: `complete`, `gone` (the
 * peer), or the word of the prompt. On SIGTERM those that are under way are written down as gone.
 * The Python twin of this is jotgate.testing.token_upstream.
 *
 * One thread, epoll, and a heap of the streams by the time of their next event. A stream's
 * first pause is random between one and two intervals, so that streams asked for together
 * do not tick together.
 *
 * What it does not do: look at the path or at Connection: close, without --log at max_tokens; read a
 * chunked body that holds the end mark inside a chunk. A request over MAX_REQUEST is answered
 * with 413 and the connection is closed.
 *
 * Exit codes: 1 the port cannot be had or memory is out, 2 wrong usage.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
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

enum {
    FIRST_IN = 16 * 1024,         /* bytes first set aside for a request; doubles as needed */
    MAX_REQUEST = 8 * 1024 * 1024,
    OUT_SIZE = 16 * 1024,         /* holds any one answer or event several times over */
    MAX_HEAP = 65536,             /* paced streams at once */
    MAX_EVENTS = 512,
    MAX_PIECE = 512,              /* tokens in one event */
    NAME_SIZE = 64,               /* of a request id and of an ending, with its end */
    BYTES_PER_TOKEN = 4,          /* of the prompt */
    MADE = 24,                    /* tokens of a whole answer, when nothing is asked for */
};

typedef struct {
    bool open, stream, usage;     /* open: it is not in the log yet */
    char id[NAME_SIZE], ending[NAME_SIZE];
    long ceiling, choices;        /* ceiling: -1 when there is none */
    long prompt, piece, stop_at;  /* stop_at: where it ends early, -1 when it does not */
} call;

typedef struct connection {
    int fd;
    char *in;                     /* what was read and not yet handled; one spare byte at the end */
    size_t in_len, in_size;
    char out[OUT_SIZE];
    size_t out_len, out_sent;
    bool wants_write;             /* EPOLLOUT is asked for */
    bool closing;                 /* close once `out` is written */
    bool streaming;
    long left, total;             /* events still to come, events in all; with --log tokens */
    uint64_t interval_ns, next_ns;
    int heap_at;                  /* place in the heap, -1 when not in it */
    call call;                    /* with --log: what is being answered */
    struct connection *before, *after;
} connection;

static int epoll_fd;
static FILE *call_log;            /* NULL: tokens are not counted */
static uint64_t pace_ns;          /* for each token that does not say it itself */
static connection *connections;
static volatile sig_atomic_t ended;
static connection *heap[MAX_HEAP];
static int heap_len;

static const char COMPLETION[] =
    "{\"id\":\"chatcmpl-AbCdEf0123456789\",\"object\":\"chat.completion\",\"created\":1763800000,"
    "\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
    "\"The capital of France is Paris, a city on the river Seine that is known for its art, food and"
    " history.\"},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":63,"
    "\"completion_tokens\":24,\"total_tokens\":87},\"system_fingerprint\":\"fp_44709d6fcb\"}";
static const char STREAM_HEAD[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
    "Transfer-Encoding: chunked\r\n\r\n";
static const char TOO_LARGE[] =
    "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
static char answer[1024];
static size_t answer_len;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *must(void *memory)
{
    if (!memory) {
        perror("mock_upstream: memory");
        exit(1);
    }
    return memory;
}

/* ---- the heap of paced streams, the earliest on top ---- */

static void heap_swap(int a, int b)
{
    connection *held = heap[a];
    heap[a] = heap[b];
    heap[b] = held;
    heap[a]->heap_at = a;
    heap[b]->heap_at = b;
}

static void heap_rise(int i)
{
    while (i && heap[(i - 1) / 2]->next_ns > heap[i]->next_ns) {
        heap_swap(i, (i - 1) / 2);
        i = (i - 1) / 2;
    }
}

static void heap_sink(int i)
{
    for (;;) {
        int least = i;
        for (int child = 2 * i + 1; child <= 2 * i + 2; child++)
            if (child < heap_len && heap[child]->next_ns < heap[least]->next_ns)
                least = child;
        if (least == i)
            return;
        heap_swap(i, least);
        i = least;
    }
}

/* False when the heap is full: the stream is then dropped rather than left to hang. */
static bool heap_add(connection *c)
{
    if (heap_len == MAX_HEAP)
        return false;
    c->heap_at = heap_len;
    heap[heap_len++] = c;
    heap_rise(c->heap_at);
    return true;
}

static void heap_remove(connection *c)
{
    int i = c->heap_at;
    if (i < 0)
        return;
    if (i != --heap_len) {
        heap[i] = heap[heap_len];
        heap[i]->heap_at = i;
        heap_rise(i);
        heap_sink(i);
    }
    c->heap_at = -1;
}

/* ---- connections ---- */

static void watch(connection *c, int op, bool write_too)
{
    struct epoll_event event = {EPOLLIN | (write_too ? EPOLLOUT : 0), {.ptr = c}};
    epoll_ctl(epoll_fd, op, c->fd, &event);
    c->wants_write = write_too;
}

/* Write down a call that is over, once. */
static void take_down(connection *c, const char *ending)
{
    if (!c->call.open)
        return;
    char ceiling[24] = "-";
    if (c->call.ceiling >= 0)
        snprintf(ceiling, sizeof ceiling, "%ld", c->call.ceiling);
    fprintf(call_log, "%s %s %s %ld %ld %s\n", c->call.id, c->call.stream ? "stream" : "unary", ceiling,
            c->call.prompt, c->call.stream ? c->total - c->left : c->total, ending);
    c->call.open = false;
}

static void drop(connection *c)
{
    take_down(c, "gone");
    heap_remove(c);
    if (c->before)
        c->before->after = c->after;
    else
        connections = c->after;
    if (c->after)
        c->after->before = c->before;
    close(c->fd);
    free(c->in);
    free(c);
}

static void accept_all(int listener)
{
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        connection *c = must(calloc(1, sizeof *c));
        c->fd = fd;
        c->heap_at = -1;
        c->in_size = FIRST_IN;
        c->in = must(malloc(c->in_size + 1));
        c->after = connections;
        if (connections)
            connections->before = c;
        connections = c;
        watch(c, EPOLL_CTL_ADD, false);
    }
}

/* Write what waits. 0: all is out; 1: the socket is full, EPOLLOUT will tell; -1: the peer is gone. */
static int flush_out(connection *c)
{
    while (c->out_sent < c->out_len) {
        ssize_t n = write(c->fd, c->out + c->out_sent, c->out_len - c->out_sent);
        if (n >= 0) {
            c->out_sent += (size_t)n;
            continue;
        }
        if (errno != EAGAIN)
            return -1;
        if (!c->wants_write)
            watch(c, EPOLL_CTL_MOD, true);
        return 1;
    }
    c->out_sent = c->out_len = 0;
    if (c->wants_write)
        watch(c, EPOLL_CTL_MOD, false);
    if (!c->streaming)
        take_down(c, c->call.ending);
    return c->closing ? -1 : 0;
}

/* ---- answers; each is written into an empty `out`, whose size is far above any one of them ---- */

static void put(connection *c, const char *bytes, size_t n)
{
    memcpy(c->out + c->out_len, bytes, n);
    c->out_len += n;
}

static void put_chunk(connection *c, const char *bytes, int n)
{
    c->out_len += (size_t)sprintf(c->out + c->out_len, "%x\r\n", (unsigned)n);
    put(c, bytes, (size_t)n);
    put(c, "\r\n", 2);
}

/* ---- answers of an upstream that counts tokens ---- */

static bool ends(const connection *c, const char *how)
{
    return !strcmp(c->call.ending, how);
}

static void put_text(connection *c, long index, long tokens)
{
    char event[BYTES_PER_TOKEN * MAX_PIECE + 256];
    int n = sprintf(event,
                    "data: {\"id\":\"chatcmpl-%s\",\"object\":\"chat.completion.chunk\",\"created\":1763800000,"
                    "\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":%ld,\"delta\":{\"content\":\"",
                    c->call.id, index);
    for (long i = 0; i < tokens; i++)
        n += sprintf(event + n, "tok ");
    n += sprintf(event + n, "\"},\"finish_reason\":null}]}\n\n");
    put_chunk(c, event, n);
}

static const char *finish_reason(const connection *c)
{
    return c->call.ceiling >= 0 && c->total >= c->call.ceiling * c->call.choices ? "length" : "stop";
}

static void put_end_of_stream(connection *c)
{
    char event[1024];
    int n = 0;
    if (ends(c, "error")) {
        n = sprintf(event, "data: {\"error\":{\"message\":\"It failed.\",\"type\":\"server_error\","
                           "\"param\":null,\"code\":null}}\n\n");
        put_chunk(c, event, n);
        put(c, "0\r\n\r\n", 5);
        return;
    }
    for (long i = 0; i < c->call.choices && n < 600; i++)
        n += sprintf(event + n,
                     "data: {\"id\":\"chatcmpl-0\",\"object\":\"chat.completion.chunk\",\"created\":1763800000,"
                     "\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":%ld,\"delta\":{},\"finish_reason\":\"%s\"}]}\n\n",
                     i, finish_reason(c));
    put_chunk(c, event, n);
    n = 0;
    if (c->call.usage && !ends(c, "silent"))
        n = sprintf(event,
                    "data: {\"id\":\"chatcmpl-0\",\"object\":\"chat.completion.chunk\",\"created\":1763800000,"
                    "\"model\":\"gpt-4o-mini\",\"choices\":[],\"usage\":{\"prompt_tokens\":%ld,"
                    "\"completion_tokens\":%ld,\"total_tokens\":%ld}}\n\n",
                    c->call.prompt, c->total, c->call.prompt + c->total);
    n += sprintf(event + n, "data: [DONE]\n\n");
    put_chunk(c, event, n);
    put(c, "0\r\n\r\n", 5);
}

/* The connection ends before the answer does. */
static void tear(connection *c)
{
    struct linger at_once = {1, 0};
    if (ends(c, "reset"))
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    c->closing = true;
}

static void put_whole(connection *c)
{
    char body[1024], usage[128] = "";
    if (!ends(c, "silent"))
        snprintf(usage, sizeof usage, ",\"usage\":{\"prompt_tokens\":%ld,\"completion_tokens\":%ld,\"total_tokens\":%ld}",
                 c->call.prompt, c->total, c->call.prompt + c->total);
    int n = snprintf(body, sizeof body,
                     "{\"id\":\"chatcmpl-0\",\"object\":\"chat.completion\",\"created\":1763800000,"
                     "\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
                     "\"content\":\"%ld tokens\"},\"finish_reason\":\"%s\"}]%s}",
                     c->total, finish_reason(c), usage);
    bool torn = c->call.stop_at >= 0;
    c->out_len += (size_t)sprintf(c->out + c->out_len,
                                  "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", n);
    put(c, body, (size_t)(torn ? n / 2 : n));
    if (torn)
        tear(c);
}

/* The next piece of an answer, or its end. */
static void put_tokens(connection *c)
{
    if (!c->call.stream) {
        put_whole(c);
        c->streaming = false;
        return;
    }
    long made = c->total - c->left, most = c->call.stop_at >= 0 ? c->call.stop_at - made : c->left;
    long piece = most < c->call.piece ? most : c->call.piece;
    if (piece > 0)
        put_text(c, made / c->call.piece % c->call.choices, piece);
    c->left -= piece;
    made += piece;
    if (c->left && made != c->call.stop_at)
        return;
    c->streaming = false;
    if (c->call.stop_at < 0 || ends(c, "error"))
        put_end_of_stream(c);
    else if (!ends(c, "stall"))
        tear(c);
}

static void put_event(connection *c)
{
    char event[1024];
    int n;
    if (c->call.open) {
        put_tokens(c);
        return;
    }
    if (c->left > 0) {
        n = snprintf(event, sizeof event,
                     "data: {\"id\":\"chatcmpl-AbCdEf0123456789\",\"object\":\"chat.completion.chunk\","
                     "\"created\":1763800000,\"model\":\"gpt-4o-mini\",\"system_fingerprint\":\"fp_44709d6fcb\","
                     "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"T%020llu \"},\"logprobs\":null,"
                     "\"finish_reason\":null}]}\n\n",
                     (unsigned long long)now_ns());
        put_chunk(c, event, n);
        c->left--;
    }
    if (c->left > 0)
        return;
    n = snprintf(event, sizeof event,
                 "data: {\"id\":\"chatcmpl-AbCdEf0123456789\",\"object\":\"chat.completion.chunk\","
                 "\"created\":1763800000,\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"delta\":{},"
                 "\"finish_reason\":\"stop\"}]}\n\n"
                 "data: {\"id\":\"chatcmpl-AbCdEf0123456789\",\"object\":\"chat.completion.chunk\","
                 "\"created\":1763800000,\"model\":\"gpt-4o-mini\",\"choices\":[],\"usage\":{"
                 "\"prompt_tokens\":63,\"completion_tokens\":%ld,\"total_tokens\":%ld}}\n\ndata: [DONE]\n\n",
                 c->total, c->total + 63);
    put_chunk(c, event, n);
    put(c, "0\r\n\r\n", 5);
    c->streaming = false;
}

/* Send events for as long as the socket takes them (i=0). Returns as flush_out does. */
static int pump(connection *c)
{
    while (c->streaming) {
        int r = flush_out(c);
        if (r)
            return r;
        put_event(c);
    }
    return flush_out(c);
}

static long number_after(const char *body, size_t n, const char *mark, long otherwise)
{
    const char *found = memmem(body, n, mark, strlen(mark));
    long value = found ? atol(found + strlen(mark)) : otherwise;
    return value < 0 ? 0 : value;
}

/* Start a stream: the head and, when paced, the first event at once. Returns as flush_out does. */
static int start_stream(connection *c, const char *body, size_t n)
{
    c->total = c->left = number_after(body, n, "n=", 100);
    c->interval_ns = (uint64_t)number_after(body, n, "i=", 0) * 1000u;
    c->streaming = true;
    put(c, STREAM_HEAD, sizeof STREAM_HEAD - 1);
    if (!c->interval_ns)
        return pump(c);
    put_event(c);
    if (c->streaming) {
        c->next_ns = now_ns() + c->interval_ns + (uint64_t)rand() % c->interval_ns;
        if (!heap_add(c))
            return -1;
    }
    return flush_out(c);
}

/* Copy the letters and digits that follow the mark, or "" when it is not there. */
static void word_after(const char *text, size_t n, const char *mark, const char *stops, char word[NAME_SIZE])
{
    const char *found = memmem(text, n, mark, strlen(mark));
    size_t length = found ? strcspn(found + strlen(mark), stops) : 0;
    if (length >= NAME_SIZE)
        length = NAME_SIZE - 1;
    if (found)
        memcpy(word, found + strlen(mark), length);
    word[length] = 0;
}

static int refuse(connection *c, int status)
{
    static const char BODY[] = "{\"error\":{\"message\":\"It was asked to refuse.\",\"type\":\"server_error\","
                               "\"param\":null,\"code\":null}}";
    c->out_len += (size_t)sprintf(c->out + c->out_len,
                                  "HTTP/1.1 %d Refused\r\nContent-Type: application/json\r\n"
                                  "Content-Length: %zu\r\n\r\n%s", status, sizeof BODY - 1, BODY);
    return flush_out(c);
}

/* What is asked for, from the head's X-Request-Id, from the body's members and from the words of its prompt. */
static void read_call(connection *c, const char *id, const char *body, size_t n)
{
    call *k = &c->call;
    *k = (call){.open = true, .ceiling = -1, .choices = number_after(body, n, "\"n\":", 1), .stop_at = -1};
    k->stream = memmem(body, n, "\"stream\":true", 13) || memmem(body, n, "\"stream\": true", 14);
    k->usage = !k->stream || memmem(body, n, "\"include_usage\":true", 20)
               || memmem(body, n, "\"include_usage\": true", 21);
    k->prompt = (long)n / BYTES_PER_TOKEN + 1;
    k->piece = number_after(body, n, "k=", 1);
    if (k->piece < 1 || k->piece > MAX_PIECE)
        k->piece = 1;
    if (k->choices < 1)
        k->choices = 1;
    strcpy(k->id, *id ? id : "-");
    word_after(body, n, "end=", " ,\"\\", k->ending);
    if (!k->stream && (ends(c, "error") || ends(c, "stall")))
        strcpy(k->ending, ends(c, "error") ? "500" : "hang");
    if (memmem(body, n, "\"max_completion_tokens\":", 24))
        k->ceiling = number_after(body, n, "\"max_completion_tokens\":", 0);
    else if (memmem(body, n, "\"max_tokens\":", 13))
        k->ceiling = number_after(body, n, "\"max_tokens\":", 0);
    long made = number_after(body, n, "n=", k->stream ? 100 : MADE);
    if (k->ceiling >= 0 && made > k->ceiling && !ends(c, "over"))
        made = k->ceiling;
    c->total = c->left = made * k->choices;
    if (ends(c, "torn") || ends(c, "reset") || ends(c, "error") || ends(c, "stall"))
        k->stop_at = c->total / 2;
    c->interval_ns = memmem(body, n, "i=", 2) ? (uint64_t)number_after(body, n, "i=", 0) * 1000u : pace_ns;
}

/* Answer a call and count its tokens. Returns as flush_out does. */
static int start_call(connection *c, const char *id, const char *body, size_t n)
{
    read_call(c, id, body, n);
    int status = atoi(c->call.ending);
    bool refused = status >= 400 && status < 600, hangs = ends(c, "hang");
    if (refused || hangs) {
        c->total = c->left = 0;
        take_down(c, c->call.ending);
        return refused ? refuse(c, status) : 0;
    }
    if (!*c->call.ending)
        strcpy(c->call.ending, "complete");
    c->streaming = true;
    if (c->call.stream) {
        put(c, STREAM_HEAD, sizeof STREAM_HEAD - 1);
        c->interval_ns *= (uint64_t)c->call.piece;
    } else {
        c->interval_ns *= (uint64_t)c->total;
    }
    if (!c->interval_ns)
        return pump(c);
    c->next_ns = now_ns() + c->interval_ns;
    if (!heap_add(c))
        return -1;
    return flush_out(c);
}

/* ---- requests ---- */

typedef struct {
    size_t head_len;              /* up to and with the empty line */
    size_t body_len;              /* from Content-Length */
    bool chunked;
    char id[NAME_SIZE];           /* X-Request-Id, when calls are counted */
} framing;

/* False while the head is not all there. */
static bool read_head(const connection *c, framing *f)
{
    char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
    if (!end)
        return false;
    *f = (framing){.head_len = (size_t)(end - c->in) + 4};
    for (char *line = c->in; line < end;) {
        if (!strncasecmp(line, "content-length:", 15))
            f->body_len = strtoul(line + 15, NULL, 10);
        else if (!strncasecmp(line, "transfer-encoding:", 18))
            f->chunked = true;
        else if (call_log && !strncasecmp(line, "x-request-id:", 13))
            word_after(line + 13, (size_t)(end - line - 13), " ", "\r", f->id);
        line = (char *)memchr(line, '\n', (size_t)(end + 2 - line)) + 1;
    }
    return true;
}

/* Length of the whole request, or 0 while it is not all there. */
static size_t request_length(const connection *c, const framing *f)
{
    if (f->chunked) {
        char *mark = memmem(c->in + f->head_len, c->in_len - f->head_len, "0\r\n\r\n", 5);
        return mark ? (size_t)(mark - c->in) + 5 : 0;
    }
    return c->in_len >= f->head_len + f->body_len ? f->head_len + f->body_len : 0;
}

/* Answer the requests that are all there, one after the other. -1: the peer is gone. */
static int handle(connection *c)
{
    framing f;
    while (!c->streaming && !c->out_len && !c->closing) {
        c->in[c->in_len] = 0;
        size_t whole = read_head(c, &f) ? request_length(c, &f) : 0;
        if (!whole)
            return 0;
        char held = c->in[whole];
        c->in[whole] = 0;                              /* numbers end with the request */
        const char *body = c->in + f.head_len;
        size_t n = whole - f.head_len;
        int r;
        if (call_log && !strncmp(c->in, "POST ", 5)) {
            r = start_call(c, f.id, body, n);
        } else if (memmem(body, n, "\"stream\":true", 13) || memmem(body, n, "\"stream\": true", 14)) {
            r = start_stream(c, body, n);
        } else {
            put(c, answer, answer_len);
            r = flush_out(c);
        }
        c->in[whole] = held;
        c->in_len -= whole;
        memmove(c->in, c->in + whole, c->in_len);
        if (r < 0)
            return -1;
    }
    return 0;
}

/* Read once and answer. -1: the connection is over. */
static int readable(connection *c)
{
    if (c->closing)
        return flush_out(c);
    if (c->in_len == c->in_size) {
        if (c->in_size >= MAX_REQUEST) {
            put(c, TOO_LARGE, sizeof TOO_LARGE - 1);
            c->closing = true;
            return flush_out(c);
        }
        c->in_size *= 2;
        c->in = must(realloc(c->in, c->in_size + 1));
    }
    ssize_t n = read(c->fd, c->in + c->in_len, c->in_size - c->in_len);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0)
        return -1;
    c->in_len += (size_t)n;
    return handle(c);
}

static int writable(connection *c)
{
    int r = c->streaming && !c->interval_ns ? pump(c) : flush_out(c);
    return r < 0 ? -1 : handle(c);
}

/* Send the events whose time has come. A stream whose socket is full keeps its event for later. */
static void tick(void)
{
    uint64_t now = now_ns();
    while (heap_len && heap[0]->next_ns <= now) {
        connection *c = heap[0];
        heap_remove(c);
        if (!c->out_len)
            put_event(c);
        bool gone = flush_out(c) < 0;
        if (!gone && c->streaming) {
            c->next_ns += c->interval_ns;
            gone = !heap_add(c);
        } else if (!gone) {
            gone = handle(c) < 0;
        }
        if (gone)
            drop(c);
    }
}

static int listen_on(int port)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {AF_INET, htons((uint16_t)port), {htonl(INADDR_LOOPBACK)}, {0}};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 4096)) {
        perror("mock_upstream: listen");
        exit(1);
    }
    return fd;
}

/* `during`: the signals that are blocked while it waits, NULL for those that are blocked anyway. */
static void serve(int listener, const sigset_t *during)
{
    struct epoll_event events[MAX_EVENTS], event = {EPOLLIN, {.ptr = NULL}};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    while (!ended) {
        struct timespec wait, *timeout = NULL;
        if (heap_len) {
            uint64_t now = now_ns(), next = heap[0]->next_ns, d = next > now ? next - now : 0;
            wait = (struct timespec){(time_t)(d / 1000000000u), (long)(d % 1000000000u)};
            timeout = &wait;
        }
        int n = epoll_pwait2(epoll_fd, events, MAX_EVENTS, timeout, during);
        if (n < 0 && errno != EINTR) {
            perror("mock_upstream: epoll_pwait2 (Linux 5.11 or later is needed)");
            exit(1);
        }
        for (int i = 0; i < n; i++) {
            connection *c = events[i].data.ptr;
            if (!c) {
                accept_all(listener);
                continue;
            }
            int r = events[i].events & EPOLLOUT ? writable(c) : 0;
            if (r >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                r = readable(c);
            if (r < 0)
                drop(c);
        }
        tick();
    }
}

static void end(int signal_number)
{
    (void)signal_number;
    ended = 1;
}

static int usage(void)
{
    fprintf(stderr, "usage: mock_upstream PORT [--log FILE [--pace TOKENS_PER_SECOND]]\n");
    return 2;
}

/* Write each call down, until SIGTERM. */
static void serve_counting(int listener)
{
    sigset_t term, during;
    setvbuf(call_log, NULL, _IOLBF, 0);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &during);            /* it comes while we wait, and at no other time */
    signal(SIGTERM, end);
    serve(listener, &during);
    for (connection *c = connections; c; c = c->after)
        take_down(c, "gone");
    fclose(call_log);
}

int main(int argc, char **argv)
{
    int port = argc > 1 ? atoi(argv[1]) : 0;
    if (port < 1 || port > 65535 || argc % 2)
        return usage();
    for (int i = 2; i < argc; i += 2) {
        if (!strcmp(argv[i], "--log") && !(call_log = fopen(argv[i + 1], "a"))) {
            perror("mock_upstream: the log");
            return 1;
        } else if (!strcmp(argv[i], "--pace") && atol(argv[i + 1]) > 0) {
            pace_ns = 1000000000u / (uint64_t)atol(argv[i + 1]);
        } else if (strcmp(argv[i], "--log")) {
            return usage();
        }
    }
    if (pace_ns && !call_log)
        return usage();
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1);                       /* pace to the microsecond, not to the default 50 */
    answer_len = (size_t)snprintf(answer, sizeof answer,
                                  "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                  "Content-Length: %zu\r\n\r\n%s",
                                  sizeof COMPLETION - 1, COMPLETION);
    epoll_fd = epoll_create1(0);
    if (call_log)
        serve_counting(listen_on(port));
    else
        serve(listen_on(port), NULL);
    return 0;
}
