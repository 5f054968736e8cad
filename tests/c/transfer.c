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
    /* time() may lag a tick behind other clocks, and so a second. */
    CHECK(status_of(session, film).added_time >= began && status_of(session, film).added_time <= time(NULL) + 1);
    CHECK(status_of(session, film).completed_time >= began && status_of(session, film).completed_time <= time(NULL) + 1);
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
    // This program has not run for ten minutes.
    CHECK(before < 600000);
    const et_peer_disconnected_alert *ended;
    static const uint8_t nobody[20];
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
    /* Nobody was there to have a name. */
    ended = (const void *)wait_alert(session, ET_ALERT_PEER_DISCONNECTED);
    CHECK(ended != NULL && ended->base.torrent == film && ended->endpoint.family == 4 && ended->endpoint.port == port);
    CHECK(ended != NULL && memcmp(ended->peer_id, nobody, sizeof nobody) == 0 && ended->socket_type == ET_SOCKET_TCP);
    CHECK(ended != NULL && ended->error.status == ET_ERR_NETWORK);
    et_session_free(session);
}

/* What is wanted, how much of it is there, and who takes part. One that only uploads fetches nothing. */
static void progress_is_told(et_session *seeder)
{
    static const et_priority wanted[PIECES] = { 1, 1, 1, 7 };
    char to[] = "/tmp/et-transfer-XXXXXX", copy[64];
    et_session *session = open_session();
    et_str peer = { address_of(seeder), ET_NUL_TERMINATED };
    et_add_torrent_params params = { .struct_size = sizeof params, .torrent = torrent, .torrent_len = torrent_len,
                                     .storage = ET_STORAGE_DISK, .save_path = { to, ET_NUL_TERMINATED }, .peers = &peer,
                                     .peers_len = 1, .piece_priorities = wanted, .piece_priorities_len = PIECES,
                                     .flags = ET_TORRENT_FLAG_UPLOAD_MODE };
    et_reader_options options = { .struct_size = sizeof options, .pin_head = ET_READER_NONE, .pin_tail = ET_READER_NONE };
    et_torrent_status_info status;
    et_reader *reader = NULL;
    et_storage_index film = 0;

    CHECK(mkdtemp(to) != NULL);
    snprintf(copy, sizeof copy, "%s/film", to);
    CHECK(stats_of(session).num_torrents == 0 && stats_of(session).num_peers == 0 && stats_of(session).num_readers == 0);
    STATUS(ET_OK, et_session_add_torrent(session, &params, &film, NULL));
    UNTIL(stats_of(session).num_peers == 1);
    poll(NULL, 0, 300);
    status = status_of(session, film);
    CHECK(status.total == PIECES * PIECE && status.total_wanted == 4 * PIECE && status.total_wanted_done == 0);
    CHECK(status.progress_ppm == 0 && status.total_payload_download == 0 && status.num_peers == 1);
    CHECK(!status.is_finished && !status.is_seeding && status.state == ET_TORRENT_STATE_DOWNLOADING);
    STATUS(ET_OK, et_torrent_unset_flags(session, film, ET_TORRENT_FLAG_UPLOAD_MODE, NULL));
    until_it_has(session, film, 4);
    UNTIL(status_of(session, film).is_finished);
    status = status_of(session, film);
    CHECK(status.progress_ppm == 1000000 && status.total_done == 4 * PIECE && status.total_wanted_done == 4 * PIECE);
    CHECK(!status.is_seeding && status.state == ET_TORRENT_STATE_FINISHED && status.pieces_total == PIECES);
    CHECK(status.all_time_download == status.total_payload_download && status.total_payload_download >= 4 * PIECE);
    STATUS(ET_OK, et_reader_open(session, film, 0, &options, &reader, NULL));
    CHECK(stats_of(session).num_readers == 1 && status_of(session, film).num_readers == 1);
    et_reader_free(reader);
    CHECK(stats_of(session).num_readers == 0 && stats_of(session).num_torrents == 1);
    et_session_free(session);
    CHECK(unlink(copy) == 0 && rmdir(to) == 0);
}

/* Of a torrent that is busy: first that it is gone, then what became of its files, and nothing of it after that. */
static void removed_while_busy(et_session *seeder)
{
    static const et_remove_flags flags[] = { ET_REMOVE_DELETE_FILES, 0, ET_REMOVE_DELETE_FILES | ET_REMOVE_DELETE_PARTFILE };
    static uint64_t buf[8192];
    et_session *session = open_session();
    char to[] = "/tmp/et-transfer-XXXXXX", copy[64], bytes[BLOCK];
    int round;

    CHECK(mkdtemp(to) != NULL);
    snprintf(copy, sizeof copy, "%s/film", to);
    for (round = 0; round < 12; round++) {
        const et_remove_flags deletes = flags[round % 3] & ET_REMOVE_DELETE_FILES;
        et_storage_index film = add_film(session, torrent, torrent_len, to, address_of(seeder));
        et_reader *reader = NULL;
        et_alert_batch batch = { .struct_size = sizeof batch };
        int removed = 0, deleted = 0, turns = 0;
        size_t n;

        STATUS(ET_OK, et_reader_open(session, film, 0, NULL, &reader, NULL));
        /* Being checked, being fetched, being read, being paused, being checked again. */
        if (round % 6 > 0)
            STATUS(ET_OK, et_reader_read(reader, bytes, sizeof bytes, 60000, &n, NULL));
        if (round % 6 > 2)
            until_it_has(session, film, PIECES);
        if (round % 6 == 4)
            STATUS(ET_OK, et_torrent_pause(session, film, 0, NULL));
        if (round % 6 == 5)
            STATUS(ET_OK, et_torrent_force_recheck(session, film, NULL));
        STATUS(ET_OK, et_session_remove_torrent(session, film, flags[round % 3], NULL));
        while (turns++ < 500 && (!removed || deleted < (deletes != 0))) {
            const et_alert *alert;
            size_t cursor = 0;
            et_session_wait_alerts(session, 100, NULL);
            STATUS(ET_OK, et_session_pop_alerts(session, buf, sizeof buf, &batch, NULL));
            while ((alert = et_alert_next(buf, batch.bytes, &cursor)) != NULL) {
                if (alert->torrent != film)
                    continue;
                /* Nothing more is told of it but that. */
                CHECK(!removed || alert->type == ET_ALERT_TORRENT_DELETED);
                CHECK(alert->type != ET_ALERT_TORRENT_DELETED || removed);
                removed += alert->type == ET_ALERT_TORRENT_REMOVED;
                deleted += alert->type == ET_ALERT_TORRENT_DELETED;
            }
        }
        CHECK(removed == 1 && deleted == (deletes != 0));
        CHECK(!deletes || access(copy, F_OK) != 0);
        STATUS(ET_ERR_INVALID_STORAGE_INDEX, et_reader_read(reader, bytes, sizeof bytes, -1, &n, NULL));
        et_reader_free(reader);
    }
    et_session_free(session);
    unlink(copy);
    CHECK(rmdir(to) == 0);
}

/* What lies in the save path is checked when the torrent is added. What is right of it is there, and the rest is fetched. */
static void what_is_there_counts(et_session *seeder)
{
    char to[] = "/tmp/et-transfer-XXXXXX", copy[64], byte = 77;
    et_session *session = open_session();
    et_storage_index film;
    FILE *file;

    CHECK(mkdtemp(to) != NULL);
    snprintf(copy, sizeof copy, "%s/film", to);
    /* One piece is not as it was, the last one is not all there, and then there is more than the torrent has. */
    make_file(copy, PIECES);
    file = fopen(copy, "r+b");
    CHECK(file != NULL && fseek(file, 3 * PIECE + 100, SEEK_SET) == 0 && fwrite(&byte, 1, 1, file) == 1 && fclose(file) == 0);
    CHECK(truncate(copy, (PIECES - 1) * PIECE + 100) == 0);
    film = add_film(session, torrent, torrent_len, to, NULL);
    CHECK(wait_alert(session, ET_ALERT_TORRENT_CHECKED) != NULL);
    CHECK(status_of(session, film).num_pieces == PIECES - 2 && status_of(session, film).total_done == (PIECES - 2) * PIECE);
    STATUS(ET_OK, et_torrent_connect_peer(session, film, address_of(seeder), ET_NUL_TERMINATED, NULL));
    until_it_has(session, film, PIECES);
    CHECK(status_of(session, film).total_payload_download < 3 * PIECE);
    STATUS(ET_OK, et_session_remove_torrent(session, film, 0, NULL));
    CHECK(truncate(copy, PIECES * PIECE + 100) == 0);
    film = add_film(session, torrent, torrent_len, to, NULL);
    CHECK(wait_alert(session, ET_ALERT_TORRENT_CHECKED) != NULL);
    UNTIL(status_of(session, film).is_seeding);
    et_session_free(session);
    CHECK(unlink(copy) == 0 && rmdir(to) == 0);
}

/* What was there and can be read no more: the caller gets the error, the torrent stops, and that is told, once. */
static void what_cannot_be_read_is_told(void)
{
    enum { READ, READ_AT, BY_PIECE, WAYS };
    char to[] = "/tmp/et-transfer-XXXXXX", copy[64], bytes[BLOCK];
    et_session *session = open_session();
    int way, again;

    CHECK(mkdtemp(to) != NULL);
    snprintf(copy, sizeof copy, "%s/film", to);
    for (way = 0; way < WAYS; way++) {
        const et_file_error_alert *failed;
        const et_torrent_error_alert *stopped;
        et_error error = { .struct_size = sizeof error };
        et_alert_batch batch = { .struct_size = sizeof batch };
        et_storage_index film;
        et_reader *reader = NULL;
        size_t n = 77;

        make_file(copy, PIECES);
        film = add_film(session, torrent, torrent_len, to, NULL);
        until_it_has(session, film, PIECES);
        STATUS(ET_OK, et_reader_open(session, film, 0, NULL, &reader, NULL));
        CHECK(truncate(copy, 4 * PIECE) == 0);
        STATUS(ET_OK, et_reader_read(reader, bytes, sizeof bytes, -1, &n, NULL));
        STATUS(ET_OK, et_reader_seek(reader, 5 * PIECE, ET_SEEK_SET, NULL, NULL));
        for (again = 0; again < 3; again++) {
            et_status status = way == READ      ? et_reader_read(reader, bytes, sizeof bytes, -1, &n, &error)
                               : way == READ_AT ? et_reader_read_at(reader, 5 * PIECE, bytes, sizeof bytes, -1, &n, &error)
                                                : et_storage_read(session, film, 5, 0, bytes, sizeof bytes, &n, &error);
            STATUS(ET_ERR_IO, status);
            CHECK(error.operation == ET_OPERATION_FILE_READ && strstr(error.message, "film") != NULL);
        }
        failed = (const void *)wait_alert(session, ET_ALERT_FILE_ERROR);
        CHECK(failed != NULL && failed->base.torrent == film && failed->error.status == ET_ERR_IO);
        CHECK(failed != NULL && failed->error.operation == ET_OPERATION_FILE_READ && failed->filename.length == 4);
        stopped = (const void *)wait_alert(session, ET_ALERT_TORRENT_ERROR);
        CHECK(stopped != NULL && stopped->base.torrent == film && stopped->filename.length == 4);
        CHECK(status_of(session, film).error == ET_ERR_IO);
        CHECK(status_of(session, film).error_operation == ET_OPERATION_FILE_READ);
        do {
            const et_alert *alert;
            static uint64_t buf[8192];
            size_t cursor = 0;
            STATUS(ET_OK, et_session_pop_alerts(session, buf, sizeof buf, &batch, NULL));
            while ((alert = et_alert_next(buf, batch.bytes, &cursor)) != NULL)
                CHECK(alert->type != ET_ALERT_FILE_ERROR && alert->type != ET_ALERT_TORRENT_ERROR);
        } while (batch.remaining > 0);
        /* What is there can be read still, and a check finds what is not. */
        STATUS(ET_OK, et_reader_read_at(reader, 0, bytes, sizeof bytes, -1, &n, NULL));
        STATUS(ET_OK, et_torrent_force_recheck(session, film, NULL));
        CHECK(wait_alert(session, ET_ALERT_TORRENT_CHECKED) != NULL);
        CHECK(status_of(session, film).error == ET_OK && status_of(session, film).num_pieces == 4);
        et_reader_free(reader);
        STATUS(ET_OK, et_session_remove_torrent(session, film, ET_REMOVE_DELETE_FILES, NULL));
        CHECK(wait_alert(session, ET_ALERT_TORRENT_DELETED) != NULL);
    }
    et_session_free(session);
    CHECK(rmdir(to) == 0);
}

/* The film's ends, as much as there is of them, wherever the reader stands, and nothing where nothing is asked for. */
static void prebuffers(et_session *seeder)
{
    static const struct { uint64_t head, tail, total; int pieces; } asked[] = {
        { 0, 0, 0, 0 },
        { 1, 0, PIECE, 1 },
        { 0, PIECE + 1, 2 * PIECE, 2 },
        { 2 * PIECE, 1, 3 * PIECE, 3 },
        { UINT64_MAX, 0, PIECES * PIECE, PIECES },
        { 0, UINT64_MAX, PIECES * PIECE, PIECES },
        { UINT64_MAX, UINT64_MAX, PIECES * PIECE, PIECES },
        { PIECES * PIECE / 2 + 1, PIECES * PIECE / 2 + 1, PIECES * PIECE, PIECES },
    };
    char to[] = "/tmp/et-transfer-XXXXXX", copy[64];
    size_t i, from, disk;

    CHECK(mkdtemp(to) != NULL);
    snprintf(copy, sizeof copy, "%s/film", to);
    for (disk = 0; disk < 2; disk++) {
        for (i = 0; i < sizeof asked / sizeof *asked; i++) {
            for (from = disk * PIECES * PIECE; from <= PIECES * PIECE; from += PIECES * PIECE / 2) {
                et_session *session = open_session();
                et_storage_index film = add_film(session, torrent, torrent_len, disk ? to : NULL, NULL);
                et_reader_options options = { .struct_size = sizeof options, .offset = from, .pin_head = ET_READER_NONE,
                                              .pin_tail = ET_READER_NONE };
                et_reader_status_info at = { .struct_size = sizeof at };
                et_reader *reader = NULL;
                const et_prebuffer_progress_alert *progress = NULL;

                STATUS(ET_OK, et_torrent_pause(session, film, 0, NULL));
                CHECK(disk == 0 || wait_alert(session, ET_ALERT_TORRENT_CHECKED) != NULL);
                STATUS(ET_OK, et_reader_open(session, film, 0, &options, &reader, NULL));
                STATUS(ET_OK, et_reader_prebuffer(reader, asked[i].head, asked[i].tail, NULL));
                STATUS(ET_OK, et_reader_status(reader, &at, NULL));
                CHECK(at.position == from && at.prebuffer_done == 0 && at.prebuffer_total == asked[i].total);
                STATUS(ET_OK, et_torrent_resume(session, film, NULL));
                STATUS(ET_OK, et_torrent_connect_peer(session, film, address_of(seeder), ET_NUL_TERMINATED, NULL));
                do
                    progress = asked[i].total > 0 ? (const void *)wait_alert(session, ET_ALERT_PREBUFFER_PROGRESS) : NULL;
                while (progress != NULL && progress->bytes_done < progress->bytes_total);
                CHECK(asked[i].total == 0 || (progress != NULL && progress->bytes_total == asked[i].total));
                STATUS(ET_OK, et_reader_status(reader, &at, NULL));
                CHECK(at.position == from && at.prebuffer_done == at.prebuffer_total && at.prebuffer_total == asked[i].total);
                CHECK(status_of(session, film).num_pieces >= (uint32_t)asked[i].pieces);
                et_reader_free(reader);
                et_session_free(session);
                unlink(copy);
            }
        }
    }
    CHECK(rmdir(to) == 0);
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
    progress_is_told(seeder);
    removed_while_busy(seeder);
    what_is_there_counts(seeder);
    what_cannot_be_read_is_told();
    prebuffers(seeder);
    what_stays_is_told(seeder, seed);
    et_session_free(seeder);
    rmdir(directory);
    return done();
}
