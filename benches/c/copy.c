/* copy TORRENT SEED PIECE_LENGTH IP:PORT: has the torrent's first piece in memory, reads it into a buffer that begins at each offset from a page, and
 * prints one JSON line: for each offset the nanoseconds of the fastest read, and those of memcpy of the same bytes from as good a place.
 *
 * Blocks begin at a page, so the offsets are those between source and destination, too: all within a cache line, and some of all within a page. */
#include "measure.h"

#include "content.h"

enum { READ_TIMEOUT_MS = 60 * 1000, PAGE = 4096, LINE = 64, STEP = 65, ROUNDS = 40, WARM = 4 };
enum { OFFSETS = LINE + (PAGE + STEP - 1) / STEP };

static struct content content;

static uint64_t nanoseconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static size_t offset_of(size_t n)
{
    return n < LINE ? n : (n - LINE) * STEP;
}

static uint8_t *pages(size_t length)
{
    void *memory = NULL;
    if (posix_memalign(&memory, PAGE, length) != 0)
        exit(2);
    /* Touched before any clock starts. */
    memset(memory, 1, length);
    return memory;
}

static void print(const char *name, const uint64_t *times)
{
    printf(",\"%s\":[", name);
    for (size_t n = 0; n < OFFSETS; n++)
        printf("%s%llu", n ? "," : "", (unsigned long long)times[n]);
    printf("]");
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "copy TORRENT SEED PIECE_LENGTH IP:PORT\n");
        return 2;
    }
    content_init(&content, strtoull(argv[2], NULL, 10));
    size_t piece_length = strtoull(argv[3], NULL, 10), torrent_length = 0;
    uint8_t *torrent = read_file(argv[1], &torrent_length), *source = pages(piece_length), *room = pages(piece_length + 2 * PAGE);
    if (!torrent) {
        fprintf(stderr, "%s cannot be read\n", argv[1]);
        return 2;
    }

    et_error error = { .struct_size = sizeof error };
    et_session *session = open_session((int64_t)(16 * piece_length), &error);
    et_add_torrent_params params = { .struct_size = sizeof params, .torrent = torrent, .torrent_len = torrent_length };
    et_storage_index index = 0;
    check(et_session_add_torrent(session, &params, &index, &error), &error, "et_session_add_torrent");
    check(et_torrent_connect_peer(session, index, argv[4], ET_NUL_TERMINATED, &error), &error, "et_torrent_connect_peer");
    et_reader *reader = NULL;
    check(et_reader_open(session, index, 0, NULL, &reader, &error), &error, "et_reader_open");
    for (size_t offset = 0, got = 0; offset < piece_length; offset += got)
        check(et_reader_read(reader, source + offset, piece_length - offset, READ_TIMEOUT_MS, &got, &error), &error, "et_reader_read");

    uint64_t ours[OFFSETS], plain[OFFSETS];
    memset(ours, 0xff, sizeof ours);
    memset(plain, 0xff, sizeof plain);
    for (int round = 0; round < ROUNDS; round++) {
        /* One after the other, and the last offsets first, too: a slow memcpy leaves the caches in a state that the next reads pay for. */
        for (size_t turn = 0; turn < OFFSETS + WARM; turn++) {
            size_t n = (turn + OFFSETS - WARM) % OFFSETS;
            uint8_t *to = room + offset_of(n);
            size_t got = 0;
            if (round == 0)
                memset(room, 0, piece_length + 2 * PAGE);
            uint64_t begins = nanoseconds();
            et_status status = et_storage_read(session, index, 0, 0, to, piece_length, &got, &error);
            uint64_t took = nanoseconds() - begins;
            check(status, &error, "et_storage_read");
            if (got != piece_length || (round == 0 && !content_matches(&content, 0, to, got))) {
                fprintf(stderr, "wrong bytes at offset %zu\n", offset_of(n));
                return 1;
            }
            ours[n] = took < ours[n] ? took : ours[n];
        }
        for (size_t turn = 0; turn < OFFSETS + WARM; turn++) {
            size_t n = (turn + OFFSETS - WARM) % OFFSETS;
            uint8_t *to = room + offset_of(n);
            uint64_t begins = nanoseconds();
            /* Block by block, as the library does: a length that the C library has another way for is another measurement. */
            for (size_t at = 0; at < piece_length; at += CONTENT_BLOCK)
                memcpy(to + at, source + at, CONTENT_BLOCK);
            uint64_t took = nanoseconds() - begins;
            plain[n] = took < plain[n] ? took : plain[n];
        }
    }
    if (memcmp(source, room + offset_of(OFFSETS - 1), piece_length) != 0)
        return 1;
    printf("{\"peer\":\"ours\"");
    print("read_ns", ours);
    print("memcpy_ns", plain);
    printf("}\n");
    fflush(stdout);
    et_reader_free(reader);
    et_session_free(session);
    free(room);
    free(source);
    free(torrent);
    return 0;
}
