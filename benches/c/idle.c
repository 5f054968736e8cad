/* idle: how long a session takes to open, and the private memory that it holds while nothing happens. Prints one JSON line. */
#include "measure.h"

static long private_kib(void)
{
    return kernel_kib("/proc/self/smaps_rollup", "Private_Clean:") + kernel_kib("/proc/self/smaps_rollup", "Private_Dirty:");
}

int main(void)
{
    et_error error = { .struct_size = sizeof error };
    et_settings *settings = quiet_settings(&error);
    long before = private_kib();
    double began = seconds(CLOCK_MONOTONIC);
    et_session *session = NULL;
    check(et_session_open(settings, NULL, 0, &session, &error), &error, "et_session_open");
    /* Usable: peers can connect. */
    uint16_t port = 0;
    while (port == 0)
        check(et_session_listen_port(session, &port, &error), &error, "et_session_listen_port");
    double took = seconds(CLOCK_MONOTONIC) - began;
    /* Threads that start late, and timers that run once, have had their turn. */
    struct timespec pause = { 1, 0 };
    nanosleep(&pause, NULL);
    printf("{\"peer\":\"ours\",\"open_ms\":%.3f,\"idle_mib\":%.3f}\n", took * 1e3, (double)(private_kib() - before) / 1024);
    fflush(stdout);
    et_session_free(session);
    et_settings_free(settings);
    return 0;
}
