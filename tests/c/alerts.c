/* Alerts: popping in pieces, walking, waiting, the descriptor, dropping. */
#include "check.h"

#include <poll.h>
#include <pthread.h>

static int readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, 0) == 1;
}

/* Pops everything into `buf`; how many of the type there were. */
static size_t pop_all(et_session *session, void *buf, size_t cap, uint32_t type, uint64_t *last)
{
    size_t found = 0;
    for (;;) {
        et_alert_batch batch = { .struct_size = sizeof batch };
        const et_alert *alert;
        static char lines[1 << 20];
        size_t cursor = 0, count = 0, lines_len = 0, at = 0;
        STATUS(ET_OK, et_session_pop_alerts(session, buf, cap, &batch, NULL));
        if (batch.count == 0)
            return found;
        STATUS(ET_OK, et_alert_messages(buf, batch.bytes, lines, sizeof lines, &lines_len, NULL));
        while ((alert = et_alert_next(buf, batch.bytes, &cursor)) != NULL) {
            char line[512];
            size_t len = 0;
            count++;
            CHECK(alert->size % 8 == 0 && alert->size >= sizeof *alert);
            CHECK(alert->sequence > *last && alert->timestamp_us > INT64_C(1600000000000000));
            *last = alert->sequence;
            CHECK(strcmp(et_alert_type_name(alert->type), "unknown") != 0);
            STATUS(ET_OK, et_alert_message(alert, line, sizeof line, &len, NULL));
            CHECK(len > 0);
            CHECK(at + len < lines_len && memcmp(lines + at, line, len) == 0 && lines[at + len] == '\n');
            at += len + 1;
            found += alert->type == type;
        }
        CHECK(cursor == batch.bytes && count == batch.count && at == lines_len);
    }
}

static void *waiter(void *session)
{
    return (void *)(intptr_t)et_session_wait_alerts(session, -1, NULL);
}

static void walk(et_session *session, et_storage_index torrent)
{
    static uint64_t buf[8192];
    et_alert_batch batch = { .struct_size = sizeof batch };
    uint64_t last = 0;
    int32_t fd = -2;

    STATUS(ET_OK, et_session_alert_fd(session, &fd, NULL));
    CHECK(fd >= 0 && readable(fd));
    STATUS(ET_OK, et_session_wait_alerts(session, 0, NULL));

    /* How much there is; too little room; room for one. */
    STATUS(ET_OK, et_session_pop_alerts(session, NULL, 0, &batch, NULL));
    CHECK(batch.count == 0 && batch.bytes == 0 && batch.remaining >= 1 && batch.needed >= sizeof(et_alert));
    size_t remaining = batch.remaining, needed = batch.needed;
    STATUS(ET_ERR_BUFFER_TOO_SMALL, et_session_pop_alerts(session, buf, needed - 1, &batch, NULL));
    CHECK(batch.count == 0 && batch.remaining >= remaining && batch.needed == needed);
    STATUS(ET_OK, et_session_pop_alerts(session, buf, needed, &batch, NULL));
    CHECK(batch.count == 1 && batch.bytes == needed);
    last = ((const et_alert *)buf)->sequence;
    STATUS(ET_ERR_INVALID_ARGUMENT, et_session_pop_alerts(session, (char *)buf + 4, 512, &batch, NULL));

    pop_all(session, buf, sizeof buf, 0, &last);
    STATUS(ET_OK, et_session_set_alert_mask(session, 0, NULL));
    STATUS(ET_OK, et_session_remove_torrent(session, torrent, 0, NULL));
    STATUS(ET_OK, et_session_wait_alerts(session, 5000, NULL));
    CHECK(readable(fd));
    CHECK(pop_all(session, buf, sizeof buf, ET_ALERT_TORRENT_REMOVED, &last) == 1);
    CHECK(!readable(fd));
    STATUS(ET_ERR_WOULD_BLOCK, et_session_wait_alerts(session, 0, NULL));
    STATUS(ET_ERR_TIMED_OUT, et_session_wait_alerts(session, 20, NULL));
}

/* One alert may wait; the rest is counted. */
static void overflow(void)
{
    static uint64_t buf[8192];
    et_settings *settings = NULL;
    et_session *session = open_session();
    et_alert_batch batch = { .struct_size = sizeof batch };
    et_session_stats_info stats = { .struct_size = sizeof stats };
    uint64_t added = 0, told = 0, dropped = 0;
    int i;

    STATUS(ET_OK, et_session_settings(session, &settings, NULL));
    STATUS(ET_OK, et_settings_set_int(settings, KEY("alert_queue_size"), 1, NULL));
    STATUS(ET_OK, et_session_apply_settings(session, settings, NULL));
    et_settings_free(settings);
    STATUS(ET_OK, et_session_set_alert_mask(session, 0, NULL));
    pop_all(session, buf, sizeof buf, 0, &told);
    for (i = 0; i < 20; i++) {
        char magnet[] = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234500";
        magnet[sizeof magnet - 2] = (char)('0' + i % 10);
        magnet[sizeof magnet - 3] = (char)('0' + i / 10);
        add(session, NULL, 0, magnet);
        added++;
    }
    told = 0;
    do {
        const et_alert *alert;
        size_t cursor = 0;
        STATUS(ET_OK, et_session_pop_alerts(session, buf, sizeof buf, &batch, NULL));
        while ((alert = et_alert_next(buf, batch.bytes, &cursor)) != NULL) {
            told += alert->type == ET_ALERT_ADD_TORRENT;
            if (alert->type == ET_ALERT_ALERTS_DROPPED) {
                const et_alerts_dropped_alert *d = (const et_alerts_dropped_alert *)alert;
                const et_dropped_count *counts = (const void *)((const char *)alert + d->counts_offset);
                uint32_t j;
                CHECK(d->counts_offset + d->counts_len * sizeof *counts <= alert->size);
                for (j = 0; j < d->counts_len; j++)
                    dropped += counts[j].type == ET_ALERT_ADD_TORRENT ? counts[j].count : 0;
            }
        }
    } while (batch.remaining > 0);
    CHECK(told >= 1 && dropped >= 1 && told + dropped == added);
    STATUS(ET_OK, et_session_stats(session, &stats, NULL));
    CHECK(stats.num_torrents == added && stats.alerts_dropped >= dropped && stats.alerts_posted >= told);
    et_session_free(session);
}

/* With no category at all: the answers that must not be missed come, and nothing else. */
static void whatever_the_mask(void)
{
    static uint64_t buf[8192];
    et_session *session = open_session();
    et_alert_batch batch = { .struct_size = sizeof batch };
    uint64_t last = 0;
    size_t added = 0, removed = 0, deleted = 0, others = 0;
    et_storage_index torrent;

    pop_all(session, buf, sizeof buf, 0, &last);
    STATUS(ET_OK, et_session_set_alert_mask(session, 0, NULL));
    torrent = add(session, TORRENT, sizeof TORRENT - 1, NULL);
    STATUS(ET_OK, et_torrent_pause(session, torrent, 0, NULL));
    STATUS(ET_OK, et_torrent_resume(session, torrent, NULL));
    STATUS(ET_OK, et_torrent_force_recheck(session, torrent, NULL));
    STATUS(ET_OK, et_torrent_connect_peer(session, torrent, KEY("127.0.0.1:1"), NULL));
    STATUS(ET_OK, et_session_remove_torrent(session, torrent, ET_REMOVE_DELETE_FILES, NULL));
    while (deleted == 0 && et_session_wait_alerts(session, 5000, NULL) == ET_OK) {
        const et_alert *alert;
        size_t cursor = 0;
        STATUS(ET_OK, et_session_pop_alerts(session, buf, sizeof buf, &batch, NULL));
        while ((alert = et_alert_next(buf, batch.bytes, &cursor)) != NULL) {
            CHECK(alert->torrent == torrent);
            if (alert->type == ET_ALERT_ADD_TORRENT)
                added++;
            else if (alert->type == ET_ALERT_TORRENT_REMOVED)
                removed++;
            else if (alert->type == ET_ALERT_TORRENT_DELETED)
                deleted++;
            else
                others++;
        }
    }
    CHECK(added == 1 && removed == 1 && deleted == 1 && others == 0);
    et_session_free(session);
}

int main(void)
{
    et_session *session = open_session();
    et_storage_index torrent = add(session, TORRENT, sizeof TORRENT - 1, NULL);
    pthread_t thread;
    void *status = NULL;
    int32_t fd = -1;

    walk(session, torrent);

    /* Closing wakes who waits, and makes the descriptor readable. */
    STATUS(ET_OK, et_session_alert_fd(session, &fd, NULL));
    CHECK(pthread_create(&thread, NULL, waiter, session) == 0);
    CHECK(poll(NULL, 0, 50) == 0);
    STATUS(ET_OK, et_session_close(session, 10000, NULL));
    CHECK(pthread_join(thread, &status) == 0);
    CHECK((et_status)(intptr_t)status == ET_ERR_CLOSED);
    CHECK(readable(fd));
    et_session_free(session);

    overflow();
    whatever_the_mask();
    return done();
}
