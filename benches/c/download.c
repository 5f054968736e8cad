/* download SEED SIZE MEMORY_LIMIT IP:PORT,... TORRENT...: streams each torrent's only file, of SIZE bytes, from those peers, all at once and
 * each through a reader and a thread of its own; compares every byte with plain-seeder's content, and prints one JSON line of what that took.
 *
 * The clock runs from before the session is opened to the last byte read. Comparing is not part of the work that is
 * measured, and its CPU time is told apart by the threads' own clocks; its wall time counts, against us. */
#include "measure.h"

#include <pthread.h>

#include "content.h"

enum { BUFFER = 256 * 1024, READ_TIMEOUT_MS = 60 * 1000 };

static struct content content;
static et_session *session;
static uint64_t size;

struct download {
    const char *path;
    uint8_t *torrent, *buffer;
    size_t torrent_length;
    et_storage_index index;
    et_reader *reader;
    uint64_t verified;
    double verifying;
    pthread_t thread;
};

static void load(struct download *download, const char *path)
{
    download->path = path;
    download->torrent = read_file(path, &download->torrent_length);
    download->buffer = malloc(BUFFER);
    if (!download->torrent || !download->buffer) {
        fprintf(stderr, "%s cannot be read\n", path);
        exit(2);
    }
    /* Pages of the buffer are touched before the clock starts: they are the caller's memory, not the library's work. */
    memset(download->buffer, 1, BUFFER);
}

static void begin(struct download *download, const char *peers)
{
    et_error error = { .struct_size = sizeof error };
    et_add_torrent_params params = { .struct_size = sizeof params };
    params.torrent = download->torrent;
    params.torrent_len = download->torrent_length;
    check(et_session_add_torrent(session, &params, &download->index, &error), &error, "et_session_add_torrent");
    for (const char *at = peers; *at;) {
        size_t length = strcspn(at, ",");
        check(et_torrent_connect_peer(session, download->index, at, length, &error), &error, "et_torrent_connect_peer");
        at += length + (at[length] == ',');
    }
    check(et_reader_open(session, download->index, 0, NULL, &download->reader, &error), &error, "et_reader_open");
}

static void *read_all(void *argument)
{
    struct download *download = argument;
    et_error error = { .struct_size = sizeof error };
    for (;;) {
        size_t got = 0;
        et_status status = et_reader_read(download->reader, download->buffer, BUFFER, READ_TIMEOUT_MS, &got, &error);
        if (status == ET_ERR_END_OF_FILE || (status == ET_OK && got == 0))
            break;
        check(status, &error, "et_reader_read");
        double verifies = seconds(CLOCK_THREAD_CPUTIME_ID);
        if (!content_matches(&content, download->verified, download->buffer, got)) {
            fprintf(stderr, "%s: wrong bytes in [%llu, +%zu)\n", download->path, (unsigned long long)download->verified, got);
            exit(1);
        }
        download->verified += got;
        download->verifying += seconds(CLOCK_THREAD_CPUTIME_ID) - verifies;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        fprintf(stderr, "download SEED SIZE MEMORY_LIMIT IP:PORT,... TORRENT...\n");
        return 2;
    }
    content_init(&content, strtoull(argv[1], NULL, 10));
    size = strtoull(argv[2], NULL, 10);
    int64_t memory_limit = strtoll(argv[3], NULL, 10);
    int count = argc - 5;
    struct download *downloads = calloc((size_t)count, sizeof *downloads);
    if (!downloads)
        return 2;
    for (int i = 0; i < count; i++)
        load(&downloads[i], argv[5 + i]);

    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    double began = seconds(CLOCK_MONOTONIC), verifying = 0;
    uint64_t verified = 0;
    et_error error = { .struct_size = sizeof error };
    session = open_session(memory_limit, &error);
    for (int i = 0; i < count; i++)
        begin(&downloads[i], argv[4]);
    for (int i = 0; i < count; i++)
        if (pthread_create(&downloads[i].thread, NULL, read_all, &downloads[i]) != 0)
            return 2;
    for (int i = 0; i < count; i++) {
        pthread_join(downloads[i].thread, NULL);
        if (downloads[i].verified != size) {
            fprintf(stderr, "%s: the file ended after %llu bytes\n", downloads[i].path, (unsigned long long)downloads[i].verified);
            return 1;
        }
        verified += downloads[i].verified;
        verifying += downloads[i].verifying;
    }
    double wall = seconds(CLOCK_MONOTONIC) - began;
    getrusage(RUSAGE_SELF, &after);

    et_storage_stats_info stats = { .struct_size = sizeof stats };
    check(et_storage_stats(session, downloads[0].index, &stats, &error), &error, "et_storage_stats");
    printf("{\"peer\":\"ours\",\"wall\":%.4f,\"user\":%.4f,\"sys\":%.4f,\"verify_cpu\":%.4f,\"rss_peak_kib\":%ld,"
           "\"storage_peak\":%llu,\"verified_bytes\":%llu}\n",
           wall, cpu_seconds(after.ru_utime) - cpu_seconds(before.ru_utime),
           cpu_seconds(after.ru_stime) - cpu_seconds(before.ru_stime), verifying, kernel_kib("/proc/self/status", "VmHWM:"),
           (unsigned long long)stats.session_peak, (unsigned long long)verified);
    fflush(stdout);
    for (int i = 0; i < count; i++) {
        et_reader_free(downloads[i].reader);
        free(downloads[i].torrent);
        free(downloads[i].buffer);
    }
    et_session_free(session);
    free(downloads);
    return 0;
}
