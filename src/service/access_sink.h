/* SPDX-License-Identifier: Apache-2.0 */
/* access_sink.h - where the lines of the access log go: a file, or stdout or stderr, which all
 * workers share. Any thread.
 *
 * A file takes all lines in one write. What may be slow to take them (a pipe, a socket, a terminal)
 * is asked first whether it can take some and then given at most PIPE_BUF bytes, which it then
 * takes at once: so that it never holds a worker up, without O_NONBLOCK, which would hold for
 * every process that shares the pipe. Only if another process fills the pipe between the question
 * and the write does that wait for the pipe's reader. */
#ifndef WEIR_SERVICE_ACCESS_SINK_H
#define WEIR_SERVICE_ACCESS_SINK_H

#include "base/err.h"
#include "base/str.h"

struct weir_access_sink;

/* where: stderr, stdout, or the path of a file, which is made (mode 0640) or appended to.
 * WEIR_ERR_IO: errno says why. */
WEIR_MUSTCHECK enum weir_err weir_access_sink_open(const char *where,
                                                   struct weir_access_sink **ret_sink);
/* Opens the path again, after a rotation; what is written meanwhile goes to one file or the other,
 * whole. Where that fails the old file is kept, and the log says so. NULL, stderr or stdout:
 * nothing. */
void weir_access_sink_reopen(struct weir_access_sink *sink);
/* NULL is allowed. */
void weir_access_sink_free(struct weir_access_sink *sink);

/* Writes whole lines, none longer than PIPE_BUF, from the front of `lines`: as many as are taken
 * without waiting. Returns how many bytes are done with; *ret_torn: whether the last of their lines
 * was written only in part. */
size_t weir_access_sink_write(struct weir_access_sink *sink, struct weir_str lines, bool *ret_torn);

#endif
