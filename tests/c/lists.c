/* What has strings in it: files, trackers, peers, web seeds, statuses. And structs of older and newer headers. */
#include "check.h"

static const char *text(const void *record, et_text t)
{
    static char copy[512];
    CHECK(t.length < sizeof copy);
    memcpy(copy, (const char *)record + t.offset, t.length);
    copy[t.length] = '\0';
    return copy;
}

static void files(et_session *session, et_storage_index torrent)
{
    uint64_t *buf = NULL;
    size_t len = 0, cursor = 0;
    const et_file_info *file;
    const char *paths[] = { "t/a", "t/b" };
    int32_t n = 0;

    STATUS(ET_OK, et_torrent_files(session, torrent, NULL, 0, &len, NULL));
    buf = malloc(len);
    STATUS(ET_OK, et_torrent_files(session, torrent, buf, len, &len, NULL));
    while ((file = et_record_next(buf, len, &cursor)) != NULL) {
        CHECK(n < 2 && file->file == n && file->length == 20000 && file->offset == (uint64_t)n * 20000);
        CHECK(n < 2 && strcmp(text(file, file->path), paths[n]) == 0 && file->symlink_target.length == 0);
        CHECK(file->first_piece == n && file->end_piece == n + 2);
        n++;
    }
    CHECK(n == 2 && cursor == len);
    free(buf);
}

/* What a torrent file says of its files: when they were made, and what is hidden or may be run. */
static void attributes(et_session *session)
{
    static const char torrent[] = "d4:infod5:filesl"
                                  "d4:attr1:x6:lengthi1e5:mtimei1600000000e4:pathl3:runee"
                                  "d4:attr1:h6:lengthi1e4:pathl6:hiddenee"
                                  "d4:attr2:hx6:lengthi1e4:pathl4:bothee"
                                  "d6:lengthi1e4:pathl5:plainee"
                                  "d6:lengthi0e4:pathl5:emptyeee"
                                  "4:name10:attributes12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";
    static const struct { int64_t mtime; et_file_flags flags; } expected[] = {
        { 1600000000, ET_FILE_EXECUTABLE }, { 0, ET_FILE_HIDDEN }, { 0, ET_FILE_EXECUTABLE | ET_FILE_HIDDEN }, { 0, 0 }, { 0, 0 },
    };
    static uint64_t buf[512];
    et_storage_index index = add(session, torrent, sizeof torrent - 1, NULL);
    size_t len = 0, cursor = 0, n = 0;
    const et_file_info *file;

    STATUS(ET_OK, et_torrent_files(session, index, buf, sizeof buf, &len, NULL));
    for (; (file = et_record_next(buf, len, &cursor)) != NULL; n++) {
        CHECK(n < 5 && file->mtime == expected[n].mtime && file->flags == expected[n].flags);
        /* No piece has bytes of the empty one. */
        CHECK(file->end_piece - file->first_piece == (n < 4));
    }
    CHECK(n == 5);
    STATUS(ET_OK, et_session_remove_torrent(session, index, 0, NULL));
}

/* A torrent is found by either of its hashes: the other one may be missing, or another. */
static void found_by_either(et_session *session)
{
    static const char magnet[] = "magnet:?xt=urn:btih:00000000000000000000000000000000000000aa&xt=urn:btmh:1220"
                                 "00000000000000000000000000000000000000000000000000000000000000bb";
    et_storage_index index = add(session, NULL, 0, magnet), found;
    et_info_hashes hashes[5];
    size_t i;

    memset(hashes, 0, sizeof hashes);
    for (i = 0; i < 5; i++) {
        hashes[i].v1[19] = i == 3 ? 0xcc : 0xaa;
        hashes[i].v2[31] = i == 4 ? 0xcc : 0xbb;
        hashes[i].has = i == 0 ? ET_INFO_HASH_V1 : i == 1 ? ET_INFO_HASH_V2 : ET_INFO_HASH_V1 | ET_INFO_HASH_V2;
        found = 0;
        STATUS(ET_OK, et_session_find_torrent(session, &hashes[i], &found, NULL));
        CHECK(found == index);
    }
    hashes[0].v1[19] = 0xcc;
    hashes[1].v2[31] = 0xcc;
    STATUS(ET_ERR_NOT_FOUND, et_session_find_torrent(session, &hashes[0], &found, NULL));
    STATUS(ET_ERR_NOT_FOUND, et_session_find_torrent(session, &hashes[1], &found, NULL));
    STATUS(ET_OK, et_session_remove_torrent(session, index, 0, NULL));
}

static void trackers(et_session *session, et_storage_index torrent)
{
    static uint64_t buf[512];
    size_t len = 0, cursor = 0, n = 0;
    const et_tracker_info *tracker;
    const et_web_seed_info *seed;
    et_tracker_entry entries[] = {
        { sizeof(et_tracker_entry), { KEY("udp://127.0.0.1:1/announce") }, 2, 0 },
        { sizeof(et_tracker_entry), { "http://127.0.0.1:1/announce", ET_NUL_TERMINATED }, 0, 0 },
    };

    STATUS(ET_OK, et_torrent_replace_trackers(session, torrent, entries, 2, NULL));
    STATUS(ET_OK, et_torrent_add_tracker(session, torrent, KEY("udp://127.0.0.1:2/announce"), 5, NULL));
    STATUS(ET_ERR_INVALID_ARGUMENT, et_torrent_add_tracker(session, torrent, KEY("gopher://x/"), 0, NULL));
    STATUS(ET_OK, et_torrent_trackers(session, torrent, buf, sizeof buf, &len, NULL));
    while ((tracker = et_record_next(buf, len, &cursor)) != NULL) {
        static const char *urls[] = { "http://127.0.0.1:1/announce", "udp://127.0.0.1:1/announce",
                                      "udp://127.0.0.1:2/announce" };
        CHECK(n < 3 && strcmp(text(tracker, tracker->url), urls[n]) == 0);
        n++;
    }
    CHECK(n == 3);
    STATUS(ET_OK, et_torrent_replace_trackers(session, torrent, NULL, 0, NULL));
    STATUS(ET_OK, et_torrent_trackers(session, torrent, buf, sizeof buf, &len, NULL));
    CHECK(len == 0);
    STATUS(ET_OK, et_torrent_web_seeds(session, torrent, buf, sizeof buf, &len, NULL));
    cursor = 0;
    while ((seed = et_record_next(buf, len, &cursor)) != NULL)
        CHECK(seed->url.length > 0);
    STATUS(ET_OK, et_torrent_peers(session, torrent, buf, sizeof buf, &len, NULL));
    CHECK(len == 0);
}

static void statuses(et_session *session, et_storage_index torrent, et_storage_index magnet)
{
    et_torrent_status_info items[3], one = { .struct_size = sizeof one };
    et_storage_index indexes[3];
    et_info_hashes hashes;
    et_storage_index found = 0;
    size_t len = 0;

    STATUS(ET_OK, et_torrent_statuses(session, items, sizeof *items, 3, &len, NULL));
    CHECK(len == 2 && items[0].struct_size == sizeof *items);
    CHECK(items[0].torrent == torrent && items[0].has_metadata == 1 && items[0].total == 40000);
    CHECK(items[0].pieces_total == 3 && items[0].piece_length == 16384 && items[0].num_pieces == 0);
    CHECK(items[1].torrent == magnet && items[1].has_metadata == 0);
    CHECK(items[1].state == ET_TORRENT_STATE_DOWNLOADING_METADATA);
    STATUS(ET_OK, et_torrent_status(session, torrent, &one, NULL));
    CHECK(one.storage == ET_STORAGE_MEMORY && one.error == ET_OK && one.info_hashes.has == ET_INFO_HASH_V1);
    STATUS(ET_OK, et_session_torrents(session, indexes, 3, &len, NULL));
    CHECK(len == 2 && indexes[0] == torrent && indexes[1] == magnet);
    STATUS(ET_OK, et_session_find_torrent(session, &one.info_hashes, &found, NULL));
    CHECK(found == torrent);
    memset(&hashes, 1, sizeof hashes);
    hashes.has = ET_INFO_HASH_V1;
    STATUS(ET_ERR_NOT_FOUND, et_session_find_torrent(session, &hashes, &found, NULL));
    CHECK(found == torrent);
}

/* A program of another version: its structs are shorter or longer. */
static void versions(et_session *session, et_storage_index torrent)
{
    struct { et_torrent_status_info status; uint64_t later; } newer;
    struct { et_add_torrent_params params; uint64_t later; } unknown;
    struct { size_t struct_size; et_storage_index torrent; uint64_t canary; } older = { 16, 0, 0xabc };
    struct { size_t struct_size; uint64_t lookahead; } options = { sizeof options, 1 << 20 };
    et_storage_index index = 0;
    et_reader *reader = NULL;

    STATUS(ET_OK, et_torrent_status(session, torrent, (et_torrent_status_info *)&older, NULL));
    CHECK(older.torrent == torrent && older.canary == 0xabc && older.struct_size == 16);
    memset(&newer, 0, sizeof newer);
    newer.status.struct_size = sizeof newer;
    newer.later = 7;
    STATUS(ET_OK, et_torrent_status(session, torrent, &newer.status, NULL));
    CHECK(newer.later == 7 && newer.status.torrent == torrent);
    STATUS(ET_OK, et_reader_open(session, torrent, 0, (et_reader_options *)&options, &reader, NULL));
    et_reader_free(reader);
    memset(&unknown, 0, sizeof unknown);
    unknown.params.struct_size = sizeof unknown;
    unknown.params.torrent = TORRENT;
    unknown.params.torrent_len = sizeof TORRENT - 1;
    STATUS(ET_ERR_DUPLICATE_TORRENT, et_session_add_torrent(session, &unknown.params, &index, NULL));
    unknown.later = 1;
    STATUS(ET_ERR_INVALID_ARGUMENT, et_session_add_torrent(session, &unknown.params, &index, NULL));
}

/* What a torrent is made of comes back as it went in. */
static void metainfo(et_session *session, et_storage_index torrent)
{
    char buf[1024];
    size_t len = 0;
    static const char info[] = TORRENT;
    STATUS(ET_OK, et_torrent_metainfo(session, torrent, buf, sizeof buf, &len, NULL));
    CHECK(len >= sizeof info - 1);
    /* All but the outer dictionary's "d" and "e" is the info dictionary and its key. */
    CHECK(len < sizeof buf && memcmp(buf + len - (sizeof info - 2), info + 1, sizeof info - 2) == 0);
}

int main(void)
{
    et_session *session = open_session();
    et_storage_index torrent = add(session, TORRENT, sizeof TORRENT - 1, NULL);
    et_storage_index magnet = add(session, NULL, 0, MAGNET);
    files(session, torrent);
    trackers(session, torrent);
    statuses(session, torrent, magnet);
    versions(session, torrent);
    metainfo(session, torrent);
    attributes(session);
    found_by_either(session);
    et_session_free(session);
    return done();
}
