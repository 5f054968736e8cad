/* A film, of which every piece is known: as a torrent, and as a file that a session can seed. */
#ifndef FILM_H
#define FILM_H

#include "check.h"

enum { PIECE = 65536, KINDS = 8 };

/* Piece n is PIECE bytes of the value n % KINDS; these are their SHA-1s. */
static const unsigned char film_hashes[KINDS][20] = {
    "\x1a\xdc\x95\xbe\xbe\x9e\xea\x8c\x11\x2d\x40\xcd\x04\xab\x7a\x8d\x75\xc4\xf9\x61",
    "\x2f\x55\x34\xad\x9a\x79\x0c\x9c\x9f\xab\x47\x9a\x18\x7d\xbf\x3f\x96\x1a\xa2\x94",
    "\x65\xcf\x31\x5c\x2d\xf5\x30\x88\xb4\xc7\x57\xa9\x66\xa3\x84\x40\x62\x55\x9a\xda",
    "\x84\x97\xc7\x09\x69\xe6\xa8\x5c\xb4\xb0\x63\x1b\xcd\x2c\xc1\x6c\xaf\x8c\x5d\x0f",
    "\x4d\xd7\x4e\xa6\x14\x63\xf6\x8e\x9b\xb0\xcb\xe3\x1f\xda\x84\x8d\xa3\xad\x5d\xe4",
    "\x19\x15\x42\x0f\xcc\xdd\xfb\xaf\xcd\xaf\xf2\xbe\xee\xe6\x3b\xdd\x01\xe9\x7b\x6d",
    "\x9e\x11\xf9\x36\x38\xd3\x7b\xa6\xf7\xb3\x4a\x78\xee\xa0\x43\x82\x1c\xa4\xe1\x88",
    "\xa4\x8f\x60\xa4\xc5\x09\x9a\x1b\x00\x08\x5b\xe3\xb4\x2c\x9f\x0b\xbb\x94\xd1\xc6",
};

/* Room for the torrent of so many pieces. */
#define FILM_ROOM(pieces) ((pieces) * 20 + 200)

static inline size_t make_torrent(unsigned char *out, int pieces)
{
    size_t n = (size_t)sprintf((char *)out, "d4:infod6:lengthi%de4:name4:film12:piece lengthi%de6:pieces%d:", pieces * PIECE,
                               PIECE, pieces * 20);
    int piece;
    for (piece = 0; piece < pieces; piece++, n += 20)
        memcpy(out + n, film_hashes[piece % KINDS], 20);
    memcpy(out + n, "ee", 2);
    return n + 2;
}

static inline void make_file(const char *path, int pieces)
{
    static char piece[PIECE];
    FILE *file = fopen(path, "wb");
    int n;
    CHECK(file != NULL);
    for (n = 0; n < pieces && file != NULL; n++) {
        memset(piece, n % KINDS, PIECE);
        CHECK(fwrite(piece, 1, PIECE, file) == PIECE);
    }
    CHECK(file != NULL && fclose(file) == 0);
}

/* Adds the film from, or to, a directory; who is named is dialled. */
static inline et_storage_index add_film(et_session *session, const unsigned char *torrent, size_t len, const char *directory,
                                        const char *peer)
{
    et_str peers = { peer, ET_NUL_TERMINATED };
    et_storage_index index = ET_STORAGE_INDEX_INVALID;
    et_add_torrent_params params;
    memset(&params, 0, sizeof params);
    params.struct_size = sizeof params;
    params.torrent = torrent;
    params.torrent_len = len;
    params.storage = directory != NULL ? ET_STORAGE_DISK : ET_STORAGE_MEMORY;
    params.save_path.data = directory;
    params.save_path.len = directory != NULL ? ET_NUL_TERMINATED : 0;
    params.peers = &peers;
    params.peers_len = peer != NULL;
    STATUS(ET_OK, et_session_add_torrent(session, &params, &index, NULL));
    return index;
}

/* Waits until a session has so many pieces of the torrent. */
static inline void until_it_has(et_session *session, et_storage_index torrent, int pieces)
{
    et_torrent_status_info status = { .struct_size = sizeof status };
    UNTIL(et_torrent_status(session, torrent, &status, NULL) == ET_OK && status.num_pieces == (uint32_t)pieces);
}

/* Where others reach the session: "127.0.0.1:port". */
static inline const char *address_of(et_session *session)
{
    static char address[32];
    uint16_t port = 0;
    STATUS(ET_OK, et_session_listen_port(session, &port, NULL));
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    return address;
}

#endif
