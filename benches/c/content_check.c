/* content_check FILE SEED CUT: whether the file is the content of that seed, compared CUT bytes at a time. */
#include <stdio.h>
#include <stdlib.h>

#include "content.h"

static struct content content;
static uint8_t buffer[1 << 20];

int main(int argc, char **argv)
{
    FILE *file = argc == 4 ? fopen(argv[1], "rb") : NULL;
    if (!file)
        return 2;
    content_init(&content, strtoull(argv[2], NULL, 10));
    size_t cut = strtoull(argv[3], NULL, 10), got;
    uint64_t offset = 0;
    if (cut == 0 || cut > sizeof buffer)
        return 2;
    while ((got = fread(buffer, 1, cut, file)) > 0) {
        if (!content_matches(&content, offset, buffer, got))
            return 1;
        offset += got;
    }
    fclose(file);
    return 0;
}
