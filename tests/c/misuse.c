/* Every function, called wrongly: a status, never anything else. */
#include "check.h"

/* Properly called but for the session. */
static void session_calls(et_session *s, et_status expected)
{
    static uint64_t room[512];
    int32_t number;
    uint16_t port;
    size_t len;
    et_storage_index index = 77;
    et_settings *settings = NULL, *fresh = NULL;
    et_info_hashes hashes = { .has = ET_INFO_HASH_V1 };
    et_alert_batch batch = { .struct_size = sizeof batch };
    et_session_stats_info stats = { .struct_size = sizeof stats };
    et_add_torrent_params params = { .struct_size = sizeof params, .magnet = { MAGNET, ET_NUL_TERMINATED } };
    et_torrent_status_info status = { .struct_size = sizeof status };

    STATUS(ET_OK, et_settings_new(&settings, NULL));
    STATUS(expected, et_session_apply_settings(s, settings, NULL));
    et_settings_free(settings);
    STATUS(expected, et_session_settings(s, &fresh, NULL));
    CHECK(fresh == NULL);
    STATUS(expected, et_session_save_state(s, room, sizeof room, &len, NULL));
    STATUS(expected, et_session_stats(s, &stats, NULL));
    STATUS(expected, et_session_pause(s, NULL));
    STATUS(expected, et_session_resume(s, NULL));
    STATUS(expected, et_session_is_paused(s, &number, NULL));
    STATUS(expected, et_session_add_torrent(s, &params, &index, NULL));
    CHECK(index == 77);
    STATUS(expected, et_session_remove_torrent(s, 1, 0, NULL));
    STATUS(expected, et_session_torrents(s, &index, 1, &len, NULL));
    STATUS(expected, et_session_find_torrent(s, &hashes, &index, NULL));
    STATUS(expected, et_session_listen_port(s, &port, NULL));
    STATUS(expected, et_session_add_dht_node(s, KEY("localhost"), 1, NULL));
    STATUS(expected, et_session_set_port_filter(s, NULL, 0, NULL));
    STATUS(expected, et_session_pop_alerts(s, room, sizeof room, &batch, NULL));
    STATUS(expected, et_session_wait_alerts(s, 0, NULL));
    STATUS(expected, et_session_wait_alerts(s, -1, NULL));
    STATUS(expected, et_session_alert_fd(s, &number, NULL));
    STATUS(expected, et_session_set_alert_mask(s, 1, NULL));
    STATUS(expected, et_torrent_statuses(s, &status, sizeof status, 1, &len, NULL));
    STATUS(expected, et_storage_set_limit(s, 1 << 24, NULL));
}

/* Properly called but for the session or the storage index. */
static void torrent_calls(et_session *s, et_storage_index t, et_status expected)
{
    static uint64_t room[512];
    char text[256];
    uint8_t bytes[64] = { 4, 4, 4 };
    uint32_t counts[64];
    int32_t number;
    size_t len;
    et_piece_index piece = 0;
    et_reader *reader = NULL;
    et_error failed = { .struct_size = sizeof failed };
    et_metadata_info info = { .struct_size = sizeof info };
    et_torrent_status_info status = { .struct_size = sizeof status };
    et_torrent_limits limits = { sizeof limits, -1, -1, -1, -1 };
    et_storage_stats_info storage = { .struct_size = sizeof storage };
    et_lookbehind_info lookbehind = { .struct_size = sizeof lookbehind };
    et_tracker_entry tracker = { .struct_size = sizeof tracker, .url = { KEY("udp://127.0.0.1:1/announce") } };

    STATUS(expected, et_torrent_status(s, t, &status, NULL));
    STATUS(expected, et_torrent_has_metadata(s, t, &number, NULL));
    STATUS(expected, et_torrent_wait_metadata(s, t, 0, NULL));
    STATUS(expected, et_torrent_wait_metadata(s, t, -1, NULL));
    STATUS(expected, et_torrent_info(s, t, &info, NULL));
    STATUS(expected, et_torrent_name(s, t, text, sizeof text, &len, NULL));
    STATUS(expected, et_torrent_save_path(s, t, text, sizeof text, &len, NULL));
    STATUS(expected, et_torrent_metainfo(s, t, room, sizeof room, &len, NULL));
    STATUS(expected, et_torrent_error(s, t, &failed, NULL));
    STATUS(expected, et_torrent_files(s, t, room, sizeof room, &len, NULL));
    STATUS(expected, et_torrent_file_progress(s, t, room, 512, &len, NULL));
    STATUS(expected, et_torrent_set_flags(s, t, ET_TORRENT_FLAG_SEQUENTIAL_DOWNLOAD, NULL));
    STATUS(expected, et_torrent_unset_flags(s, t, ET_TORRENT_FLAG_SEQUENTIAL_DOWNLOAD, NULL));
    STATUS(expected, et_torrent_set_limits(s, t, &limits, NULL));
    STATUS(expected, et_torrent_piece_priorities(s, t, bytes, sizeof bytes, &len, NULL));
    STATUS(expected, et_torrent_prioritize_pieces(s, t, bytes, 3, NULL));
    STATUS(expected, et_torrent_set_piece_priority(s, t, 0, 7, NULL));
    STATUS(expected, et_torrent_file_priorities(s, t, bytes, sizeof bytes, &len, NULL));
    STATUS(expected, et_torrent_prioritize_files(s, t, bytes, 2, NULL));
    STATUS(expected, et_torrent_set_file_priority(s, t, 0, 7, NULL));
    STATUS(expected, et_torrent_set_piece_deadline(s, t, 0, 100, NULL));
    STATUS(expected, et_torrent_reset_piece_deadline(s, t, 0, NULL));
    STATUS(expected, et_torrent_clear_piece_deadlines(s, t, NULL));
    STATUS(expected, et_torrent_pieces(s, t, bytes, sizeof bytes, &len, counts, NULL));
    STATUS(expected, et_torrent_piece_availability(s, t, counts, 64, &len, NULL));
    STATUS(expected, et_torrent_download_queue(s, t, room, sizeof room, &len, NULL));
    STATUS(expected, et_torrent_peers(s, t, room, sizeof room, &len, NULL));
    STATUS(expected, et_torrent_connect_peer(s, t, KEY("127.0.0.1:1"), NULL));
    STATUS(expected, et_torrent_ban_peer(s, t, KEY("127.0.0.2"), NULL));
    STATUS(expected, et_torrent_trackers(s, t, room, sizeof room, &len, NULL));
    STATUS(expected, et_torrent_add_tracker(s, t, KEY("udp://127.0.0.1:2/announce"), 1, NULL));
    STATUS(expected, et_torrent_replace_trackers(s, t, &tracker, 1, NULL));
    STATUS(expected, et_torrent_web_seeds(s, t, room, sizeof room, &len, NULL));
    STATUS(expected, et_torrent_force_reannounce(s, t, NULL));
    STATUS(expected, et_torrent_force_dht_announce(s, t, NULL));
    STATUS(expected, et_storage_stats(s, t, &storage, NULL));
    STATUS(expected, et_storage_set_lookbehind(s, t, &piece, 1, NULL));
    STATUS(expected, et_storage_is_lookbehind_available(s, t, 0, &number, NULL));
    STATUS(expected, et_storage_lookbehind_stats(s, t, &lookbehind, NULL));
    STATUS(expected, et_storage_clear_lookbehind(s, t, NULL));
    STATUS(expected == ET_OK ? ET_ERR_WOULD_BLOCK : expected,
           et_storage_read(s, t, 0, 0, room, sizeof room, &len, NULL));
    STATUS(expected, et_torrent_force_recheck(s, t, NULL));
    STATUS(expected, et_torrent_pause(s, t, 0, NULL));
    STATUS(expected, et_torrent_resume(s, t, NULL));
    STATUS(expected, et_reader_open(s, t, 0, NULL, &reader, NULL));
    CHECK((reader != NULL) == (expected == ET_OK));
    et_reader_free(reader);
}

/* Properly called but for the reader. */
static void reader_calls(et_reader *r, et_status expected)
{
    uint64_t number;
    int32_t fd;
    char buf[16];
    size_t n;
    et_reader_status_info status = { .struct_size = sizeof status };
    et_reader_explanation why = { .struct_size = sizeof why };

    STATUS(expected == ET_OK ? ET_ERR_WOULD_BLOCK : expected, et_reader_read(r, buf, sizeof buf, 0, &n, NULL));
    STATUS(expected == ET_OK ? ET_ERR_TIMED_OUT : expected, et_reader_read(r, buf, sizeof buf, 20, &n, NULL));
    STATUS(expected == ET_OK ? ET_ERR_WOULD_BLOCK : expected, et_reader_read_at(r, 9, buf, sizeof buf, 0, &n, NULL));
    STATUS(expected, et_reader_read(r, NULL, 0, -1, &n, NULL));
    STATUS(expected, et_reader_seek(r, 0, ET_SEEK_SET, NULL, NULL));
    STATUS(expected, et_reader_size(r, &number, NULL));
    STATUS(expected, et_reader_id(r, &number, NULL));
    STATUS(expected, et_reader_fd(r, &fd, NULL));
    STATUS(expected, et_reader_status(r, &status, NULL));
    STATUS(expected, et_reader_explain(r, &why, NULL));
    CHECK(why.reason == (expected == ET_OK ? ET_REASON_NO_PEERS : 0));
    STATUS(expected, et_reader_prebuffer(r, 1, 1, NULL));
    STATUS(expected, et_reader_set_options(r, NULL, NULL));
    STATUS(expected, et_reader_interrupt(r, NULL));
}

/* Proper sessions, torrents and readers, and nowhere to put what comes out. */
static void null_outputs(et_session *s, et_storage_index t, et_reader *r)
{
    const et_status null = ET_ERR_NULL_POINTER;
    size_t len;
    char buf[8];
    STATUS(null, et_settings_new(NULL, NULL));
    STATUS(null, et_session_open(NULL, NULL, 0, NULL, NULL));
    STATUS(null, et_session_settings(s, NULL, NULL));
    STATUS(null, et_session_apply_settings(s, NULL, NULL));
    STATUS(null, et_session_save_state(s, NULL, 0, NULL, NULL));
    STATUS(null, et_session_save_state(s, NULL, 8, &len, NULL));
    STATUS(null, et_session_stats(s, NULL, NULL));
    STATUS(null, et_session_is_paused(s, NULL, NULL));
    STATUS(null, et_session_add_torrent(s, NULL, NULL, NULL));
    STATUS(null, et_session_torrents(s, NULL, 0, NULL, NULL));
    STATUS(null, et_session_find_torrent(s, NULL, NULL, NULL));
    STATUS(null, et_session_listen_port(s, NULL, NULL));
    STATUS(null, et_session_add_dht_node(s, NULL, 3, 1, NULL));
    STATUS(null, et_session_set_port_filter(s, NULL, 3, NULL));
    STATUS(null, et_session_pop_alerts(s, NULL, 0, NULL, NULL));
    STATUS(null, et_session_alert_fd(s, NULL, NULL));
    STATUS(null, et_torrent_status(s, t, NULL, NULL));
    STATUS(null, et_torrent_statuses(s, NULL, sizeof(et_torrent_status_info), 0, NULL, NULL));
    STATUS(null, et_torrent_has_metadata(s, t, NULL, NULL));
    STATUS(null, et_torrent_info(s, t, NULL, NULL));
    STATUS(null, et_torrent_name(s, t, NULL, 0, NULL, NULL));
    STATUS(null, et_torrent_name(s, t, NULL, 9, &len, NULL));
    STATUS(null, et_torrent_save_path(s, t, NULL, 0, NULL, NULL));
    STATUS(null, et_torrent_metainfo(s, t, NULL, 0, NULL, NULL));
    STATUS(null, et_torrent_error(s, t, NULL, NULL));
    STATUS(null, et_torrent_files(s, t, NULL, 0, NULL, NULL));
    STATUS(null, et_torrent_file_progress(s, t, NULL, 0, NULL, NULL));
    STATUS(null, et_torrent_set_limits(s, t, NULL, NULL));
    STATUS(null, et_torrent_piece_priorities(s, t, NULL, 0, NULL, NULL));
    STATUS(null, et_torrent_prioritize_pieces(s, t, NULL, 3, NULL));
    STATUS(null, et_torrent_file_priorities(s, t, NULL, 0, NULL, NULL));
    STATUS(null, et_torrent_prioritize_files(s, t, NULL, 2, NULL));
    STATUS(null, et_torrent_pieces(s, t, NULL, 0, NULL, NULL, NULL));
    STATUS(null, et_torrent_piece_availability(s, t, NULL, 0, NULL, NULL));
    STATUS(null, et_torrent_download_queue(s, t, NULL, 0, NULL, NULL));
    STATUS(null, et_torrent_peers(s, t, NULL, 0, NULL, NULL));
    STATUS(null, et_torrent_connect_peer(s, t, NULL, 3, NULL));
    STATUS(null, et_torrent_ban_peer(s, t, NULL, ET_NUL_TERMINATED, NULL));
    STATUS(null, et_torrent_trackers(s, t, NULL, 0, NULL, NULL));
    STATUS(null, et_torrent_add_tracker(s, t, NULL, 3, 0, NULL));
    STATUS(null, et_torrent_replace_trackers(s, t, NULL, 3, NULL));
    STATUS(null, et_torrent_web_seeds(s, t, NULL, 0, NULL, NULL));
    STATUS(null, et_storage_stats(s, t, NULL, NULL));
    STATUS(null, et_storage_set_lookbehind(s, t, NULL, 1, NULL));
    STATUS(null, et_storage_is_lookbehind_available(s, t, 0, NULL, NULL));
    STATUS(null, et_storage_lookbehind_stats(s, t, NULL, NULL));
    STATUS(null, et_storage_read(s, t, 0, 0, buf, 8, NULL, NULL));
    STATUS(null, et_storage_read(s, t, 0, 0, NULL, 8, &len, NULL));
    STATUS(null, et_reader_open(s, t, 0, NULL, NULL, NULL));
    STATUS(null, et_reader_read(r, buf, 8, 0, NULL, NULL));
    STATUS(null, et_reader_read(r, NULL, 8, 0, &len, NULL));
    STATUS(null, et_reader_read_at(r, 0, buf, 8, 0, NULL, NULL));
    STATUS(null, et_reader_size(r, NULL, NULL));
    STATUS(null, et_reader_id(r, NULL, NULL));
    STATUS(null, et_reader_fd(r, NULL, NULL));
    STATUS(null, et_reader_status(r, NULL, NULL));
    STATUS(null, et_reader_explain(r, NULL, NULL));
    STATUS(null, et_reader_explanation_message(NULL, buf, 8, &len, NULL));
}

static void out_of_range(et_session *s, et_storage_index t, et_reader *r)
{
    const et_status invalid = ET_ERR_INVALID_ARGUMENT;
    static const et_piece_index pieces[] = { -1, 3, INT32_MAX, INT32_MIN };
    uint8_t priorities[] = { 4, 8, 4 };
    int32_t number;
    size_t len, i;
    uint64_t position;
    char buf[8];
    et_reader *reader = NULL;
    et_error error = { .struct_size = sizeof error };
    et_torrent_limits limits = { sizeof limits, -2, -1, -1, -1 };
    et_reader_options options = { .struct_size = sizeof options, .flags = 0x80 };
    et_add_torrent_params params = { .struct_size = sizeof params };
    et_storage_index index = 0;
    et_tracker_entry tracker = { .struct_size = sizeof tracker, .url = { KEY("udp://127.0.0.1:1/x") }, .tier = 256 };
    et_port_rule ports = { sizeof ports, 81, 80, ET_PORT_BLOCKED };

    for (i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        et_piece_index piece = pieces[i];
        STATUS(invalid, et_torrent_set_piece_priority(s, t, piece, 1, &error));
        CHECK(error.status == invalid && strlen(error.message) > 0);
        STATUS(invalid, et_torrent_set_piece_deadline(s, t, piece, 0, NULL));
        STATUS(invalid, et_torrent_reset_piece_deadline(s, t, piece, NULL));
        STATUS(invalid, et_storage_set_lookbehind(s, t, &piece, 1, NULL));
        STATUS(invalid, et_storage_is_lookbehind_available(s, t, piece, &number, NULL));
        STATUS(invalid, et_storage_read(s, t, piece, 0, buf, sizeof buf, &len, NULL));
        STATUS(invalid, et_torrent_set_file_priority(s, t, piece, 1, NULL));
        STATUS(invalid, et_reader_open(s, t, piece, NULL, &reader, NULL));
    }
    STATUS(invalid, et_torrent_set_piece_priority(s, t, 1, 8, &error));
    CHECK(strstr(error.message, "8") != NULL && strstr(error.message, "7") != NULL);
    STATUS(invalid, et_torrent_set_piece_priority(s, t, 1, -1, NULL));
    STATUS(invalid, et_torrent_set_file_priority(s, t, 1, 8, NULL));
    STATUS(invalid, et_torrent_prioritize_pieces(s, t, priorities, 3, NULL));
    priorities[1] = 4;
    STATUS(invalid, et_torrent_prioritize_pieces(s, t, priorities, 2, NULL));
    STATUS(invalid, et_torrent_prioritize_files(s, t, priorities, 3, NULL));
    STATUS(invalid, et_torrent_pause(s, t, 1, NULL));
    STATUS(invalid, et_torrent_set_flags(s, t, UINT64_C(1) << 63, NULL));
    STATUS(invalid, et_torrent_unset_flags(s, t, UINT64_C(1) << 63, NULL));
    STATUS(invalid, et_torrent_set_limits(s, t, &limits, NULL));
    STATUS(invalid, et_torrent_connect_peer(s, t, KEY("127.0.0.1"), NULL));
    STATUS(invalid, et_torrent_connect_peer(s, t, KEY("127.0.0.1:0"), NULL));
    STATUS(invalid, et_torrent_connect_peer(s, t, KEY("\xff\xfe"), NULL));
    STATUS(invalid, et_torrent_ban_peer(s, t, KEY("example.org"), NULL));
    STATUS(invalid, et_torrent_add_tracker(s, t, KEY("udp://127.0.0.1:1/announce"), -1, NULL));
    STATUS(invalid, et_torrent_replace_trackers(s, t, &tracker, 1, NULL));
    STATUS(invalid, et_session_remove_torrent(s, t, 0x10, NULL));
    STATUS(invalid, et_session_add_dht_node(s, KEY("localhost"), 0, NULL));
    STATUS(invalid, et_session_add_dht_node(s, KEY("localhost"), 65536, NULL));
    STATUS(invalid, et_session_set_port_filter(s, &ports, 1, &error));
    CHECK(strstr(error.message, "81") != NULL && strstr(error.message, "80") != NULL);
    ports.last = 81;
    ports.access = 2;
    STATUS(invalid, et_session_set_port_filter(s, &ports, 1, &error));
    CHECK(strstr(error.message, "0x2") != NULL);
    STATUS(invalid, et_storage_set_limit(s, 1, NULL));
    STATUS(invalid, et_storage_read(s, t, 0, 16385, buf, sizeof buf, &len, NULL));
    STATUS(invalid, et_reader_open(s, t, 0, &options, &reader, NULL));
    options.flags = 0;
    options.offset = 20001;
    STATUS(invalid, et_reader_open(s, t, 0, &options, &reader, &error));
    CHECK(strstr(error.message, "20001") != NULL && strstr(error.message, "20000") != NULL);
    options.offset = UINT64_MAX;
    STATUS(invalid, et_reader_open(s, t, 0, &options, &reader, NULL));
    options.offset = 5;
    options.end = 5;
    STATUS(invalid, et_reader_open(s, t, 0, &options, &reader, NULL));
    options.end = 4;
    STATUS(invalid, et_reader_open(s, t, 0, &options, &reader, NULL));
    CHECK(reader == NULL);
    options.offset = 20000;
    options.end = UINT64_MAX;
    STATUS(ET_OK, et_reader_open(s, t, 0, &options, &reader, NULL));
    STATUS(ET_OK, et_reader_seek(reader, 0, ET_SEEK_CUR, &position, NULL));
    CHECK(position == 20000);
    STATUS(ET_ERR_END_OF_FILE, et_reader_read(reader, buf, sizeof buf, 0, &len, NULL));
    et_reader_free(reader);
    reader = NULL;
    STATUS(invalid, et_reader_seek(r, -1, ET_SEEK_SET, &position, NULL));
    STATUS(invalid, et_reader_seek(r, 20001, ET_SEEK_SET, &position, NULL));
    STATUS(invalid, et_reader_seek(r, INT64_MIN, ET_SEEK_END, &position, NULL));
    STATUS(invalid, et_reader_seek(r, INT64_MAX, ET_SEEK_CUR, &position, NULL));
    STATUS(invalid, et_reader_seek(r, 0, 3, &position, NULL));

    STATUS(invalid, et_session_add_torrent(s, &params, &index, NULL));
    params.magnet.data = "magnet:?dn=x";
    params.magnet.len = ET_NUL_TERMINATED;
    STATUS(ET_ERR_PARSE, et_session_add_torrent(s, &params, &index, NULL));
    params.torrent = TORRENT;
    params.torrent_len = sizeof TORRENT - 1;
    STATUS(invalid, et_session_add_torrent(s, &params, &index, NULL));
    params.magnet.data = NULL;
    params.magnet.len = 0;
    params.torrent_len = 20;
    STATUS(ET_ERR_PARSE, et_session_add_torrent(s, &params, &index, NULL));
    params.torrent_len = sizeof TORRENT - 1;
    params.storage = 3;
    STATUS(invalid, et_session_add_torrent(s, &params, &index, NULL));
    params.storage = ET_STORAGE_MEMORY;
    params.flags = UINT64_C(1) << 40;
    STATUS(invalid, et_session_add_torrent(s, &params, &index, NULL));
    params.flags = 0;
    params.struct_size = 0;
    STATUS(invalid, et_session_add_torrent(s, &params, &index, NULL));
    params.struct_size = sizeof params;
    CHECK(index == 0);
    STATUS(ET_ERR_DUPLICATE_TORRENT, et_session_add_torrent(s, &params, &index, NULL));
    CHECK(index == t);
}

static void too_small(et_session *s, et_storage_index t)
{
    const et_status small = ET_ERR_BUFFER_TOO_SMALL;
    static uint64_t room[512];
    uint32_t bits = 77;
    size_t len = 0;
    uint8_t byte = 77;
    char text;

    STATUS(ET_OK, et_torrent_piece_priorities(s, t, NULL, 0, &len, NULL));
    CHECK(len == 3);
    len = 0;
    STATUS(small, et_torrent_piece_priorities(s, t, &byte, 1, &len, NULL));
    CHECK(len == 3 && byte == 77);
    STATUS(small, et_torrent_file_priorities(s, t, &byte, 1, &len, NULL));
    CHECK(len == 2 && byte == 77);
    STATUS(small, et_torrent_file_progress(s, t, room, 1, &len, NULL));
    STATUS(small, et_torrent_piece_availability(s, t, &bits, 1, &len, NULL));
    CHECK(len == 3 && bits == 77);
    STATUS(ET_OK, et_torrent_pieces(s, t, &byte, 1, &len, &bits, NULL));
    CHECK(len == 1 && bits == 3 && byte == 0);
    STATUS(ET_OK, et_torrent_name(s, t, &text, 1, &len, NULL));
    CHECK(len == 1 && text == 't');
    STATUS(small, et_torrent_metainfo(s, t, &text, 1, &len, NULL));
    STATUS(small, et_torrent_files(s, t, room, 8, &len, NULL));
    CHECK(len > 8 && len % 8 == 0);
    STATUS(ET_ERR_INVALID_ARGUMENT, et_torrent_files(s, t, (char *)room + 4, 2048, &len, NULL));
    STATUS(small, et_torrent_trackers(s, t, room, 1, &len, NULL));
    STATUS(small, et_session_torrents(s, room, 1, &len, NULL));
    CHECK(len == 2);
    STATUS(small, et_torrent_statuses(s, (et_torrent_status_info *)room, sizeof(et_torrent_status_info), 1, &len, NULL));
    CHECK(len == 2);
    STATUS(ET_ERR_INVALID_ARGUMENT, et_torrent_statuses(s, (et_torrent_status_info *)room, 3, 1, &len, NULL));
    STATUS(small, et_session_save_state(s, &text, 1, &len, NULL));
}

/* A program built with a younger or an older header, a struct that nobody filled in. */
static void explanations(et_reader *r)
{
    const et_status invalid = ET_ERR_INVALID_ARGUMENT;
    et_reader_explanation why = { .struct_size = offsetof(et_reader_explanation, piece), .piece = 77 };
    char text[1024];
    size_t len = 0;

    STATUS(ET_OK, et_reader_explain(r, &why, NULL));
    CHECK(why.reason == ET_REASON_NO_PEERS && why.piece == 77);
    STATUS(ET_OK, et_reader_explanation_message(&why, text, sizeof text, &len, NULL));
    CHECK(len > 10);
    why.struct_size = sizeof why;
    STATUS(ET_OK, et_reader_explain(r, &why, NULL));
    CHECK(why.piece == 1 && why.blocks_in_piece == 1 && why.asked_of.family == 0 && why.expected_ms == -1);
    STATUS(ET_OK, et_reader_explanation_message(&why, NULL, 0, &len, NULL));
    STATUS(ET_ERR_BUFFER_TOO_SMALL, et_reader_explanation_message(&why, text, len - 1, &len, NULL));
    STATUS(ET_OK, et_reader_explanation_message(&why, (char *)&why, sizeof why, &len, NULL));
    memset(&why, 0xff, sizeof why);
    STATUS(invalid, et_reader_explain(r, &why, NULL));
    STATUS(invalid, et_reader_explanation_message(&why, text, sizeof text, &len, NULL));
    why.struct_size = sizeof why;
    STATUS(invalid, et_reader_explanation_message(&why, text, sizeof text, &len, NULL));
    for (why.reason = -2; why.reason < 100; why.reason++) {
        et_status status = et_reader_explanation_message(&why, text, sizeof text, &len, NULL);
        CHECK(status == invalid || (status == ET_OK && len > 10));
    }
    STATUS(invalid, et_reader_explain(r, (et_reader_explanation *)((char *)&why + 1), NULL));
}

static void values(void)
{
    et_info_hashes hashes;
    et_endpoint endpoint;
    uint64_t record[8];
    et_error error = { .struct_size = sizeof error };
    et_setting_info info = { .struct_size = sizeof info };
    et_settings *settings = NULL;
    int64_t integer;
    int32_t number;
    size_t len, cursor = 0;
    char text[64];

    memset(&hashes, 0, sizeof hashes);
    memset(&endpoint, 0, sizeof endpoint);
    memset(record, 0xff, sizeof record);
    CHECK(et_version() != NULL && et_abi_version() == ET_ABI_VERSION);
    CHECK(strcmp(et_status_name(ET_ERR_CLOSED), "ET_ERR_CLOSED") == 0);
    CHECK(et_status_name(INT32_MIN) != NULL && et_alert_type_name(UINT32_MAX) != NULL);
    CHECK(strcmp(et_alert_type_name(ET_ALERT_PIECE_FINISHED), "piece_finished") == 0);

    STATUS(ET_ERR_PARSE, et_info_hashes_parse(KEY("xyz"), &hashes, &error));
    CHECK(error.status == ET_ERR_PARSE && error.message[0] != '\0');
    STATUS(ET_ERR_NULL_POINTER, et_info_hashes_parse(NULL, 3, &hashes, NULL));
    STATUS(ET_ERR_NULL_POINTER, et_info_hashes_parse(KEY("xyz"), NULL, NULL));
    STATUS(ET_ERR_INVALID_ARGUMENT, et_info_hashes_to_hex(&hashes, ET_INFO_HASH_V1, text, sizeof text, &len, NULL));
    STATUS(ET_ERR_NULL_POINTER, et_info_hashes_to_hex(NULL, ET_INFO_HASH_V1, text, sizeof text, &len, NULL));
    STATUS(ET_ERR_NULL_POINTER, et_info_hashes_to_base32(NULL, text, sizeof text, &len, NULL));
    STATUS(ET_OK, et_info_hashes_parse("0123456789abcdef0123456789abcdef01234567", ET_NUL_TERMINATED, &hashes, NULL));
    STATUS(ET_OK, et_info_hashes_to_base32(&hashes, text, sizeof text, &len, NULL));
    CHECK(len == 32);
    STATUS(ET_ERR_BUFFER_TOO_SMALL, et_info_hashes_to_hex(&hashes, ET_INFO_HASH_V1, text, 39, &len, NULL));
    CHECK(len == 40);
    STATUS(ET_ERR_NOT_FOUND, et_info_hashes_to_hex(&hashes, ET_INFO_HASH_V2, text, 40, &len, NULL));

    STATUS(ET_OK, et_endpoint_to_string(&endpoint, text, sizeof text, &len, NULL));
    CHECK(len == 0);
    endpoint.family = 5;
    STATUS(ET_ERR_INVALID_ARGUMENT, et_endpoint_to_string(&endpoint, text, sizeof text, &len, NULL));
    STATUS(ET_ERR_NULL_POINTER, et_endpoint_to_string(NULL, text, sizeof text, &len, NULL));

    CHECK(et_record_next(NULL, 8, &cursor) == NULL && et_record_next(record, sizeof record, NULL) == NULL);
    CHECK(et_record_next(record, sizeof record, &cursor) == NULL && cursor == 0);
    CHECK(et_alert_next(record, sizeof record, &cursor) == NULL && et_alert_next(record, 0, &cursor) == NULL);
    cursor = SIZE_MAX - 7;
    CHECK(et_alert_next(record, sizeof record, &cursor) == NULL);
    STATUS(ET_ERR_NULL_POINTER, et_alert_message(NULL, text, sizeof text, &len, NULL));
    record[0] = 8;
    STATUS(ET_ERR_PARSE, et_alert_message((et_alert *)record, text, sizeof text, &len, NULL));
    STATUS(ET_ERR_PARSE, et_alert_messages(record, sizeof record, text, sizeof text, &len, NULL));
    STATUS(ET_ERR_NULL_POINTER, et_alert_messages(NULL, 8, text, sizeof text, &len, NULL));
    STATUS(ET_ERR_INVALID_ARGUMENT, et_alert_messages((char *)record + 1, 8, text, sizeof text, &len, NULL));
    STATUS(ET_ERR_INVALID_ARGUMENT, et_alert_messages(record, sizeof record, (char *)record, 8, &len, NULL));
    STATUS(ET_OK, et_alert_messages(NULL, 0, NULL, 0, &len, NULL));
    CHECK(len == 0);
    /* A record of a type from the future. */
    memset(record, 0, sizeof record);
    ((et_alert *)record)->size = sizeof(et_alert);
    ((et_alert *)record)->type = 4000;
    STATUS(ET_ERR_INVALID_ARGUMENT, et_alert_message((et_alert *)record, (char *)record + 8, 64, &len, NULL));
    STATUS(ET_ERR_BUFFER_TOO_SMALL, et_alert_message((et_alert *)record, text, 3, &len, NULL));
    CHECK(len == strlen("alert 4000"));
    STATUS(ET_ERR_NULL_POINTER, et_alert_message((et_alert *)record, text, sizeof text, NULL, NULL));
    STATUS(ET_OK, et_alert_messages(record, sizeof(et_alert), text, sizeof text, &len, NULL));
    CHECK(len == strlen("alert 4000\n") && memcmp(text, "alert 4000\n", len) == 0);

    et_settings_free(NULL);
    STATUS(ET_ERR_NULL_POINTER, et_settings_set_int(NULL, KEY("alert_mask"), 1, NULL));
    STATUS(ET_ERR_NULL_POINTER, et_settings_set_bool(NULL, KEY("enable_dht"), 1, NULL));
    STATUS(ET_ERR_NULL_POINTER, et_settings_set_str(NULL, KEY("storage"), KEY("disk"), NULL));
    STATUS(ET_ERR_NULL_POINTER, et_settings_get_int(NULL, KEY("alert_mask"), &integer, NULL));
    STATUS(ET_ERR_NULL_POINTER, et_settings_get_bool(NULL, KEY("enable_dht"), &number, NULL));
    STATUS(ET_ERR_NULL_POINTER, et_settings_get_str(NULL, KEY("storage"), text, sizeof text, &len, NULL));
    STATUS(ET_OK, et_settings_new(&settings, NULL));
    STATUS(ET_ERR_NULL_POINTER, et_settings_set_int(settings, NULL, 3, 1, NULL));
    STATUS(ET_ERR_NULL_POINTER, et_settings_get_int(settings, KEY("alert_mask"), NULL, NULL));
    STATUS(ET_ERR_INVALID_ARGUMENT, et_settings_set_bool(settings, KEY("enable_dht"), 2, &error));
    CHECK(strncmp(error.message, "enable_dht is 2", 15) == 0);
    STATUS(ET_ERR_INVALID_ARGUMENT, et_settings_set_str(settings, KEY("user_agent"), KEY("a\0b"), &error));
    CHECK(strncmp(error.message, "user_agent holds", 16) == 0);
    STATUS(ET_ERR_NULL_POINTER, et_settings_set_str(settings, KEY("user_agent"), NULL, 1, &error));
    CHECK(strcmp(error.message, "user_agent is NULL") == 0);
    STATUS(ET_ERR_UNKNOWN_SETTING, et_settings_set_str(settings, KEY("user_agents"), KEY("\xff"), NULL));
    STATUS(ET_ERR_UNKNOWN_SETTING, et_settings_set_bool(settings, KEY("enable_dhts"), 2, NULL));
    STATUS(ET_ERR_UNKNOWN_SETTING, et_settings_set_bool(settings, KEY("allows_i2p_mixed"), 1, &error));
    CHECK(strstr(error.message, "allow_i2p_mixed") != NULL);
    STATUS(ET_ERR_INVALID_ARGUMENT, et_settings_set_int(settings, KEY("memory_limit"), 1, &error));
    CHECK(strstr(error.message, "262144") != NULL);
    STATUS(ET_ERR_BUFFER_TOO_SMALL, et_settings_get_str(settings, KEY("storage"), text, 1, &len, NULL));
    CHECK(len == 6);
    et_settings_free(settings);
    STATUS(ET_ERR_NULL_POINTER, et_settings_describe(0, NULL, NULL));
    STATUS(ET_OK, et_settings_describe(et_settings_count() - 1, &info, NULL));
    STATUS(ET_ERR_INVALID_ARGUMENT, et_settings_describe(et_settings_count(), &info, NULL));
    STATUS(ET_ERR_INVALID_ARGUMENT, et_settings_describe(SIZE_MAX, &info, NULL));
    error.struct_size = 3;
    STATUS(ET_ERR_INVALID_ARGUMENT, et_settings_describe(0, &info, &error));
    STATUS(ET_ERR_PARSE, et_session_open(NULL, KEY("no state at all"), (et_session **)record, NULL));
}

/* Before the metadata: what needs it says so, what does not succeeds. */
static void before_metadata(et_session *s, et_storage_index t)
{
    static uint64_t room[512];
    uint8_t bytes[64] = { 0 };
    uint32_t counts[64];
    char text[256];
    size_t len = 0;
    int32_t number = 0;
    et_piece_index piece = 0;
    et_reader *reader = NULL;
    et_error failed = { .struct_size = sizeof failed };
    et_metadata_info info = { .struct_size = sizeof info };
    et_torrent_status_info status = { .struct_size = sizeof status };
    et_storage_stats_info storage = { .struct_size = sizeof storage };
    et_lookbehind_info lookbehind = { .struct_size = sizeof lookbehind };

    STATUS(ET_ERR_NO_METADATA, et_torrent_info(s, t, &info, NULL));
    STATUS(ET_ERR_NO_METADATA, et_torrent_metainfo(s, t, room, sizeof room, &len, NULL));
    STATUS(ET_ERR_NO_METADATA, et_torrent_files(s, t, room, sizeof room, &len, NULL));
    STATUS(ET_ERR_NO_METADATA, et_torrent_file_progress(s, t, room, 512, &len, NULL));
    STATUS(ET_ERR_NO_METADATA, et_torrent_force_recheck(s, t, NULL));
    STATUS(ET_ERR_NO_METADATA, et_torrent_piece_priorities(s, t, bytes, sizeof bytes, &len, NULL));
    STATUS(ET_ERR_NO_METADATA, et_torrent_prioritize_pieces(s, t, bytes, 3, NULL));
    STATUS(ET_ERR_NO_METADATA, et_torrent_set_piece_priority(s, t, 0, 1, NULL));
    STATUS(ET_ERR_NO_METADATA, et_torrent_file_priorities(s, t, bytes, sizeof bytes, &len, NULL));
    STATUS(ET_ERR_NO_METADATA, et_torrent_prioritize_files(s, t, bytes, 2, NULL));
    STATUS(ET_ERR_NO_METADATA, et_torrent_set_file_priority(s, t, 0, 7, NULL));
    STATUS(ET_ERR_NO_METADATA, et_torrent_set_piece_deadline(s, t, 0, 100, NULL));
    STATUS(ET_ERR_NO_METADATA, et_torrent_reset_piece_deadline(s, t, 0, NULL));
    STATUS(ET_ERR_NO_METADATA, et_torrent_pieces(s, t, bytes, sizeof bytes, &len, counts, NULL));
    STATUS(ET_ERR_NO_METADATA, et_torrent_piece_availability(s, t, counts, 64, &len, NULL));
    STATUS(ET_ERR_NO_METADATA, et_torrent_download_queue(s, t, room, sizeof room, &len, NULL));
    STATUS(ET_ERR_NO_METADATA, et_storage_set_lookbehind(s, t, &piece, 1, NULL));
    STATUS(ET_ERR_NO_METADATA, et_storage_is_lookbehind_available(s, t, 0, &number, NULL));
    STATUS(ET_ERR_NO_METADATA, et_storage_read(s, t, 0, 0, bytes, sizeof bytes, &len, NULL));
    STATUS(ET_ERR_NO_METADATA, et_reader_open(s, t, 0, NULL, &reader, NULL));

    STATUS(ET_OK, et_torrent_clear_piece_deadlines(s, t, NULL));
    STATUS(ET_OK, et_storage_clear_lookbehind(s, t, NULL));
    STATUS(ET_OK, et_storage_lookbehind_stats(s, t, &lookbehind, NULL));
    STATUS(ET_OK, et_storage_stats(s, t, &storage, NULL));
    STATUS(ET_OK, et_torrent_status(s, t, &status, NULL));
    STATUS(ET_OK, et_torrent_has_metadata(s, t, &number, NULL));
    STATUS(ET_OK, et_torrent_error(s, t, &failed, NULL));
    STATUS(ET_OK, et_torrent_name(s, t, text, sizeof text, &len, NULL));
    STATUS(ET_OK, et_torrent_peers(s, t, room, sizeof room, &len, NULL));
    STATUS(ET_OK, et_torrent_trackers(s, t, room, sizeof room, &len, NULL));
    STATUS(ET_OK, et_torrent_web_seeds(s, t, room, sizeof room, &len, NULL));
    STATUS(ET_OK, et_torrent_force_reannounce(s, t, NULL));
    STATUS(ET_OK, et_torrent_force_dht_announce(s, t, NULL));
    STATUS(ET_OK, et_torrent_pause(s, t, 0, NULL));
    STATUS(ET_OK, et_torrent_resume(s, t, NULL));
}

int main(void)
{
    et_session *session, *other;
    et_settings *settings = NULL;
    et_storage_index torrent, magnet, foreign, removed;
    et_reader *reader = NULL, *left = NULL, *under = NULL;

    values();
    session_calls(NULL, ET_ERR_NULL_POINTER);
    torrent_calls(NULL, 1, ET_ERR_NULL_POINTER);
    reader_calls(NULL, ET_ERR_NULL_POINTER);
    STATUS(ET_ERR_NULL_POINTER, et_session_close(NULL, 0, NULL));
    STATUS(ET_ERR_NULL_POINTER, et_reader_close(NULL, NULL));
    et_session_free(NULL);
    et_reader_free(NULL);

    /* Handles of another kind, and pointers that are none of ours. */
    STATUS(ET_OK, et_settings_new(&settings, NULL));
    session_calls((et_session *)settings, ET_ERR_INVALID_ARGUMENT);
    torrent_calls((et_session *)settings, 1, ET_ERR_INVALID_ARGUMENT);
    reader_calls((et_reader *)settings, ET_ERR_INVALID_ARGUMENT);
    session_calls((et_session *)((char *)settings + 1), ET_ERR_INVALID_ARGUMENT);
    et_session_free((et_session *)settings);
    et_reader_free((et_reader *)settings);
    et_settings_free(settings);

    session = open_session();
    other = open_session();
    torrent = add(session, TORRENT, sizeof TORRENT - 1, NULL);
    magnet = add(session, NULL, 0, MAGNET);
    foreign = add(other, TORRENT, sizeof TORRENT - 1, NULL);
    removed = add(other, NULL, 0, MAGNET);
    STATUS(ET_OK, et_session_remove_torrent(other, removed, 0, NULL));

    torrent_calls(session, torrent, ET_OK);
    STATUS(ET_OK, et_reader_open(session, torrent, 0, NULL, &reader, NULL));
    STATUS(ET_OK, et_reader_open(session, torrent, 1, NULL, &left, NULL));
    reader_calls(reader, ET_OK);
    null_outputs(session, torrent, reader);
    out_of_range(session, torrent, reader);
    too_small(session, torrent);
    explanations(left);

    /* Storage indexes: none, of a removed torrent, of another session, invented. */
    torrent_calls(session, ET_STORAGE_INDEX_INVALID, ET_ERR_INVALID_STORAGE_INDEX);
    torrent_calls(other, removed, ET_ERR_INVALID_STORAGE_INDEX);
    STATUS(ET_ERR_INVALID_STORAGE_INDEX, et_session_remove_torrent(other, removed, 0, NULL));
    torrent_calls(other, UINT64_MAX, ET_ERR_INVALID_STORAGE_INDEX);
    torrent_calls(other, UINT64_C(0x1234567800000000), ET_ERR_INVALID_STORAGE_INDEX);
    torrent_calls(session, foreign, ET_ERR_INVALID_STORAGE_INDEX);

    before_metadata(session, magnet);

    /* Closed: the reader, a torrent under its reader, the session. */
    STATUS(ET_OK, et_reader_close(reader, NULL));
    STATUS(ET_OK, et_reader_close(reader, NULL));
    reader_calls(reader, ET_ERR_CLOSED);
    STATUS(ET_OK, et_reader_open(other, foreign, 0, NULL, &under, NULL));
    STATUS(ET_OK, et_session_remove_torrent(other, foreign, 0, NULL));
    torrent_calls(other, foreign, ET_ERR_INVALID_STORAGE_INDEX);
    reader_calls(under, ET_ERR_INVALID_STORAGE_INDEX);
    STATUS(ET_OK, et_reader_close(under, NULL));
    reader_calls(under, ET_ERR_CLOSED);
    et_reader_free(under);
    STATUS(ET_OK, et_session_close(session, 10000, NULL));
    STATUS(ET_OK, et_session_close(session, -1, NULL));
    session_calls(session, ET_ERR_CLOSED);
    torrent_calls(session, torrent, ET_ERR_CLOSED);
    torrent_calls(session, 0, ET_ERR_CLOSED);
    reader_calls(left, ET_ERR_CLOSED);

    /* In any order. */
    et_session_free(session);
    reader_calls(left, ET_ERR_CLOSED);
    et_reader_free(left);
    et_reader_free(reader);
    et_session_free(other);
    return done();
}
