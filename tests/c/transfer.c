/* A film comes in: what is told of its pieces, peers, readers and files meanwhile, and of what goes wrong. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif
#include "film.h"
#include "loopback.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

enum { PIECES = 16, BLOCK = 16384 };

static unsigned char torrent[FILM_ROOM(PIECES)];
static size_t torrent_len;
static char directory[] = "/tmp/et-transfer-XXXXXX", path[64];

static et_session_stats_info stats_of(et_session *session)
{
    et_session_stats_info stats = { .struct_size = sizeof stats };
    STATUS(ET_OK, et_session_stats(session, &stats, NULL));
    return stats;
}

static et_torrent_status_info status_of(et_session *session, et_storage_index film)
{
    et_torrent_status_info status = { .struct_size = sizeof status };
    STATUS(ET_OK, et_torrent_status(session, film, &status, NULL));
    return status;
}

static void limit_download(et_session *session, int64_t rate)
{
    et_settings *settings = NULL;
    STATUS(ET_OK, et_settings_new(&settings, NULL));
    STATUS(ET_OK, et_settings_set_int(settings, KEY("download_rate_limit"), rate, NULL));
    STATUS(ET_OK, et_session_apply_settings(session, settings, NULL));
    et_settings_free(settings);
}

/* Is a piece coming in of which something is here and something asked for? Each record is looked at. */
static int comes_in(et_session *session, et_storage_index film)
{
    static uint64_t list[512];
    size_t len = 0, cursor = 0;
    const et_partial_piece_info *piece;
    et_piece_index before = -1;
    int both = 0;

    STATUS(ET_OK, et_torrent_download_queue(session, film, list, sizeof list, &len, NULL));
    while ((piece = et_record_next(list, len, &cursor)) != NULL) {
        const et_block_state *blocks = (const et_block_state *)piece + piece->blocks.offset;
        uint32_t counts[4] = { 0, 0, 0, 0 }, i;
        CHECK(piece->piece > before && piece->piece < PIECES);
        CHECK(piece->blocks_in_piece == PIECE / BLOCK && piece->blocks.length == PIECE / BLOCK);
        for (i = 0; i < piece->blocks.length; i++) {
            CHECK(blocks[i] <= ET_BLOCK_FINISHED);
            counts[blocks[i] & 3]++;
        }
        CHECK(piece->requested == counts[ET_BLOCK_REQUESTED] && piece->writing == counts[ET_BLOCK_WRITING]);
        CHECK(piece->finished == counts[ET_BLOCK_FINISHED]);
        both |= piece->finished > 0 && piece->requested > 0;
        before = piece->piece;
    }
    return both;
}

/* Is a part of a block here? */
static int block_comes_in(et_session *session, et_storage_index film)
{
    static uint64_t list[512];
    size_t len = 0, cursor = 0;
    const et_peer_info *peer;

    STATUS(ET_OK, et_torrent_peers(session, film, list, sizeof list, &len, NULL));
    peer = et_record_next(list, len, &cursor);
    if (peer == NULL || peer->downloading_piece < 0)
        return 0;
    CHECK(peer->downloading_piece < PIECES && peer->downloading_block >= 0 && peer->downloading_block < PIECE / BLOCK);
    CHECK(peer->downloading_total == BLOCK && peer->downloading_progress < BLOCK);
    return peer->downloading_progress > 0;
}

/* From a seeder to the disk, slowly. */
static void comes_to_disk(et_session *seeder)
{
    char to[] = "/tmp/et-transfer-XXXXXX", copy[64];
    et_session *session = open_session();
    time_t began = time(NULL);
    et_storage_index film;

    CHECK(mkdtemp(to) != NULL);
    snprintf(copy, sizeof copy, "%s/film", to);
    limit_download(session, 200000);
    film = add_film(session, torrent, torrent_len, to, address_of(seeder));
    CHECK(status_of(session, film).completed_time == 0);
    UNTIL(comes_in(session, film));
    UNTIL(block_comes_in(session, film));
    limit_download(session, 0);
    until_it_has(session, film, PIECES);
    UNTIL(status_of(session, film).completed_time != 0);
    CHECK(status_of(session, film).added_time >= began && status_of(session, film).added_time <= time(NULL));
    CHECK(status_of(session, film).completed_time >= began && status_of(session, film).completed_time <= time(NULL));
    et_session_free(session);
    CHECK(unlink(copy) == 0 && rmdir(to) == 0);
}

/* Alerts name a reader by its number. */
static void readers_have_numbers(et_session *seeder)
{
    et_session *session = open_session();
    et_storage_index film = add_film(session, torrent, torrent_len, NULL, NULL);
    et_reader *first = NULL, *second = NULL;
    uint64_t one = 0, two = 0;
    const et_reader_stalled_alert *stalled;
    const et_reader_ready_alert *ready;
    const et_prebuffer_progress_alert *progress;
    et_status status;
    et_reader_status_info at = { .struct_size = sizeof at };
    char buf[BLOCK];
    size_t n = 0;

    STATUS(ET_OK, et_reader_open(session, film, 0, NULL, &first, NULL));
    STATUS(ET_OK, et_reader_open(session, film, 0, NULL, &second, NULL));
    STATUS(ET_OK, et_reader_id(first, &one, NULL));
    STATUS(ET_OK, et_reader_id(second, &two, NULL));
    CHECK(one != two);
    STATUS(ET_OK, et_reader_prebuffer(first, PIECE, 0, NULL));
    progress = (const void *)wait_alert(session, ET_ALERT_PREBUFFER_PROGRESS);
    CHECK(progress != NULL && progress->reader == one && progress->file == 0);
    STATUS(ET_OK, et_reader_seek(second, 5 * PIECE, ET_SEEK_SET, NULL, NULL));
    STATUS(ET_OK, et_torrent_connect_peer(session, film, address_of(seeder), ET_NUL_TERMINATED, NULL));
    STATUS(ET_OK, et_reader_read(second, buf, 1, 60000, &n, NULL));
    CHECK(buf[0] == 5);
    /* Nothing more comes: it reads on to where that is so. */
    STATUS(ET_OK, et_torrent_pause(session, film, 0, NULL));
    while ((status = et_reader_read(second, buf, sizeof buf, 100, &n, NULL)) == ET_OK)
        CHECK(n > 0);
    STATUS(ET_ERR_TIMED_OUT, status);
    STATUS(ET_OK, et_reader_status(second, &at, NULL));
    /* It may have stalled before, if the last blocks came late. */
    do
        stalled = (const void *)wait_alert(session, ET_ALERT_READER_STALLED);
    while (stalled != NULL && stalled->offset < at.position);
    CHECK(stalled != NULL && stalled->reader == two && stalled->file == 0);
    CHECK(stalled != NULL && stalled->offset == at.position && (uint64_t)stalled->piece == at.position / PIECE);
    STATUS(ET_ERR_TIMED_OUT, et_reader_read(second, buf, 1, 100, &n, NULL));
    STATUS(ET_OK, et_torrent_resume(session, film, NULL));
    STATUS(ET_OK, et_reader_read(second, buf, 1, 60000, &n, NULL));
    ready = (const void *)wait_alert(session, ET_ALERT_READER_READY);
    CHECK(ready != NULL && ready->reader == two && ready->offset == at.position);
    et_reader_free(first);
    et_reader_free(second);
    et_session_free(session);
}

static int receive_all(int fd, unsigned char *to, size_t len)
{
    while (len > 0) {
        ssize_t n = recv(fd, to, len, 0);
        if (n <= 0)
            return 0;
        to += n;
        len -= (size_t)n;
    }
    return 1;
}

struct server {
    int fd, wrong, times;
};

/* Answers each request so many times, rightly or wrongly, until the other side hangs up. */
static void *serve(void *argument)
{
    const struct server *server = argument;
    static unsigned char message[1 << 17], block[13 + BLOCK];
    int n;

    while (receive_all(server->fd, message, 4)) {
        uint32_t len = (uint32_t)message[0] << 24 | (uint32_t)message[1] << 16 | (uint32_t)message[2] << 8 | message[3];
        if (len > sizeof message || !receive_all(server->fd, message, len))
            break;
        if (len != 13 || message[0] != 6)
            continue;
        /* Its piece and its offset go back, behind the length and "piece". */
        memcpy(block, "\0\0\x40\x09\x07", 5);
        memcpy(block + 5, message + 1, 8);
        memset(block + 13, message[4] % KINDS + server->wrong, BLOCK);
        for (n = 0; n < server->times; n++)
            if (!send_all(server->fd, block, sizeof block))
                break;
    }
    close(server->fd);
    return NULL;
}

/* Reads the film's first byte from somebody who serves like this. */
static void reads_from(et_session *session, et_storage_index film, int wrong, int times, et_status expected)
{
    struct server server = { silent_peer(session, film), wrong, times };
    et_reader *reader = NULL;
    pthread_t thread;
    char byte = 77;
    size_t n = 0;

    CHECK(pthread_create(&thread, NULL, serve, &server) == 0);
    STATUS(ET_OK, et_reader_open(session, film, 0, NULL, &reader, NULL));
    STATUS(expected, et_reader_read(reader, &byte, 1, expected == ET_OK ? 60000 : 500, &n, NULL));
    CHECK(byte == (expected == ET_OK ? 0 : 77));
    et_reader_free(reader);
    if (expected == ET_OK)
        STATUS(ET_OK, et_torrent_pause(session, film, 0, NULL));
    CHECK(pthread_join(thread, NULL) == 0);
}

/* What comes in wrong, and twice, is counted for the session. */
static void waste_is_counted(void)
{
    et_session *session = open_session();
    et_storage_index film = add_film(session, torrent, torrent_len, NULL, NULL);

    CHECK(stats_of(session).hash_failures == 0 && stats_of(session).redundant_bytes == 0);
    /* It is banned for it, which ends its connection. */
    reads_from(session, film, 1, 1, ET_ERR_TIMED_OUT);
    CHECK(stats_of(session).hash_failures == 1 && stats_of(session).redundant_bytes == 0);
    reads_from(session, film, 0, 2, ET_OK);
    CHECK(stats_of(session).hash_failures == 1 && stats_of(session).redundant_bytes >= BLOCK);
    CHECK(stats_of(session).redundant_bytes == status_of(session, film).total_redundant_bytes);
    /* A removed torrent counts too. */
    STATUS(ET_OK, et_session_remove_torrent(session, film, 0, NULL));
    CHECK(stats_of(session).hash_failures == 1 && stats_of(session).redundant_bytes >= BLOCK);
    et_session_free(session);
}

/* Dials to somebody whose door is full are under way, and are no peers. The clock goes meanwhile. */
static void dials_are_counted(void)
{
    et_session *session = open_session();
    et_storage_index film = add_film(session, torrent, torrent_len, NULL, NULL);
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    char text[32];
    uint16_t port;
    int listener = listen_on(&port), waiting[8];
    uint64_t before = stats_of(session).uptime_ms;
    size_t i;

    CHECK(listen(listener, 0) == 0 && getsockname(listener, (struct sockaddr *)&address, &len) == 0);
    for (i = 0; i < 8; i++) {
        waiting[i] = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(fcntl(waiting[i], F_SETFL, O_NONBLOCK) == 0);
        CHECK(connect(waiting[i], (struct sockaddr *)&address, sizeof address) == 0 || errno == EINPROGRESS);
    }
    snprintf(text, sizeof text, "127.0.0.1:%u", port);
    CHECK(stats_of(session).half_open == 0);
    STATUS(ET_OK, et_torrent_connect_peer(session, film, text, ET_NUL_TERMINATED, NULL));
    UNTIL(stats_of(session).half_open == 1);
    CHECK(stats_of(session).num_peers == 0 && status_of(session, film).num_connections == 1);
    UNTIL(stats_of(session).uptime_ms > before);
    CHECK(stats_of(session).uptime_ms < before + 60000);
    for (i = 0; i < 8; i++)
        close(waiting[i]);
    close(listener);
    UNTIL(stats_of(session).half_open == 0);
    et_session_free(session);
}

/* Where the file was is something that does not go away: it is told, and stays. */
static void what_stays_is_told(et_session *seeder, et_storage_index seed)
{
    const et_torrent_delete_failed_alert *failed;
    const et_alert *removed;
    uint64_t sequence;
    char inside[80];

    snprintf(inside, sizeof inside, "%s/mine", path);
    CHECK(unlink(path) == 0 && mkdir(path, 0700) == 0 && mkdir(inside, 0700) == 0);
    STATUS(ET_OK, et_session_remove_torrent(seeder, seed, ET_REMOVE_DELETE_FILES, NULL));
    removed = wait_alert(seeder, ET_ALERT_TORRENT_REMOVED);
    sequence = removed != NULL ? removed->sequence : 0;
    failed = (const void *)wait_alert(seeder, ET_ALERT_TORRENT_DELETE_FAILED);
    CHECK(failed != NULL && failed->base.torrent == seed && failed->base.sequence > sequence);
    CHECK(failed != NULL && failed->error.status == ET_ERR_IO && failed->error.os_error != 0);
    CHECK(failed != NULL && failed->error.operation == ET_OPERATION_FILE_REMOVE && failed->error.message.length > 0);
    CHECK(rmdir(inside) == 0 && rmdir(path) == 0);
}

int main(void)
{
    et_session *seeder = open_session();
    et_storage_index seed;

    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/film", directory);
    make_file(path, PIECES);
    torrent_len = make_torrent(torrent, PIECES);
    seed = add_film(seeder, torrent, torrent_len, directory, NULL);
    until_it_has(seeder, seed, PIECES);
    comes_to_disk(seeder);
    readers_have_numbers(seeder);
    waste_is_counted();
    dials_are_counted();
    what_stays_is_told(seeder, seed);
    et_session_free(seeder);
    rmdir(directory);
    return done();
}
