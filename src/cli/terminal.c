/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/terminal.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Alternate screen, no cursor, lines that do not wrap; and back. */
#define SHOW WEIR_STR("\033[?1049h\033[?25l\033[?7l\033[2J")
#define HIDE WEIR_STR("\033[?7h\033[?25h\033[?1049l")

static const int taken[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};

bool weir_terminal_is_there(void)
{
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

bool weir_terminal_write(struct weir_str text)
{
    while (text.len > 0) {
        ssize_t n = write(STDOUT_FILENO, text.p, text.len);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        size_t written = n < 0 ? 0 : (size_t)n;
        text = weir_str(text.p + written, text.len - written);
    }
    return true;
}

/* Signals of keys (ISIG) stay as they are. */
static bool show(const struct weir_terminal *t)
{
    struct termios raw = t->_before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    return tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) == 0 && weir_terminal_write(SHOW);
}

/* A terminal that is gone needs none of it. */
static void hide(const struct weir_terminal *t)
{
    (void)!weir_terminal_write(HIDE);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &t->_before);
}

bool weir_terminal_open(struct weir_terminal *t)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        sigaddset(&set, taken[i]);
    }
    if (tcgetattr(STDIN_FILENO, &t->_before) != 0) {
        return false;
    }
    t->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (t->signals < 0) {
        return false;
    }
    sigprocmask(SIG_BLOCK, &set, &t->_mask_before);
    if (!show(t)) {
        int why = errno;
        weir_terminal_close(t);
        errno = why;
        return false;
    }
    return true;
}

void weir_terminal_close(struct weir_terminal *t)
{
    hide(t);
    close(t->signals);
    sigprocmask(SIG_SETMASK, &t->_mask_before, NULL);
}

bool weir_terminal_signal(struct weir_terminal *t)
{
    struct signalfd_siginfo info;
    if (read(t->signals, &info, sizeof(info)) != (ssize_t)sizeof(info)) {
        return true;
    }
    if (info.ssi_signo == SIGTSTP) {
        hide(t);
        raise(SIGSTOP); /* until SIGCONT */
        return show(t);
    }
    return info.ssi_signo == SIGWINCH;
}

void weir_terminal_size(unsigned *ret_columns, unsigned *ret_rows)
{
    struct winsize size = {0};
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    *ret_columns = known ? size.ws_col : UINT32_MAX;
    *ret_rows = known ? size.ws_row : 0;
}
