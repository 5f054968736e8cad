/* Memory storage: a film from a second session on loopback, many times as large as the memory that it is streamed through. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum { PIECE = 65536, PIECES = 128, KINDS = 8, MIB = 1 << 20 };

/* Piece n is PIECE bytes of the value n % KINDS; these are their SHA-1s. */
static const unsigned char hashes[KINDS][20] = {
    "\x1a\xdc\x95\xbe\xbe\x9e\xea\x8c\x11\x2d\x40\xcd\x04\xab\x7a\x8d\x75\xc4\xf9\x61",
    "\x2f\x55\x34\xad\x9a\x79\x0c\x9c\x9f\xab\x47\x9a\x18\x7d\xbf\x3f\x96\x1a\xa2\x94",
    "\x65\xcf\x31\x5c\x2d\xf5\x30\x88\xb4\xc7\x57\xa9\x66\xa3\x84\x40\x62\x55\x9a\xda",
    "\x84\x97\xc7\x09\x69\xe6\xa8\x5c\xb4\xb0\x63\x1b\xcd\x2c\xc1\x6c\xaf\x8c\x5d\x0f",
    "\x4d\xd7\x4e\xa6\x14\x63\xf6\x8e\x9b\xb0\xcb\xe3\x1f\xda\x84\x8d\xa3\xad\x5d\xe4",
    "\x19\x15\x42\x0f\xcc\xdd\xfb\xaf\xcd\xaf\xf2\xbe\xee\xe6\x3b\xdd\x01\xe9\x7b\x6d",
    "\x9e\x11\xf9\x36\x38\xd3\x7b\xa6\xf7\xb3\x4a\x78\xee\xa0\x43\x82\x1c\xa4\xe1\x88",
    "\xa4\x8f\x60\xa4\xc5\x09\x9a\x1b\x00\x08\x5b\xe3\xb4\x2c\x9f\x0b\xbb\x94\xd1\xc6",
};

static size_t make_torrent(unsigned char *out)
{
    size_t n = (size_t)sprintf((char *)out, "d4:infod6:lengthi%de4:name4:film12:piece lengthi%de6:pieces%d:", PIECES * PIECE,
                               PIECE, PIECES * 20);
    int piece;
    for (piece = 0; piece < PIECES; piece++, n += 20)
        memcpy(out + n, hashes[piece % KINDS], 20);
    memcpy(out + n, "ee", 2);
    return n + 2;
}

static void make_file(const char *path)
{
    static char piece[PIECE];
    FILE *file = fopen(path, "wb");
    int n;
    CHECK(file != NULL);
    for (n = 0; n < PIECES && file != NULL; n++) {
        memset(piece, n % KINDS, PIECE);
        CHECK(fwrite(piece, 1, PIECE, file) == PIECE);
    }
    CHECK(file != NULL && fclose(file) == 0);
}

/* Waits until it is so, a minute at most: under valgrind all takes long. */
#define UNTIL(condition)                                                                                               \
    do {                                                                                                               \
        int turns_ = 0;                                                                                                \
        while (!(condition) && turns_++ < 12000)                                                                       \
            poll(NULL, 0, 5);                                                                                          \
        CHECK(condition);                                                                                              \
    } while (0)

static et_session *session;
static et_storage_index film;
/* What may have been in use since the limit was set. */
static uint64_t allowed = MIB;

static et_storage_stats_info stats(void)
{
    et_storage_stats_info stats = { .struct_size = sizeof stats };
    STATUS(ET_OK, et_storage_stats(session, film, &stats, NULL));
    CHECK(stats.session_peak <= allowed);
    return stats;
}

static int had(int piece)
{
    static _Thread_local uint8_t bits[PIECES / 8];
    size_t len = 0;
    uint32_t pieces = 0;
    STATUS(ET_OK, et_torrent_pieces(session, film, bits, sizeof bits, &len, &pieces, NULL));
    return bits[piece / 8] >> (7 - piece % 8) & 1;
}

static int available(int piece)
{
    int32_t there = -1;
    STATUS(ET_OK, et_storage_is_lookbehind_available(session, film, piece, &there, NULL));
    return there;
}

/* The piece is not there, by every way of asking. */
static int is_gone(int piece)
{
    char byte;
    size_t n = 0;
    return !had(piece) && !available(piece) && et_storage_read(session, film, piece, 0, &byte, 1, &n, NULL) == ET_ERR_WOULD_BLOCK;
}

/* The piece is there, whole and right, without the network. */
static int is_right(int piece)
{
    static char bytes[PIECE];
    size_t n = 0, i;
    if (!had(piece) || !available(piece) || et_storage_read(session, film, piece, 0, bytes, PIECE, &n, NULL) != ET_OK || n != PIECE)
        return 0;
    for (i = 0; i < PIECE; i++)
        if (bytes[i] != piece % KINDS)
            return 0;
    return 1;
}

static et_reader *reader_of(void)
{
    et_reader *reader = NULL;
    STATUS(ET_OK, et_reader_open(session, film, 0, NULL, &reader, NULL));
    return reader;
}

/* Reads pieces from `from` on, and compares each byte. Uninitialised: the library only writes it. */
static void play(et_reader *reader, int from, int pieces)
{
    char *buf = malloc(PIECE);
    uint64_t at = (uint64_t)from * PIECE, end = at + (uint64_t)pieces * PIECE;
    STATUS(ET_OK, et_reader_seek(reader, (int64_t)at, ET_SEEK_SET, NULL, NULL));
    while (at < end) {
        size_t n = 0, i, right = 0;
        et_status status = et_reader_read(reader, buf, end - at < PIECE ? (size_t)(end - at) : PIECE, 60000, &n, NULL);
        STATUS(ET_OK, status);
        if (status != ET_OK)
            break;
        for (i = 0; i < n; i++)
            right += buf[i] == (char)((at + i) / PIECE % KINDS);
        CHECK(right == n);
        at += n;
    }
    free(buf);
}

/* What was evicted is not had, is told, and is fetched again when it is wanted. */
static void evicted(void)
{
    et_reader *reader = reader_of();
    uint64_t refetched;
    play(reader, 0, PIECES);
    CHECK(stats().evicted_pieces > PIECES / 2);
    CHECK(is_gone(20) && is_gone(21));
    refetched = stats().refetched_pieces;
    play(reader, 20, 2);
    CHECK(is_right(20) && is_right(21));
    CHECK(stats().refetched_pieces >= refetched + 2);
    et_reader_free(reader);
}

/* What lookbehind protects outlives what evicts all else, and nothing else does. */
static void protected(void)
{
    static const et_piece_index pieces[] = { 40, 41, 42, 43 };
    et_reader *reader = reader_of();
    int n;
    /* They need not be here to be protected, but are not fetched for it. */
    STATUS(ET_OK, et_storage_set_lookbehind(session, film, pieces, 4, NULL));
    play(reader, 40, 6);
    play(reader, 50, 70);
    for (n = 40; n < 44; n++)
        CHECK(is_right(n));
    CHECK(is_gone(44) && is_gone(45));
    STATUS(ET_OK, et_storage_clear_lookbehind(session, film, NULL));
    play(reader, 50, 70);
    for (n = 40; n < 44; n++)
        CHECK(is_gone(n));
    et_reader_free(reader);
}

static atomic_int over;

static void *play_on(void *seed)
{
    et_reader *reader = reader_of();
    unsigned at = (unsigned)(intptr_t)seed;
    while (!over) {
        at = at * 1103515245 + 12345;
        play(reader, (int)(at / 65536 % (PIECES - 8)), 4);
    }
    et_reader_free(reader);
    return NULL;
}

/* The limit goes down and up under two readers. Each stats() looks whether the peak keeps to what was allowed; once lowered, it holds. */
static void limits(void)
{
    static const uint64_t steps[] = { 2 * MIB, 512 << 10, MIB, 256 << 10 };
    pthread_t threads[2];
    int n;
    CHECK(pthread_create(&threads[0], NULL, play_on, (void *)1) == 0);
    CHECK(pthread_create(&threads[1], NULL, play_on, (void *)2) == 0);
    for (n = 0; n < 24; n++) {
        uint64_t limit = steps[n % 4], evicted = stats().evicted_pieces, charged;
        allowed = limit > allowed ? limit : allowed;
        STATUS(ET_OK, et_storage_set_limit(session, limit, NULL));
        charged = stats().session_charged;
        CHECK(stats().session_limit == limit);
        /* What is too much goes; it never grows meanwhile. */
        CHECK(stats().session_charged <= (charged > limit ? charged : limit));
        UNTIL(stats().session_charged <= limit);
        /* From here on nothing is above it: the peak begins anew. */
        allowed = limit;
        STATUS(ET_OK, et_storage_set_limit(session, limit, NULL));
        UNTIL(stats().evicted_pieces > evicted + 4);
        CHECK(stats().session_charged <= limit && stats().session_peak >= PIECE);
    }
    over = 1;
    for (n = 0; n < 2; n++)
        CHECK(pthread_join(threads[n], NULL) == 0);
}

int main(void)
{
    static unsigned char torrent[PIECES * 20 + 200];
    char directory[] = "/tmp/et-memory-XXXXXX", path[64], peer[32];
    size_t len = make_torrent(torrent);
    et_session *seeder = open_session();
    et_storage_index seed = ET_STORAGE_INDEX_INVALID;
    et_torrent_status_info status = { .struct_size = sizeof status };
    et_add_torrent_params params;
    et_str peers;
    uint16_t port = 0;

    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/film", directory);
    make_file(path);
    memset(&params, 0, sizeof params);
    params.struct_size = sizeof params;
    params.torrent = torrent;
    params.torrent_len = len;
    params.storage = ET_STORAGE_DISK;
    params.save_path.data = directory;
    params.save_path.len = ET_NUL_TERMINATED;
    STATUS(ET_OK, et_session_add_torrent(seeder, &params, &seed, NULL));
    UNTIL(et_torrent_status(seeder, seed, &status, NULL) == ET_OK && status.num_pieces == PIECES);
    STATUS(ET_OK, et_session_listen_port(seeder, &port, NULL));
    snprintf(peer, sizeof peer, "127.0.0.1:%u", port);

    session = open_session();
    STATUS(ET_OK, et_storage_set_limit(session, MIB, NULL));
    peers.data = peer;
    peers.len = ET_NUL_TERMINATED;
    params.storage = ET_STORAGE_MEMORY;
    params.peers = &peers;
    params.peers_len = 1;
    STATUS(ET_OK, et_session_add_torrent(session, &params, &film, NULL));
    evicted();
    protected();
    limits();
    et_session_free(session);
    et_session_free(seeder);
    unlink(path);
    rmdir(directory);
    return done();
}
