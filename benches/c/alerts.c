/* alerts: nanoseconds that et_session_pop_alerts takes a record, when 256 wait. Prints one JSON line. */
#include "measure.h"

enum { BATCH = 256, ROUNDS = 300, BUFFER = 512 * 1024 };

static _Alignas(8) uint8_t buffer[BUFFER];

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Pops all that is queued, in one call unless the buffer is too small; returns how many records came. */
static size_t pop(et_session *session, et_error *error)
{
    et_alert_batch batch = { .struct_size = sizeof batch };
    check(et_session_pop_alerts(session, buffer, sizeof buffer, &batch, error), error, "et_session_pop_alerts");
    return batch.count;
}

int main(void)
{
    et_error error = { .struct_size = sizeof error };
    et_settings *settings = quiet_settings(&error);
    et_session *session = NULL;
    check(et_session_open(settings, NULL, 0, &session, &error), &error, "et_session_open");
    et_settings_free(settings);
    /* A magnet that nobody has: a torrent that does nothing by itself. */
    et_add_torrent_params params = { .struct_size = sizeof params };
    params.magnet = (et_str){ "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567", ET_NUL_TERMINATED };
    et_storage_index index = 0;
    check(et_session_add_torrent(session, &params, &index, &error), &error, "et_session_add_torrent");

    double rounds[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        while (pop(session, &error) > 0)
            continue;
        for (int n = 0; n < BATCH / 2; n++) {
            check(et_torrent_pause(session, index, 0, &error), &error, "et_torrent_pause");
            check(et_torrent_resume(session, index, &error), &error, "et_torrent_resume");
        }
        /* Alerts may be posted by another thread than the caller's: all must be there before the clock starts. */
        struct timespec pause = { 0, 2 * 1000 * 1000 };
        nanosleep(&pause, NULL);
        double began = seconds(CLOCK_MONOTONIC);
        size_t count = pop(session, &error);
        double took = seconds(CLOCK_MONOTONIC) - began;
        if (count < BATCH) {
            fprintf(stderr, "only %zu alerts of %d\n", count, BATCH);
            return 1;
        }
        rounds[round] = took * 1e9 / (double)count;
    }
    qsort(rounds, ROUNDS, sizeof rounds[0], ascending);
    printf("{\"peer\":\"ours\",\"pop_ns\":%.2f}\n", rounds[ROUNDS / 2]);
    fflush(stdout);
    et_session_free(session);
    return 0;
}
