/* play TORRENT SEED BITRATE SECONDS MEMORY_LIMIT IP:PORT...: adds the torrent and plays its only file from the start: so many bytes a
 * second, so many seconds of it. While one chunk plays the next one is read; where that is not there when it is due, playing stands
 * still until it is, and goes on from there.
 *
 * Compares every byte with plain-seeder's content, and prints one JSON line: milliseconds from the adding to the first chunk; how often,
 * and how many milliseconds in all, playing stood still after the first seconds; payload received in all, and how much of it for
 * nothing. */
#include "measure.h"

#include "content.h"

/* Seconds from the adding during which a player may still fill up. */
static const double SETTLES = 5;

enum { CHUNK = 256 * 1024, READ_TIMEOUT_MS = 60 * 1000 };

static struct content content;
static uint8_t chunk[CHUNK];

static void sleep_until(double time)
{
    double left = time - seconds(CLOCK_MONOTONIC);
    if (left <= 0)
        return;
    struct timespec pause = { (time_t)left, (long)((left - (double)(time_t)left) * 1e9) };
    nanosleep(&pause, NULL);
}

static void read_chunk(et_reader *reader, uint64_t offset)
{
    et_error error = { .struct_size = sizeof error };
    for (size_t done = 0, got = 0; done < CHUNK; done += got)
        check(et_reader_read(reader, chunk + done, CHUNK - done, READ_TIMEOUT_MS, &got, &error), &error, "et_reader_read");
    if (!content_matches(&content, offset, chunk, CHUNK)) {
        fprintf(stderr, "wrong bytes in [%llu, +%d)\n", (unsigned long long)offset, CHUNK);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc < 7) {
        fprintf(stderr, "play TORRENT SEED BITRATE SECONDS MEMORY_LIMIT IP:PORT...\n");
        return 2;
    }
    content_init(&content, strtoull(argv[2], NULL, 10));
    uint64_t bitrate = strtoull(argv[3], NULL, 10), chunks = bitrate * strtoull(argv[4], NULL, 10) / CHUNK;
    size_t torrent_length = 0;
    uint8_t *torrent = read_file(argv[1], &torrent_length);
    if (!torrent) {
        fprintf(stderr, "%s cannot be read\n", argv[1]);
        return 2;
    }
    memset(chunk, 1, sizeof chunk);

    et_error error = { .struct_size = sizeof error };
    et_session *session = open_session(strtoll(argv[5], NULL, 10), &error);
    double began = seconds(CLOCK_MONOTONIC);
    et_add_torrent_params params = { .struct_size = sizeof params, .torrent = torrent, .torrent_len = torrent_length };
    et_storage_index index = 0;
    check(et_session_add_torrent(session, &params, &index, &error), &error, "et_session_add_torrent");
    for (int i = 6; i < argc; i++)
        check(et_torrent_connect_peer(session, index, argv[i], ET_NUL_TERMINATED, &error), &error, "et_torrent_connect_peer");
    et_reader_options options = { .struct_size = sizeof options, .bitrate = bitrate };
    et_reader *reader = NULL;
    check(et_reader_open(session, index, 0, &options, &reader, &error), &error, "et_reader_open");

    /* When the chunk that plays is played to its end: at the start, nothing plays. */
    double ends = began, first = 0, stalled = 0;
    int stalls = 0;
    for (uint64_t n = 0; n < chunks; n++) {
        read_chunk(reader, n * CHUNK);
        double now = seconds(CLOCK_MONOTONIC), due = ends > began + SETTLES ? ends : began + SETTLES;
        if (n == 0)
            first = now - began;
        if (now > due) {
            stalls++;
            stalled += now - due;
        }
        double begins = now > ends ? now : ends;
        ends = begins + (double)CHUNK / (double)bitrate;
        sleep_until(begins);
    }
    et_torrent_status_info status = { .struct_size = sizeof status };
    check(et_torrent_status(session, index, &status, &error), &error, "et_torrent_status");
    printf("{\"peer\":\"ours\",\"first_ms\":%.3f,\"stalls\":%d,\"stall_ms\":%.3f,\"payload\":%llu,\"redundant\":%llu}\n", first * 1e3,
           stalls, stalled * 1e3, (unsigned long long)status.total_payload_download,
           (unsigned long long)status.total_redundant_bytes);
    fflush(stdout);
    et_reader_free(reader);
    et_session_free(session);
    free(torrent);
    return 0;
}
