/* Memory storage: a film from a second session on loopback, many times as large as the memory that it is streamed through. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "film.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum { PIECES = 128, MIB = 1 << 20 };

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
    poll(NULL, 0, 200);
    CHECK(is_gone(40) && is_gone(43));
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

/* Of what was protected under a higher limit, the lowest pieces that fit into half of the lower one stay; all again when it is raised. */
static void protected_less(void)
{
    static const et_piece_index pieces[] = { 40, 41, 42, 43 };
    et_reader_options options = { .struct_size = sizeof options, .pin_head = ET_READER_NONE, .pin_tail = ET_READER_NONE };
    et_lookbehind_info kept = { .struct_size = sizeof kept };
    et_reader *reader = NULL;
    int n;
    STATUS(ET_OK, et_reader_open(session, film, 0, &options, &reader, NULL));
    STATUS(ET_OK, et_storage_set_lookbehind(session, film, pieces, 4, NULL));
    play(reader, 40, 6);
    CHECK(stats().protected_pieces == 4 && stats().protected_bytes == 4 * PIECE);
    STATUS(ET_OK, et_storage_set_limit(session, 4 * PIECE, NULL));
    play(reader, 50, 40);
    CHECK(is_right(40) && is_right(41) && is_gone(42) && is_gone(43));
    CHECK(stats().protected_pieces == 2 && stats().protected_bytes == 2 * PIECE);
    STATUS(ET_OK, et_storage_lookbehind_stats(session, film, &kept, NULL));
    CHECK(kept.protected_pieces == 4 && kept.available_pieces == 2);
    CHECK(kept.protected_bytes == 2 * PIECE && kept.limit_bytes == 2 * PIECE);
    STATUS(ET_OK, et_storage_set_limit(session, MIB, NULL));
    poll(NULL, 0, 200);
    CHECK(is_gone(42) && is_gone(43));
    play(reader, 42, 2);
    play(reader, 50, 70);
    for (n = 40; n < 44; n++)
        CHECK(is_right(n));
    STATUS(ET_OK, et_storage_clear_lookbehind(session, film, NULL));
    et_reader_free(reader);
}

/* A reader keeps the film's ends while it is open, unless it is told not to. */
static void pins(void)
{
    et_reader_options options = { .struct_size = sizeof options, .pin_head = ET_READER_NONE, .pin_tail = ET_READER_NONE };
    et_reader *reader = NULL;

    STATUS(ET_OK, et_reader_open(session, film, 0, &options, &reader, NULL));
    play(reader, 0, PIECES);
    CHECK(stats().pinned == 0 && is_gone(0));
    et_reader_free(reader);
    reader = reader_of();
    play(reader, 0, PIECES);
    CHECK(stats().pinned == 2 * PIECE && is_right(0) && is_right(PIECES - 1));
    et_reader_free(reader);
    CHECK(stats().pinned == 0);
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
    static unsigned char torrent[FILM_ROOM(PIECES)];
    char directory[] = "/tmp/et-memory-XXXXXX", path[64];
    size_t len = make_torrent(torrent, PIECES);
    et_session *seeder = open_session();

    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/film", directory);
    make_file(path, PIECES);
    until_it_has(seeder, add_film(seeder, torrent, len, directory, NULL), PIECES);

    session = open_session();
    STATUS(ET_OK, et_storage_set_limit(session, MIB, NULL));
    film = add_film(session, torrent, len, NULL, address_of(seeder));
    evicted();
    pins();
    protected();
    protected_less();
    limits();
    et_session_free(session);
    et_session_free(seeder);
    unlink(path);
    rmdir(directory);
    return done();
}
