/* What trackers say, and how it is told. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "loopback.h"

#include <time.h>

/* Room for what a request has in its head. */
static char head[4096];

/* A torrent with this tracker alone. */
static et_storage_index add_with(et_session *session, const char *magnet, const char *host, uint16_t port)
{
    char text[64];
    et_str url = { text, ET_NUL_TERMINATED };
    et_storage_index index = ET_STORAGE_INDEX_INVALID;
    et_add_torrent_params params;
    memset(&params, 0, sizeof params);
    snprintf(text, sizeof text, "http://%s:%u/announce", host, port);
    params.struct_size = sizeof params;
    params.magnet.data = magnet;
    params.magnet.len = ET_NUL_TERMINATED;
    params.trackers = &url;
    params.trackers_len = 1;
    STATUS(ET_OK, et_session_add_torrent(session, &params, &index, NULL));
    return index;
}

/* The torrent's only tracker. */
static const et_tracker_info *tracker_of(et_session *session, et_storage_index torrent)
{
    static uint64_t list[256];
    size_t len = 0, cursor = 0;
    STATUS(ET_OK, et_torrent_trackers(session, torrent, list, sizeof list, &len, NULL));
    return et_record_next(list, len, &cursor);
}

static int says(const void *record, et_text text, const char *expected)
{
    return text.length == strlen(expected) && memcmp((const char *)record + text.offset, expected, text.length) == 0;
}

/* What is known of a tracker before it answers, when it has, and when it fails then. */
static void answers_and_fails(void)
{
    static const char body[] = "d8:completei5e10:incompletei7e8:intervali1800e5:peers12:\x7f\0\0\1\0\1\x7f\0\0\1\0\2"
                               "15:warning message7:be nicee";
    static const char refusal[] = "d14:failure reason8:not heree";
    et_session *session = open_session();
    et_torrent_status_info status = { .struct_size = sizeof status };
    uint16_t port;
    int listener = listen_on(&port), request;
    et_storage_index torrent = add_with(session, MAGNET, "127.0.0.1", port);
    const et_tracker_info *tracker;
    const et_tracker_warning_alert *warning;
    const et_tracker_reply_alert *reply;
    const et_tracker_error_alert *error;
    const et_tracker_announce_alert *announced;
    char url[64];

    snprintf(url, sizeof url, "http://127.0.0.1:%u/announce", port);
    request = next_request(listener, head, sizeof head);
    announced = (const void *)wait_alert(session, ET_ALERT_TRACKER_ANNOUNCE);
    CHECK(announced != NULL && says(announced, announced->url, url) && announced->event == ET_EVENT_STARTED);
    tracker = tracker_of(session, torrent);
    CHECK(says(tracker, tracker->url, url) && tracker->enabled == 1);
    CHECK(tracker->updating == 1 && tracker->verified == 0 && tracker->fails == 0);
    CHECK(tracker->num_peers == -1 && tracker->scrape_complete == -1 && tracker->scrape_incomplete == -1);
    STATUS(ET_OK, et_torrent_status(session, torrent, &status, NULL));
    CHECK(status.num_complete == -1 && status.num_incomplete == -1 && status.announcing_to_trackers == 1);

    answer(request, body, sizeof body - 1);
    UNTIL((tracker = tracker_of(session, torrent))->verified == 1);
    CHECK(tracker->updating == 0 && tracker->fails == 0 && tracker->num_peers == 2);
    CHECK(tracker->scrape_complete == 5 && tracker->scrape_incomplete == 7);
    CHECK(says(tracker, tracker->message, "be nice") && says(tracker, tracker->last_error, ""));
    CHECK(tracker->next_announce_ms > 1600000 && tracker->next_announce_ms <= 1800000);
    STATUS(ET_OK, et_torrent_status(session, torrent, &status, NULL));
    CHECK(status.num_complete == 5 && status.num_incomplete == 7);
    CHECK(status.next_announce_ms > 1600000 && status.next_announce_ms <= 1800000);
    reply = (const void *)wait_alert(session, ET_ALERT_TRACKER_REPLY);
    CHECK(reply != NULL && says(reply, reply->url, url) && reply->num_peers == 2);
    warning = (const void *)wait_alert(session, ET_ALERT_TRACKER_WARNING);
    CHECK(warning != NULL && warning->base.torrent == torrent);
    CHECK(warning != NULL && says(warning, warning->url, url) && says(warning, warning->message, "be nice"));

    /* It hangs up: it has answered once, and fails now. */
    STATUS(ET_OK, et_torrent_force_reannounce(session, torrent, NULL));
    close(next_request(listener, head, sizeof head));
    UNTIL((tracker = tracker_of(session, torrent))->fails == 1);
    CHECK(tracker->verified == 1 && tracker->updating == 0 && tracker->last_error.length > 0);
    error = (const void *)wait_alert(session, ET_ALERT_TRACKER_ERROR);
    CHECK(error != NULL && says(error, error->url, url) && error->times_in_row == 1 && error->error.status != ET_OK);
    CHECK(error != NULL && says(error, error->failure_reason, ""));

    /* It answers, and refuses. */
    STATUS(ET_OK, et_torrent_force_reannounce(session, torrent, NULL));
    answer(next_request(listener, head, sizeof head), refusal, sizeof refusal - 1);
    announced = (const void *)wait_alert(session, ET_ALERT_TRACKER_ANNOUNCE);
    CHECK(announced != NULL && announced->event == ET_EVENT_NONE);
    error = (const void *)wait_alert(session, ET_ALERT_TRACKER_ERROR);
    CHECK(error != NULL && error->times_in_row == 2 && says(error, error->failure_reason, "not here"));
    CHECK(error != NULL && error->error.status != ET_OK && error->base.torrent == torrent);
    close(listener);
    et_session_free(session);
}

/* Our address is told when two say that it is so, and not before. */
static void external_ip(void)
{
    static const char body[] = "d11:external ip4:\x01\x02\x03\x04" "8:intervali1800e5:peers0:e";
    const et_external_ip_alert *alert;
    et_session *session = open_session();
    uint16_t port;
    int listener = listen_on(&port);
    et_storage_index torrent = add_with(session, MAGNET, "127.0.0.1", port);
    static uint64_t popped[8192];
    et_alert_batch batch = { .struct_size = sizeof batch };

    answer(next_request(listener, head, sizeof head), body, sizeof body - 1);
    UNTIL(tracker_of(session, torrent)->verified == 1);
    do {
        const et_alert *early;
        size_t cursor = 0;
        STATUS(ET_OK, et_session_pop_alerts(session, popped, sizeof popped, &batch, NULL));
        while ((early = et_alert_next(popped, batch.bytes, &cursor)) != NULL)
            CHECK(early->type != ET_ALERT_EXTERNAL_IP);
    } while (batch.count > 0);
    add_with(session, "0000000000000000000000000000000000000001", "localhost", port);
    answer(next_request(listener, head, sizeof head), body, sizeof body - 1);
    alert = (const void *)wait_alert(session, ET_ALERT_EXTERNAL_IP);
    CHECK(alert != NULL && alert->endpoint.family == 4 && alert->endpoint.port == 0);
    CHECK(alert != NULL && memcmp(alert->endpoint.address, "\x01\x02\x03\x04\0\0\0", 8) == 0);
    close(listener);
    et_session_free(session);
}

/* A torrent keeps 256 trackers, and each that the caller names is a tier of its own. */
static void as_many_as_there_may_be(void)
{
    enum { GIVEN = 300, KEPT = 256 };
    static char urls[GIVEN][48];
    static uint64_t list[KEPT * 32];
    et_str trackers[GIVEN];
    et_add_torrent_params params = { .struct_size = sizeof params, .flags = ET_TORRENT_FLAG_PAUSED,
                                     .magnet = { KEY(MAGNET "&tr=udp%3a%2f%2f127.0.0.1%3a1%2fsource") },
                                     .trackers = trackers, .trackers_len = GIVEN };
    et_session *session = open_session();
    et_storage_index torrent;
    const et_tracker_info *tracker;
    size_t len = 0, cursor = 0, n = 0;

    for (n = 0; n < GIVEN; n++) {
        snprintf(urls[n], sizeof urls[n], "udp://127.0.0.1:1/announce/%zu", n);
        trackers[n] = (et_str){ urls[n], ET_NUL_TERMINATED };
    }
    STATUS(ET_OK, et_session_add_torrent(session, &params, &torrent, NULL));
    STATUS(ET_OK, et_torrent_trackers(session, torrent, list, sizeof list, &len, NULL));
    for (n = 0; (tracker = et_record_next(list, len, &cursor)) != NULL; n++) {
        CHECK(tracker->tier == n);
        CHECK(says(tracker, tracker->url, n == 0 ? "udp://127.0.0.1:1/source" : urls[n - 1]));
    }
    CHECK(n == KEPT);
    et_session_free(session);
}

/* A tracker that never answers the last announce: freeing the session takes ten seconds, and no more. */
static void free_is_bounded(void)
{
    static const char body[] = "d8:intervali1800e5:peers0:e";
    et_settings *settings = NULL;
    et_session *session = open_session();
    struct timespec began, ended;
    uint16_t port;
    int listener = listen_on(&port);
    et_storage_index torrent;
    double took;

    STATUS(ET_OK, et_settings_new(&settings, NULL));
    STATUS(ET_OK, et_settings_set_int(settings, KEY("stop_tracker_timeout"), 60, NULL));
    STATUS(ET_OK, et_settings_set_int(settings, KEY("tracker_completion_timeout"), 60, NULL));
    STATUS(ET_OK, et_settings_set_int(settings, KEY("tracker_receive_timeout"), 60, NULL));
    STATUS(ET_OK, et_session_apply_settings(session, settings, NULL));
    et_settings_free(settings);
    torrent = add_with(session, MAGNET, "127.0.0.1", port);
    answer(next_request(listener, head, sizeof head), body, sizeof body - 1);
    UNTIL(tracker_of(session, torrent)->verified == 1);
    clock_gettime(CLOCK_MONOTONIC, &began);
    et_session_free(session);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    took = (double)(ended.tv_sec - began.tv_sec) + (double)(ended.tv_nsec - began.tv_nsec) / 1e9;
    /* A little for the machine. */
    CHECK(took > 8 && took < 13);
    close(listener);
}

int main(void)
{
    answers_and_fails();
    external_ip();
    as_many_as_there_may_be();
    free_is_bounded();
    return done();
}
