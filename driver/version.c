/* neap version: one line. */
#include "driver.h"

int np_version_main(np_cx *cx, const np_options *o)
{
    (void)cx, (void)o;
    printf("neap " NP_VERSION "\n");
    return NP_EXIT_DONE;
}
