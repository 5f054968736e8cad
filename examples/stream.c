/*
 * Streams a file of a torrent while it downloads.
 *
 *     stream [options] TORRENT [IP:PORT]
 *
 *         TORRENT         a magnet link, or the name of a torrent file
 *         IP:PORT         a peer to ask, in addition to those that trackers and the DHT find
 *         -f INDEX        which file; without it the largest
 *         -n BYTES        how much of it; without it all
 *         -o FILE         where to write it; without it nowhere
 *         -m MIB          the memory limit; without it 64
 *         -l INTERFACES   where to listen, such as 0.0.0.0:6881
 *         -q              no DHT
 */
#define _POSIX_C_SOURCE 200809L

#include <elementum_torrent.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct options {
    const char *torrent, *output, *peer, *listen;
    long long file, bytes, memory;
    int no_dht;
};

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
    (void)signal;
    stopped = 1;
}

/* Says what went wrong, if something did. */
static int failed(et_status status, const et_error *error, const char *what)
{
    if (status != ET_OK)
        fprintf(stderr, "%s: %s: %s\n", what, et_status_name(status), error->message);
    return status != ET_OK;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Prints the alerts there are. */
static int print_alerts(et_session *session)
{
    static uint64_t buf[8192];
    et_error error = { .struct_size = sizeof error };
    et_alert_batch batch = { .struct_size = sizeof batch };

    do {
        const et_alert *alert;
        size_t cursor = 0;
        if (failed(et_session_pop_alerts(session, buf, sizeof buf, &batch, &error), &error, "alerts"))
            return -1;
        while ((alert = et_alert_next(buf, batch.bytes, &cursor)) != NULL) {
            char line[512];
            size_t len = 0;
            if (et_alert_message(alert, line, sizeof line, &len, NULL) == ET_OK)
                fprintf(stderr, "[%5llu] %.*s\n", (unsigned long long)alert->sequence, (int)len, line);
        }
    } while (batch.remaining > 0);
    return 0;
}

static void print_progress(et_session *session, et_storage_index torrent, et_reader *reader, double elapsed)
{
    et_torrent_status_info status = { .struct_size = sizeof status };
    et_reader_status_info at = { .struct_size = sizeof at };
    et_storage_stats_info memory = { .struct_size = sizeof memory };

    if (et_torrent_status(session, torrent, &status, NULL) == ET_OK &&
        et_reader_status(reader, &at, NULL) == ET_OK && et_storage_stats(session, torrent, &memory, NULL) == ET_OK)
        fprintf(stderr, "%6.1f s  %5.1f %%  %7.2f MiB/s  %u peers  %.1f MiB ahead  %.1f of %.0f MiB in memory\n", elapsed,
                at.size > 0 ? 100.0 * (double)at.position / (double)at.size : 100.0,
                (double)status.download_payload_rate / 1048576.0, status.num_peers,
                (double)at.buffered_ahead / 1048576.0, (double)memory.session_charged / 1048576.0,
                (double)memory.session_limit / 1048576.0);
}

static et_session *open_session(const struct options *o)
{
    et_error error = { .struct_size = sizeof error };
    et_settings *settings = NULL;
    et_session *session = NULL;
    et_status status = et_settings_new(&settings, &error);

    if (status == ET_OK && o->memory > 0)
        status = et_settings_set_int(settings, "memory_limit", ET_NUL_TERMINATED, o->memory << 20, &error);
    if (status == ET_OK && o->listen != NULL)
        status = et_settings_set_str(settings, "listen_interfaces", ET_NUL_TERMINATED, o->listen, ET_NUL_TERMINATED,
                                     &error);
    if (status == ET_OK && o->no_dht)
        status = et_settings_set_bool(settings, "enable_dht", ET_NUL_TERMINATED, 0, &error);
    if (status == ET_OK)
        status = et_session_open(settings, NULL, 0, &session, &error);
    et_settings_free(settings);
    failed(status, &error, "open");
    return session;
}

/* The whole of a file, for free(). */
static void *read_file(const char *name, size_t *len)
{
    FILE *file = fopen(name, "rb");
    char *bytes = NULL;
    size_t cap = 0, n = 0;

    *len = 0;
    if (file == NULL) {
        perror(name);
        return NULL;
    }
    do {
        if (*len == cap) {
            char *more = realloc(bytes, cap = cap * 2 + 65536);
            if (more == NULL) {
                perror(name);
                break;
            }
            bytes = more;
        }
        n = fread(bytes + *len, 1, cap - *len, file);
        *len += n;
    } while (n > 0);
    fclose(file);
    return bytes;
}

static et_storage_index add_torrent(et_session *session, const struct options *o)
{
    et_error error = { .struct_size = sizeof error };
    et_storage_index torrent = ET_STORAGE_INDEX_INVALID;
    et_str peer = { o->peer, ET_NUL_TERMINATED };
    et_add_torrent_params params = { .struct_size = sizeof params, .storage = ET_STORAGE_MEMORY };
    void *bytes = NULL;

    /* Nothing but what is read: */
    params.flags = ET_TORRENT_FLAG_DEFAULT_DONT_DOWNLOAD;
    if (o->peer != NULL) {
        params.peers = &peer;
        params.peers_len = 1;
    }
    if (strncmp(o->torrent, "magnet:", 7) == 0) {
        params.magnet.data = o->torrent;
        params.magnet.len = ET_NUL_TERMINATED;
    } else {
        bytes = read_file(o->torrent, &params.torrent_len);
        if (bytes == NULL)
            return ET_STORAGE_INDEX_INVALID;
        params.torrent = bytes;
    }
    failed(et_session_add_torrent(session, &params, &torrent, &error), &error, o->torrent);
    free(bytes);
    return torrent;
}

/* Waits for the metadata, which a magnet link has not. */
static int wait_metadata(et_session *session, et_storage_index torrent)
{
    et_error error = { .struct_size = sizeof error };
    int32_t has = 0;

    while (!stopped) {
        et_status status = et_torrent_has_metadata(session, torrent, &has, &error);
        if (failed(status, &error, "metadata") || print_alerts(session) != 0)
            return -1;
        if (has)
            return 0;
        status = et_session_wait_alerts(session, 500, &error);
        if (status != ET_ERR_TIMED_OUT && failed(status, &error, "metadata"))
            return -1;
    }
    return -1;
}

/* Lists the files; the number of the largest, -1 on an error. */
static et_file_index largest_file(et_session *session, et_storage_index torrent)
{
    et_error error = { .struct_size = sizeof error };
    const et_file_info *file;
    et_file_index largest = -1;
    uint64_t length = 0;
    size_t len = 0, cursor = 0;
    void *buf = NULL;

    if (!failed(et_torrent_files(session, torrent, NULL, 0, &len, &error), &error, "files") &&
        (buf = malloc(len)) != NULL &&
        !failed(et_torrent_files(session, torrent, buf, len, &len, &error), &error, "files")) {
        while ((file = et_record_next(buf, len, &cursor)) != NULL) {
            fprintf(stderr, "%4d %12llu  %.*s\n", file->file, (unsigned long long)file->length, (int)file->path.length,
                    (const char *)file + file->path.offset);
            if (largest < 0 || file->length > length) {
                largest = file->file;
                length = file->length;
            }
        }
    }
    free(buf);
    return largest;
}

/* Reads up to `limit` bytes (all, where it is negative) and writes them to `to`, where there is one. */
static int copy(et_session *session, et_storage_index torrent, et_reader *reader, long long limit, FILE *to)
{
    static char buf[256 * 1024];
    et_error error = { .struct_size = sizeof error };
    double start = seconds(), told = start;
    long long done = 0;
    et_status status = ET_OK;

    while (!stopped && (limit < 0 || done < limit)) {
        size_t want = sizeof buf, n = 0;
        if (limit >= 0 && limit - done < (long long)want)
            want = (size_t)(limit - done);
        status = et_reader_read(reader, buf, want, 500, &n, &error);
        if (status == ET_OK) {
            if (to != NULL && fwrite(buf, 1, n, to) != n) {
                perror("write");
                return -1;
            }
            done += (long long)n;
        } else if (status != ET_ERR_TIMED_OUT) {
            break;
        }
        if (seconds() - told >= 1) {
            told = seconds();
            print_progress(session, torrent, reader, told - start);
        }
        if (print_alerts(session) != 0)
            return -1;
    }
    fprintf(stderr, "%lld bytes in %.2f s\n", done, seconds() - start);
    if (status == ET_OK || status == ET_ERR_TIMED_OUT || status == ET_ERR_END_OF_FILE)
        return stopped ? -1 : 0;
    failed(status, &error, "read");
    return -1;
}

static int stream(et_session *session, const struct options *o)
{
    et_error error = { .struct_size = sizeof error };
    et_reader *reader = NULL;
    et_file_index file;
    FILE *to = NULL;
    int result = -1;
    et_storage_index torrent = add_torrent(session, o);

    if (torrent == ET_STORAGE_INDEX_INVALID || wait_metadata(session, torrent) != 0)
        return -1;
    file = largest_file(session, torrent);
    if (o->file >= 0)
        file = (et_file_index)o->file;
    if (o->output != NULL && (to = fopen(o->output, "wb")) == NULL) {
        perror(o->output);
        return -1;
    }
    if (!failed(et_reader_open(session, torrent, file, NULL, &reader, &error), &error, "reader"))
        result = copy(session, torrent, reader, o->bytes, to);
    et_reader_free(reader);
    if (to != NULL && fclose(to) != 0) {
        perror(o->output);
        result = -1;
    }
    return result;
}

static int parse(int argc, char **argv, struct options *o)
{
    int c;
    while ((c = getopt(argc, argv, "f:n:o:m:l:q")) != -1) {
        switch (c) {
        case 'f': o->file = atoll(optarg); break;
        case 'n': o->bytes = atoll(optarg); break;
        case 'o': o->output = optarg; break;
        case 'm': o->memory = atoll(optarg); break;
        case 'l': o->listen = optarg; break;
        case 'q': o->no_dht = 1; break;
        default: return -1;
        }
    }
    if (argc - optind < 1 || argc - optind > 2)
        return -1;
    o->torrent = argv[optind];
    o->peer = argv[optind + 1];
    return 0;
}

int main(int argc, char **argv)
{
    struct options o = { .file = -1, .bytes = -1 };
    struct sigaction action = { .sa_handler = stop };
    et_error error = { .struct_size = sizeof error };
    et_session *session;
    int result;

    if (parse(argc, argv, &o) != 0) {
        fprintf(stderr, "usage: %s [-f INDEX] [-n BYTES] [-o FILE] [-m MIB] [-l INTERFACES] [-q] TORRENT [IP:PORT]\n",
                argv[0]);
        return EXIT_FAILURE;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    fprintf(stderr, "libelementum_torrent %s\n", et_version());
    session = open_session(&o);
    if (session == NULL)
        return EXIT_FAILURE;
    result = stream(session, &o);
    failed(et_session_close(session, 5000, &error), &error, "close");
    et_session_free(session);
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
