/* The list of backends. */
#include "backends.h"

#include <string.h>

extern const np_backend np_backend_c, np_backend_null;
const np_backend *const np_backends[] = {&np_backend_c, &np_backend_null, NULL};

const np_backend *np_backend_find(const char *name)
{
    for (int i = 0; np_backends[i]; i++)
        if (strcmp(np_backends[i]->name, name) == 0) return np_backends[i];
    return NULL;
}
