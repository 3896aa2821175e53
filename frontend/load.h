/* Shared by load.c and load_test.c: one reading of a description in parts. */
#ifndef NP_LOAD_H
#define NP_LOAD_H

#include "bind.h"

enum { NP_LOAD_FILE_MAX = 4 << 20 };

/* Reads o->path and runs fn in a fresh state (twice if the time axis shows
 * late); s keeps what it found. */
np_status np_load_run(np_cx *cx, np_lua *s, const np_load_opts *o, lua_CFunction fn);
/* Inside: runs the file and leaves its table on the stack; its index. */
int np_load_table(np_lua *s);
/* Inside: builds s->model->mod from the table at index model. */
void np_load_build(np_lua *s, int model);

#endif
