/* Waits in one thread, and what ends them in another. */
#include "check.h"

#include <pthread.h>

static void *read_one(void *reader)
{
    char buf[16];
    size_t n = 0;
    return (void *)(intptr_t)et_reader_read(reader, buf, sizeof buf, -1, &n, NULL);
}

/* Until the other thread's read waits, however late that thread gets to run. */
static void until_it_waits(et_reader *reader)
{
    et_reader_status_info status = { .struct_size = sizeof status };
    for (int i = 0; status.waiting == 0 && i < 10000; i++) {
        poll(NULL, 0, 5);
        STATUS(ET_OK, et_reader_status(reader, &status, NULL));
    }
    CHECK(status.waiting == 1);
}

enum how { INTERRUPT, CLOSE_READER, REMOVE_TORRENT, CLOSE_SESSION };

static void ends(enum how how, et_status expected)
{
    et_session *session = open_session();
    et_storage_index torrent = add(session, TORRENT, sizeof TORRENT - 1, NULL);
    et_reader *reader = NULL;
    pthread_t thread;
    void *status = NULL;
    char buf[16];
    size_t n = 0;

    STATUS(ET_OK, et_reader_open(session, torrent, 0, NULL, &reader, NULL));
    CHECK(pthread_create(&thread, NULL, read_one, reader) == 0);
    until_it_waits(reader);
    /* A second one meanwhile: busy; at another place: not. */
    STATUS(ET_ERR_BUSY, et_reader_read(reader, buf, sizeof buf, 0, &n, NULL));
    STATUS(ET_ERR_BUSY, et_reader_seek(reader, 0, ET_SEEK_SET, NULL, NULL));
    STATUS(ET_ERR_WOULD_BLOCK, et_reader_read_at(reader, 0, buf, sizeof buf, 0, &n, NULL));
    switch (how) {
    case INTERRUPT:
        STATUS(ET_OK, et_reader_interrupt(reader, NULL));
        break;
    case CLOSE_READER:
        STATUS(ET_OK, et_reader_close(reader, NULL));
        break;
    case REMOVE_TORRENT:
        STATUS(ET_OK, et_session_remove_torrent(session, torrent, 0, NULL));
        break;
    case CLOSE_SESSION:
        STATUS(ET_OK, et_session_close(session, 10000, NULL));
        break;
    }
    CHECK(pthread_join(thread, &status) == 0);
    STATUS(expected, (et_status)(intptr_t)status);
    et_reader_free(reader);
    et_session_free(session);
}

/* The session and its reader, used and closed by many at once. */
static void *use(void *arg)
{
    et_session *session = ((void **)arg)[0];
    et_reader *reader = ((void **)arg)[1];
    et_storage_index torrent = *(et_storage_index *)((void **)arg)[2];
    et_status status = ET_OK;
    /* A loop that ends by itself if nothing is ever closed. */
    for (int i = 0; status != ET_ERR_CLOSED && i < 10000; i++) {
        static const et_piece_index pieces[] = { 0, 1, 2 };
        et_storage_stats_info stats = { .struct_size = sizeof stats };
        char buf[16];
        size_t n;
        et_storage_set_lookbehind(session, torrent, pieces, 3, NULL);
        et_storage_stats(session, torrent, &stats, NULL);
        et_storage_clear_lookbehind(session, torrent, NULL);
        et_reader_seek(reader, 5, ET_SEEK_SET, NULL, NULL);
        et_reader_read_at(reader, 0, buf, sizeof buf, 1, &n, NULL);
        status = et_reader_read(reader, buf, sizeof buf, 1, &n, NULL);
        CHECK(status != ET_OK);
    }
    return NULL;
}

static void together(void)
{
    et_session *session = open_session();
    et_storage_index torrent = add(session, TORRENT, sizeof TORRENT - 1, NULL);
    et_reader *reader = NULL;
    pthread_t threads[8];
    void *arg[3];
    int i;
    STATUS(ET_OK, et_reader_open(session, torrent, 1, NULL, &reader, NULL));
    arg[0] = session;
    arg[1] = reader;
    arg[2] = &torrent;
    for (i = 0; i < 8; i++)
        CHECK(pthread_create(&threads[i], NULL, use, arg) == 0);
    poll(NULL, 0, 200);
    STATUS(ET_OK, et_session_close(session, 10000, NULL));
    for (i = 0; i < 8; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    et_session_free(session);
    et_reader_free(reader);
}

int main(void)
{
    ends(INTERRUPT, ET_ERR_INTERRUPTED);
    ends(CLOSE_READER, ET_ERR_CLOSED);
    ends(REMOVE_TORRENT, ET_ERR_INVALID_STORAGE_INDEX);
    ends(CLOSE_SESSION, ET_ERR_CLOSED);
    together();
    return done();
}
