/* Others on loopback that do as a test wants: a peer that never sends anything, a tracker. */
#ifndef LOOPBACK_H
#define LOOPBACK_H

#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* A socket that listens on a free port. */
static inline int listen_on(uint16_t *port)
{
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 16) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static inline int send_all(int fd, const void *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return 0;
        bytes = (const char *)bytes + n;
        len -= (size_t)n;
    }
    return 1;
}

/* Has the session dial a peer that says to have everything (BEP 6), lets it ask, and never answers: its socket. */
static inline int silent_peer(et_session *session, et_storage_index torrent)
{
    static const char has_all_and_unchokes[] = { 0, 0, 0, 1, 14, 0, 0, 0, 1, 1 };
    char hello[68], address[32];
    size_t n = 0;
    uint16_t port;
    int listener = listen_on(&port), fd;
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    STATUS(ET_OK, et_torrent_connect_peer(session, torrent, address, ET_NUL_TERMINATED, NULL));
    fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0);
    close(listener);
    while (n < sizeof hello) {
        ssize_t more = recv(fd, hello + n, sizeof hello - n, 0);
        CHECK(more > 0);
        if (more <= 0)
            break;
        n += (size_t)more;
    }
    /* The same back, but for who it is. */
    memset(hello + 48, 'x', 20);
    CHECK(send_all(fd, hello, sizeof hello) && send_all(fd, has_all_and_unchokes, sizeof has_all_and_unchokes));
    return fd;
}

/* Takes the next request to a tracker: its head in `head`, its socket. */
static inline int next_request(int listener, char *head, size_t cap)
{
    size_t n = 0;
    int fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0);
    head[0] = '\0';
    while (strstr(head, "\r\n\r\n") == NULL && n + 1 < cap) {
        ssize_t more = recv(fd, head + n, cap - n - 1, 0);
        if (more <= 0)
            break;
        n += (size_t)more;
        head[n] = '\0';
    }
    return fd;
}

static inline void answer(int fd, const char *body, size_t len)
{
    char head[128];
    int n = snprintf(head, sizeof head, "HTTP/1.0 200 OK\r\nContent-Length: %zu\r\n\r\n", len);
    CHECK(send_all(fd, head, (size_t)n) && send_all(fd, body, len));
    close(fd);
}

#endif
