/* What the header says of sessions, settings, saved state and alerts, kept. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "check.h"

#include <pthread.h>
#include <time.h>

static int64_t get_int(et_settings *settings, const char *key)
{
    int64_t value = -77;
    STATUS(ET_OK, et_settings_get_int(settings, key, strlen(key), &value, NULL));
    return value;
}

static int32_t get_bool(et_settings *settings, const char *key)
{
    int32_t value = -77;
    STATUS(ET_OK, et_settings_get_bool(settings, key, strlen(key), &value, NULL));
    return value;
}

static int is_str(et_settings *settings, const char *key, const char *expected)
{
    char text[128];
    size_t len = 0;
    STATUS(ET_OK, et_settings_get_str(settings, key, strlen(key), text, sizeof text, &len, NULL));
    return len == strlen(expected) && memcmp(text, expected, len) == 0;
}

static et_settings *settings_of(et_session *session)
{
    et_settings *settings = NULL;
    STATUS(ET_OK, et_session_settings(session, &settings, NULL));
    return settings;
}

static size_t save(et_session *session, void *buf, size_t cap)
{
    size_t len = 0;
    STATUS(ET_OK, et_session_save_state(session, buf, cap, &len, NULL));
    return len;
}

static int holds(const char *in, size_t len, const char *part, size_t part_len)
{
    size_t at;
    for (at = 0; at + part_len <= len; at++)
        if (memcmp(in + at, part, part_len) == 0)
            return 1;
    return 0;
}

/* What is set holds, else what the state says, else the default. */
static void settings_over_state(void)
{
    static char state[16384], again[16384];
    size_t len;
    et_settings *settings = NULL, *found;
    et_session *session = open_session();

    STATUS(ET_OK, et_settings_new(&settings, NULL));
    STATUS(ET_OK, et_settings_set_int(settings, KEY("download_rate_limit"), 123456, NULL));
    STATUS(ET_OK, et_settings_set_int(settings, KEY("memory_limit"), 8 << 20, NULL));
    STATUS(ET_OK, et_settings_set_str(settings, KEY("user_agent"), KEY("contract/1"), NULL));
    /* Three are set: the port and the DHT of the session, which cannot be changed or would be heard, stay. */
    STATUS(ET_OK, et_session_apply_settings(session, settings, NULL));
    et_settings_free(settings);
    found = settings_of(session);
    CHECK(is_str(found, "listen_interfaces", "127.0.0.1:0") && get_bool(found, "enable_dht") == 0);
    CHECK(get_int(found, "download_rate_limit") == 123456 && get_int(found, "memory_limit") == 8 << 20);
    et_settings_free(found);
    len = save(session, state, sizeof state);
    et_session_free(session);

    session = NULL;
    STATUS(ET_OK, et_session_open(NULL, state, len, &session, NULL));
    found = settings_of(session);
    CHECK(is_str(found, "listen_interfaces", "127.0.0.1:0") && get_bool(found, "enable_dht") == 0);
    CHECK(is_str(found, "user_agent", "contract/1") && get_int(found, "download_rate_limit") == 123456);
    CHECK(get_int(found, "memory_limit") == 8 << 20 && get_int(found, "alert_mask") == -1);
    et_settings_free(found);
    et_session_free(session);

    /* A default that is set is set. */
    session = NULL;
    STATUS(ET_OK, et_settings_new(&settings, NULL));
    STATUS(ET_OK, et_settings_set_int(settings, KEY("download_rate_limit"), 0, NULL));
    STATUS(ET_OK, et_settings_set_int(settings, KEY("upload_rate_limit"), 777, NULL));
    STATUS(ET_ERR_INVALID_ARGUMENT, et_settings_set_int(settings, KEY("memory_limit"), 1, NULL));
    STATUS(ET_OK, et_session_open(settings, state, len, &session, NULL));
    et_settings_free(settings);
    found = settings_of(session);
    CHECK(get_int(found, "download_rate_limit") == 0 && get_int(found, "upload_rate_limit") == 777);
    CHECK(is_str(found, "user_agent", "contract/1") && get_bool(found, "enable_dht") == 0);
    CHECK(get_int(found, "memory_limit") == 8 << 20);
    /* A copy of a session's settings is whole: over the state it holds in everything. */
    STATUS(ET_OK, et_settings_set_str(found, KEY("user_agent"), KEY("contract/2"), NULL));
    et_session_free(session);
    session = NULL;
    STATUS(ET_OK, et_session_open(found, state, len, &session, NULL));
    et_settings_free(found);
    found = settings_of(session);
    CHECK(is_str(found, "user_agent", "contract/2") && get_int(found, "upload_rate_limit") == 777);
    et_settings_free(found);
    CHECK(save(session, again, sizeof again) > 0);
    et_session_free(session);

    session = NULL;
    STATUS(ET_ERR_PARSE, et_session_open(NULL, state, len - 1, &session, NULL));
    CHECK(session == NULL);
}

/* Every call of et_session_add_torrent has its alert. */
static void added_or_not(void)
{
    static const struct { et_status status; const char *magnet; const char *tracker; int has_hash; } wrong[] = {
        { ET_ERR_PARSE, "gopher://x", NULL, 0 },
        { ET_ERR_PARSE, "magnet:?dn=nothing", NULL, 0 },
        { ET_ERR_INVALID_ARGUMENT, MAGNET, "gopher://x", 1 },
        { ET_ERR_INVALID_ARGUMENT, NULL, NULL, 0 },
        { ET_ERR_UNSUPPORTED,
          "magnet:?xt=urn:btmh:12200123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef&dn=second", NULL, 1 },
    };
    et_session *session = open_session();
    et_storage_index torrent = add(session, TORRENT, sizeof TORRENT - 1, NULL), index = 5;
    const et_add_torrent_alert *alert = (const void *)wait_alert(session, ET_ALERT_ADD_TORRENT);
    size_t i;

    CHECK(alert != NULL && alert->error.status == ET_OK && alert->base.torrent == torrent);
    for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        et_str tracker = { wrong[i].tracker, ET_NUL_TERMINATED };
        et_add_torrent_params params = { .struct_size = sizeof params };
        if (wrong[i].magnet != NULL)
            params.magnet = (et_str){ wrong[i].magnet, ET_NUL_TERMINATED };
        if (wrong[i].tracker != NULL) {
            params.trackers = &tracker;
            params.trackers_len = 1;
        }
        index = 5;
        STATUS(wrong[i].status, et_session_add_torrent(session, &params, &index, NULL));
        alert = (const void *)wait_alert(session, ET_ALERT_ADD_TORRENT);
        CHECK(alert != NULL && alert->error.status == wrong[i].status && alert->error.message.length > 0);
        CHECK(alert != NULL && alert->base.torrent == ET_STORAGE_INDEX_INVALID && index == 5);
        CHECK(alert != NULL && (alert->info_hashes.has != 0) == wrong[i].has_hash);
    }
    {
        et_add_torrent_params params = { .struct_size = sizeof params, .torrent = TORRENT,
                                         .torrent_len = sizeof TORRENT - 1 };
        STATUS(ET_ERR_DUPLICATE_TORRENT, et_session_add_torrent(session, &params, &index, NULL));
        alert = (const void *)wait_alert(session, ET_ALERT_ADD_TORRENT);
        CHECK(alert != NULL && alert->error.status == ET_ERR_DUPLICATE_TORRENT && alert->base.torrent == torrent);
    }
    et_session_free(session);
}

static int says(const void *alert, et_text text, const char *expected)
{
    return text.length == strlen(expected) && memcmp((const char *)alert + text.offset, expected, text.length) == 0;
}

/* A call that is refused for anything has its alert, too. It names the torrent, where that was one. */
static void refused_for_anything(void)
{
    enum { FLAGS, STORAGE, FILES, PIECES, PEERS, RESERVED, PATH, TRACKERS, NAMED, BOTH = NAMED, BROKEN, MAGNET_BYTES, SIZE,
           PARAMS, OUT, CASES };
    static const et_priority eight[] = { 4, 8 };
    et_str nonsense = { "nonsense", ET_NUL_TERMINATED }, bytes = { "\xff", ET_NUL_TERMINATED };
    et_session *session = open_session();
    et_alert_batch batch = { .struct_size = sizeof batch };
    int i;

    for (i = 0; i < CASES; i++) {
        et_add_torrent_params params = { .struct_size = sizeof params, .torrent = TORRENT,
                                         .torrent_len = sizeof TORRENT - 1 };
        const et_status expected = i == BROKEN ? ET_ERR_PARSE : i >= PARAMS ? ET_ERR_NULL_POINTER : ET_ERR_INVALID_ARGUMENT;
        et_storage_index index = 5;
        const et_add_torrent_alert *alert;

        switch (i) {
        case FLAGS: params.flags = UINT64_C(1) << 40; break;
        case STORAGE: params.storage = 9; break;
        case FILES: params.file_priorities = eight; params.file_priorities_len = 2; break;
        case PIECES: params.piece_priorities = eight; params.piece_priorities_len = 2; break;
        case PEERS: params.peers = &nonsense; params.peers_len = 1; break;
        case RESERVED: params.reserved = 1; break;
        case PATH: params.save_path = bytes; break;
        case TRACKERS: params.trackers = &bytes; params.trackers_len = 1; break;
        case BOTH: params.magnet = (et_str){ MAGNET, ET_NUL_TERMINATED }; break;
        case BROKEN: params.torrent_len--; break;
        case MAGNET_BYTES: params.torrent_len = 0; params.magnet = bytes; break;
        case SIZE: params.struct_size = 0; break;
        }
        STATUS(expected, et_session_add_torrent(session, i == PARAMS ? NULL : &params, i == OUT ? NULL : &index, NULL));
        alert = (const void *)wait_alert(session, ET_ALERT_ADD_TORRENT);
        CHECK(alert != NULL && alert->error.status == expected && alert->error.message.length > 0 && index == 5);
        CHECK(alert != NULL && (alert->info_hashes.has == ET_INFO_HASH_V1) == (i < NAMED));
        CHECK(alert != NULL && says(alert, alert->name, i < NAMED ? "t" : ""));
    }
    /* One each, and a session without torrents. */
    STATUS(ET_OK, et_session_pop_alerts(session, NULL, 0, &batch, NULL));
    CHECK(batch.remaining <= 1);
    if (batch.remaining == 1)
        CHECK(wait_alert(session, ET_ALERT_LISTEN_SUCCEEDED) != NULL);
    et_session_free(session);
}

/* First that a torrent is gone, then what became of its files. */
static void removed_then_deleted(void)
{
    const et_remove_flags flags[] = { ET_REMOVE_DELETE_FILES, ET_REMOVE_DELETE_FILES | ET_REMOVE_DELETE_PARTFILE };
    const et_storage_kind kinds[] = { ET_STORAGE_DISK, ET_STORAGE_MEMORY };
    et_session *session = open_session();
    size_t i, k;

    for (i = 0; i < 2; i++) {
        for (k = 0; k < 2; k++) {
            et_add_torrent_params params = { .struct_size = sizeof params, .torrent = TORRENT,
                                             .torrent_len = sizeof TORRENT - 1, .storage = kinds[k],
                                             .save_path = { "/nonexistent/contract", ET_NUL_TERMINATED } };
            et_storage_index torrent = 0;
            const et_alert *removed, *deleted;
            uint64_t sequence;
            STATUS(ET_OK, et_session_add_torrent(session, &params, &torrent, NULL));
            STATUS(ET_OK, et_session_remove_torrent(session, torrent, flags[i], NULL));
            removed = wait_alert(session, ET_ALERT_TORRENT_REMOVED);
            CHECK(removed != NULL && removed->torrent == torrent);
            sequence = removed != NULL ? removed->sequence : 0;
            deleted = wait_alert(session, ET_ALERT_TORRENT_DELETED);
            CHECK(deleted != NULL && deleted->torrent == torrent && deleted->sequence > sequence);
        }
    }
    et_session_free(session);
}

struct ending {
    et_session *session;
    et_storage_index torrent;
    int closes;
};

static void *end(void *argument)
{
    const struct ending *ending = argument;
    struct timespec moment = { 0, 100 * 1000 * 1000 };
    nanosleep(&moment, NULL);
    if (ending->closes)
        STATUS(ET_OK, et_session_close(ending->session, -1, NULL));
    else
        STATUS(ET_OK, et_session_remove_torrent(ending->session, ending->torrent, 0, NULL));
    return NULL;
}

/* A wait for metadata ends with the metadata, the time, the torrent, the session. */
static void waits_for_metadata(void)
{
    et_session *session = open_session();
    et_storage_index torrent = add(session, TORRENT, sizeof TORRENT - 1, NULL);
    et_alert_batch before = { .struct_size = sizeof before }, after = { .struct_size = sizeof after };
    int closes;

    STATUS(ET_OK, et_session_pop_alerts(session, NULL, 0, &before, NULL));
    STATUS(ET_OK, et_torrent_wait_metadata(session, torrent, 0, NULL));
    STATUS(ET_OK, et_torrent_wait_metadata(session, torrent, -1, NULL));
    /* It takes no alert from the queue. */
    STATUS(ET_OK, et_session_pop_alerts(session, NULL, 0, &after, NULL));
    CHECK(before.remaining >= 1 && after.remaining >= before.remaining && after.needed == before.needed);
    for (closes = 0; closes < 2; closes++) {
        struct ending ending = { session, add(session, NULL, 0, MAGNET), closes };
        pthread_t thread;
        STATUS(ET_ERR_WOULD_BLOCK, et_torrent_wait_metadata(session, ending.torrent, 0, NULL));
        STATUS(ET_ERR_TIMED_OUT, et_torrent_wait_metadata(session, ending.torrent, 30, NULL));
        CHECK(pthread_create(&thread, NULL, end, &ending) == 0);
        STATUS(closes ? ET_ERR_CLOSED : ET_ERR_INVALID_STORAGE_INDEX,
               et_torrent_wait_metadata(session, ending.torrent, -1, NULL));
        pthread_join(thread, NULL);
    }
    et_session_free(session);
}

/* What goes in as a limit of the torrent's own comes back, and 0 is "as the settings say". */
static void own_limits(void)
{
    et_session *session = open_session();
    et_storage_index torrent = add(session, TORRENT, sizeof TORRENT - 1, NULL);
    et_torrent_status_info status = { .struct_size = sizeof status };
    const int64_t given[] = { 0, 7, -1, 0 }, expected[] = { 0, 7, 7, 0 };
    size_t i;

    STATUS(ET_OK, et_torrent_status(session, torrent, &status, NULL));
    CHECK(status.max_connections == 0 && status.max_uploads == 0 && status.download_limit == 0);
    for (i = 0; i < 4; i++) {
        et_torrent_limits limits = { sizeof limits, given[i], given[i], given[i], given[i] };
        STATUS(ET_OK, et_torrent_set_limits(session, torrent, &limits, NULL));
        STATUS(ET_OK, et_torrent_status(session, torrent, &status, NULL));
        CHECK(status.max_connections == expected[i] && status.max_uploads == expected[i]);
        CHECK(status.download_limit == expected[i] && status.upload_limit == expected[i]);
    }
    et_session_free(session);
}

/* Nor are those changed that a torrent was added with: by the metadata, by the same torrent again, by the settings. */
static void own_limits_stay(void)
{
    et_session *session = open_session();
    et_add_torrent_params params = { .struct_size = sizeof params, .magnet = { KEY(TORRENT_MAGNET) }, .download_limit = 5,
                                     .upload_limit = 6, .max_connections = 7, .max_uploads = UINT32_MAX };
    et_storage_index torrent = 0, again = 0;
    et_settings *settings = NULL;
    et_torrent_status_info found[2];
    size_t len = 0;
    int i;

    STATUS(ET_OK, et_session_add_torrent(session, &params, &torrent, NULL));
    memset(&params, 0, sizeof params);
    params.struct_size = sizeof params;
    params.torrent = TORRENT;
    params.torrent_len = sizeof TORRENT - 1;
    params.max_connections = 70;
    STATUS(ET_OK, et_settings_new(&settings, NULL));
    STATUS(ET_OK, et_settings_set_int(settings, KEY("max_connections_per_torrent"), 50, NULL));
    STATUS(ET_OK, et_settings_set_int(settings, KEY("unchoke_slots_limit"), 3, NULL));
    for (i = 0; i < 3; i++) {
        STATUS(ET_OK, et_torrent_statuses(session, found, sizeof *found, 2, &len, NULL));
        CHECK(len == 1 && found->max_connections == 7 && found->max_uploads == UINT32_MAX);
        CHECK(found->download_limit == 5 && found->upload_limit == 6 && found->has_metadata == (i > 0));
        if (i == 0) {
            STATUS(ET_ERR_DUPLICATE_TORRENT, et_session_add_torrent(session, &params, &again, NULL));
            CHECK(again == torrent);
            STATUS(ET_OK, et_torrent_wait_metadata(session, torrent, -1, NULL));
        } else {
            STATUS(ET_OK, et_session_apply_settings(session, settings, NULL));
        }
    }
    et_settings_free(settings);
    et_session_free(session);
}

/* What goes in is copied: nothing of the caller's is looked at after the call. */
static void nothing_is_kept(void)
{
    char *url = strdup("udp://127.0.0.1:1/announce"), *path = strdup("/nonexistent/contract"), *bytes = malloc(sizeof TORRENT);
    et_priority *priorities = malloc(2);
    et_str *trackers = malloc(sizeof *trackers);
    et_add_torrent_params *params = calloc(1, sizeof *params);
    et_session *session = open_session();
    static uint64_t list[64];
    char text[512];
    et_storage_index torrent = 0;
    const et_tracker_info *tracker;
    size_t len = 0, cursor = 0;

    memcpy(bytes, TORRENT, sizeof TORRENT);
    memset(priorities, 3, 2);
    *trackers = (et_str){ url, ET_NUL_TERMINATED };
    *params = (et_add_torrent_params){ .struct_size = sizeof *params, .torrent = bytes, .torrent_len = sizeof TORRENT - 1,
                                       .save_path = { path, ET_NUL_TERMINATED }, .trackers = trackers, .trackers_len = 1,
                                       .file_priorities = priorities, .file_priorities_len = 2,
                                       .storage = ET_STORAGE_DISK, .flags = ET_TORRENT_FLAG_PAUSED };
    STATUS(ET_OK, et_session_add_torrent(session, params, &torrent, NULL));
    memset(url, 'x', strlen(url));
    memset(path, 'x', strlen(path));
    memset(bytes, 'x', sizeof TORRENT);
    memset(priorities, 7, 2);
    memset(trackers, 0xff, sizeof *trackers);
    memset(params, 0xff, sizeof *params);
    free(url);
    free(path);
    free(bytes);
    free(priorities);
    free(trackers);
    free(params);
    STATUS(ET_OK, et_torrent_save_path(session, torrent, text, sizeof text, &len, NULL));
    CHECK(len == 21 && memcmp(text, "/nonexistent/contract", len) == 0);
    STATUS(ET_OK, et_torrent_trackers(session, torrent, list, sizeof list, &len, NULL));
    tracker = et_record_next(list, len, &cursor);
    CHECK(tracker != NULL && says(tracker, tracker->url, "udp://127.0.0.1:1/announce"));
    STATUS(ET_OK, et_torrent_file_priorities(session, torrent, (et_priority *)text, sizeof text, &len, NULL));
    CHECK(len == 2 && text[0] == 3 && text[1] == 3);
    STATUS(ET_OK, et_torrent_metainfo(session, torrent, text, sizeof text, &len, NULL));
    CHECK(len > sizeof TORRENT && holds(text, len, TORRENT + 1, sizeof TORRENT - 3));
    et_session_free(session);
}

static void set_incoming(et_session *session, int32_t on)
{
    et_settings *settings = NULL;
    STATUS(ET_OK, et_settings_new(&settings, NULL));
    STATUS(ET_OK, et_settings_set_bool(settings, KEY("enable_incoming_tcp"), on, NULL));
    STATUS(ET_OK, et_settings_set_bool(settings, KEY("enable_incoming_utp"), on, NULL));
    STATUS(ET_OK, et_session_apply_settings(session, settings, NULL));
    et_settings_free(settings);
}

/* enable_incoming_tcp and enable_incoming_utp count at once, both ways. */
static void listens_as_told(void)
{
    et_session *session = open_session();
    uint16_t port = 0;
    int i;

    STATUS(ET_OK, et_session_listen_port(session, &port, NULL));
    CHECK(port != 0);
    for (i = 0; i < 3; i++) {
        const et_alert *alert;
        set_incoming(session, 0);
        set_incoming(session, 0);
        STATUS(ET_OK, et_session_listen_port(session, &port, NULL));
        CHECK(port == 0);
        while (et_session_wait_alerts(session, 0, NULL) == ET_OK)
            wait_alert(session, ET_ALERT_LISTEN_SUCCEEDED);
        set_incoming(session, 1);
        STATUS(ET_OK, et_session_listen_port(session, &port, NULL));
        CHECK(port != 0);
        alert = wait_alert(session, ET_ALERT_LISTEN_SUCCEEDED);
        CHECK(alert != NULL && ((const et_listen_succeeded_alert *)alert)->endpoint.port == port);
    }
    et_session_free(session);
}

/* An et_error that nobody set up: no call does anything but refuse. */
static void unset_errors(void)
{
    const size_t sizes[] = { 0, 7, SIZE_MAX };
    et_session *session = open_session(), *none = NULL;
    size_t i, k;

    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        et_error error;
        int32_t paused = 5;
        memset(&error, 0x55, sizeof error);
        error.struct_size = sizes[i];
        STATUS(ET_ERR_INVALID_ARGUMENT, et_session_pause(session, &error));
        STATUS(ET_ERR_INVALID_ARGUMENT, et_session_open(NULL, NULL, 0, &none, &error));
        CHECK(none == NULL && error.struct_size == sizes[i] && error.status == 0x55555555);
        for (k = 0; k < sizeof error.message; k++)
            CHECK(error.message[k] == 0x55);
        STATUS(ET_OK, et_session_is_paused(session, &paused, NULL));
        CHECK(paused == 0);
    }
    /* Nor may it lie across words. */
    {
        static uint64_t words[sizeof(et_error) / 8 + 2];
        et_error *across = (et_error *)((char *)words + 1);
        size_t size = sizeof(et_error);
        int32_t paused = 5;
        memset(words, 0x55, sizeof words);
        memcpy(across, &size, sizeof size);
        STATUS(ET_ERR_INVALID_ARGUMENT, et_session_pause(session, across));
        for (k = sizeof size; k < sizeof(et_error); k++)
            CHECK(((unsigned char *)across)[k] == 0x55);
        STATUS(ET_OK, et_session_is_paused(session, &paused, NULL));
        CHECK(paused == 0);
    }
    et_session_free(session);
}

/* A tracker's alerts name it as the list of trackers does; what is for logs does not. */
static void tracker_alerts(void)
{
    static const char url[] = "http://127.0.0.1:1/0123456789abcdef0123/announce?passkey=0123456789abcdef";
    static uint64_t list[128];
    et_session *session = open_session();
    et_storage_index torrent = add(session, TORRENT, sizeof TORRENT - 1, NULL);
    const et_alert_type types[] = { ET_ALERT_TRACKER_ANNOUNCE, ET_ALERT_TRACKER_ERROR };
    size_t len = 0, cursor = 0, i;
    const et_tracker_info *tracker;

    STATUS(ET_OK, et_torrent_add_tracker(session, torrent, KEY(url), 0, NULL));
    STATUS(ET_OK, et_torrent_trackers(session, torrent, list, sizeof list, &len, NULL));
    tracker = et_record_next(list, len, &cursor);
    for (i = 0; i < 2; i++) {
        const et_alert *alert = wait_alert(session, types[i]);
        /* All of them begin alike. */
        const et_tracker_announce_alert *named = (const void *)alert;
        char line[1024];
        CHECK(alert != NULL && tracker != NULL && named->url.length == tracker->url.length);
        if (alert == NULL || tracker == NULL)
            return;
        CHECK(memcmp((const char *)named + named->url.offset, (const char *)tracker + tracker->url.offset,
                     tracker->url.length) == 0);
        STATUS(ET_OK, et_alert_message(alert, line, sizeof line - 1, &len, NULL));
        line[len] = '\0';
        CHECK(strstr(line, "127.0.0.1:1") != NULL && strstr(line, "0123456789abcdef") == NULL);
    }
    et_session_free(session);
}

/* What is said to do nothing: of the settings that were once said to do something, too. */
static void described(void)
{
    size_t i, effective = 0;
    int piece_timeout = -1;
    for (i = 0; i < et_settings_count(); i++) {
        et_setting_info info = { .struct_size = sizeof info };
        STATUS(ET_OK, et_settings_describe(i, &info, NULL));
        if (strcmp(info.name, "piece_timeout") == 0)
            piece_timeout = (int)info.effective;
        effective += info.effective;
    }
    CHECK(piece_timeout == 0 && effective > 40 && effective < et_settings_count() / 2);
}

/* What is posted by default: errors, and what becomes of torrents, trackers, files and readers; not each piece and peer. */
static void default_mask(void)
{
    const et_alert_categories expected = ET_ALERT_CATEGORY_ERROR | ET_ALERT_CATEGORY_STORAGE | ET_ALERT_CATEGORY_TRACKER |
                                         ET_ALERT_CATEGORY_STATUS | ET_ALERT_CATEGORY_PERFORMANCE_WARNING |
                                         ET_ALERT_CATEGORY_READER;
    et_settings *settings = NULL;
    STATUS(ET_OK, et_settings_new(&settings, NULL));
    CHECK((et_alert_categories)get_int(settings, "alert_mask") == expected);
    et_settings_free(settings);
}

/* All of the settings or, on an error, none. And those that do something are described first. */
static void all_or_none(void)
{
    et_session *session = open_session();
    et_settings *settings = NULL, *found;
    uint32_t before = 1;
    size_t i;

    STATUS(ET_OK, et_settings_new(&settings, NULL));
    STATUS(ET_OK, et_settings_set_int(settings, KEY("download_rate_limit"), 5, NULL));
    STATUS(ET_OK, et_settings_set_int(settings, KEY("worker_threads"), 9, NULL));
    STATUS(ET_ERR_UNSUPPORTED, et_session_apply_settings(session, settings, NULL));
    et_settings_free(settings);
    found = settings_of(session);
    CHECK(get_int(found, "download_rate_limit") == 0 && get_int(found, "worker_threads") != 9);
    et_settings_free(found);
    /* Bits that mean nothing yet are allowed. */
    STATUS(ET_OK, et_session_set_alert_mask(session, UINT64_MAX, NULL));
    et_session_free(session);
    for (i = 0; i < et_settings_count(); i++) {
        et_setting_info info = { .struct_size = sizeof info };
        STATUS(ET_OK, et_settings_describe(i, &info, NULL));
        CHECK(info.effective <= before);
        before = info.effective;
    }
}

static void priorities_are(et_session *session, et_storage_index torrent, const char *files, const char *pieces)
{
    et_priority found[4];
    size_t len = 0, i;
    STATUS(ET_OK, et_torrent_file_priorities(session, torrent, found, 4, &len, NULL));
    for (i = 0; i < 2; i++)
        CHECK(len == 2 && found[i] == files[i] - '0');
    STATUS(ET_OK, et_torrent_piece_priorities(session, torrent, found, 4, &len, NULL));
    for (i = 0; i < 3; i++)
        CHECK(len == 3 && found[i] == pieces[i] - '0');
}

/* What a torrent is added with: where it lives, and what is wanted of it. */
static void added_as_told(void)
{
    static const char path[] = "/nonexistent/contract";
    const et_priority first[] = { 5 }, pieces[] = { 1, 0, 7 }, files[] = { 0, 7 }, many[] = { 1, 6, 2, 0, 7 };
    et_session *session = open_session();
    et_add_torrent_params params = { .struct_size = sizeof params, .torrent = TORRENT, .torrent_len = sizeof TORRENT - 1,
                                     .storage = ET_STORAGE_DISK, .save_path = { path, ET_NUL_TERMINATED },
                                     .flags = ET_TORRENT_FLAG_PAUSED, .file_priorities = first, .file_priorities_len = 1 };
    et_storage_index torrent = 0;
    et_tracker_entry trackers[] = {
        { sizeof(et_tracker_entry), { KEY("udp://127.0.0.1:1/announce") }, 0, 0 },
        { sizeof(et_tracker_entry), { KEY("gopher://127.0.0.1:1/") }, 0, 0 },
    };
    char text[64];
    size_t len = 0, again = 0;
    int32_t has = 5;
    static uint64_t list[64];
    int disk;

    STATUS(ET_OK, et_session_add_torrent(session, &params, &torrent, NULL));
    priorities_are(session, torrent, "54", "554");
    STATUS(ET_OK, et_torrent_save_path(session, torrent, text, sizeof text, &len, NULL));
    CHECK(len == sizeof path - 1 && memcmp(text, path, len) == 0);
    STATUS(ET_OK, et_torrent_has_metadata(session, torrent, &has, NULL));
    CHECK(has == 1);
    STATUS(ET_OK, et_torrent_prioritize_files(session, torrent, files, 2, NULL));
    priorities_are(session, torrent, "07", "077");
    STATUS(ET_OK, et_session_remove_torrent(session, torrent, 0, NULL));

    params.flags |= ET_TORRENT_FLAG_DEFAULT_DONT_DOWNLOAD;
    STATUS(ET_OK, et_session_add_torrent(session, &params, &torrent, NULL));
    priorities_are(session, torrent, "50", "550");
    STATUS(ET_OK, et_session_remove_torrent(session, torrent, 0, NULL));

    params.storage = ET_STORAGE_MEMORY;
    params.piece_priorities = pieces;
    params.piece_priorities_len = 3;
    STATUS(ET_OK, et_session_add_torrent(session, &params, &torrent, NULL));
    priorities_are(session, torrent, "50", "107");
    STATUS(ET_OK, et_torrent_save_path(session, torrent, text, sizeof text, &len, NULL));
    CHECK(len == 0);
    STATUS(ET_OK, et_session_remove_torrent(session, torrent, 0, NULL));
    /* In memory nothing is fetched that nobody asks for, with or without the flag. More than there are files is no error. */
    params.flags = ET_TORRENT_FLAG_PAUSED;
    params.piece_priorities_len = 0;
    STATUS(ET_OK, et_session_add_torrent(session, &params, &torrent, NULL));
    priorities_are(session, torrent, "50", "550");
    STATUS(ET_OK, et_session_remove_torrent(session, torrent, 0, NULL));
    params.file_priorities = many;
    params.file_priorities_len = sizeof many;
    STATUS(ET_OK, et_session_add_torrent(session, &params, &torrent, NULL));
    priorities_are(session, torrent, "16", "166");
    STATUS(ET_OK, et_session_remove_torrent(session, torrent, 0, NULL));
    /* Where a torrent does not say where it lives, the setting does, and the default follows that. */
    params.storage = ET_STORAGE_DEFAULT;
    params.file_priorities_len = 0;
    for (disk = 0; disk < 2; disk++) {
        et_settings *settings = NULL;
        STATUS(ET_OK, et_settings_new(&settings, NULL));
        STATUS(ET_OK, et_settings_set_str(settings, KEY("storage"), disk ? "disk" : "memory", ET_NUL_TERMINATED, NULL));
        STATUS(ET_OK, et_session_apply_settings(session, settings, NULL));
        et_settings_free(settings);
        if (disk)
            STATUS(ET_OK, et_session_remove_torrent(session, torrent, 0, NULL));
        STATUS(ET_OK, et_session_add_torrent(session, &params, &torrent, NULL));
        priorities_are(session, torrent, disk ? "44" : "00", disk ? "444" : "000");
    }
    /* One of them is no tracker: none is taken, and none is gone. */
    STATUS(ET_OK, et_torrent_replace_trackers(session, torrent, trackers, 1, NULL));
    STATUS(ET_OK, et_torrent_trackers(session, torrent, list, sizeof list, &len, NULL));
    trackers[0].url = (et_str){ KEY("udp://127.0.0.1:2/announce-elsewhere") };
    STATUS(ET_ERR_INVALID_ARGUMENT, et_torrent_replace_trackers(session, torrent, trackers, 2, NULL));
    STATUS(ET_OK, et_torrent_trackers(session, torrent, NULL, 0, &again, NULL));
    CHECK(len > 0 && again == len);
    torrent = add(session, NULL, 0, MAGNET);
    STATUS(ET_OK, et_torrent_has_metadata(session, torrent, &has, NULL));
    CHECK(has == 0);
    et_session_free(session);
}

/* A torrent file of one file: of so many bytes, in pieces of so many, with a comment that fills the torrent file up. */
static char *torrent_of(uint64_t length, uint64_t piece_length, size_t comment, size_t *len)
{
    size_t pieces = (size_t)((length + piece_length - 1) / piece_length);
    char *file = malloc(pieces * 20 + comment + 300), *at = file;
    CHECK(file != NULL);
    at += sprintf(at, "d7:comment%zu:", comment);
    memset(at, 'c', comment);
    at += comment;
    at += sprintf(at, "4:infod6:lengthi%llue4:name1:x12:piece lengthi%llue6:pieces%zu:", (unsigned long long)length,
                  (unsigned long long)piece_length, pieces * 20);
    memset(at, 'h', pieces * 20);
    at += pieces * 20;
    at += sprintf(at, "ee");
    *len = (size_t)(at - file);
    return file;
}

/* Torrent files of up to 64 MiB, 2097152 pieces, pieces of 512 MiB: those are taken, and what is more is refused. */
static void as_large_as_there_may_be(void)
{
    const uint64_t small = 16384, pieces = 2097152, huge = 512 << 20;
    const struct { uint64_t length, piece_length; size_t file; } most[] = {
        { 1, small, 64 << 20 }, { pieces * small, small, 0 }, { 1, huge, 0 },
    }, more[] = {
        { 1, small, (64 << 20) + 1 }, { pieces * small + 1, small, 0 }, { 1, 2 * huge, 0 },
    };
    et_session *session = open_session();
    size_t i, len, around;

    free(torrent_of(1, small, 10000000, &around));
    around -= 10000000;
    for (i = 0; i < 2 * 3; i++) {
        const int fits = i < 3;
        uint64_t length = fits ? most[i].length : more[i - 3].length;
        uint64_t piece_length = fits ? most[i].piece_length : more[i - 3].piece_length;
        size_t file = fits ? most[i].file : more[i - 3].file;
        char *torrent = torrent_of(length, piece_length, file > around ? file - around : 0, &len);
        et_add_torrent_params params = { .struct_size = sizeof params, .torrent = torrent, .torrent_len = len,
                                         .flags = ET_TORRENT_FLAG_PAUSED };
        et_storage_index index = 0;
        CHECK(file == 0 || len == file);
        STATUS(fits ? ET_OK : ET_ERR_PARSE, et_session_add_torrent(session, &params, &index, NULL));
        CHECK((index != 0) == fits);
        if (fits)
            STATUS(ET_OK, et_session_remove_torrent(session, index, 0, NULL));
        free(torrent);
    }
    et_session_free(session);
}

/* Settings are copies: what becomes of them changes no session, and no session changes them. */
static void settings_are_copies(void)
{
    et_session *session;
    et_settings *given = NULL, *copy, *again;

    STATUS(ET_OK, et_settings_new(&given, NULL));
    STATUS(ET_OK, et_settings_set_str(given, KEY("listen_interfaces"), KEY("127.0.0.1:0"), NULL));
    STATUS(ET_OK, et_settings_set_bool(given, KEY("enable_dht"), 0, NULL));
    STATUS(ET_OK, et_settings_set_int(given, KEY("download_rate_limit"), 1000, NULL));
    session = NULL;
    STATUS(ET_OK, et_session_open(given, NULL, 0, &session, NULL));
    copy = settings_of(session);
    STATUS(ET_OK, et_settings_set_int(given, KEY("download_rate_limit"), 2000, NULL));
    STATUS(ET_OK, et_settings_set_int(copy, KEY("download_rate_limit"), 3000, NULL));
    again = settings_of(session);
    CHECK(get_int(again, "download_rate_limit") == 1000);
    STATUS(ET_OK, et_session_apply_settings(session, copy, NULL));
    CHECK(get_int(again, "download_rate_limit") == 1000 && get_int(given, "download_rate_limit") == 2000);
    STATUS(ET_OK, et_settings_set_int(copy, KEY("download_rate_limit"), 4000, NULL));
    et_settings_free(again);
    again = settings_of(session);
    CHECK(get_int(again, "download_rate_limit") == 3000);
    et_settings_free(again);
    et_settings_free(copy);
    et_settings_free(given);
    et_session_free(session);
}

/* What does not fit into memory is refused, and changes nothing. */
static void too_large_for_memory(void)
{
    static const char large[] = "d4:infod6:lengthi3000000e4:name1:m12:piece lengthi1048576e6:pieces60:"
                                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxee";
    static const char second[] = "d4:infod6:lengthi3000000e4:name1:n12:piece lengthi1048576e6:pieces60:"
                                 "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyee";
    const et_piece_index pieces[] = { 0, 1, 2 };
    et_session *session = open_session();
    et_storage_index torrent = add(session, large, sizeof large - 1, NULL), other;
    et_lookbehind_info lookbehind = { .struct_size = sizeof lookbehind };
    et_reader_options options = { .struct_size = sizeof options };
    et_add_torrent_params params = { .struct_size = sizeof params, .storage = ET_STORAGE_DISK,
                                     .save_path = { KEY("/nonexistent/contract") } };
    et_reader *reader = NULL;

    STATUS(ET_OK, et_storage_set_limit(session, 4 << 20, NULL));
    STATUS(ET_OK, et_storage_set_lookbehind(session, torrent, pieces, 1, NULL));
    STATUS(ET_ERR_OUT_OF_MEMORY, et_storage_set_lookbehind(session, torrent, pieces, 3, NULL));
    STATUS(ET_OK, et_storage_lookbehind_stats(session, torrent, &lookbehind, NULL));
    CHECK(lookbehind.protected_pieces == 1 && lookbehind.available_pieces == 0 && lookbehind.limit_bytes == 2 << 20);
    /* Half of it is for all torrents together: of two pieces one is taken, until the other torrent gives it up. */
    other = add(session, second, sizeof second - 1, NULL);
    STATUS(ET_OK, et_storage_set_lookbehind(session, other, pieces, 1, NULL));
    STATUS(ET_ERR_OUT_OF_MEMORY, et_storage_set_lookbehind(session, other, pieces, 2, NULL));
    STATUS(ET_OK, et_storage_clear_lookbehind(session, torrent, NULL));
    STATUS(ET_OK, et_storage_set_lookbehind(session, other, pieces, 2, NULL));
    STATUS(ET_ERR_OUT_OF_MEMORY, et_storage_set_lookbehind(session, torrent, pieces, 1, NULL));
    /* One that is removed protects nothing, even while a reader of it is not freed. */
    STATUS(ET_OK, et_reader_open(session, other, 0, NULL, &reader, NULL));
    STATUS(ET_OK, et_session_remove_torrent(session, other, 0, NULL));
    STATUS(ET_OK, et_storage_set_lookbehind(session, torrent, pieces, 2, NULL));
    et_reader_free(reader);
    reader = NULL;
    /* Nor does one on disk take anything of the half. */
    params.torrent = second;
    params.torrent_len = sizeof second - 1;
    STATUS(ET_OK, et_session_add_torrent(session, &params, &other, NULL));
    STATUS(ET_OK, et_storage_set_lookbehind(session, other, pieces, 3, NULL));
    STATUS(ET_OK, et_storage_lookbehind_stats(session, other, &lookbehind, NULL));
    CHECK(lookbehind.protected_pieces == 3 && lookbehind.protected_bytes == 3000000 / 16384 * 16384 + 16384);
    STATUS(ET_OK, et_storage_set_lookbehind(session, torrent, pieces, 2, NULL));
    STATUS(ET_OK, et_storage_set_lookbehind(session, torrent, pieces, 1, NULL));
    STATUS(ET_OK, et_storage_set_limit(session, 512 << 10, NULL));
    STATUS(ET_ERR_OUT_OF_MEMORY, et_reader_open(session, torrent, 0, NULL, &reader, NULL));
    CHECK(reader == NULL);
    options.flags = ET_READER_UNVERIFIED;
    STATUS(ET_OK, et_reader_open(session, torrent, 0, &options, &reader, NULL));
    et_reader_free(reader);
    et_session_free(session);
}

/* A session that is paused pauses its torrents, and leaves their own flag. */
static void paused_with_its_session(void)
{
    et_session *session = open_session();
    et_torrent_status_info status = { .struct_size = sizeof status };
    et_storage_index torrent = add(session, TORRENT, sizeof TORRENT - 1, NULL);
    int i;

    for (i = 0; i < 2; i++) {
        STATUS(ET_OK, i == 0 ? et_session_pause(session, NULL) : et_session_resume(session, NULL));
        STATUS(ET_OK, et_torrent_status(session, torrent, &status, NULL));
        CHECK(status.paused == (i == 0) && (status.flags & ET_TORRENT_FLAG_PAUSED) == 0);
    }
    et_session_free(session);
}

/* An interrupt that meets no read is for the next one, and for no more; what cannot change of a reader does not. */
static void interrupted_and_changed(void)
{
    et_session *session = open_session();
    et_storage_index torrent = add(session, TORRENT, sizeof TORRENT - 1, NULL);
    et_reader_options options = { .struct_size = sizeof options, .flags = ET_READER_UNVERIFIED };
    et_reader *reader = NULL;
    char buf[16];
    size_t n = 0;

    STATUS(ET_OK, et_reader_open(session, torrent, 0, NULL, &reader, NULL));
    STATUS(ET_OK, et_reader_interrupt(reader, NULL));
    STATUS(ET_ERR_INTERRUPTED, et_reader_read(reader, buf, sizeof buf, -1, &n, NULL));
    STATUS(ET_ERR_TIMED_OUT, et_reader_read(reader, buf, sizeof buf, 20, &n, NULL));
    STATUS(ET_ERR_INVALID_ARGUMENT, et_reader_set_options(reader, &options, NULL));
    options.flags = ET_READER_BACKGROUND;
    STATUS(ET_OK, et_reader_set_options(reader, &options, NULL));
    et_reader_free(reader);
    et_session_free(session);
}

int main(void)
{
    settings_over_state();
    settings_are_copies();
    added_or_not();
    refused_for_anything();
    nothing_is_kept();
    removed_then_deleted();
    waits_for_metadata();
    own_limits();
    own_limits_stay();
    listens_as_told();
    unset_errors();
    tracker_alerts();
    described();
    default_mask();
    all_or_none();
    added_as_told();
    as_large_as_there_may_be();
    too_large_for_memory();
    paused_with_its_session();
    interrupted_and_changed();
    return done();
}
