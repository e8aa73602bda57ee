// What Swift's importer cannot see of libuv, and the only place that tests its version.
#ifndef CLIBUV_SHIM_H
#define CLIBUV_SHIM_H

#include <uv.h>

// UV_VERSION_HEX is built from other macros, which Swift does not import.
static inline unsigned int clibuv_compiled_version(void) { return UV_VERSION_HEX; }

#endif
