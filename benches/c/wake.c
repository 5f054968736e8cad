/* wake TORRENT SEED PIECE_LENGTH MEMORY_LIMIT IP:PORT: streams the torrent's only file from one peer, compares every byte with the content, and
 * prints one JSON line: for each piece, when the read of its first byte was called and when it returned, nanoseconds of CLOCK_MONOTONIC. */
#include "measure.h"

#include "content.h"

enum { READ_TIMEOUT_MS = 60 * 1000 };

static struct content content;

static uint64_t nanoseconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void print(const char *name, const uint64_t *times, size_t count)
{
    printf(",\"%s\":[", name);
    for (size_t n = 0; n < count; n++)
        printf("%s%llu", n ? "," : "", (unsigned long long)times[n]);
    printf("]");
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "wake TORRENT SEED PIECE_LENGTH MEMORY_LIMIT IP:PORT\n");
        return 2;
    }
    content_init(&content, strtoull(argv[2], NULL, 10));
    size_t piece_length = strtoull(argv[3], NULL, 10), torrent_length = 0;
    uint8_t *piece = malloc(piece_length), *torrent = read_file(argv[1], &torrent_length);
    if (!piece || !torrent) {
        fprintf(stderr, "%s cannot be read\n", argv[1]);
        return 2;
    }
    memset(piece, 1, piece_length);

    et_error error = { .struct_size = sizeof error };
    et_session *session = open_session(strtoll(argv[4], NULL, 10), &error);
    et_add_torrent_params params = { .struct_size = sizeof params, .torrent = torrent, .torrent_len = torrent_length };
    et_storage_index index = 0;
    check(et_session_add_torrent(session, &params, &index, &error), &error, "et_session_add_torrent");
    check(et_torrent_connect_peer(session, index, argv[5], ET_NUL_TERMINATED, &error), &error, "et_torrent_connect_peer");
    et_reader *reader = NULL;
    check(et_reader_open(session, index, 0, NULL, &reader, &error), &error, "et_reader_open");
    uint64_t size = 0, offset = 0;
    check(et_reader_size(reader, &size, &error), &error, "et_reader_size");
    size_t count = (size_t)((size + piece_length - 1) / piece_length);
    uint64_t *called = calloc(count, sizeof *called), *returned = calloc(count, sizeof *returned);
    if (!called || !returned)
        return 2;

    while (offset < size) {
        size_t got = 0, within = (size_t)(offset % piece_length);
        uint64_t calls = nanoseconds();
        check(et_reader_read(reader, piece, piece_length - within, READ_TIMEOUT_MS, &got, &error), &error, "et_reader_read");
        if (within == 0) {
            returned[offset / piece_length] = nanoseconds();
            called[offset / piece_length] = calls;
        }
        if (!content_matches(&content, offset, piece, got)) {
            fprintf(stderr, "wrong bytes in [%llu, +%zu)\n", (unsigned long long)offset, got);
            return 1;
        }
        offset += got;
    }
    printf("{\"peer\":\"ours\"");
    print("called_ns", called, count);
    print("returned_ns", returned, count);
    printf("}\n");
    fflush(stdout);
    et_reader_free(reader);
    et_session_free(session);
    free(returned);
    free(called);
    free(torrent);
    free(piece);
    return 0;
}
