/* The library is a guest: whatever goes wrong in a session's life, it prints nothing, and its threads take no signals. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif
#include "film.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECES = 4, LAST_SIGNAL = 31 };

static et_session *seeder, *session;
static char directory[] = "/tmp/et-quiet-XXXXXX", path[64], target[64], in_the_way[80];
static unsigned char torrent[FILM_ROOM(PIECES)];
static size_t torrent_len;

/* Two sessions, of which one seeds, and one cannot listen as it is told; both have a DHT. */
static et_session *open_noisy(const char *interfaces)
{
    et_settings *settings = NULL;
    et_session *opened = NULL;
    STATUS(ET_OK, et_settings_new(&settings, NULL));
    STATUS(ET_OK, et_settings_set_str(settings, KEY("listen_interfaces"), interfaces, ET_NUL_TERMINATED, NULL));
    STATUS(ET_OK, et_settings_set_str(settings, KEY("dht_bootstrap_nodes"), NULL, 0, NULL));
    STATUS(ET_OK, et_settings_set_int(settings, KEY("alert_mask"), -1, NULL));
    STATUS(ET_OK, et_session_open(settings, NULL, 0, &opened, NULL));
    et_settings_free(settings);
    return opened;
}

static void begin(void)
{
    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/film", directory);
    snprintf(target, sizeof target, "%s/to", directory);
    snprintf(in_the_way, sizeof in_the_way, "%s/film", target);
    make_file(path, PIECES);
    CHECK(mkdir(target, 0700) == 0 && mkdir(in_the_way, 0700) == 0);
    torrent_len = make_torrent(torrent, PIECES);
    seeder = open_noisy("127.0.0.1:0");
    until_it_has(seeder, add_film(seeder, torrent, torrent_len, directory, NULL), PIECES);
    session = open_noisy("127.0.0.1:0,192.0.2.1:7000");
}

/* Errors of every kind that there is without a fault of the library's. */
static void goes_wrong(void)
{
    et_add_torrent_params params = { .struct_size = sizeof params, .magnet = { KEY("magnet:?xt=urn:btih:zz") } };
    et_storage_index film, index = 0;
    et_reader *reader = NULL;
    et_session *none = NULL;
    et_status status;
    char byte;
    size_t n = 0;

    CHECK(wait_alert(session, ET_ALERT_LISTEN_FAILED) != NULL);
    STATUS(ET_ERR_PARSE, et_session_open(NULL, KEY("no state"), &none, NULL));
    STATUS(ET_ERR_PARSE, et_session_add_torrent(session, &params, &index, NULL));
    film = add_film(session, torrent, torrent_len, target, address_of(seeder));
    STATUS(ET_OK, et_torrent_add_tracker(session, film, KEY("udp://127.0.0.1:1/announce"), 0, NULL));
    STATUS(ET_OK, et_torrent_add_tracker(session, film, KEY("http://127.0.0.1:1/announce"), 0, NULL));
    CHECK(wait_alert(session, ET_ALERT_TORRENT_ERROR) != NULL);
    STATUS(ET_OK, et_reader_open(session, film, 0, NULL, &reader, NULL));
    /* What was verified before can be read still. */
    status = et_reader_read(reader, &byte, 1, -1, &n, NULL);
    CHECK(status == ET_ERR_IO || status == ET_OK);
    CHECK(rmdir(in_the_way) == 0);
    STATUS(ET_OK, et_torrent_resume(session, film, NULL));
    STATUS(ET_OK, et_reader_read(reader, &byte, 1, 60000, &n, NULL));
    until_it_has(session, film, PIECES);
    CHECK(truncate(in_the_way, 10) == 0);
    STATUS(ET_OK, et_reader_seek(reader, 2 * PIECE, ET_SEEK_SET, NULL, NULL));
    STATUS(ET_ERR_IO, et_reader_read(reader, &byte, 1, -1, &n, NULL));
    STATUS(ET_OK, et_session_remove_torrent(session, film, ET_REMOVE_DELETE_FILES, NULL));
    CHECK(wait_alert(session, ET_ALERT_TORRENT_DELETED) != NULL);
    et_reader_free(reader);
}

static atomic_int taken;

static void take(int signal)
{
    (void)signal;
    taken++;
}

static void *take_signals(void *until)
{
    sigset_t none;
    sigemptyset(&none);
    CHECK(pthread_sigmask(SIG_SETMASK, &none, NULL) == 0);
    while (!*(atomic_int *)until)
        poll(NULL, 0, 5);
    return NULL;
}

/* Not those that cannot be blocked, nor those that a thread gets for what it did itself: valgrind needs them. */
static int is_sent(int signal)
{
    static const int others[] = { SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS };
    size_t i;
    for (i = 0; i < sizeof others / sizeof *others; i++)
        if (signal == others[i])
            return 0;
    return 1;
}

/* Signals of the process, which this thread blocks, wait for somebody to take them: none of the library's threads does. */
static void takes_no_signals(void)
{
    struct sigaction action, before[LAST_SIGNAL + 1];
    sigset_t all, mask, pending;
    static atomic_int over;
    pthread_t thread;
    int signal;

    memset(&action, 0, sizeof action);
    action.sa_handler = take;
    sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &mask) == 0);
    for (signal = 1; signal <= LAST_SIGNAL; signal++)
        if (is_sent(signal))
            CHECK(sigaction(signal, &action, &before[signal]) == 0 && kill(getpid(), signal) == 0);
    /* The threads have work meanwhile. */
    goes_wrong();
    CHECK(taken == 0 && sigpending(&pending) == 0);
    for (signal = 1; signal <= LAST_SIGNAL; signal++)
        CHECK(!is_sent(signal) || signal == SIGCONT || sigismember(&pending, signal));
    /* The check can fail: a thread that does not block them takes them. */
    CHECK(pthread_create(&thread, NULL, take_signals, &over) == 0);
    UNTIL(taken > 15);
    over = 1;
    CHECK(pthread_join(thread, NULL) == 0);
    for (signal = 1; signal <= LAST_SIGNAL; signal++)
        if (is_sent(signal))
            CHECK(sigaction(signal, &before[signal], NULL) == 0);
    CHECK(pthread_sigmask(SIG_SETMASK, &mask, NULL) == 0);
}

static void end(void)
{
    STATUS(ET_OK, et_session_close(session, -1, NULL));
    STATUS(ET_ERR_CLOSED, et_session_pause(session, NULL));
    et_session_free(session);
    et_session_free(seeder);
    CHECK(unlink(path) == 0 && rmdir(target) == 0 && rmdir(directory) == 0);
}

int main(void)
{
    static char said[4096];
    FILE *file = tmpfile();
    int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    size_t n;

    /* What is printed from here on goes to the file. */
    CHECK(file != NULL && out >= 0 && err >= 0);
    CHECK(dup2(fileno(file), STDOUT_FILENO) >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    begin();
    takes_no_signals();
    end();
    fflush(NULL);
    CHECK(dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0);
    rewind(file);
    n = fread(said, 1, sizeof said - 1, file);
    if (n > 0)
        fprintf(stderr, "printed: %s\n", said);
    CHECK(n == 0);
    fclose(file);
    close(out);
    close(err);
    return done();
}
