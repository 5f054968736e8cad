/* Every error that the header documents beside a function, provoked: tests/abi.rs holds the list to the header. What it says of
 * all functions, NULL and a closed session and a removed torrent, is in misuse.c. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif
#include "film.h"
#include "loopback.h"

#include <pthread.h>
#include <sys/resource.h>

static et_error told = { .struct_size = sizeof told };

/* The function called with these arguments, and an et_error, gets the error and tells of it. */
#define GETS(expected, function, ...)                                                                                  \
    do {                                                                                                               \
        STATUS(expected, function(__VA_ARGS__, &told));                                                                \
        CHECK(told.status == (expected) && told.message[0] != '\0');                                                   \
    } while (0)

/* Two files in three pieces, and a web seed. */
#define SEEDED                                                                                                         \
    "d4:infod5:filesld6:lengthi20000e4:pathl1:aeed6:lengthi20000e4:pathl1:beee"                                        \
    "4:name6:seeded12:piece lengthi16384e6:pieces60:"                                                                  \
    "aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbcccccccccccccccccccce8:url-list18:http://127.0.0.1:1e"
/* Two pieces of 1 MiB. */
#define LARGE                                                                                                          \
    "d4:infod6:lengthi2097152e4:name5:large12:piece lengthi1048576e6:pieces40:"                                        \
    "aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbee"

static uint64_t room[512];
static char byte;
static size_t len;

static void of_no_session(void)
{
    et_info_hashes v1, v2;
    et_endpoint nowhere = { .family = 5 }, somewhere = { .family = 4 };
    et_setting_info info = { .struct_size = sizeof info };
    et_reader_explanation why = { .struct_size = sizeof why, .reason = -1 };
    union { uint64_t words[16]; et_alert alert; } record = { { 8 } };
    et_settings *settings = NULL;
    int64_t integer;
    int32_t number;
    char text[8];

    GETS(ET_ERR_PARSE, et_info_hashes_parse, KEY("xyz"), &v1);
    STATUS(ET_OK, et_info_hashes_parse(KEY("0123456789abcdef0123456789abcdef01234567"), &v1, NULL));
    STATUS(ET_OK, et_info_hashes_parse(KEY("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"), &v2, NULL));
    GETS(ET_ERR_NOT_FOUND, et_info_hashes_to_hex, &v1, ET_INFO_HASH_V2, text, sizeof text, &len);
    GETS(ET_ERR_BUFFER_TOO_SMALL, et_info_hashes_to_hex, &v1, ET_INFO_HASH_V1, text, sizeof text, &len);
    GETS(ET_ERR_NOT_FOUND, et_info_hashes_to_base32, &v2, text, sizeof text, &len);
    GETS(ET_ERR_BUFFER_TOO_SMALL, et_info_hashes_to_base32, &v1, text, sizeof text, &len);
    GETS(ET_ERR_INVALID_ARGUMENT, et_endpoint_to_string, &nowhere, text, sizeof text, &len);
    GETS(ET_ERR_BUFFER_TOO_SMALL, et_endpoint_to_string, &somewhere, text, sizeof text, &len);

    GETS(ET_ERR_NULL_POINTER, et_settings_new, NULL);
    STATUS(ET_OK, et_settings_new(&settings, NULL));
    GETS(ET_ERR_UNKNOWN_SETTING, et_settings_set_int, settings, KEY("memory_limits"), 1);
    GETS(ET_ERR_INVALID_ARGUMENT, et_settings_set_int, settings, KEY("memory_limit"), 1);
    GETS(ET_ERR_INVALID_ARGUMENT, et_settings_set_int, settings, KEY("enable_dht"), 1);
    GETS(ET_ERR_UNSUPPORTED, et_settings_set_int, settings, KEY("proxy_type"), 6);
    GETS(ET_ERR_UNKNOWN_SETTING, et_settings_set_bool, settings, KEY("enable_dhts"), 1);
    GETS(ET_ERR_INVALID_ARGUMENT, et_settings_set_bool, settings, KEY("enable_dht"), 2);
    GETS(ET_ERR_UNKNOWN_SETTING, et_settings_set_str, settings, KEY("user_agents"), KEY("x"));
    GETS(ET_ERR_INVALID_ARGUMENT, et_settings_set_str, settings, KEY("enable_dht"), KEY("1"));
    GETS(ET_ERR_UNSUPPORTED, et_settings_set_str, settings, KEY("listen_interfaces"), KEY("0.0.0.0:1s"));
    GETS(ET_ERR_UNKNOWN_SETTING, et_settings_get_int, settings, KEY("memory_limits"), &integer);
    GETS(ET_ERR_INVALID_ARGUMENT, et_settings_get_int, settings, KEY("enable_dht"), &integer);
    GETS(ET_ERR_UNKNOWN_SETTING, et_settings_get_bool, settings, KEY("enable_dhts"), &number);
    GETS(ET_ERR_INVALID_ARGUMENT, et_settings_get_bool, settings, KEY("memory_limit"), &number);
    GETS(ET_ERR_UNKNOWN_SETTING, et_settings_get_str, settings, KEY("user_agents"), text, sizeof text, &len);
    GETS(ET_ERR_INVALID_ARGUMENT, et_settings_get_str, settings, KEY("memory_limit"), text, sizeof text, &len);
    GETS(ET_ERR_BUFFER_TOO_SMALL, et_settings_get_str, settings, KEY("user_agent"), &byte, 1, &len);
    et_settings_free(settings);
    GETS(ET_ERR_INVALID_ARGUMENT, et_settings_describe, et_settings_count(), &info);

    GETS(ET_ERR_PARSE, et_alert_message, &record.alert, text, sizeof text, &len);
    GETS(ET_ERR_PARSE, et_alert_messages, &record, sizeof record, text, sizeof text, &len);
    record.alert = (et_alert){ .size = sizeof record.alert, .type = 4000 };
    GETS(ET_ERR_BUFFER_TOO_SMALL, et_alert_message, &record.alert, &byte, 1, &len);
    GETS(ET_ERR_BUFFER_TOO_SMALL, et_alert_messages, &record, record.alert.size, &byte, 1, &len);
    GETS(ET_ERR_INVALID_ARGUMENT, et_reader_explanation_message, &why, text, sizeof text, &len);
    why.reason = ET_REASON_NO_PEERS;
    GETS(ET_ERR_BUFFER_TOO_SMALL, et_reader_explanation_message, &why, &byte, 1, &len);
}

/* As few descriptors as there are: the next one is not to be had. */
static void without_descriptors(struct rlimit *before)
{
    struct rlimit none;
    CHECK(getrlimit(RLIMIT_NOFILE, before) == 0);
    none = *before;
    none.rlim_cur = 0;
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
}

static void of_opening(void)
{
    et_settings *settings = NULL;
    et_session *session = NULL;
    struct rlimit before;

    STATUS(ET_OK, et_settings_new(&settings, NULL));
    GETS(ET_ERR_INVALID_ARGUMENT, et_session_open, (et_settings *)((char *)settings + 1), NULL, 0, &session);
    GETS(ET_ERR_PARSE, et_session_open, settings, KEY("no state at all"), &session);
    without_descriptors(&before);
    GETS(ET_ERR_IO, et_session_open, settings, NULL, 0, &session);
    CHECK(told.os_error != 0);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(session == NULL);
    et_settings_free(settings);
}

static void of_sessions(et_session *s)
{
    et_settings *settings = NULL;
    et_storage_index index;
    et_info_hashes unknown = { .has = ET_INFO_HASH_V1, .v1 = { 1 } };
    et_alert_batch batch = { .struct_size = sizeof batch };
    et_torrent_status_info status;
    et_port_rule ports = { sizeof ports, 2, 1, ET_PORT_BLOCKED };
    struct rlimit before;
    int32_t fd = -7;

    without_descriptors(&before);
    GETS(ET_ERR_IO, et_session_alert_fd, s, &fd);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0 && fd == -7);
    STATUS(ET_OK, et_session_alert_fd(s, &fd, NULL));
    CHECK(fd >= 0);
    STATUS(ET_OK, et_settings_new(&settings, NULL));
    STATUS(ET_OK, et_settings_set_int(settings, KEY("worker_threads"), 9, NULL));
    GETS(ET_ERR_UNSUPPORTED, et_session_apply_settings, s, settings);
    et_settings_free(settings);
    GETS(ET_ERR_BUFFER_TOO_SMALL, et_session_save_state, s, &byte, 1, &len);
    GETS(ET_ERR_BUFFER_TOO_SMALL, et_session_torrents, s, &index, 1, &len);
    GETS(ET_ERR_NOT_FOUND, et_session_find_torrent, s, &unknown, &index);
    GETS(ET_ERR_INVALID_ARGUMENT, et_session_add_dht_node, s, KEY("localhost"), 65536);
    GETS(ET_ERR_INVALID_ARGUMENT, et_session_set_port_filter, s, &ports, 1);
    GETS(ET_ERR_BUFFER_TOO_SMALL, et_session_pop_alerts, s, room, 8, &batch);
    GETS(ET_ERR_BUFFER_TOO_SMALL, et_torrent_statuses, s, &status, sizeof status, 1, &len);
    GETS(ET_ERR_INVALID_ARGUMENT, et_storage_set_limit, s, 262143);

    STATUS(ET_OK, et_session_set_alert_mask(s, 0, NULL));
    do
        STATUS(ET_OK, et_session_pop_alerts(s, room, sizeof room, &batch, NULL));
    while (batch.count > 0);
    GETS(ET_ERR_WOULD_BLOCK, et_session_wait_alerts, s, 0);
    GETS(ET_ERR_TIMED_OUT, et_session_wait_alerts, s, 10);
}

static void of_adding(et_session *s)
{
    et_add_torrent_params params = { .struct_size = sizeof params };
    et_storage_index index = 0;
    char before[4096], directory[] = "/tmp/et-errors-XXXXXX";

    GETS(ET_ERR_INVALID_ARGUMENT, et_session_add_torrent, s, &params, &index);
    params.magnet = (et_str){ KEY("magnet:?dn=x") };
    GETS(ET_ERR_PARSE, et_session_add_torrent, s, &params, &index);
    params.magnet = (et_str){ KEY("magnet:?xt=urn:btmh:12200123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef") };
    GETS(ET_ERR_UNSUPPORTED, et_session_add_torrent, s, &params, &index);
    /* A directory that is named from the working directory, and that one is gone. */
    params.magnet = (et_str){ KEY("0000000000000000000000000000000000000001") };
    params.storage = ET_STORAGE_DISK;
    params.save_path = (et_str){ KEY("here") };
    CHECK(getcwd(before, sizeof before) != NULL && mkdtemp(directory) != NULL);
    CHECK(chdir(directory) == 0 && rmdir(directory) == 0);
    GETS(ET_ERR_IO, et_session_add_torrent, s, &params, &index);
    CHECK(chdir(before) == 0 && index == 0);
    params.magnet = (et_str){ KEY(MAGNET) };
    GETS(ET_ERR_DUPLICATE_TORRENT, et_session_add_torrent, s, &params, &index);
    CHECK(index != 0);
}

/* Of a torrent whose metadata is not here. */
static void of_magnets(et_session *s, et_storage_index t)
{
    et_metadata_info info = { .struct_size = sizeof info };
    et_priority priorities[] = { 4 };
    et_piece_index pieces[] = { 0 };
    et_reader *reader = NULL;
    int32_t number;
    uint8_t bits;

    GETS(ET_ERR_NO_METADATA, et_torrent_info, s, t, &info);
    GETS(ET_ERR_NO_METADATA, et_torrent_metainfo, s, t, room, sizeof room, &len);
    GETS(ET_ERR_NO_METADATA, et_torrent_force_recheck, s, t);
    GETS(ET_ERR_NO_METADATA, et_torrent_files, s, t, room, sizeof room, &len);
    GETS(ET_ERR_NO_METADATA, et_torrent_file_progress, s, t, room, 8, &len);
    GETS(ET_ERR_NO_METADATA, et_torrent_piece_priorities, s, t, priorities, 1, &len);
    GETS(ET_ERR_NO_METADATA, et_torrent_prioritize_pieces, s, t, priorities, 1);
    GETS(ET_ERR_NO_METADATA, et_torrent_set_piece_priority, s, t, 0, 1);
    GETS(ET_ERR_NO_METADATA, et_torrent_file_priorities, s, t, priorities, 1, &len);
    GETS(ET_ERR_NO_METADATA, et_torrent_prioritize_files, s, t, priorities, 1);
    GETS(ET_ERR_NO_METADATA, et_torrent_set_file_priority, s, t, 0, 1);
    GETS(ET_ERR_NO_METADATA, et_torrent_pieces, s, t, &bits, 1, &len, NULL);
    GETS(ET_ERR_NO_METADATA, et_torrent_piece_availability, s, t, (uint32_t *)room, 8, &len);
    GETS(ET_ERR_NO_METADATA, et_torrent_set_piece_deadline, s, t, 0, 0);
    GETS(ET_ERR_NO_METADATA, et_torrent_reset_piece_deadline, s, t, 0);
    GETS(ET_ERR_NO_METADATA, et_torrent_download_queue, s, t, room, sizeof room, &len);
    GETS(ET_ERR_NO_METADATA, et_storage_set_lookbehind, s, t, pieces, 1);
    GETS(ET_ERR_NO_METADATA, et_storage_is_lookbehind_available, s, t, 0, &number);
    GETS(ET_ERR_NO_METADATA, et_storage_read, s, t, 0, 0, room, 1, &len);
    GETS(ET_ERR_NO_METADATA, et_reader_open, s, t, 0, NULL, &reader);
    /* What says nothing of it does without. */
    STATUS(ET_OK, et_torrent_set_limits(s, t, &(et_torrent_limits){ sizeof(et_torrent_limits), -1, -1, -1, -1 }, NULL));
    STATUS(ET_OK, et_torrent_set_flags(s, t, ET_TORRENT_FLAG_SEQUENTIAL_DOWNLOAD, NULL));
    STATUS(ET_OK, et_torrent_force_reannounce(s, t, NULL));
    STATUS(ET_OK, et_torrent_force_dht_announce(s, t, NULL));
    STATUS(ET_OK, et_torrent_peers(s, t, room, sizeof room, &len, NULL));
    STATUS(ET_OK, et_torrent_web_seeds(s, t, room, sizeof room, &len, NULL));
    STATUS(ET_OK, et_storage_stats(s, t, &(et_storage_stats_info){ .struct_size = sizeof(et_storage_stats_info) }, NULL));
    STATUS(ET_OK, et_storage_lookbehind_stats(s, t, &(et_lookbehind_info){ .struct_size = sizeof(et_lookbehind_info) }, NULL));
    STATUS(ET_OK, et_storage_clear_lookbehind(s, t, NULL));
    GETS(ET_ERR_WOULD_BLOCK, et_torrent_wait_metadata, s, t, 0);
    GETS(ET_ERR_TIMED_OUT, et_torrent_wait_metadata, s, t, 10);
}

static void of_torrents(et_session *s, et_storage_index t, et_storage_index large)
{
    et_torrent_limits limits = { sizeof limits, -2, -1, -1, -1 };
    et_tracker_entry tracker = { sizeof tracker, { KEY("gopher://x/") }, 0, 0 };
    et_priority priorities[] = { 4, 8, 4 };
    et_piece_index pieces[] = { 3 }, both[] = { 0, 1 };
    et_reader_options options = { .struct_size = sizeof options, .flags = ET_READER_UNVERIFIED };
    et_reader *reader = NULL;
    int32_t number;
    uint32_t count;
    int peer;

    GETS(ET_ERR_BUFFER_TOO_SMALL, et_torrent_name, s, t, &byte, 1, &len);
    GETS(ET_ERR_BUFFER_TOO_SMALL, et_torrent_metainfo, s, t, &byte, 1, &len);
    GETS(ET_ERR_INVALID_ARGUMENT, et_torrent_pause, s, t, 1);
    GETS(ET_ERR_INVALID_ARGUMENT, et_torrent_set_flags, s, t, UINT64_C(1) << 40);
    GETS(ET_ERR_INVALID_ARGUMENT, et_torrent_unset_flags, s, t, UINT64_C(1) << 40);
    GETS(ET_ERR_INVALID_ARGUMENT, et_torrent_set_limits, s, t, &limits);
    GETS(ET_ERR_BUFFER_TOO_SMALL, et_torrent_files, s, t, room, 8, &len);
    GETS(ET_ERR_BUFFER_TOO_SMALL, et_torrent_file_progress, s, t, room, 1, &len);
    GETS(ET_ERR_BUFFER_TOO_SMALL, et_torrent_piece_priorities, s, t, priorities, 1, &len);
    GETS(ET_ERR_INVALID_ARGUMENT, et_torrent_prioritize_pieces, s, t, priorities, 3);
    GETS(ET_ERR_INVALID_ARGUMENT, et_torrent_prioritize_pieces, s, t, priorities, 1);
    GETS(ET_ERR_INVALID_ARGUMENT, et_torrent_set_piece_priority, s, t, 3, 1);
    GETS(ET_ERR_INVALID_ARGUMENT, et_torrent_set_piece_priority, s, t, 0, 8);
    GETS(ET_ERR_BUFFER_TOO_SMALL, et_torrent_file_priorities, s, t, priorities, 1, &len);
    GETS(ET_ERR_INVALID_ARGUMENT, et_torrent_prioritize_files, s, t, priorities, 2);
    GETS(ET_ERR_INVALID_ARGUMENT, et_torrent_prioritize_files, s, t, priorities, 1);
    GETS(ET_ERR_INVALID_ARGUMENT, et_torrent_set_file_priority, s, t, 2, 1);
    GETS(ET_ERR_INVALID_ARGUMENT, et_torrent_set_file_priority, s, t, 0, 8);
    GETS(ET_ERR_BUFFER_TOO_SMALL, et_torrent_pieces, s, t, (uint8_t *)room, 0, &len, NULL);
    GETS(ET_ERR_BUFFER_TOO_SMALL, et_torrent_piece_availability, s, t, &count, 1, &len);
    GETS(ET_ERR_INVALID_ARGUMENT, et_torrent_set_piece_deadline, s, t, 3, 0);
    GETS(ET_ERR_INVALID_ARGUMENT, et_torrent_reset_piece_deadline, s, t, 3);
    GETS(ET_ERR_INVALID_ARGUMENT, et_torrent_connect_peer, s, t, KEY("127.0.0.1"));
    GETS(ET_ERR_INVALID_ARGUMENT, et_torrent_ban_peer, s, t, KEY("127.0.0.1:1"));
    GETS(ET_ERR_INVALID_ARGUMENT, et_torrent_add_tracker, s, t, KEY("gopher://x/"), 0);
    GETS(ET_ERR_INVALID_ARGUMENT, et_torrent_replace_trackers, s, t, &tracker, 1);
    STATUS(ET_OK, et_torrent_add_tracker(s, t, KEY("udp://127.0.0.1:1/announce"), 0, NULL));
    GETS(ET_ERR_BUFFER_TOO_SMALL, et_torrent_trackers, s, t, room, 8, &len);
    GETS(ET_ERR_BUFFER_TOO_SMALL, et_torrent_web_seeds, s, t, room, 8, &len);
    GETS(ET_ERR_INVALID_ARGUMENT, et_storage_set_lookbehind, s, t, pieces, 1);
    GETS(ET_ERR_INVALID_ARGUMENT, et_storage_is_lookbehind_available, s, t, 3, &number);
    GETS(ET_ERR_INVALID_ARGUMENT, et_storage_read, s, t, 3, 0, room, 1, &len);
    GETS(ET_ERR_INVALID_ARGUMENT, et_storage_read, s, t, 0, 16385, room, 1, &len);
    GETS(ET_ERR_WOULD_BLOCK, et_storage_read, s, t, 0, 0, room, 1, &len);
    GETS(ET_ERR_INVALID_ARGUMENT, et_reader_open, s, t, 2, NULL, &reader);

    /* What comes in from somebody, and who it is. */
    peer = silent_peer(s, t);
    STATUS(ET_OK, et_torrent_set_piece_deadline(s, t, 0, 0, NULL));
    UNTIL(et_torrent_download_queue(s, t, NULL, 0, &len, NULL) == ET_OK && len > 8);
    GETS(ET_ERR_BUFFER_TOO_SMALL, et_torrent_download_queue, s, t, room, 8, &len);
    GETS(ET_ERR_BUFFER_TOO_SMALL, et_torrent_peers, s, t, room, 8, &len);
    close(peer);

    /* Pieces of 1 MiB, and half of that as memory. */
    STATUS(ET_OK, et_storage_set_limit(s, 1 << 20, NULL));
    STATUS(ET_OK, et_reader_open(s, large, 0, NULL, &reader, NULL));
    GETS(ET_ERR_OUT_OF_MEMORY, et_storage_set_lookbehind, s, large, both, 2);
    GETS(ET_ERR_INVALID_ARGUMENT, et_reader_set_options, reader, &options);
    STATUS(ET_OK, et_storage_set_limit(s, 1 << 19, NULL));
    GETS(ET_ERR_OUT_OF_MEMORY, et_reader_read, reader, room, 1, -1, &len);
    GETS(ET_ERR_OUT_OF_MEMORY, et_reader_read_at, reader, 0, room, 1, -1, &len);
    et_reader_free(reader);
    reader = NULL;
    GETS(ET_ERR_OUT_OF_MEMORY, et_reader_open, s, large, 0, NULL, &reader);
    CHECK(reader == NULL);
}

static void *read_on(void *reader)
{
    size_t n = 0;
    return (void *)(intptr_t)et_reader_read(reader, &byte, 1, -1, &n, NULL);
}

/* While another thread's read waits. */
static void of_busy_readers(et_reader *r)
{
    et_reader_status_info status = { .struct_size = sizeof status };
    pthread_t thread;
    void *ended = NULL;
    char other;

    CHECK(pthread_create(&thread, NULL, read_on, r) == 0);
    UNTIL(et_reader_status(r, &status, NULL) == ET_OK && status.waiting == 1);
    GETS(ET_ERR_BUSY, et_reader_read, r, &other, 1, -1, &len);
    GETS(ET_ERR_BUSY, et_reader_seek, r, 0, ET_SEEK_SET, NULL);
    STATUS(ET_OK, et_reader_interrupt(r, NULL));
    CHECK(pthread_join(thread, &ended) == 0 && (et_status)(intptr_t)ended == ET_ERR_INTERRUPTED);
}

static void of_readers(et_session *s, et_storage_index t)
{
    et_reader *r = NULL;
    struct rlimit before;
    int32_t fd = -7;

    STATUS(ET_OK, et_reader_open(s, t, 0, NULL, &r, NULL));
    of_busy_readers(r);
    GETS(ET_ERR_WOULD_BLOCK, et_reader_read, r, &byte, 1, 0, &len);
    GETS(ET_ERR_WOULD_BLOCK, et_reader_read_at, r, 0, &byte, 1, 0, &len);
    GETS(ET_ERR_TIMED_OUT, et_reader_read, r, &byte, 1, 10, &len);
    GETS(ET_ERR_TIMED_OUT, et_reader_read_at, r, 0, &byte, 1, 10, &len);
    STATUS(ET_OK, et_reader_interrupt(r, NULL));
    GETS(ET_ERR_INTERRUPTED, et_reader_read, r, &byte, 1, -1, &len);
    STATUS(ET_OK, et_reader_interrupt(r, NULL));
    GETS(ET_ERR_INTERRUPTED, et_reader_read_at, r, 0, &byte, 1, -1, &len);
    GETS(ET_ERR_INVALID_ARGUMENT, et_reader_seek, r, -1, ET_SEEK_SET, NULL);
    STATUS(ET_OK, et_reader_seek(r, 0, ET_SEEK_END, NULL, NULL));
    GETS(ET_ERR_END_OF_FILE, et_reader_read, r, &byte, 1, -1, &len);
    GETS(ET_ERR_END_OF_FILE, et_reader_read_at, r, 20000, &byte, 1, -1, &len);
    without_descriptors(&before);
    GETS(ET_ERR_IO, et_reader_fd, r, &fd);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0 && fd == -7);
    STATUS(ET_OK, et_reader_close(r, NULL));
    GETS(ET_ERR_CLOSED, et_reader_read, r, &byte, 1, -1, &len);
    GETS(ET_ERR_CLOSED, et_reader_read_at, r, 0, &byte, 1, -1, &len);
    et_reader_free(r);
}

/* What was verified on disk is cut off behind our back. */
static void of_disks(et_session *s)
{
    unsigned char torrent[FILM_ROOM(1)];
    char directory[] = "/tmp/et-errors-XXXXXX", path[64];
    et_storage_index film;
    et_reader *r = NULL;

    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/film", directory);
    make_file(path, 1);
    film = add_film(s, torrent, make_torrent(torrent, 1), directory, NULL);
    until_it_has(s, film, 1);
    GETS(ET_ERR_BUFFER_TOO_SMALL, et_torrent_save_path, s, film, &byte, 1, &len);
    STATUS(ET_OK, et_reader_open(s, film, 0, NULL, &r, NULL));
    CHECK(truncate(path, 0) == 0);
    GETS(ET_ERR_IO, et_reader_read, r, &byte, 1, -1, &len);
    GETS(ET_ERR_IO, et_reader_read_at, r, 0, &byte, 1, -1, &len);
    GETS(ET_ERR_IO, et_storage_read, s, film, 0, 0, &byte, 1, &len);
    et_reader_free(r);
    CHECK(unlink(path) == 0 && rmdir(directory) == 0);
}

/* What comes of removing the torrent, and of closing the session. */
static void of_ends(et_session *s, et_storage_index torrent, et_storage_index magnet)
{
    et_reader *r = NULL;
    STATUS(ET_OK, et_reader_open(s, torrent, 0, NULL, &r, NULL));
    STATUS(ET_OK, et_session_remove_torrent(s, torrent, 0, NULL));
    GETS(ET_ERR_INVALID_STORAGE_INDEX, et_reader_read, r, &byte, 1, -1, &len);
    GETS(ET_ERR_INVALID_STORAGE_INDEX, et_reader_read_at, r, 0, &byte, 1, -1, &len);
    GETS(ET_ERR_INVALID_STORAGE_INDEX, et_torrent_wait_metadata, s, torrent, -1);
    /* Its threads need a moment to end. */
    GETS(ET_ERR_TIMED_OUT, et_session_close, s, 0);
    STATUS(ET_OK, et_session_close(s, -1, NULL));
    GETS(ET_ERR_CLOSED, et_torrent_wait_metadata, s, magnet, -1);
    GETS(ET_ERR_CLOSED, et_session_wait_alerts, s, -1);
    et_reader_free(r);
}

int main(void)
{
    et_session *session;
    et_storage_index torrent, large, magnet;

    of_no_session();
    of_opening();
    session = open_session();
    torrent = add(session, SEEDED, sizeof SEEDED - 1, NULL);
    large = add(session, LARGE, sizeof LARGE - 1, NULL);
    magnet = add(session, NULL, 0, MAGNET);
    of_sessions(session);
    of_adding(session);
    of_magnets(session, magnet);
    of_torrents(session, torrent, large);
    of_readers(session, torrent);
    of_disks(session);
    of_ends(session, torrent, magnet);
    et_session_free(session);
    return done();
}
