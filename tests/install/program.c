/* The smallest program that needs the library: the header is found, the library is linked and loaded, a call returns. */
#include <string.h>

#include <elementum_torrent.h>

int main(void)
{
    const char *name = et_status_name(ET_OK);
    return name && strcmp(name, "ET_OK") == 0 ? 0 : 1;
}
