/* stream TORRENT-FILE-OR-MAGNET [IP:PORT]: reads the torrent's first file from front to back while it downloads, in 64 MiB
 * of RAM, and shows how far it is. A player would hand the bytes to its decoder where this only counts them. */
#define _XOPEN_SOURCE 700
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <elementum_torrent.h>

enum { MEMORY_LIMIT = 64 << 20, BUFFER = 256 * 1024 };

static void check(et_status status, const et_error *error, const char *what)
{
    if (status == ET_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, et_status_name(status), error->message);
    exit(1);
}

static uint8_t *read_file(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    uint8_t *bytes = NULL;
    size_t got;
    *length = 0;
    do {
        bytes = realloc(bytes, *length + BUFFER);
        if (!bytes)
            exit(1);
        got = fread(bytes + *length, 1, BUFFER, file);
        *length += got;
    } while (got == BUFFER);
    fclose(file);
    return bytes;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    static uint8_t buffer[BUFFER];
    if (argc < 2) {
        fprintf(stderr, "stream TORRENT-FILE-OR-MAGNET [IP:PORT]\n");
        return 2;
    }
    et_error error = { .struct_size = sizeof error };
    et_settings *settings = NULL;
    et_session *session = NULL;
    check(et_settings_new(&settings, &error), &error, "et_settings_new");
    check(et_settings_set_int(settings, "memory_limit", ET_NUL_TERMINATED, MEMORY_LIMIT, &error), &error, "memory_limit");
    check(et_session_open(settings, NULL, 0, &session, &error), &error, "et_session_open");
    et_settings_free(settings);

    et_add_torrent_params params = { .struct_size = sizeof params };
    uint8_t *torrent = NULL;
    if (strncmp(argv[1], "magnet:", 7) == 0) {
        params.magnet = (et_str){ argv[1], ET_NUL_TERMINATED };
    } else {
        torrent = read_file(argv[1], &params.torrent_len);
        params.torrent = torrent;
    }
    et_storage_index index = 0;
    check(et_session_add_torrent(session, &params, &index, &error), &error, "et_session_add_torrent");
    free(torrent);
    if (argc > 2)
        check(et_torrent_connect_peer(session, index, argv[2], ET_NUL_TERMINATED, &error), &error, "et_torrent_connect_peer");

    /* A magnet's files are known when its metadata has come; alerts come meanwhile, and there is nothing to do but wait. */
    et_reader *reader = NULL;
    et_status status;
    while ((status = et_reader_open(session, index, 0, NULL, &reader, &error)) == ET_ERR_NO_METADATA) {
        struct timespec pause = { 0, 200 * 1000 * 1000 };
        printf("\rwaiting for metadata ");
        fflush(stdout);
        nanosleep(&pause, NULL);
    }
    check(status, &error, "et_reader_open");

    uint64_t size = 0, done = 0;
    check(et_reader_size(reader, &size, &error), &error, "et_reader_size");
    double began = now(), shown = 0;
    while (done < size) {
        size_t got = 0;
        status = et_reader_read(reader, buffer, sizeof buffer, 1000, &got, &error);
        if (status != ET_ERR_TIMED_OUT)
            check(status, &error, "et_reader_read");
        done += got;
        if (now() - shown > 0.2 || done == size) {
            shown = now();
            printf("\r%5.1f %%  %.1f of %.1f MB  %.1f MB/s  ", 100.0 * (double)done / (double)size, (double)done / 1e6,
                   (double)size / 1e6, (double)done / 1e6 / (shown - began));
            fflush(stdout);
        }
    }
    puts("");
    et_reader_free(reader);
    et_session_free(session);
    return 0;
}
