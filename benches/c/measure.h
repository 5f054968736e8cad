/* What the measured C programs share: clocks, memory as the kernel counts it, and an end that says why. */
#ifndef ELEMENTUM_BENCH_MEASURE_H
#define ELEMENTUM_BENCH_MEASURE_H

/* Strict C11 hides the clocks. This header comes first in its programs, so that the request reaches the system's. */
#define _XOPEN_SOURCE 700

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "elementum_torrent.h"

static inline double seconds(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static inline double cpu_seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

/* A figure of /proc/self/FILE in KiB; 0 where there is none. */
static inline long kernel_kib(const char *path, const char *name)
{
    char line[256];
    long kib = 0;
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0)
            kib += strtol(line + strlen(name), NULL, 10);
    if (file)
        fclose(file);
    return kib;
}

static inline void check(et_status status, const et_error *error, const char *what)
{
    if (status == ET_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, et_status_name(status), error->message);
    exit(1);
}

/* A whole file, to be freed; NULL where it cannot be read, or is empty. */
static inline uint8_t *read_file(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    if (file && fseek(file, 0, SEEK_END) == 0 && (*length = (size_t)ftell(file)) > 0) {
        bytes = malloc(*length);
        rewind(file);
        if (bytes && fread(bytes, 1, *length, file) != *length) {
            free(bytes);
            bytes = NULL;
        }
    }
    if (file)
        fclose(file);
    return bytes;
}

/* Settings of a session that talks to nobody but the peers it is told of. */
static inline et_settings *quiet_settings(et_error *error)
{
    et_settings *settings = NULL;
    check(et_settings_new(&settings, error), error, "et_settings_new");
    check(et_settings_set_str(settings, "listen_interfaces", ET_NUL_TERMINATED, "127.0.0.1:0", ET_NUL_TERMINATED, error), error,
          "listen_interfaces");
    static const char *const off[] = { "enable_dht", "enable_lsd", "enable_upnp", "enable_natpmp" };
    for (size_t n = 0; n < sizeof off / sizeof off[0]; n++)
        check(et_settings_set_bool(settings, off[n], ET_NUL_TERMINATED, 0, error), error, off[n]);
    return settings;
}

/* What else is to be set: NAME=NUMBER, NAME=true and NAME=false, with commas between them, from the environment. */
static inline void set_more(et_settings *settings, et_error *error)
{
    const char *at = getenv("BENCH_SETTINGS");
    while (at && *at) {
        size_t length = strcspn(at, ","), name = strcspn(at, "=");
        const char *value = at + name + 1;
        if (*value == 't' || *value == 'f')
            check(et_settings_set_bool(settings, at, name, *value == 't', error), error, at);
        else
            check(et_settings_set_int(settings, at, name, strtoll(value, NULL, 10), error), error, at);
        at += length + (at[length] == ',');
    }
}

/* Opens such a session with that much memory for payload. */
static inline et_session *open_session(int64_t memory_limit, et_error *error)
{
    et_settings *settings = quiet_settings(error);
    check(et_settings_set_int(settings, "memory_limit", ET_NUL_TERMINATED, memory_limit, error), error, "memory_limit");
    set_more(settings, error);
    et_session *session = NULL;
    check(et_session_open(settings, NULL, 0, &session, error), error, "et_session_open");
    et_settings_free(settings);
    return session;
}

#endif
