/* SPDX-License-Identifier: Apache-2.0 */
/* terminal.h - the terminal as a screen of its own: nothing of it stays when it is given back. */
#ifndef WEIR_CLI_TERMINAL_H
#define WEIR_CLI_TERMINAL_H

#include <signal.h>
#include <termios.h>

#include "base/str.h"

struct weir_terminal {
    struct termios _before;
    sigset_t _mask_before;
    int signals; /* readable when a signal waits for weir_terminal_signal */
};

/* Whether there is one to read keys from and to draw on. */
bool weir_terminal_is_there(void);
/* Takes it: keys come one by one and unseen, signals that end or stop the process come as
 * weir_terminal_signal. False: it cannot be had, and errno says why. */
WEIR_MUSTCHECK bool weir_terminal_open(struct weir_terminal *t);
void weir_terminal_close(struct weir_terminal *t);
/* Takes a signal that waits. To be stopped it gives the terminal back until it goes on. False: the
 * process shall end; true: the screen is to be drawn again, its size may be another one. */
bool weir_terminal_signal(struct weir_terminal *t);
/* Of standard output; ret_rows 0: not known. */
void weir_terminal_size(unsigned *ret_columns, unsigned *ret_rows);
/* All of it to standard output. False: it cannot be written, and errno says why. */
WEIR_MUSTCHECK bool weir_terminal_write(struct weir_str text);

#endif
