/* seed MEMORY_LIMIT TORRENT DIRECTORY: seeds what lies there, prints where it listens and ends when its input does. */
#include "measure.h"

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "seed MEMORY_LIMIT TORRENT DIRECTORY\n");
        return 2;
    }
    et_error error = { .struct_size = sizeof error };
    et_add_torrent_params params = { .struct_size = sizeof params };
    uint8_t *torrent = read_file(argv[2], &params.torrent_len);
    et_session *session = open_session(strtoll(argv[1], NULL, 10), &error);
    params.torrent = torrent;
    params.storage = ET_STORAGE_DISK;
    params.save_path = (struct et_str){ argv[3], ET_NUL_TERMINATED };
    et_storage_index index;
    check(et_session_add_torrent(session, &params, &index, &error), &error, "et_session_add_torrent");
    et_torrent_status_info status = { .struct_size = sizeof status };
    do {
        /* Not by a wait for alerts, which nobody pops: it would not wait. */
        nanosleep(&(struct timespec){ .tv_nsec = 20 * 1000 * 1000 }, NULL);
        check(et_torrent_status(session, index, &status, &error), &error, "et_torrent_status");
    } while (!status.is_seeding);
    uint16_t port;
    check(et_session_listen_port(session, &port, &error), &error, "et_session_listen_port");
    printf("port %u\n", port);
    fflush(stdout);
    while (getchar() != EOF)
        ;
    et_session_free(session);
    free(torrent);
    return 0;
}
