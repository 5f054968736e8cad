/* download TORRENT IP:PORT SEED SIZE MEMORY_LIMIT: streams the torrent's only file from one peer through one reader, compares
 * every byte with plain-seeder's content, and prints one JSON line of what that took.
 *
 * The clock runs from before the session is opened to the last byte read. Comparing is not part of the work that is
 * measured, and its CPU time is told apart by the thread's own clock; its wall time counts, against us. */
#include "measure.h"

#include "content.h"

enum { BUFFER = 256 * 1024, READ_TIMEOUT_MS = 60 * 1000 };

static struct content content;
static uint8_t buffer[BUFFER];

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "download TORRENT IP:PORT SEED SIZE MEMORY_LIMIT\n");
        return 2;
    }
    content_init(&content, strtoull(argv[3], NULL, 10));
    uint64_t size = strtoull(argv[4], NULL, 10);
    int64_t memory_limit = strtoll(argv[5], NULL, 10);
    size_t torrent_length = 0;
    uint8_t *torrent = read_file(argv[1], &torrent_length);
    if (!torrent) {
        fprintf(stderr, "%s cannot be read\n", argv[1]);
        return 2;
    }
    /* Pages of the buffer are touched before the clock starts: they are the caller's memory, not the library's work. */
    memset(buffer, 1, sizeof buffer);

    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    double began = seconds(CLOCK_MONOTONIC);
    et_error error = { .struct_size = sizeof error };
    et_session *session = open_session(memory_limit, &error);

    et_add_torrent_params params = { .struct_size = sizeof params, .torrent = torrent, .torrent_len = torrent_length };
    et_storage_index index = 0;
    check(et_session_add_torrent(session, &params, &index, &error), &error, "et_session_add_torrent");
    check(et_torrent_connect_peer(session, index, argv[2], ET_NUL_TERMINATED, &error), &error, "et_torrent_connect_peer");
    et_reader *reader = NULL;
    check(et_reader_open(session, index, 0, NULL, &reader, &error), &error, "et_reader_open");

    uint64_t offset = 0;
    double verifying = 0;
    for (;;) {
        size_t got = 0;
        et_status status = et_reader_read(reader, buffer, sizeof buffer, READ_TIMEOUT_MS, &got, &error);
        if (status == ET_ERR_END_OF_FILE || (status == ET_OK && got == 0))
            break;
        check(status, &error, "et_reader_read");
        double verifies = seconds(CLOCK_THREAD_CPUTIME_ID);
        if (!content_matches(&content, offset, buffer, got)) {
            fprintf(stderr, "wrong bytes in [%llu, +%zu)\n", (unsigned long long)offset, got);
            return 1;
        }
        offset += got;
        verifying += seconds(CLOCK_THREAD_CPUTIME_ID) - verifies;
    }
    double wall = seconds(CLOCK_MONOTONIC) - began;
    getrusage(RUSAGE_SELF, &after);
    if (offset != size) {
        fprintf(stderr, "the file ended after %llu bytes\n", (unsigned long long)offset);
        return 1;
    }
    et_storage_stats_info stats = { .struct_size = sizeof stats };
    check(et_storage_stats(session, index, &stats, &error), &error, "et_storage_stats");
    printf("{\"peer\":\"ours\",\"wall\":%.4f,\"user\":%.4f,\"sys\":%.4f,\"verify_cpu\":%.4f,\"rss_peak_kib\":%ld,"
           "\"storage_peak\":%llu,\"verified_bytes\":%llu}\n",
           wall, cpu_seconds(after.ru_utime) - cpu_seconds(before.ru_utime),
           cpu_seconds(after.ru_stime) - cpu_seconds(before.ru_stime), verifying, kernel_kib("/proc/self/status", "VmHWM:"),
           (unsigned long long)stats.session_peak, (unsigned long long)offset);
    fflush(stdout);
    et_reader_free(reader);
    et_session_free(session);
    free(torrent);
    return 0;
}
