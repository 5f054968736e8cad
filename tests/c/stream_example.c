/* examples/stream.c as it stands, run by its main with a seed beside it. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#define main stream_main
#define open_session open_as_told
#include "../../examples/stream.c"
#undef main
#undef open_session

#include "film.h"

enum { PIECES = 40 };

static char directory[] = "/tmp/et-stream-XXXXXX", film[64], torrent[64], streamed[64];

/* What it wrote is the film from its start on, so many bytes. */
static void check_streamed(long bytes)
{
    FILE *file = fopen(streamed, "rb");
    long n;
    CHECK(file != NULL);
    if (file == NULL)
        return;
    for (n = 0; n < bytes && getc(file) == n / PIECE % KINDS; n++)
        ;
    CHECK(n == bytes && getc(file) == EOF);
    fclose(file);
    CHECK(unlink(streamed) == 0);
}

static int run(int argc, char **argv)
{
    optind = 1;
    return stream_main(argc, argv);
}

#define RUN(...) run(sizeof((char *[]){ __VA_ARGS__ }) / sizeof(char *), (char *[]){ __VA_ARGS__, NULL })
#define QUIETLY "stream", "-q", "-l", "127.0.0.1:0", "-m", "1"

int main(void)
{
    static unsigned char bytes[FILM_ROOM(PIECES)];
    size_t len = make_torrent(bytes, PIECES);
    et_session *seeder = open_session();
    et_torrent_status_info status = { .struct_size = sizeof status };
    et_storage_index seeded;
    char peer[32], hash[64], magnet[256];
    FILE *file;

    CHECK(mkdtemp(directory) != NULL);
    snprintf(film, sizeof film, "%s/film", directory);
    snprintf(torrent, sizeof torrent, "%s/torrent", directory);
    snprintf(streamed, sizeof streamed, "%s/streamed", directory);
    make_file(film, PIECES);
    file = fopen(torrent, "wb");
    CHECK(file != NULL && fwrite(bytes, 1, len, file) == len && fclose(file) == 0);
    seeded = add_film(seeder, bytes, len, directory, NULL);
    until_it_has(seeder, seeded, PIECES);
    snprintf(peer, sizeof peer, "%s", address_of(seeder));

    /* All of a torrent file's film, through memory of 16 pieces. */
    CHECK(RUN(QUIETLY, "-o", streamed, torrent, peer) == EXIT_SUCCESS);
    check_streamed((long)PIECES * PIECE);
    /* The beginning of a magnet's. */
    STATUS(ET_OK, et_torrent_status(seeder, seeded, &status, NULL));
    STATUS(ET_OK, et_info_hashes_to_hex(&status.info_hashes, ET_INFO_HASH_V1, hash, sizeof hash, &len, NULL));
    snprintf(magnet, sizeof magnet, "magnet:?xt=urn:btih:%.*s", (int)len, hash);
    CHECK(RUN(QUIETLY, "-f", "0", "-n", "100000", "-o", streamed, magnet, peer) == EXIT_SUCCESS);
    check_streamed(100000);
    /* What cannot be is said, and nothing is left open. */
    CHECK(RUN(QUIETLY, "-f", "7", torrent, peer) == EXIT_FAILURE);
    CHECK(RUN(QUIETLY, film) == EXIT_FAILURE);
    CHECK(RUN(QUIETLY, "magnet:?dn=nothing") == EXIT_FAILURE);
    CHECK(RUN(QUIETLY, streamed) == EXIT_FAILURE);
    CHECK(RUN(QUIETLY, "-o", directory, torrent, peer) == EXIT_FAILURE);
    CHECK(RUN("stream", "-q", "-l", "nowhere", torrent) == EXIT_FAILURE);
    CHECK(RUN("stream") == EXIT_FAILURE);

    et_session_free(seeder);
    CHECK(unlink(film) == 0 && unlink(torrent) == 0 && rmdir(directory) == 0);
    return done();
}
