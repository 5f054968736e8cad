/* What the C tests share: checks that count, and the smallest torrent there can be. */
#ifndef CHECK_H
#define CHECK_H

#include <elementum_torrent.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Atomic: programs check in several threads. */
static _Atomic int checks, failures;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        checks++;                                                                                                      \
        if (!(condition)) {                                                                                            \
            failures++;                                                                                                \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                    \
        }                                                                                                              \
    } while (0)

#define STATUS(expected, call)                                                                                         \
    do {                                                                                                               \
        et_status expected_ = (expected), found_ = (call);                                                             \
        checks++;                                                                                                      \
        if (found_ != expected_) {                                                                                     \
            failures++;                                                                                                \
            fprintf(stderr, "%s:%d: %s, not %s: %s\n", __FILE__, __LINE__, et_status_name(found_),                     \
                    et_status_name(expected_), #call);                                                                 \
        }                                                                                                              \
    } while (0)

/* Waits until it is so, a minute at most: under valgrind all takes long. */
#define UNTIL(condition)                                                                                               \
    do {                                                                                                               \
        int turns_ = 0;                                                                                                \
        while (!(condition) && turns_++ < 12000)                                                                       \
            poll(NULL, 0, 5);                                                                                          \
        CHECK(condition);                                                                                              \
    } while (0)

static inline int done(void)
{
    fprintf(stderr, "%d checks, %d failures\n", checks, failures);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Two files, three pieces of 16 KiB: "t/a" of 20000 bytes, "t/b" of 20000 bytes. Nobody has it. */
#define TORRENT                                                                                                        \
    "d4:infod5:filesld6:lengthi20000e4:pathl1:aeed6:lengthi20000e4:pathl1:beee"                                        \
    "4:name1:t12:piece lengthi16384e6:pieces60:"                                                                       \
    "aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbccccccccccccccccccccee"
/* The same torrent by its hash alone. */
#define TORRENT_MAGNET "magnet:?xt=urn:btih:4a9391f8bdd2ce05f7669b01a9e73d3ac9f7475d"
#define MAGNET "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=nobody"
#define KEY(key) key, sizeof(key) - 1

/* A session that stays on this machine: a free port on loopback, no DHT. */
static inline et_session *open_session(void)
{
    et_settings *settings = NULL;
    et_session *session = NULL;
    STATUS(ET_OK, et_settings_new(&settings, NULL));
    STATUS(ET_OK, et_settings_set_str(settings, KEY("listen_interfaces"), KEY("127.0.0.1:0"), NULL));
    STATUS(ET_OK, et_settings_set_bool(settings, KEY("enable_dht"), 0, NULL));
    STATUS(ET_OK, et_settings_set_int(settings, KEY("alert_mask"), -1, NULL));
    STATUS(ET_OK, et_session_open(settings, NULL, 0, &session, NULL));
    et_settings_free(settings);
    return session;
}

static inline et_storage_index add(et_session *session, const void *torrent, size_t torrent_len, const char *magnet)
{
    et_storage_index index = ET_STORAGE_INDEX_INVALID;
    et_add_torrent_params params;
    memset(&params, 0, sizeof params);
    params.struct_size = sizeof params;
    params.torrent = torrent;
    params.torrent_len = torrent_len;
    params.magnet.data = magnet;
    params.magnet.len = magnet != NULL ? ET_NUL_TERMINATED : 0;
    STATUS(ET_OK, et_session_add_torrent(session, &params, &index, NULL));
    CHECK(index != ET_STORAGE_INDEX_INVALID);
    return index;
}

/* Pops until an alert of the type comes, and gives a copy of it; NULL when there is none for five seconds. */
static inline const et_alert *wait_alert(et_session *session, et_alert_type type)
{
    static uint64_t buf[512];
    et_alert_batch batch = { .struct_size = sizeof batch };
    size_t room = 256;

    while (et_session_wait_alerts(session, 20000, NULL) == ET_OK) {
        const et_alert *alert;
        size_t cursor = 0, cap = room;
        /* One by one, so that none is popped with another that is looked for next. */
        for (;;) {
            et_session_pop_alerts(session, buf, 0, &batch, NULL);
            cap = batch.needed;
            if (cap == 0 || cap > sizeof buf)
                break;
            STATUS(ET_OK, et_session_pop_alerts(session, buf, cap, &batch, NULL));
            cursor = 0;
            alert = et_alert_next(buf, batch.bytes, &cursor);
            if (alert != NULL && alert->type == type)
                return alert;
        }
    }
    CHECK(!"the alert came");
    return NULL;
}

#endif
