/* planted FAULT: misuse that crosses the border into the library, for the sanitizers to prove that they are on.
 *
 * Everywhere else such misuse must not happen; here a report is what is wanted. `nothing` is the same calls without a fault. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elementum_torrent.h"

/* The library writes a setting into a buffer of the caller's. */
static void library_writes(et_settings *settings, char *buffer, size_t capacity)
{
    size_t length = 0;
    et_settings_get_str(settings, "user_agent", ET_NUL_TERMINATED, buffer, capacity, &length, NULL);
}

/* Nothing on the stack may still point to what was lost when the leak check runs. */
__attribute__((noinline)) static void lose_settings(int depth)
{
    volatile char frame[256];
    memset((void *)frame, 0, sizeof frame);
    if (depth > 0) {
        lose_settings(depth - 1);
        return;
    }
    et_settings *settings = NULL;
    et_settings_new(&settings, NULL);
}

static et_settings *shared_settings;
static char shared_buffer[4096];

static void *library_writes_often(void *argument)
{
    for (int n = 0; n < 1000; n++)
        library_writes(shared_settings, shared_buffer, sizeof shared_buffer);
    return argument;
}

int main(int argc, char **argv)
{
    const char *fault = argc > 1 ? argv[1] : "nothing";
    et_settings *settings = NULL;
    if (et_settings_new(&settings, NULL) != ET_OK)
        return 3;
    if (strcmp(fault, "overflow") == 0) {
        /* The buffer is shorter than the library is told. */
        char *buffer = malloc(2);
        library_writes(settings, buffer, 4096);
        free(buffer);
    } else if (strcmp(fault, "use-after-free") == 0) {
        char buffer[4096];
        et_settings_free(settings);
        library_writes(settings, buffer, sizeof buffer);
        settings = NULL;
    } else if (strcmp(fault, "leak") == 0) {
        lose_settings(3);
        lose_settings(0);
    } else if (strcmp(fault, "inside") == 0) {
        /* Only a pointer into the middle is left. */
        static char *kept;
        et_settings *other = NULL;
        et_settings_new(&other, NULL);
        kept = (char *)other + 1;
        other = NULL;
        lose_settings(0);
        return kept == NULL;
    } else if (strcmp(fault, "race") == 0) {
        /* The buffer is the library's while the call lasts. */
        pthread_t thread;
        shared_settings = settings;
        if (pthread_create(&thread, NULL, library_writes_often, NULL) != 0)
            return 3;
        for (int n = 0; n < 1000; n++)
            ((volatile char *)shared_buffer)[n % 8] = 'x';
        pthread_join(thread, NULL);
    } else {
        char buffer[4096];
        library_writes(settings, buffer, sizeof buffer);
    }
    et_settings_free(settings);
    return 0;
}
