/* The same bytes as a config.json and as --set.
 * An error that is reported is fine; libFuzzer and the sanitizers see the rest. */
#include "frontend/frontend.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    np_cx *cx = np_cx_new();
    np_settings s = {0};
    char *text = malloc(n + 1);
    if (!text) abort();
    if (n) memcpy(text, p, n);
    text[n] = 0;
    np_settings_json(cx, &s, (const char *)p, n, "fuzz");
    np_settings_parse(cx, &s, text);
    free(text);
    np_cx_free(cx);
    return 0;
}
