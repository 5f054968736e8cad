/* examples/stream.c as a program: it gets every byte, whatever it waits for, and while it waits it sleeps. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif
#define main stream_main
#define open_session open_session_of_the_example
#include "../../examples/stream.c"
#undef main
#undef open_session

#include "film.h"

#include <pthread.h>

enum { PIECES = 16 };

static unsigned char film[FILM_ROOM(PIECES)];
static et_session *seeder;
static double cpu_while_it_waited;

static double cpu(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Lets the example wait for a second, and measures what that costs. */
static void *wake_up(void *nothing)
{
    struct timespec moment = { 0, 300 * 1000 * 1000 }, second = { 1, 0 };
    double before;
    nanosleep(&moment, NULL);
    before = cpu();
    nanosleep(&second, NULL);
    cpu_while_it_waited = cpu() - before;
    STATUS(ET_OK, et_session_resume(seeder, NULL));
    return nothing;
}

/* Runs the example while the seeder sleeps. It waits for the metadata of a magnet, or for the first byte of a torrent file. */
static void runs(char *source, char *peer, const char *to, int pieces)
{
    char output[96], bytes[32];
    char *argv[] = { (char *)"stream", (char *)"-q", (char *)"-l", (char *)"127.0.0.1:0", (char *)"-m", (char *)"1", (char *)"-n",
                     bytes, (char *)"-o", output, source, peer, NULL };
    static char piece[PIECE];
    pthread_t thread;
    FILE *file;
    int n, i, right;

    snprintf(output, sizeof output, "%s/streamed", to);
    snprintf(bytes, sizeof bytes, "%d", pieces * PIECE);
    STATUS(ET_OK, et_session_pause(seeder, NULL));
    CHECK(pthread_create(&thread, NULL, wake_up, NULL) == 0);
    optind = 1;
    CHECK(stream_main(sizeof argv / sizeof *argv - 1, argv) == EXIT_SUCCESS);
    CHECK(pthread_join(thread, NULL) == 0);
    fprintf(stderr, "%.3f s of CPU in the second that it waited\n", cpu_while_it_waited);
    CHECK(cpu_while_it_waited < 0.5);
    file = fopen(output, "rb");
    CHECK(file != NULL);
    for (n = 0; n < pieces && file != NULL; n++) {
        right = 0;
        CHECK(fread(piece, 1, PIECE, file) == PIECE);
        for (i = 0; i < PIECE; i++)
            right += piece[i] == n % KINDS;
        CHECK(right == PIECE);
    }
    CHECK(file != NULL && fread(piece, 1, 1, file) == 0 && fclose(file) == 0);
    CHECK(unlink(output) == 0);
}

int main(void)
{
    char to[] = "/tmp/et-example-XXXXXX", seeds[96], source[96], magnet[96], hash[41] = "", peer[32];
    size_t len = make_torrent(film, PIECES), hash_len = 0;
    et_torrent_status_info status = { .struct_size = sizeof status };
    et_storage_index index;
    FILE *file;

    CHECK(mkdtemp(to) != NULL);
    snprintf(seeds, sizeof seeds, "%s/film", to);
    snprintf(source, sizeof source, "%s/torrent", to);
    make_file(seeds, PIECES);
    file = fopen(source, "wb");
    CHECK(file != NULL && fwrite(film, 1, len, file) == len && fclose(file) == 0);
    seeder = open_session();
    index = add_film(seeder, film, len, to, NULL);
    until_it_has(seeder, index, PIECES);
    STATUS(ET_OK, et_torrent_status(seeder, index, &status, NULL));
    STATUS(ET_OK, et_info_hashes_to_hex(&status.info_hashes, ET_INFO_HASH_V1, hash, 40, &hash_len, NULL));
    snprintf(magnet, sizeof magnet, "magnet:?xt=urn:btih:%s", hash);
    snprintf(peer, sizeof peer, "%s", address_of(seeder));
    runs(magnet, peer, to, PIECES);
    runs(source, peer, to, PIECES);
    runs(source, peer, to, 3);
    et_session_free(seeder);
    CHECK(unlink(seeds) == 0 && unlink(source) == 0 && rmdir(to) == 0);
    return done();
}
