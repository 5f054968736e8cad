/* stream TORRENT SEED LENGTH MEMORY_LIMIT OFFSET,... IP:PORT...: adds the torrent, reads LENGTH bytes of its only file from the start and
 * then from each offset, compares every byte with plain-seeder's content, and prints one JSON line: milliseconds from the adding, and
 * from each seek, to the last of those bytes; payload received in all, and how much of it was received twice.
 *
 * Comparing is left out: the clock stops at the last byte. */
#include "measure.h"

#include "content.h"

enum { READ_TIMEOUT_MS = 60 * 1000, MAX_SEEKS = 1000 };

static struct content content;
static double took[MAX_SEEKS];

/* Reads so many bytes at the position; the milliseconds since `began` at the last of them. */
static double read_on(et_reader *reader, uint8_t *buffer, size_t length, uint64_t offset, double began)
{
    et_error error = { .struct_size = sizeof error };
    for (size_t done = 0, got = 0; done < length; done += got)
        check(et_reader_read(reader, buffer + done, length - done, READ_TIMEOUT_MS, &got, &error), &error, "et_reader_read");
    double ms = (seconds(CLOCK_MONOTONIC) - began) * 1e3;
    if (!content_matches(&content, offset, buffer, length)) {
        fprintf(stderr, "wrong bytes in [%llu, +%zu)\n", (unsigned long long)offset, length);
        exit(1);
    }
    return ms;
}

int main(int argc, char **argv)
{
    if (argc < 7) {
        fprintf(stderr, "stream TORRENT SEED LENGTH MEMORY_LIMIT OFFSET,... IP:PORT...\n");
        return 2;
    }
    content_init(&content, strtoull(argv[2], NULL, 10));
    size_t length = strtoull(argv[3], NULL, 10), torrent_length = 0;
    uint8_t *buffer = malloc(length), *torrent = read_file(argv[1], &torrent_length);
    if (!buffer || !torrent) {
        fprintf(stderr, "%s cannot be read\n", argv[1]);
        return 2;
    }
    memset(buffer, 1, length);

    et_error error = { .struct_size = sizeof error };
    et_session *session = open_session(strtoll(argv[4], NULL, 10), &error);

    double began = seconds(CLOCK_MONOTONIC);
    et_add_torrent_params params = { .struct_size = sizeof params, .torrent = torrent, .torrent_len = torrent_length };
    et_storage_index index = 0;
    check(et_session_add_torrent(session, &params, &index, &error), &error, "et_session_add_torrent");
    for (int i = 6; i < argc; i++)
        check(et_torrent_connect_peer(session, index, argv[i], ET_NUL_TERMINATED, &error), &error, "et_torrent_connect_peer");
    et_reader *reader = NULL;
    check(et_reader_open(session, index, 0, NULL, &reader, &error), &error, "et_reader_open");
    double first = read_on(reader, buffer, length, 0, began);

    int seeks = 0;
    for (char *at = argv[5]; *at && seeks < MAX_SEEKS; at += *at == ',') {
        uint64_t offset = strtoull(at, &at, 10), position = 0;
        began = seconds(CLOCK_MONOTONIC);
        check(et_reader_seek(reader, (int64_t)offset, ET_SEEK_SET, &position, &error), &error, "et_reader_seek");
        took[seeks++] = read_on(reader, buffer, length, offset, began);
    }
    et_torrent_status_info status = { .struct_size = sizeof status };
    check(et_torrent_status(session, index, &status, &error), &error, "et_torrent_status");
    printf("{\"peer\":\"ours\",\"first_ms\":%.3f,\"payload\":%llu,\"redundant\":%llu,\"seek_ms\":[", first,
           (unsigned long long)status.total_payload_download, (unsigned long long)status.total_redundant_bytes);
    for (int i = 0; i < seeks; i++)
        printf("%s%.3f", i ? "," : "", took[i]);
    printf("]}\n");
    fflush(stdout);
    et_reader_free(reader);
    et_session_free(session);
    free(torrent);
    free(buffer);
    return 0;
}
